"""Kuzushiji-MNIST: 70,000 cursive Japanese characters, 28x28 pixels, in MNIST's form."""

from __future__ import annotations

import os

import numpy as np

from convlet.datasets import mnist_form
from convlet.datasets.download import RemoteFile

CLASS_NAMES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
"""What the labels 0, 1, ... stand for."""

_BASE = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
_FILES = (
    RemoteFile(
        "train-images-idx3-ubyte.gz",
        18_165_135,
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ),
    RemoteFile(
        "train-labels-idx1-ubyte.gz",
        29_497,
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ),
    RemoteFile(
        "t10k-images-idx3-ubyte.gz",
        3_041_136,
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ),
    RemoteFile(
        "t10k-labels-idx1-ubyte.gz",
        5_120,
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)


def load_data(
    path: str | os.PathLike[str] | None = None, mirror: str | None = None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return Kuzushiji-MNIST.

    Parameters
    ----------
    path : str or path, optional
        A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each as it is or gzipped
        (``.gz``), also spelt with a dot (``train-images.idx3-ubyte``). By default the files are
        downloaded once, 21 MB in all, into the user's cache, or into ``CONVLET_DATA``.
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
    Source: T. Clanuwat et al., *Deep Learning for Classical Japanese Literature*, arXiv:1812.01718,
    2018.
    The checksums are those that TensorFlow Datasets publishes for these files. The
    address has no https; a file that came otherwise than it was published is refused.
    """
    return mnist_form.load_data("kmnist", _BASE, _FILES, path, mirror)
