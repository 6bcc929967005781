"""Weights in a ``.npz`` file, NumPy's own: one array for each, under its path in the model."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlet.npy import read_npy
from convlet.saving.archives import Archive, archive, open_archive
from convlet.saving.files import errors_with_path, write_atomically
from convlet.saving.weights import Header

_MEMBER = ".npy"
_HEADER = 2**16 + 10  # bytes before the numbers, in version 1.0 of the format
_WIDEST = 8  # bytes of a number


def write_npz(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write weights; equal ones give equal files, which `numpy.savez` does not hold to."""
    write_atomically(path, archive({name + _MEMBER: _as_npy(w) for name, w in weights.items()}))


def _as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, (1, 0), allow_pickle=False)
    return buffer.getvalue()


class NpzFile:
    """An open ``.npz`` file; see `ArrayFile`.

    Parameters
    ----------
    file : Archive
    sizes : mapping of str to int
        How many numbers each weight may have that is to be read.
    """

    def __init__(self, file: Archive, sizes: Mapping[str, int]) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self.weights: Header = {}
        for member in file.sizes:
            name = member.removesuffix(_MEMBER)
            if name == member or name not in sizes:
                raise ValueError(f"the model has no weights for {name!r}")
            content = file.read(member, _HEADER + _WIDEST * sizes[name])
            array = read_npy(io.BytesIO(content), len(content), f"array {name!r}")
            self._arrays[name] = array
            self.weights[name] = array.dtype.name, array.shape

    def read(self, name: str) -> np.ndarray:
        """Return one array."""
        return self._arrays[name]


@contextmanager
def open_npz(filepath: str | PathLike[str], model: Any) -> Iterator[NpzFile]:
    """Open a file of a model's weights; whatever is wrong is a ValueError with the file's name.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ValueError
        If the file is damaged, or holds more than the model's weights.
    """
    sizes = {name: variable.size for name, variable in model.named_weights().items()}
    with errors_with_path(filepath) as path, open_archive(path) as file:
        yield NpzFile(file, sizes)
