"""MNIST: 70,000 handwritten digits of 28x28 pixels, in IDX files."""

from __future__ import annotations

import os

import numpy as np

from convlet.datasets import mnist_form
from convlet.datasets.download import RemoteFile

CLASS_NAMES = tuple("0123456789")
"""What the labels 0, 1, ... stand for."""

_BASE = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_FILES = (
    RemoteFile(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    RemoteFile(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    RemoteFile(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    RemoteFile(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return MNIST.

    Parameters
    ----------
    path : str or path, optional
        A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each as it is or gzipped
        (``.gz``), also spelt with a dot (``train-images.idx3-ubyte``). By default the files are
        downloaded once, 12 MB in all, into the user's cache, or into ``CONVLET_DATA``.
    mirror : str, optional
        Another address to download from, to which the files' names are added.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 of shape (n, rows, columns), which is (60000, 28, 28) and (10000, 28, 28),
        and labels 0 to 9, uint8 of shape (n,).

    Raises
    ------
    FileNotFoundError
        If ``path`` lacks a file.
    ValueError
        If a file is damaged, holds something else, or does not fit the others; if a downloaded
        one has another checksum than the known one.
    ConnectionError, ImportError
        If the download fails, or pooch is not installed.

    Notes
    -----
    Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*, 1998.
    The checksums are those that TensorFlow Datasets publishes for these files.
    """
    return mnist_form.load_data("mnist", _BASE, _FILES, path, mirror)
