"""CIFAR-10: 60,000 colour images of 32x32 pixels in ten classes."""

from __future__ import annotations

import os

import numpy as np

from convlet.datasets.cifar import Edition, load_records
from convlet.datasets.download import RemoteFile

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""What the labels 0, 1, ... stand for."""

_BASE = "https://www.cs.toronto.edu/~kriz/"
_EDITION = Edition(
    name="cifar10",
    archive=RemoteFile(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    folder="cifar-10-batches-bin",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    classes=(10,),
)


def load_data(
    path: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return CIFAR-10, from its binary edition.

    Parameters
    ----------
    path : str or path, optional
        A folder with ``cifar-10-binary.tar.gz``, or with what it holds, ``data_batch_1.bin`` to
        ``data_batch_5.bin`` and ``test_batch.bin``. By default the archive is downloaded once,
        170 MB, into the user's cache, or into ``CONVLET_DATA``.
    mirror : str, optional
        Another address to download from, to which the archive's name is added.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), red, green and blue, and
        labels 0 to 9, uint8 of shape (50000, 1) and (10000, 1), as in Keras.

    Raises
    ------
    FileNotFoundError
        If ``path`` has neither the archive nor the files.
    ValueError
        If a file is damaged or holds something else; if the downloaded archive has another
        checksum than the known one.
    ConnectionError, ImportError
        If the download fails, or pooch is not installed.

    Notes
    -----
    Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009. The
    checksum is the one that TensorFlow Datasets publishes for this archive.
    """
    return load_records(_EDITION, _BASE, path, mirror)
