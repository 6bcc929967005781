"""From what a user names, ``"digits"``, a file or a folder, to an open data set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from convlet.datasets import (
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    fsdd,
    kmnist,
    mnist,
    mnist_form,
)
from convlet.datasets.dataset import DataSet
from convlet.datasets.folder import holds_files, open_folder
from convlet.preprocessing import Preprocessing

_Parts = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

NAMES = ("digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "fsdd")
"""The data sets that ``open_dataset`` knows by name."""

_IMAGES: dict[str, tuple[Callable[[], _Parts], float, tuple[str, ...] | None]] = {
    "digits": (digits.load_data, 16.0, mnist.CLASS_NAMES),
    "mnist": (mnist.load_data, 255.0, mnist.CLASS_NAMES),
    "fashion-mnist": (fashion_mnist.load_data, 255.0, fashion_mnist.CLASS_NAMES),
    "kmnist": (kmnist.load_data, 255.0, kmnist.CLASS_NAMES),
    "cifar10": (cifar10.load_data, 255.0, cifar10.CLASS_NAMES),
    "cifar100": (cifar100.load_data, 255.0, None),
}
_WHAT_WOULD_DO = (
    f"a data set is {', '.join(map(repr, NAMES))}, a .npz file, a folder of images or sounds with "
    "a sub-folder for each class, or one with the four IDX files of MNIST"
)


def open_dataset(
    source: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    image_size: tuple[int, int] | None = None,
    sound_length: int | None = None,
) -> DataSet:
    """Return the data set that ``source`` names.

    Parameters
    ----------
    source : str or path
        ``"digits"`` for scikit-learn's handwritten digits; another of ``NAMES`` for a data set
        that is downloaded when it is first asked for; a ``.npz`` file (see
        ``convlet.datasets.npz``), whose arrays are kept as they are; a folder in MNIST's form (see
        ``convlet.datasets.mnist``); or one of images or WAV files (see
        ``convlet.datasets.folder``). A folder of the name ``digits`` is ``"./digits"``.
    preprocessing : Preprocessing, optional
        How a folder's images are read; by default to values from 0 to 255, in grey if all of them
        are grey, otherwise in RGB.
    image_size : (int, int), optional
        Height and width that a folder's images are brought to; by default their own, which must
        be the same.
    sound_length : int, optional
        Frames of a folder's sounds, cut off or filled up with 0 at the end; by default those of
        the longest.

    Returns
    -------
    DataSet
        Images are uint8 of shape (n, rows, columns, channels), the waveforms of ``"fsdd"`` float32
        of shape (n, samples, 1).

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the folder lacks one of the four.
    ValueError
        If the file is something else, or damaged.
    ConnectionError
        If a download fails.
    ImportError
        If scikit-learn, pooch, Pillow or soundfile is needed and not installed.
    """
    if isinstance(source, str) and source in _IMAGES:
        load, white, class_names = _IMAGES[source]
        return _of_images(load(), white, class_names, source)
    if source == "fsdd":
        return _of_waveforms(fsdd.load_data(), "fsdd")
    path = Path(source)
    if path.is_dir() and not mnist_form.is_here(path) and holds_files(path):
        return open_folder(path, preprocessing, image_size, sound_length)
    if path.is_dir():
        images = mnist.load_data(path)
        return _of_images(images, 255.0, mnist.CLASS_NAMES, path.resolve().name)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; {_WHAT_WOULD_DO}")
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: not a data set; {_WHAT_WOULD_DO}")
    from convlet.datasets.npz import open_npz  # here: zip archives take 5 ms to import

    return open_npz(path)


def _of_images(
    data: _Parts, white: float, class_names: tuple[str, ...] | None, name: str
) -> DataSet:
    """Return images with values 0 to ``white``, with a channel axis."""
    (x_train, y_train), (x_test, y_test) = data
    height, width = x_train.shape[1:3]
    channels = x_train.shape[3] if x_train.ndim == 4 else 1
    return DataSet(
        x_train.reshape(-1, height, width, channels),
        y_train,
        x_test.reshape(-1, height, width, channels),
        y_test,
        class_names=class_names,
        preprocessing=Preprocessing(height, width, channels, 0.0, white),
        name=name,
    )


def _of_waveforms(data: _Parts, name: str) -> DataSet:
    """Return waveforms of the ten digits, with a channel axis."""
    (x_train, y_train), (x_test, y_test) = data
    return DataSet(
        x_train[..., np.newaxis],
        y_train,
        x_test[..., np.newaxis],
        y_test,
        class_names=mnist.CLASS_NAMES,
        preprocessing=None,
        name=name,
        sampling_rate=fsdd.SAMPLE_RATE,
    )
