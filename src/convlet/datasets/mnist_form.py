"""Data sets in MNIST's form: four IDX files in a folder, of images and of labels 0 to 9."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convlet.datasets.download import RemoteFile, fetch
from convlet.datasets.idx import read_idx

_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def load_data(
    name: str,
    base: str,
    files: Sequence[RemoteFile],
    path: str | os.PathLike[str] | None,
    mirror: str | None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a data set in MNIST's form from a folder, or downloaded.

    Parameters
    ----------
    name : str
        The data set's name, also that of its folder in the cache.
    base, files
        Where the four files are on the network, and what they are.
    path, mirror
        As for ``convlet.datasets.mnist.load_data``.

    Raises
    ------
    ValueError, OSError, ImportError
        Those of ``read_folder`` and of ``convlet.datasets.download.fetch``.
    """
    if path is not None:
        return read_folder(path)
    fetched = fetch(name, base, files, mirror)
    return read_folder(fetched[0].parent)


def read_folder(
    path: str | os.PathLike[str],
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the images and labels of the four files in a folder.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, holds something else, or does not fit the others.
    """
    train_images, train_labels, test_images, test_labels = _find_files(Path(path))
    train = _read_pair(train_images, train_labels)
    test = _read_pair(test_images, test_labels)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            f"{test_images}: the images must be as large as those of {train_images.name}, "
            f"{train[0].shape[1:]}, got {test[0].shape[1:]}"
        )
    return train, test


def is_here(folder: Path) -> bool:
    """Return whether a folder has one of the four files."""
    return any(_find(folder, name) is not None for name in _FILES)


def _find_files(folder: Path) -> list[Path]:
    """Return the four files under the names that they have here."""
    found = {name: _find(folder, name) for name in _FILES}
    missing = [name for name, file in found.items() if file is None]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no MNIST here, looked for {', '.join(missing)} "
            f"(each also as .gz and with '.idx' for '-idx')"
        )
    return [file for file in found.values() if file is not None]


def _find(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / spelling for spelling in (name, f"{name}.gz", dotted, f"{dotted}.gz"))
    return next((file for file in candidates if file.is_file()), None)


def _read_pair(images_file: Path, labels_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images and their labels, seen to belong together."""
    images = read_idx(images_file)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"{images_file}: the images must be uint8 of shape (n, rows, columns), "
            f"got {images.dtype} of shape {images.shape}"
        )
    labels = read_idx(labels_file)
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise ValueError(
            f"{labels_file}: the labels must be uint8 of shape (n,), "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if len(labels) != len(images):
        raise ValueError(
            f"{labels_file}: {len(labels)} labels do not fit "
            f"the {len(images)} images of {images_file.name}"
        )
    if labels.max() > 9:
        raise ValueError(f"{labels_file}: the labels must be 0 to 9, got {labels.max()}")
    return images, labels
