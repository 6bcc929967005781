"""The commands with folders of images and of sounds."""

import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from cli_fixtures import halves
from PIL import Image

from convlet import Sequential, layers, load_model
from convlet.preprocessing import Preprocessing

pytest_plugins = ("cli_fixtures",)

NAMES = ("left", "right")
QUICK = ("--epochs", 6, "--seed", 0)


def write_images(root, samples=32, names=NAMES):
    x, y = halves(samples)
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        path = Path(root, names[label], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def write_sound(path, level, frames=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.full(frames, level, "<i2").tobytes())


def test_folder_of_images_is_trained_evaluated_and_predicted(convlet):
    write_images("sides")
    result = convlet("train", "sides", *QUICK)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Data:     sides, 32 samples of 8 x 8 x 1 to train on, no test part, 2 classes\n" in (
        result.output
    )
    model = load_model("sides.safetensors")
    assert model.class_names == list(NAMES)
    assert model.preprocessing == Preprocessing(8, 8, 1, 0.0, 255.0)

    result = convlet("evaluate", "sides.safetensors", "sides/")
    assert "error rate  0.00 % (0 of 32)" in result.output
    result = convlet("predict", "sides.safetensors", "sides/left/0.png", "sides/right/1.png")
    assert re.fullmatch(
        r"sides/left/0.png  left \S+\nsides/right/1.png  right \S+\n", result.output
    )


def test_files_are_brought_to_what_a_saved_network_takes(convlet, trained):
    write_images("sides", 8)
    Image.open("sides/left/0.png").resize((16, 16)).convert("RGB").save("sides/left/0.png")
    result = convlet("evaluate", trained, "sides")
    assert result.exit_code == 0, result.stderr
    assert "error rate  0.00 % (0 of 8)" in result.output
    result = convlet("train", "sides", "--model", trained, "--epochs", 1)
    assert "sides, 8 samples of 8 x 8 x 1 to train on" in result.output


def test_classes_are_known_by_their_names(convlet, trained):
    write_images("sides", 8)
    shutil.rmtree("sides/left")
    result = convlet("evaluate", trained, "sides")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "error rate  0.00 % (0 of 4)" in result.output


def test_sizes_that_differ_need_the_option(convlet):
    write_images("sides", 8)
    Image.new("L", (9, 10)).save("sides/left/x.png")
    result = convlet("train", "sides", *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: sides: the images have several sizes, as 8 x 8 and 10 x"
    )
    result = convlet("train", "sides", "--epochs", 1, "--image-size", "10x12")
    assert result.exit_code == 0
    assert load_model("sides.safetensors").preprocessing == Preprocessing(10, 12, 1, 0.0, 255.0)


@pytest.mark.parametrize("size", ["0", "3x", "x3", "3x4x5", "-1", "1e3", "9999999", "a"])
def test_image_size_of_another_form(convlet, size):
    result = convlet("train", "halves.npz", f"--image-size={size}")
    assert result.exit_code == 2
    assert "'--image-size': " in result.stderr
    assert "is not of the form 32x48, height and width." in result.stderr


def test_image_size_of_a_saved_network(convlet, trained):
    result = convlet("train", "halves.npz", "--model", trained, "--image-size", 8)
    assert result.exit_code == 2
    assert "Error: --image-size is for new networks; a saved one has its own.\n" in result.stderr


def test_folder_of_sounds(convlet, folder):
    pytest.importorskip("soundfile")
    for number in range(4):
        write_sound(folder / f"tones/low/{number}.wav", -8000 - number)
        write_sound(folder / f"tones/up/{number}.wav", 8000 + number, frames=30)
    model = Sequential(
        [
            layers.Input((32, 1)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, activation="softmax", kernel_initializer="zeros"),
        ]
    )
    model.save("mean.safetensors")
    result = convlet("train", "tones", "--model", "mean.safetensors", "--epochs", 50)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "tones, 8 samples of 32 x 1 to train on" in result.output
    assert "convlet predict tones.safetensors SOUND.wav\n" in result.output
    result = convlet("evaluate", "tones.safetensors", "tones")
    assert "error rate  0.00 % (0 of 8)" in result.output
    result = convlet("predict", "tones.safetensors", "tones/low/1.wav")
    assert result.output.startswith("tones/low/1.wav  low ")


def test_folder_of_sounds_and_a_new_network(convlet, folder):
    pytest.importorskip("soundfile")
    for number in range(6):
        write_sound(folder / f"tones/low/{number}.wav", -8000 - 100 * number, frames=60)
        write_sound(folder / f"tones/up/{number}.wav", 8000 + 100 * number, frames=50)
    result = convlet("train", "tones", "--seed", 0, "--epochs", 20, "--augment")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "tones, 12 samples of 60 x 1 to train on" in result.output
    assert "\nNetwork:  series-fcn, seed 0, " in result.output
    assert ", samples distorted\n" in result.output
    result = convlet("predict", "tones.safetensors", "tones/low/1.wav", "tones/up/2.wav")
    assert re.fullmatch(r"tones/low/1.wav  low .*\ntones/up/2.wav  up .*\n", result.output)
    result = convlet("train", "tones", "--model", "small-lenet")
    assert result.stderr == (
        "Error: tones: small-lenet takes images, samples of shape rows x columns or rows x columns "
        "x channels; here samples have shape 60 x 1\n"
    )
