"""`.safetensors` files: named arrays, and a text that describes them.

A file is read in two steps: its header, which is small, says names, types and shapes; only when
these have been found right are the arrays read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlet.saving.files import write_atomically

SUFFIX = ".safetensors"
_KEY = "convlet"  # the one key that convlet uses of the file's own metadata
_LONGEST_MESSAGE = 1000  # characters; errors quote values, which in a hostile file have any length

# What NumPy can hold of the types that the format knows.
_DTYPES = {
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
}

Header = dict[str, tuple[str, tuple[int, ...]]]


# --- writing ---


def checked_path(filepath: str | PathLike[str], overwrite: bool) -> Path:
    """Return the path to write to.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    FileNotFoundError, NotADirectoryError
        If the folder is missing or none.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    IsADirectoryError, PermissionError
        If what exists is a folder, or a file that may not be written.
    """
    path = Path(filepath)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: the file's name must end in {SUFFIX}")
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"{path}: there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path}: {folder} is no folder")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: the file exists; overwrite=True replaces it")
    # the file is replaced, not written into, which the system would allow
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path}: the file is read-only")
    return path


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
                raise ValueError(
                    f"array {name!r} has type {part.get_dtype()}, which NumPy does not know"
                )
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
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: no file, but a pipe or a device")  # which might never answer
    with path.open("rb"):
        pass  # the clearest errors about files are Python's own
    try:
        with safe_open(path, framework="np") as handle:
            yield TensorFile(path, handle)
    except SafetensorError as error:
        reason = f"not a {SUFFIX} file, or a damaged one: {error}"
        raise ValueError(f"{path}: {_printable(reason)}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {_printable(str(error))}") from None


def _printable(message: str) -> str:
    """Return a message of bearable length, without what could steer a terminal."""
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 3] + "..."
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
