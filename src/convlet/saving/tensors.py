"""`.safetensors` files: named arrays, and a text that describes them.

A file is read in two steps: its header, which is small, says names, types and shapes; only when
these have been found right are the arrays read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlet.saving.files import errors_with_path, write_atomically
from convlet.saving.weights import Header

SUFFIX = ".safetensors"
STATE = "optimizer state/"  # what the names of the optimizer's arrays begin with
_KEY = "convlet"  # the one key that convlet uses of the file's own metadata

# What NumPy can hold of the types that the format knows.
_DTYPES = {
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
}

# --- writing ---


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], text: str | None = None) -> None:
    """Write named arrays and, if given, a text that describes them."""
    from safetensors.numpy import save

    # the memory behind an array is written as it lies there
    in_order = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    metadata = None if text is None else {_KEY: text}
    write_atomically(path, save(in_order, metadata=metadata))


# --- reading ---


class TensorFile:
    """An open `.safetensors` file.

    Attributes
    ----------
    path : Path
    text : str or None
        The text that describes the arrays.
    header, weights : dict of str to (dtype, shape)
        The arrays that it holds; those of them that are not the optimizer's.
    """

    def __init__(self, path: Path, handle: Any) -> None:
        self.path = path
        self._handle = handle
        self.text: str | None = (handle.metadata() or {}).get(_KEY)
        self.header: Header = {}
        for name in handle.keys():  # noqa: SIM118 - the handle is no dict
            part = handle.get_slice(name)
            if part.get_dtype() not in _DTYPES:
                raise ValueError(
                    f"array {name!r} has type {part.get_dtype()}, which NumPy does not know"
                )
            self.header[name] = _DTYPES[part.get_dtype()], tuple(part.get_shape())
        self.weights = {n: what for n, what in self.header.items() if not n.startswith(STATE)}

    def read(self, name: str) -> np.ndarray:
        """Return one array."""
        return self._handle.get_tensor(name)


@contextmanager
def open_tensors(filepath: str | PathLike[str]) -> Iterator[TensorFile]:
    """Open a file; whatever is wrong with it, here or in the block, is a ValueError with its name.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ValueError
        If the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    with errors_with_path(filepath) as path:
        try:
            with safe_open(path, framework="np") as handle:
                yield TensorFile(path, handle)
        except SafetensorError as error:
            raise ValueError(f"not a {SUFFIX} file, or a damaged one: {error}") from None
