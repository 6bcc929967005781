"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes, which are in 20 groups."""

from __future__ import annotations

import os

import numpy as np

from convlet import arguments
from convlet.datasets.cifar import Edition, load_records
from convlet.datasets.download import RemoteFile

_BASE = "https://www.cs.toronto.edu/~kriz/"
_EDITION = Edition(
    name="cifar100",
    archive=RemoteFile(
        "cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
    folder="cifar-100-binary",
    train=("train.bin",),
    test=("test.bin",),
    classes=(20, 100),
)
_LABEL_MODES = ("fine", "coarse")


def load_data(
    label_mode: str = "fine",
    path: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return CIFAR-100, from its binary edition.

    Parameters
    ----------
    label_mode : {"fine", "coarse"}
        Whether labels are those of the 100 classes or of the 20 groups.
    path : str or path, optional
        A folder with ``cifar-100-binary.tar.gz``, or with what it holds, ``train.bin`` and
        ``test.bin``. By default the archive is downloaded once, 169 MB, into the user's cache, or
        into ``CONVLET_DATA``.
    mirror : str, optional
        Another address to download from, to which the archive's name is added.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), red, green and blue, and
        labels 0 to 99, or 0 to 19, uint8 of shape (50000, 1) and (10000, 1), as in Keras.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError, ImportError
        As for ``convlet.datasets.cifar10.load_data``; ValueError for another ``label_mode``, too.

    Notes
    -----
    Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. The
    checksum is the one that TensorFlow Datasets publishes for this archive.
    """
    mode = arguments.choice("cifar100", "label_mode", label_mode, _LABEL_MODES)
    column = slice(0, 1) if mode == "coarse" else slice(1, 2)
    (x_train, y_train), (x_test, y_test) = load_records(_EDITION, _BASE, path, mirror)
    return (x_train, y_train[:, column].copy()), (x_test, y_test[:, column].copy())
