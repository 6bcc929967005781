"""The IDX format of MNIST: a short header, then one array in big-endian order.

Bytes 0 and 1 are zero, byte 2 is the type, byte 3 the number of dimensions; then come the sizes,
four bytes each, and the values. Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database*.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from convlet.npy import MAX_RANK

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032  # deflate expands no byte to more than this many


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of an IDX file, gzipped or not, whatever its name.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    ndarray
        In native byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If the file is not an IDX file, or holds more or fewer bytes than its header announces.
    OSError
        If the file is missing, a folder, or may not be read.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] != _GZIP_MAGIC:
            return _read_array(file, size, path)
        import gzip  # here, and not with every import of convlet

        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _read_array(stream, size * DEFLATE_RATIO, path)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path}: the gzip data is damaged or ends early") from error


def _read_array(
    stream: io.BufferedIOBase, capacity: int, path: str | os.PathLike[str]
) -> np.ndarray:
    """Return the array of a stream that holds at most ``capacity`` bytes."""
    dtype, shape = _read_header(stream, path)
    announced = math.prod(shape) * dtype.itemsize
    # A byte more than announced is read to see the end, and with it gzip's checksum; never all of
    # it, which may be a thousand times the file.
    data = stream.read(announced + 1) if announced <= capacity else b""
    if len(data) != announced:
        what_is_there = "more follow" if len(data) > announced else "the data ends before that"
        raise ValueError(
            f"{path}: the header announces shape {shape} of {dtype.newbyteorder('=')}, "
            f"{announced} bytes, but {what_is_there}"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_header(
    stream: io.BufferedIOBase, path: str | os.PathLike[str]
) -> tuple[np.dtype, tuple[int, ...]]:
    """Return the type, in the file's byte order, and the shape."""
    zeros, code, rank = struct.unpack(">HBB", _read_header_bytes(stream, 4, path))
    if zeros != 0:
        raise ValueError(f"{path}: not an IDX file, which starts with two zero bytes")
    if code not in _DTYPES:
        known = ", ".join(f"0x{known:02x}" for known in _DTYPES)
        raise ValueError(f"{path}: the IDX type must be one of {known}, got 0x{code:02x}")
    if not 1 <= rank <= MAX_RANK:
        raise ValueError(f"{path}: an IDX array must have 1 to {MAX_RANK} dimensions, got {rank}")
    shape = struct.unpack(f">{rank}I", _read_header_bytes(stream, 4 * rank, path))
    if min(shape) < 1:
        raise ValueError(f"{path}: every size must be at least 1, got shape {shape}")
    return np.dtype(_DTYPES[code]), shape


def _read_header_bytes(
    stream: io.BufferedIOBase, count: int, path: str | os.PathLike[str]
) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise ValueError(f"{path}: the file ends within its IDX header")
    return data
