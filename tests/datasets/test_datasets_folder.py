"""Folders of images and of sounds as whole data sets."""

import re
import wave

import numpy as np
import pytest
from PIL import Image

from convlet.datasets import open_dataset
from convlet.preprocessing import Preprocessing


def write(path, *colour, size=(3, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if len(colour) == 1 else "RGB", size, colour if colour[1:] else colour[0]).save(
        path
    )


def write_sound(path, frames, channels=1, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\x40" * frames * channels)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "shades"
    for name, grey in {"dark/1.png": 10, "dark/2.png": 20, "light/3.png": 200}.items():
        write(root / name, grey)
    return root


def pairs(data):
    """Return the first pixel and the label of each sample, sorted."""
    return sorted(zip(data.x_train[:, 0, 0, 0].tolist(), data.y_train.tolist(), strict=True))


def test_any_part_has_all_classes(tmp_path):
    for number in range(40):
        write(tmp_path / f"{'ab'[number // 20]}/{number}.png", number)
    one, other = open_dataset(tmp_path), open_dataset(tmp_path)
    np.testing.assert_array_equal(one.x_train, other.x_train)
    for part in (one.y_train[:10], one.y_train[-10:]):
        assert 2 <= part.sum() <= 8


def test_grey_images_of_one_size_are_bytes(folder):
    data = open_dataset(folder)
    assert (data.x_train.shape, data.x_train.dtype) == ((3, 2, 3, 1), np.uint8)
    assert pairs(data) == [(10, 0), (20, 0), (200, 1)]
    assert (data.x_test, data.y_test) == (None, None)
    assert data.class_names == ("dark", "light")
    assert data.preprocessing == Preprocessing(2, 3, 1, 0.0, 255.0)
    assert (data.name, data.sampling_rate) == ("shades", None)


def test_one_colour_image_makes_all_rgb(folder):
    write(folder / "light/4.png", 200, 100, 50)
    data = open_dataset(folder)
    assert data.x_train.shape == (4, 2, 3, 3)
    colours = {tuple(image[0, 0].tolist()) for image in data.x_train}
    assert colours == {(10, 10, 10), (20, 20, 20), (200, 200, 200), (200, 100, 50)}


def test_given_size_and_preprocessing(folder):
    write(folder / "light/4.png", 40, size=(9, 9))
    assert open_dataset(folder, image_size=(4, 5)).x_train.shape == (4, 4, 5, 1)
    scaled = open_dataset(folder, Preprocessing(2, 2, 1, -1.0, 1.0))
    assert scaled.x_train.dtype == np.float32
    expected = np.array([10, 20, 40, 200]) / 127.5 - 1
    np.testing.assert_allclose(np.sort(scaled.x_train[:, 0, 0, 0]), expected, rtol=1e-6)
    message = (
        f"{folder}: the images have several sizes, as 2 x 3 and 9 x 9; say to which to bring them "
        "(--image-size)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        open_dataset(folder)


def test_size_is_that_of_the_upright_image(tmp_path):
    write(tmp_path / "a/1.jpg", 10, size=(3, 2))
    image = Image.open(tmp_path / "a/1.jpg")
    lying = image.getexif()
    lying[0x0112] = 6
    image.save(tmp_path / "b.jpg", exif=lying)
    (tmp_path / "b.jpg").rename(tmp_path / "a/1.jpg")
    assert open_dataset(tmp_path).x_train.shape == (1, 3, 2, 1)


def test_train_and_test_folders(folder):
    root = folder.parent
    folder.rename(root / "train")
    write(root / "test/light/9.png", 220)
    write(root / "test/dark/8.png", 5)
    data = open_dataset(root)
    assert len(data.x_train) == 3
    np.testing.assert_array_equal(data.x_test[:, 0, 0, 0], [5, 220])
    np.testing.assert_array_equal(data.y_test, [0, 1])
    (root / "test/dark/8.png").unlink()
    (root / "test/dark").rmdir()
    message = f"class_names must be the sub-folders of {root / 'test'}, light; got dark, light"
    with pytest.raises(ValueError, match=re.escape(message)):
        open_dataset(root)


def test_table(folder):
    (folder / "labels.csv").write_text("file,label\nlight/3.png,bright\ndark/1.png,dim\n")
    data = open_dataset(folder)
    assert data.class_names == ("bright", "dim")
    assert pairs(data) == [(10, 1), (200, 0)]


@pytest.mark.parametrize("damage", [lambda c: c[:50], lambda c: b"no image"])
def test_damaged_image_is_named(folder, damage):
    path = folder / "dark/2.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: the file is damaged or not o"):
        open_dataset(folder)


def test_images_without_class(tmp_path):
    write(tmp_path / "1.png", 1)
    message = f"{tmp_path} must hold files, in a sub-folder of it, that end in .png"
    with pytest.raises(ValueError, match=re.escape(message)):
        open_dataset(tmp_path)


def test_sounds(tmp_path):
    pytest.importorskip("soundfile")
    write_sound(tmp_path / "a/1.wav", 3)
    write_sound(tmp_path / "b/2.wav", 5)
    data = open_dataset(tmp_path)
    assert data.x_train.shape == (2, 5, 1)
    by_label = data.x_train[np.argsort(data.y_train), 2:, 0]
    np.testing.assert_array_equal(by_label, [[0.5, 0, 0], [0.5, 0.5, 0.5]])
    assert (data.preprocessing, data.sampling_rate) == (None, 8000)
    assert open_dataset(tmp_path, sound_length=2).x_train.shape == (2, 2, 1)
    write_sound(tmp_path / "b/3.wav", 5, rate=4000)
    message = r"all sounds must have one sampling rate and as many channels, got \d000 Hz, 1 here"
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path)


def test_sounds_among_images(folder):
    write_sound(folder / "dark/1.wav", 3)
    with pytest.raises(ValueError, match=f"^{re.escape(str(folder))}: there are sounds and others"):
        open_dataset(folder)
