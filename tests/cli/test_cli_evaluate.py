"""``convlet evaluate``: scores as the library computes them, and what it refuses."""

import re
from pathlib import Path

import numpy as np
import pytest

from convlet import Sequential, layers, load_model

pytest_plugins = ("cli_fixtures",)


def network(outputs, *, compiled=True, **settings):
    model = Sequential(
        [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(outputs, activation="softmax")]
    )
    if compiled:
        model.compile("sgd", settings.get("loss", "sparse_categorical_crossentropy"), ["accuracy"])
    return model


def test_scores_are_those_of_the_library(convlet, trained, arrays):
    result = convlet("evaluate", trained, "halves.npz")

    model = load_model(trained)
    x, y = arrays["x_test"][..., None], arrays["y_test"]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    wrong = (model.predict(x, verbose=0).argmax(axis=1) != y).sum()
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.output.startswith(
        f"\nTest, 16 samples:\n  loss        {loss:.4f}\n  accuracy    {accuracy:.4f}\n"
        f"  error rate  {100 * wrong / 16:.2f} % ({wrong} of 16)\n"
    )


def test_evaluation_changes_nothing(convlet, trained):
    before = trained.read_bytes()
    assert convlet("evaluate", trained, "halves.npz").output == (
        convlet("evaluate", trained, "halves.npz").output
    )
    assert trained.read_bytes() == before


def test_confusion_matrix_counts(convlet):
    """A network that says class 0 always; three classes with 1, 2 and 3 samples."""
    model = network(3)
    model.set_weights([np.zeros((64, 3)), np.array([1, 0, 0])])
    model.class_names = ["ant", "bee", "grasshopper"]
    model.save("insects.safetensors")
    np.savez("insects.npz", x=np.ones((6, 8, 8, 1)), y=np.array([2, 1, 0, 1, 2, 2]))

    output = convlet("evaluate", "insects.safetensors", "insects.npz").output

    assert "\ninsects has no test part. All of it, 6 samples:\n" in output
    assert "  error rate  83.33 % (5 of 6)\n" in output
    rows = [line.split() for line in output.splitlines()[-5:]]
    assert rows[0] == ["0", "1", "2"]  # names too long for columns stay with the rows
    assert rows[2:] == [
        ["0", "ant", "1", ".", "."],
        ["1", "bee", "2", "0", "."],
        ["2", "grasshopper", "3", ".", "0"],
    ]
    assert not any(line.endswith(" ") for line in output.splitlines())


def test_wide_matrix_is_not_cut(convlet):
    names = [f"{'abcdefghijklmnopqrst'[i]}{'x' * 30}" for i in range(20)]
    model = network(20)
    model.class_names = names
    model.save("wide.safetensors")
    np.savez("wide.npz", x=np.ones((2000, 8, 8)), y=np.arange(2000) % 20)
    output = convlet("evaluate", "wide.safetensors", "wide.npz").output
    for number, line in enumerate(output.splitlines()[-20:]):
        _, name, *counts = line.split()
        assert name == names[number]
        assert len(counts) == 20
        assert sum(int(count) for count in counts if count != ".") == 100


def test_uncompiled_and_one_hot_networks(convlet):
    for number, model in enumerate(
        [network(2, compiled=False), network(2, loss="categorical_crossentropy")]
    ):
        model.set_weights([np.zeros((64, 2)), np.zeros(2)])
        model.save(f"{number}.safetensors")
        result = convlet("evaluate", f"{number}.safetensors", "halves.npz")
        assert result.exit_code == 0
        assert f"  loss        {np.log(2):.4f}\n  accuracy    0.5000\n" in result.output


def test_names_cannot_command_the_terminal(convlet):
    model = network(2)
    model.class_names = ["\x1b[2J", "[red]:smile:"]
    model.save("hostile.safetensors")
    output = convlet("evaluate", "hostile.safetensors", "halves.npz").output
    assert "\x1b" not in output
    assert "\\x1b[2J" in output
    assert "[red]:smile:" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent.safetensors", "halves.npz"), "absent.safetensors: No such file or directory"),
        ((".", "halves.npz"), ".: Is a directory"),
        (("text.safetensors", "halves.npz"), "text.safetensors: not a .safetensors file, or a "),
        (("net.safetensors", "absent.npz"), "absent.npz: no such file or folder; a data set is "),
        (("net.safetensors", "text.safetensors"), "text.safetensors: not a data set; a data set "),
        (("net.safetensors", "ten.npz"), "evaluate: y_true[2] is 2, labels must be whole numbers "),
        (("net.safetensors", "large.npz"), "evaluate: x must have shape (samples, 8, 8, 1), got "),
        (("pixels.safetensors", "halves.npz"), "pixels.safetensors: the network's output has sha"),
    ],
)
def test_files_that_will_not_do(convlet, trained, arguments, message):
    Path("text.safetensors").write_text("text")
    np.savez("ten.npz", x=np.ones((10, 8, 8)), y=np.arange(10))
    np.savez("large.npz", x=np.ones((2, 9, 9)), y=np.arange(2))
    Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3)]).save("pixels.safetensors")
    result = convlet("evaluate", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1


def test_other_range_is_warned_of(convlet, trained, monkeypatch):
    """The digits' values go to 16, those of the network's own images to 255."""
    result = convlet("evaluate", trained, "digits")
    assert result.exit_code == 1  # ten digits, two classes
    assert (
        "Warning: the network was made for values from 0 to 255, those of digits go from 0 to 16\n"
    ) in result.stderr
    assert re.search(r"\nError: evaluate: y_true\[\d+\] is ", result.stderr)


def test_output_in_a_pipe_is_plain(start, trained):
    output, errors = (process := start("evaluate", trained, "halves.npz")).communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "Confusion matrix" in output
    assert "\x1b" not in output
    assert "\r" not in output
