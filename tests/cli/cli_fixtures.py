"""What the tests of the commands share: a folder of one's own, small data, a small network.

PYTEST_DONT_REWRITE: the search for doctests imports this file before it is used as a plugin.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from convlet.cli import main

PROGRAM = """
import signal
from convlet.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored under nohup, for one
main(prog_name="convlet")
"""


def halves(samples, seed=0):
    """Return noisy 8x8 images of bytes that are bright on the left (0) or on the right (1)."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 100, (samples, 8, 8), np.uint8)
    y = np.arange(samples) % 2
    for image, label in zip(x, y, strict=True):
        image[:, 4 * label : 4 * label + 4] += 150
    return x, y


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return a folder with ``halves.npz`` and ``net.safetensors``, a network trained on it."""
    folder = tmp_path_factory.mktemp("cli")
    x_train, y_train = halves(64)
    x_test, y_test = halves(16, seed=1)
    data = folder / "halves.npz"
    np.savez(
        data,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=["left", "right"],
    )
    arguments = ["train", data, "--seed", 0, "--epochs", 6, "--out", folder / "net.safetensors"]
    result = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(made_once, tmp_path, monkeypatch):
    """Return the current folder, which holds the data set ``halves.npz``."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made_once / "halves.npz", tmp_path)
    return tmp_path


@pytest.fixture
def arrays(folder):
    """Return the arrays of ``halves.npz`` by name."""
    with np.load("halves.npz") as file:
        return dict(file)


@pytest.fixture
def convlet(folder):
    """Return a function that runs the command in this process: ``convlet("info").output``."""

    def run(*arguments):
        return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)

    return run


@pytest.fixture
def trained(made_once, folder):
    """Return the file of a network that tells the halves apart, in the current folder."""
    shutil.copy(made_once / "net.safetensors", folder)
    return Path("net.safetensors")


@pytest.fixture
def start(folder):
    """Return a function that starts the command in a process of its own, with pipes."""
    processes = []

    def popen(*arguments):
        hidden = ("FORCE_COLOR", "TTY_COMPATIBLE", "PYTHONWARNINGS")
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        environment |= {"TERM": "xterm-256color", "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        return process

    yield popen
    for process in processes:
        process.kill()
        process.communicate()
