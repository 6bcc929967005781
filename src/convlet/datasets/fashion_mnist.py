"""Fashion-MNIST: 70,000 pictures of clothes, 28x28 pixels, in MNIST's form."""

from __future__ import annotations

import os

import numpy as np

from convlet.datasets import mnist_form
from convlet.datasets.download import RemoteFile

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""What the labels 0, 1, ... stand for."""

_BASE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FILES = (
    RemoteFile(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    RemoteFile(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    RemoteFile(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    RemoteFile(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return Fashion-MNIST.

    Parameters
    ----------
    path : str or path, optional
        A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each as it is or gzipped
        (``.gz``), also spelt with a dot (``train-images.idx3-ubyte``). By default the files are
        downloaded once, 31 MB in all, into the user's cache, or into ``CONVLET_DATA``.
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
    Source: H. Xiao, K. Rasul, R. Vollgraf, *Fashion-MNIST*, arXiv:1708.07747, 2017.
    The checksums are those that TensorFlow Datasets publishes for these files. The
    address has no https; a file that came otherwise than it was published is refused.
    """
    return mnist_form.load_data("fashion-mnist", _BASE, _FILES, path, mirror)
