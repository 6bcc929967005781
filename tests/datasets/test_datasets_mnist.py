"""MNIST and its kin: four files under every spelling, downloaded, and what does not fit."""

import gzip
import hashlib
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from convlet.datasets import fashion_mnist, kmnist, mnist
from convlet.datasets.download import RemoteFile
from convlet.datasets.idx import read_idx

pytest_plugins = ("servers",)

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/mnist"
MD5 = {  # of the four files, unzipped
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
X_TRAIN = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
X_TEST = X_TRAIN[:2] + 100
Y_TRAIN = np.array([0, 9, 4], np.uint8)
Y_TEST = np.array([7, 0], np.uint8)
ARRAYS = dict(zip(MD5, (X_TRAIN, Y_TRAIN, X_TEST, Y_TEST), strict=True))


def idx(array):
    codes = {"uint8": 0x08, "int8": 0x09}
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, codes[array.dtype.name], array.ndim]) + shape + array.tobytes()


def write_folder(folder, **changes):
    """Write the four small files, ``changes`` for some of them (named with underscores)."""
    for name, array in ARRAYS.items():
        (folder / name).write_bytes(idx(changes.get(name.replace("-", "_"), array)))
    return folder


def refuses(path, message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(f'{path}: {message}')}$")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-idx", ".idx"])
def test_every_spelling(tmp_path, separator, suffix):
    for name, array in ARRAYS.items():
        data = idx(array)
        path = tmp_path / (name.replace("-idx", separator) + suffix)
        path.write_bytes(gzip.compress(data) if suffix else data)

    (x_train, y_train), (x_test, y_test) = mnist.load_data(str(tmp_path))

    for array, expected in zip((x_train, y_train, x_test, y_test), ARRAYS.values(), strict=True):
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("module", [mnist, fashion_mnist, kmnist])
def test_download(server, cache, monkeypatch, module):
    names = [file.name for file in module._FILES]
    assert names == [f"{name}.gz" for name in MD5]
    for name, array in ARRAYS.items():
        server.files[f"{name}.gz"] = gzip.compress(idx(array))
    published = {file.name: (file.size, file.sha256) for file in module._FILES}
    monkeypatch.setattr(module, "_FILES", served(server))

    (x_train, y_train), (x_test, y_test) = module.load_data(mirror=server.address)

    for array, expected in zip((x_train, y_train, x_test, y_test), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected)
    assert all(len(sha256) == 64 and size > 4000 for size, sha256 in published.values())
    module.load_data(mirror=server.address)
    assert sorted(name for name, _ in server.asked) == sorted(names)


def served(server):
    return tuple(
        RemoteFile(f"{name}.gz", len(data), hashlib.sha256(data).hexdigest())
        for name in MD5
        for data in [server.files[f"{name}.gz"]]
    )


def test_each_set_has_its_own_folder_and_classes(server, cache, monkeypatch):
    for name, array in ARRAYS.items():
        server.files[f"{name}.gz"] = gzip.compress(idx(array))
    for module in (mnist, fashion_mnist, kmnist):
        monkeypatch.setattr(module, "_FILES", served(server))
        module.load_data(mirror=server.address)
        assert len(set(module.CLASS_NAMES)) == 10
    assert sorted(path.name for path in cache.iterdir()) == ["fashion-mnist", "kmnist", "mnist"]


def test_missing_files_are_listed(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()
    message = (
        "no MNIST here, looked for train-labels-idx1-ubyte, t10k-images-idx3-ubyte "
        "(each also as .gz and with '.idx' for '-idx')"
    )
    with refuses(tmp_path, message, FileNotFoundError):
        mnist.load_data(tmp_path)


def test_missing_folder_lists_all_four(tmp_path):
    message = f"no MNIST here, looked for {', '.join(MD5)}"
    with pytest.raises(FileNotFoundError, match=message):
        mnist.load_data(tmp_path / "absent")


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (X_TRAIN.reshape(3, 20), "uint8 of shape (3, 20)"),
        (X_TRAIN.view(np.int8), "int8 of shape (3, 4, 5)"),
    ],
)
def test_images_of_another_kind(tmp_path, images, found):
    write_folder(tmp_path, train_images_idx3_ubyte=images)
    message = f"the images must be uint8 of shape (n, rows, columns), got {found}"
    with refuses(tmp_path / "train-images-idx3-ubyte", message):
        mnist.load_data(tmp_path)


@pytest.mark.parametrize(
    ("labels", "found"),
    [(Y_TEST.reshape(2, 1), "uint8 of shape (2, 1)"), (Y_TEST.view(np.int8), "int8 of shape (2,)")],
)
def test_labels_of_another_kind(tmp_path, labels, found):
    write_folder(tmp_path, t10k_labels_idx1_ubyte=labels)
    message = f"the labels must be uint8 of shape (n,), got {found}"
    with refuses(tmp_path / "t10k-labels-idx1-ubyte", message):
        mnist.load_data(tmp_path)


def test_counts_that_differ(tmp_path):
    write_folder(tmp_path, t10k_labels_idx1_ubyte=Y_TRAIN)
    message = "3 labels do not fit the 2 images of t10k-images-idx3-ubyte"
    with refuses(tmp_path / "t10k-labels-idx1-ubyte", message):
        mnist.load_data(tmp_path)


def test_labels_beyond_nine(tmp_path):
    write_folder(tmp_path, train_labels_idx1_ubyte=Y_TRAIN + 1)
    with refuses(tmp_path / "train-labels-idx1-ubyte", "the labels must be 0 to 9, got 10"):
        mnist.load_data(tmp_path)


def test_image_sizes_that_differ(tmp_path):
    write_folder(tmp_path, t10k_images_idx3_ubyte=X_TEST.reshape(2, 5, 4))
    message = "the images must be as large as those of train-images-idx3-ubyte, (4, 5), got (5, 4)"
    with refuses(tmp_path / "t10k-images-idx3-ubyte", message):
        mnist.load_data(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs MNIST")
def test_real_mnist_to_the_last_byte():
    (x_train, y_train), (x_test, y_test) = mnist.load_data(REAL)

    assert (x_train.shape, y_train.shape) == ((60000, 28, 28), (60000,))
    assert (x_test.shape, y_test.shape) == ((10000, 28, 28), (10000,))
    for name, array in zip(MD5, (x_train, y_train, x_test, y_test), strict=True):
        assert hashlib.md5(idx(array)).hexdigest() == MD5[name]


@pytest.mark.skipif(not REAL.is_dir(), reason="needs MNIST")
def test_real_labels_gzipped_and_not_are_equal(tmp_path):
    zipped = REAL / "t10k-labels-idx1-ubyte.gz"
    plain = tmp_path / "labels.gz"  # the content decides, not the name
    plain.write_bytes(gzip.decompress(zipped.read_bytes()))
    np.testing.assert_array_equal(read_idx(plain), read_idx(zipped))
