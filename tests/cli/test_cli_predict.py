"""``convlet predict``: images and arrays, one line or one JSON object a sample."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlet import Sequential, layers, load_model

pytest_plugins = ("cli_fixtures",)


@pytest.fixture
def images(trained, arrays):
    """Return the files of the first two test images, written as PNG, and their array."""
    x = arrays["x_test"]
    for name, image in zip(("left", "right"), x[:2], strict=True):
        Image.fromarray(image).save(f"{name}.png")
    return x


def test_a_line_for_each_image(convlet, trained, images):
    result = convlet("predict", trained, "left.png", "right.png")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(r"left\.png  left [\d.]+%\nright\.png  right [\d.]+%\n", result.output)


def test_probabilities_are_the_networks(convlet, trained, images):
    result = convlet("predict", trained, "left.png", "--top", 2, "--json")
    expected = load_model(trained).predict(images[:1, ..., None], verbose=0)[0]
    answer = json.loads(result.output)
    assert (answer["file"], answer["sample"]) == ("left.png", 0)
    assert [(c["class"], c["label"]) for c in answer["classes"]] == [("left", 0), ("right", 1)]
    np.testing.assert_allclose([c["probability"] for c in answer["classes"]], expected, rtol=1e-6)


def test_image_of_another_size_and_kind(convlet, trained, images):
    Image.open("right.png").resize((64, 64)).convert("RGB").save("large.jpg", quality=95)
    assert convlet("predict", trained, "large.jpg").output.startswith("large.jpg  right ")


@pytest.mark.parametrize(
    "shape",
    [(8, 8), (8, 8, 1), (1, 8, 8), (1, 8, 8, 1)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_array_of_one_sample(convlet, trained, images, shape):
    np.save("one.npy", images[1].reshape(shape))
    assert convlet("predict", trained, "one.npy").output.startswith("one.npy  right ")


@pytest.mark.parametrize("shape", [(16, 8, 8), (16, 8, 8, 1)], ids=["without", "with"])
def test_array_of_many_samples(convlet, trained, images, shape):
    np.save("many.npy", images.reshape(shape))
    lines = convlet("predict", trained, "many.npy").output.splitlines()
    found = [re.fullmatch(r"many\.npy\[(\d+)\]  (left|right) [\d.]+%", line) for line in lines]
    assert [int(match[1]) for match in found] == list(range(16))
    assert [match[2] for match in found] == ["left", "right"] * 8
    objects = convlet("predict", trained, "many.npy", "--json").output.splitlines()
    assert [json.loads(line)["sample"] for line in objects] == list(range(16))


def test_top_beyond_the_classes(convlet, trained, images):
    output = convlet("predict", trained, "left.png", "--top", 9).output
    assert re.fullmatch(r"left\.png  left [\d.]+%  right [\d.]+%\n", output)


def test_classes_without_names_and_scores_that_are_no_probabilities(convlet):
    model = Sequential([layers.Input((2,)), layers.Dense(3)])
    model.set_weights([np.zeros((2, 3)), np.array([-1, 2.5, 0.25])])
    model.save("linear.safetensors")
    np.save("one.npy", np.zeros(2))
    result = convlet("predict", "linear.safetensors", "one.npy", "--top", 2)
    assert result.output == "one.npy  1 2.5  2 0.25\n"
    answer = json.loads(convlet("predict", "linear.safetensors", "one.npy", "--json").output)
    assert answer["classes"] == [{"class": "1", "label": 1, "score": 2.5}]


def test_bad_files_are_reported_and_the_others_answered(convlet, trained, images):
    Path("torn.png").write_bytes(Path("left.png").read_bytes()[:40])
    np.save("large.npy", np.zeros((9, 9)))
    np.save("nan.npy", np.full((8, 8), np.nan))
    result = convlet(
        "predict", trained, "absent.png", "torn.png", "large.npy", "nan.npy", "right.png"
    )
    assert result.exit_code == 1
    assert re.fullmatch(r"right\.png  right [\d.]+%\n", result.stdout)
    absent, torn, large, nan = result.stderr.splitlines()
    assert absent == "Error: absent.png: No such file or directory"
    assert torn.startswith("Error: torn.png: the file is damaged or not one of PNG, JPEG, ")
    assert large == (
        "Error: large.npy: the network takes samples of shape 8 x 8 x 1, "
        "got an array of shape 9 x 9"
    )
    assert nan.startswith("Error: nan.npy: predict: x must be finite numbers of float32, x[0, 0")


def test_network_without_finite_outputs(convlet):
    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.set_weights([np.full((2, 2), 3e38), np.zeros(2)])
    model.save("huge.safetensors")
    np.save("one.npy", np.full(2, 3.0))
    with np.errstate(over="ignore"):
        result = convlet("predict", "huge.safetensors", "one.npy", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "Error: one.npy: the network's output is no finite number\n"


def test_image_for_a_network_that_takes_none(convlet, images):
    Sequential([layers.Input((2,)), layers.Dense(2)]).save("linear.safetensors")
    result = convlet("predict", "linear.safetensors", "left.png")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: left.png: the model carries no image preprocessing, so a .npy file is needed\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("absent.safetensors", "left.png"), 1, "Error: absent.safetensors: No such file or dire"),
        (("net.safetensors",), 2, "Error: Missing argument 'FILES...'"),
        (("net.safetensors", "left.png", "--top", 0), 2, "Error: Invalid value for '--top': 0 is"),
    ],
)
def test_wrong_usage(convlet, images, arguments, code, message):
    result = convlet("predict", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_reader_that_leaves_early(start, trained):
    """As with ``convlet predict ... | head -1``: more lines than a pipe holds, one read."""
    np.save("many.npy", np.zeros((4000, 8, 8), np.uint8))
    process = start("predict", trained, "many.npy", "--json")
    assert json.loads(process.stdout.readline())["sample"] == 0
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_names_cannot_command_the_terminal(convlet):
    model = Sequential([layers.Input((2,)), layers.Dense(2)])
    model.class_names = ["\x1b[2J", "\x1b[2J\nb"]
    model.save("hostile.safetensors")
    np.save("one\x1b[2J.npy", np.zeros(2))
    output = convlet("predict", "hostile.safetensors", "one\x1b[2J.npy", "--top", 2).output
    assert "\x1b" not in output
    assert output.count("\n") == 1
    assert output.startswith("one\\x1b[2J.npy  \\x1b[2J 0")
