"""Event files, which TensorBoard reads: records of a length, two checksums, and a message.

A record is the message's length (uint64), its masked CRC-32C, the message, and the message's masked
CRC-32C, all little-endian: the TFRecord format. A message is an ``Event`` in protobuf's encoding
(tensorflow/core/util/event.proto, framework/summary.proto): field number and wire type, then the
value; 0 a varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), its bits reversed
_BINS = 30  # of a histogram, as many as TensorBoard shows


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    """Return the CRC-32C, rotated by 15 bits and with a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, value: bytes | str | int | float) -> bytes:
    """Return a field: bytes or a message, a string, a whole number, or a double."""
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def scalar(tag: str, value: float) -> bytes:
    """Return a number as a ``Summary.Value``."""
    with np.errstate(over="ignore"):
        single = float(np.float32(value))
    return _field(1, tag) + _varint(2 << 3 | 5) + struct.pack("<f", single)


def histogram(tag: str, values: np.ndarray) -> bytes:
    """Return how finite numbers are spread as a ``Summary.Value``."""
    numbers = np.asarray(values, np.float64).ravel()
    counts, edges = np.histogram(numbers, _BINS)
    summary = (
        _field(1, float(numbers.min()))
        + _field(2, float(numbers.max()))
        + _field(3, float(numbers.size))
        + _field(4, float(numbers.sum()))
        + _field(5, float((numbers**2).sum()))
        + _field(6, edges[1:].astype("<f8").tobytes())
        + _field(7, counts.astype("<f8").tobytes())
    )
    return _field(1, tag) + _field(5, summary)


def is_name(name: object) -> bool:
    """Return whether something is a name that `EventFile` gives."""
    pattern = r"events\.out\.tfevents\.\d+\.\d+\.\d+\.convlet"
    return isinstance(name, str) and re.fullmatch(pattern, name) is not None


def _new_file(folder: Path) -> BinaryIO:
    """Open a file that is not there yet: another run may have begun in the same second."""
    name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
    for number in itertools.count():
        with contextlib.suppress(FileExistsError):
            return (folder / f"{name}.{number}.convlet").open("xb")
    raise AssertionError  # numbers do not end


class EventFile:
    """An event file that is written.

    Parameters
    ----------
    folder : Path
        It is made if need be.
    name : str, optional
        A file that is there and goes on; by default a new one, named as TensorBoard expects it.
    position : int
        Where it goes on; what is behind is cut off.

    Raises
    ------
    ValueError
        If the file ends before the position.
    """

    def __init__(self, folder: Path, name: str | None = None, position: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = _new_file(folder) if name is None else (folder / name).open("ab")
        self.name = Path(self._file.name).name
        size = os.fstat(self._file.fileno()).st_size
        if size < position:
            self._file.close()
            raise ValueError(
                f"TensorBoard: {folder / self.name} must hold the {position} bytes that it had "
                f"when the checkpoint was written, got {size}"
            )
        self._file.truncate(position)
        if position == 0:
            self._append(_field(3, "brain.Event:2"))

    def write(self, step: int, values: Iterable[bytes]) -> None:
        """Append what `scalar` and `histogram` returned, as of a step."""
        summary = b"".join(_field(1, value) for value in values)
        self._append(_field(2, step) + _field(5, summary))

    def _append(self, event: bytes) -> None:
        event = _field(1, time.time()) + event
        length = struct.pack("<Q", len(event))
        crcs = struct.pack("<I", _masked_crc(length)), struct.pack("<I", _masked_crc(event))
        self._file.write(length + crcs[0] + event + crcs[1])
        self._file.flush()

    def position(self) -> int:
        """Return how long the file is; what is in it is on the disk then."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
