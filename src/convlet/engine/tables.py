"""Tap tables in the form in which the C++ core takes them (native/taps.hpp)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from convlet import _native
from convlet.ops import TapTable
from convlet.ops.taps import Axis


@lru_cache(maxsize=256)
def native_table(table: TapTable) -> Any:
    """Return the C++ core's form of a tap table."""
    return _native.TapTable([_in_64_bits(axis) for axis in table.axes])


def _in_64_bits(axis: Axis) -> tuple[int, int, int, int, int, int]:
    """Return an axis in numbers of 64 bits; a stride or a dilation may be any integer.

    Where there is one output, its stride does not matter, and where one tap meets inputs, its
    distance from the others does not, as long as they meet none.
    """
    stride = axis.stride if axis.outputs > 1 else 1
    span = axis.size + (axis.outputs - 1) * stride
    meeting = axis.meeting_taps
    if not meeting:
        return axis.size, axis.taps, stride, 1, span + axis.taps, axis.outputs
    dilation = min(axis.dilation, span)
    begin = axis.begin - meeting.start * (axis.dilation - dilation)
    return axis.size, axis.taps, stride, dilation, begin, axis.outputs


@lru_cache(maxsize=256)
def native_identity(positions: int) -> Any:
    """Return the table of a dense layer: every position reads itself."""
    return _native.TapTable([(positions, 1, 1, 1, 0, positions)])


def winner_type(table: TapTable) -> np.dtype:
    """Return the smallest type that holds the numbers of a window's taps."""
    return np.min_scalar_type(table.taps)
