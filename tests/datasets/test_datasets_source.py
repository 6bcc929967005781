"""From a name, a file or a folder to a data set."""

import re
import struct

import numpy as np
import pytest

from convlet.datasets import DataSet, open_dataset, source
from convlet.preprocessing import Preprocessing

WHAT_WOULD_DO = (
    "a data set is 'digits', 'mnist', 'fashion-mnist', 'kmnist', 'cifar10', 'cifar100', 'fsdd', "
    "a .npz file, a folder of images or sounds with a sub-folder for each class, or one with the "
    "four IDX files of MNIST"
)


def write_mnist(folder):
    folder.mkdir()
    for part, count in (("train", 3), ("t10k", 2)):
        images = struct.pack(">HBB3I", 0, 8, 3, count, 4, 5) + bytes(range(20 * count))
        labels = struct.pack(">HBBI", 0, 8, 1, count) + bytes(range(count))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    return folder


def test_digits():
    data = open_dataset("digits")

    assert isinstance(data, DataSet)
    assert data.x_train.shape == (1440, 8, 8, 1)
    assert data.x_test.shape == (357, 8, 8, 1)
    assert (data.y_train.shape, data.y_test.shape) == ((1440,), (357,))
    assert data.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert data.preprocessing == Preprocessing(8, 8, 1, 0.0, 16.0)
    assert data.name == "digits"


@pytest.mark.parametrize("name", ["fashion", "digits"])
def test_folder_in_mnists_form(tmp_path, name):
    data = open_dataset(write_mnist(tmp_path / name))

    assert (data.x_train.shape, data.x_train.dtype) == ((3, 4, 5, 1), np.uint8)
    assert data.x_test.shape == (2, 4, 5, 1)
    np.testing.assert_array_equal(data.y_train, [0, 1, 2])
    np.testing.assert_array_equal(data.y_test, [0, 1])
    assert data.class_names == tuple("0123456789")
    assert data.preprocessing == Preprocessing(4, 5, 1, 0.0, 255.0)
    assert data.name == name


def test_here_is_named_like_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write_mnist(tmp_path / "fashion"))
    assert open_dataset(".").name == "fashion"


@pytest.mark.parametrize(
    ("name", "first", "shape", "classes"),
    [
        ("mnist", "0", (28, 28, 1), 10),
        ("fashion-mnist", "T-shirt/top", (28, 28, 1), 10),
        ("kmnist", "o", (28, 28, 1), 10),
        ("cifar10", "airplane", (32, 32, 3), 10),
        ("cifar100", None, (32, 32, 3), None),
    ],
)
def test_images_that_are_downloaded(monkeypatch, name, first, shape, classes):
    stored = shape[:2] if shape[2] == 1 else shape
    x, y = np.zeros((3, *stored), np.uint8), np.arange(3, dtype=np.uint8)
    fetched = []
    monkeypatch.setitem(
        source._IMAGES,
        name,
        (lambda: fetched.append(name) or ((x, y), (x[:2], y[:2])), *source._IMAGES[name][1:]),
    )

    data = open_dataset(name)

    assert fetched == [name]
    assert data.name == name
    assert data.x_train.shape == (3, *shape)
    assert data.x_test.shape == (2, *shape)
    assert data.preprocessing == Preprocessing(*shape, 0.0, 255.0)
    assert first is None or data.class_names[0] == first
    assert (data.class_names and len(data.class_names)) == classes


def test_spoken_digits(monkeypatch):
    x, y = np.zeros((3, 8000), np.float32), np.arange(3, dtype=np.uint8)
    monkeypatch.setattr(source.fsdd, "load_data", lambda: ((x, y), (x[:2], y[:2])))
    data = open_dataset("fsdd")
    assert (data.x_train.shape, data.x_test.shape) == ((3, 8000, 1), (2, 8000, 1))
    assert data.class_names == tuple("0123456789")
    assert (data.preprocessing, data.sampling_rate) == (None, 8000)


@pytest.mark.parametrize("suffix", ["npz", "NPZ"])
def test_npz_arrays_are_kept_as_they_are(tmp_path, suffix):
    path = tmp_path / f"signals.{suffix}"
    x = np.ones((4, 7, 6), np.float16)
    with path.open("wb") as file:
        np.savez(file, x=x, y=np.arange(4), class_names=np.array(["a", "b", "c", "d"]))

    data = open_dataset(str(path))

    assert (data.x_train.shape, data.x_train.dtype) == (x.shape, x.dtype)
    assert data.x_test is None
    assert data.y_test is None
    assert data.class_names == ("a", "b", "c", "d")
    assert data.preprocessing is None
    assert data.name == "signals"


def test_folder_of_something_else(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no MNIST here, looked for train-images-idx3"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["imagenet", "absent.npz"])
def test_nothing_there(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = re.escape(f"{name}: no such file or folder; {WHAT_WOULD_DO}")
    with pytest.raises(FileNotFoundError, match=f"^{message}$"):
        open_dataset(name)


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("1,2\n")
    message = re.escape(f"{path}: not a data set; {WHAT_WOULD_DO}")
    with pytest.raises(ValueError, match=f"^{message}$"):
        open_dataset(path)
