"""From what a user names, ``"digits"``, a file or a folder, to an open data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from convlet.datasets import digits, mnist
from convlet.datasets.dataset import DataSet
from convlet.datasets.npz import open_npz
from convlet.preprocessing import Preprocessing

_WHAT_WOULD_DO = "a data set is 'digits', a .npz file, or a folder with the four IDX files of MNIST"


def open_dataset(source: str | os.PathLike[str]) -> DataSet:
    """Return the data set that ``source`` names.

    Parameters
    ----------
    source : str or path
        ``"digits"`` for scikit-learn's handwritten digits; a ``.npz`` file (see
        ``convlet.datasets.npz``), whose arrays are kept as they are; or a folder in MNIST's form
        (see ``convlet.datasets.mnist``). A folder of the name ``digits`` is ``"./digits"``.

    Returns
    -------
    DataSet
        The images of digits and of MNIST are uint8 of shape (n, rows, columns, 1).

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the folder lacks one of the four.
    ValueError
        If the file is something else, or damaged.
    ImportError
        If scikit-learn is needed and not installed.
    """
    if source == "digits":
        return _of_digits(digits.load_data(), 16.0, "digits")
    path = Path(source)
    if path.is_dir():
        return _of_digits(mnist.load_data(path), 255.0, path.resolve().name)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; {_WHAT_WOULD_DO}")
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{path}: not a data set; {_WHAT_WOULD_DO}")
    return open_npz(path)


def _of_digits(
    data: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    white: float,
    name: str,
) -> DataSet:
    """Return greyscale images of the ten digits, values 0 to ``white``, with a channel axis."""
    (x_train, y_train), (x_test, y_test) = data
    _, height, width = x_train.shape
    return DataSet(
        x_train[..., np.newaxis],
        y_train,
        x_test[..., np.newaxis],
        y_test,
        class_names=tuple("0123456789"),
        preprocessing=Preprocessing(height, width, 1, 0.0, white),
        name=name,
    )
