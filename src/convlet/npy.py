"""NumPy's ``.npy`` format read without trust: no pickles, no array before its header is right."""

from __future__ import annotations

import math
from typing import IO

import numpy as np

MAX_RANK = 32  # NumPy's own limit before version 2


def read_npy(stream: IO[bytes], size: int, where: str, *, text: bool = False) -> np.ndarray:
    """Return the array of a stream in NumPy's ``.npy`` format, version 1.0, never unpickling.

    Versions 2.0 and 3.0 exist for headers of more than 64 KiB and for field names; arrays of
    numbers need neither, and a header of up to 4 GiB is not read to find that out.

    Parameters
    ----------
    stream : binary stream
        At its beginning.
    size : int
        Bytes in the stream, which the header must account for to the last.
    where : str
        What to call the stream in errors.
    text : bool
        Whether Unicode strings are expected; numbers or booleans otherwise.

    Raises
    ------
    ValueError
        If the stream holds anything else, or more or fewer bytes than its header announces.
    """
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # the header is a Python literal: most exceptions can come of one
        raise ValueError(f"{where}: damaged, or not a .npy array of version 1.0") from error
    available = size - stream.tell()
    _check_header(shape, dtype, available, where, text)
    data = bytearray(stream.read(available))  # a copy, for an array that can be written to
    if len(data) != available:
        raise ValueError(f"{where}: the data ends early")
    return np.ndarray(shape, dtype, data, order="F" if fortran_order else "C")


def _check_header(
    shape: tuple[int, ...], dtype: np.dtype, available: int, where: str, text: bool
) -> None:
    """Refuse a ``.npy`` header that announces another kind of data, or not what is there."""
    if dtype.kind not in ("U" if text else "biuf"):
        requirement = "strings" if text else "numbers or booleans"
        raise ValueError(f"{where}: the array must hold {requirement}, got dtype {dtype}")
    if len(shape) > MAX_RANK or min(shape, default=1) < 1:
        raise ValueError(
            f"{where}: the shape must be at most {MAX_RANK} sizes of at least 1, got {shape}"
        )
    if math.prod(shape) * dtype.itemsize != available or dtype.itemsize == 0:
        raise ValueError(
            f"{where}: the header announces shape {shape} of {dtype}, but {available} bytes follow"
        )
