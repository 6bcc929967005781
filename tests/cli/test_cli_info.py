"""``convlet``, ``summary`` and ``info``: help, version, what a file holds, exit codes."""

import re
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest

import convlet as library
from convlet import Sequential, layers
from convlet.cli import main

pytest_plugins = ("cli_fixtures",)

COMMANDS = ("search", "train", "evaluate", "predict", "export", "summary", "info", "bench")


def test_version(convlet):
    assert convlet("--version").output == f"convlet {library.__version__}\n"


def test_console_script():
    (script,) = entry_points(group="console_scripts", name="convlet")
    assert script.load() is main


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands(convlet, option):
    result = convlet(option)
    assert result.exit_code == 0
    assert re.findall(r"^  ([a-z]+)  ", result.output, re.MULTILINE) == sorted(COMMANDS)
    assert "\n  Examples:\n    convlet train digits\n    convlet evaluate " in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(convlet, command):
    result = convlet(command, "--help")
    assert result.exit_code == 0
    assert re.search(rf"\n  Examples:\n    convlet {command}\b", result.output)


@pytest.mark.parametrize("arguments", [(), ("trian",), ("train",), ("info", "--loud")])
def test_wrong_usage_is_exit_code_2(convlet, arguments):
    result = convlet(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_info(convlet):
    lines = convlet("info").output.splitlines()
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
    assert rows == library.show_config()


def test_summary(convlet, trained):
    result = convlet("summary", trained)
    assert result.exit_code == 0
    assert result.output.startswith("Model: 'small-lenet'\n")
    assert re.search(r"\n  dense \(Dense\) +\(None, 128\) +32,896 +32,768 +all\n", result.output)
    assert result.output.endswith(
        "\n Classes: left, right\n"
        " Images: 8 x 8 x 1, values from 0 to 255\n"
        " Training: SGD (learning_rate 0.02, momentum 0.9, nesterov False), "
        "loss sparse_categorical_crossentropy\n"
        " Trained so far: 6 epochs, 12 steps\n"
    )


def test_summary_of_any_model(convlet):
    """Not only of networks that tell classes apart, as the other commands need."""
    Sequential([layers.Input((None, 3)), layers.Conv1D(2, 5)]).save("signal.safetensors")
    result = convlet("summary", "signal.safetensors")
    assert result.exit_code == 0
    assert result.output.endswith(" Non-trainable params: 0 (0 B)\n")


def test_summary_of_weights_alone(convlet):
    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.save_weights("weights.safetensors")
    result = convlet("summary", "weights.safetensors")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: weights.safetensors: the file holds no model, perhaps weights alone; "
        "see load_weights\n"
    )


def test_names_cannot_command_the_terminal(convlet):
    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.class_names = ["\x1b[2J", "b"]
    model.save("hostile.safetensors")
    output = convlet("summary", "hostile.safetensors").output
    assert output.endswith("\n Classes: \\x1b[2J, b\n")


def test_reader_that_leaves_early(start):
    process = start("info")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_commands_need_no_extras(folder):
    """Data and samples from NumPy's files: neither scikit-learn nor Pillow is there."""
    np.save("one.npy", np.zeros((8, 8)))
    program = """
import sys
sys.modules["sklearn"] = sys.modules["PIL"] = None
from convlet.cli import main
for arguments in (
    "train halves.npz --epochs 1",
    "evaluate halves.safetensors halves.npz",
    "predict halves.safetensors one.npy",
):
    main(arguments.split(), standalone_mode=False)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].startswith("one.npy  ")


def test_keras_files_are_read_by_every_command(convlet, trained, folder):
    pytest.importorskip("h5py")
    library.load_model(trained).save("net.keras")
    assert convlet("summary", "net.keras").output == convlet("summary", trained).output
    data = "halves.npz"
    both = [convlet("evaluate", name, data) for name in ("net.keras", trained)]
    assert both[0].exit_code == 0
    assert both[0].output == both[1].output
    for name in ("net.keras", trained):
        result = convlet(
            "train", data, "--model", name, "--epochs", 1, "--out", f"{name}.safetensors"
        )
        assert result.exit_code == 0
    goes_on = [library.load_model(f"{name}.safetensors") for name in ("net.keras", trained)]
    for own, other in zip(*(model.get_weights() for model in goes_on), strict=True):
        np.testing.assert_array_equal(own, other)
    bench = ("bench", "--network", "net.keras", "--mode", "predict", "--batch-size", 1)
    bench += ("--repeat", 1)
    assert convlet(*bench).exit_code == 0
