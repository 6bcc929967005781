"""The lecture's experiment, with few images for two epochs; `make demo` runs the other example."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from networks import SHARED

SCRIPT = Path(__file__).resolve().parents[1] / "examples/lecture_mnist.py"
MNIST = SHARED / "mnist"


def run(*arguments):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")
def test_lecture_mnist():
    result = run(MNIST, "--seeds", 2, "--epochs", 2, "--limit", 600)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("MNIST: 600, 600, 600 images to train on, to validate on, to ")
    epochs = r"(?:seed \d, epoch  \d: loss [\d.]+, validation error [\d. ]+ %[ *]+[\d.]+ s\n){2}"
    assert re.search(
        rf"\n{epochs}Seed 0: test error [\d.]+ %, at epoch \d\n\n"
        rf"{epochs}Seed 1: test error [\d.]+ %, at epoch \d\n\n"
        r"Test error +[\d.]+ %, the mean of 2 \(from [\d.]+ to [\d.]+\); the lecture's 1.37 % at "
        r"epoch 28\nTime an epoch +[\d.]+ s, the median; the lecture's 668 to 712 s\n$",
        result.stdout,
    )


def test_lecture_mnist_without_data(tmp_path):
    result = run(tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"This needs MNIST, four IDX files in a folder: {tmp_path}: no "
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--seeds", "--epochs", "--limit"])
def test_lecture_mnist_refuses_nothing(option):
    result = run(option, 0)
    assert result.returncode == 2
    assert result.stderr.endswith(f"{option} must be at least 1\n")
