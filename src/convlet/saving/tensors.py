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

from convlet.saving.files import write_atomically

SUFFIX = ".safetensors"
_KEY = "convlet"  # the one key that convlet uses of the file's own metadata
_DTYPES = {"F32": "float32", "F64": "float64", "I64": "int64"}

Header = dict[str, tuple[str, tuple[int, ...]]]


def checked_path(filepath: str | PathLike[str], overwrite: bool) -> Path:
    """Return the path to write to.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    """
    path = Path(filepath)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: the file's name must end in {SUFFIX}")
    if not overwrite and path.exists():
        raise FileExistsError(f"{path}: the file exists; overwrite=True replaces it")
    return path


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], text: str | None = None) -> None:
    """Write named arrays and, if given, a text that describes them."""
    from safetensors.numpy import save

    metadata = None if text is None else {_KEY: text}
    write_atomically(path, save(dict(tensors), metadata=metadata))


class TensorFile:
    """An open `.safetensors` file.

    Attributes
    ----------
    path : Path
    text : str or None
        The text that describes the arrays.
    header : dict of str to (dtype, shape)
        The arrays that it holds.
    """

    def __init__(self, path: Path, handle: Any) -> None:
        self.path = path
        self._handle = handle
        self.text: str | None = (handle.metadata() or {}).get(_KEY)
        self.header: Header = {}
        for name in handle.keys():  # noqa: SIM118 - the handle is no dict
            part = handle.get_slice(name)
            if part.get_dtype() not in _DTYPES:
                raise ValueError(f"array {name!r} has type {part.get_dtype()}, which is not used")
            self.header[name] = _DTYPES[part.get_dtype()], tuple(part.get_shape())

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

    path = Path(filepath)
    with path.open("rb"):
        pass  # the clearest errors about files are Python's own
    try:
        with safe_open(path, framework="np") as handle:
            yield TensorFile(path, handle)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a {SUFFIX} file, or a damaged one: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
