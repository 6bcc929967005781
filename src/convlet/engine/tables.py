"""Tap tables and take tables in the form in which the C++ core takes them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from convlet import _native
from convlet.ops import TakeTable, TapTable
from convlet.ops.taps import Axis


@lru_cache(maxsize=256)
def native_table(table: TapTable) -> Any:
    """Return the C++ core's form of a tap table."""
    return _native.TapTable([native_axis(axis) for axis in table.axes])


def native_axis(axis: Axis) -> tuple[int, int, int, int, int, int]:
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


# A table lives as long as the program that holds it, and so do its moves.
_moves: WeakKeyDictionary[TakeTable, dict[bool, Any]] = WeakKeyDictionary()


def native_moves(table: TakeTable, is_gradient: bool) -> Any:
    """Return the C++ core's form of a take table, or of its transpose."""
    kept = _moves.setdefault(table, {})
    if is_gradient not in kept:
        sources = table.sources()
        written = np.flatnonzero(sources >= 0)
        read, count = sources[written], len(sources)
        if is_gradient:
            order = np.argsort(read, kind="stable")  # equal ones stay in the order of the outputs
            written, read = read[order], written[order]
            count = math.prod(table.input_shape) // table.width
        kept[is_gradient] = _native.Moves(*_runs(written, read, count, table.width))
    return kept[is_gradient]


def _runs(
    written: np.ndarray, read: np.ndarray, count: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the longest runs of numbers that are read side by side where they are written so.

    Parameters
    ----------
    written, read : ndarray of int
        The n-th group of numbers that is moved goes to written[n] and comes from read[n]; sorted
        by ``written``, where the same group may come up several times or not at all.
    count : int
        How many groups there are to write.
    width : int
        Numbers in a group.

    Returns
    -------
    first, first_source, source : ndarray of int32
        Run r is written from number first[r] up to first[r + 1], and is the sum of the runs of
        numbers that begin at source[first_source[r]] up to source[first_source[r + 1]].
    """
    times = np.bincount(written, minlength=count)
    begins = np.ones(count, bool)
    begins[1:] = times[1:] != times[:-1]
    # what the group before reads in the same turn; the first group begins a run in any case
    before = read[np.arange(len(read)) - times[written]]
    begins[written[read != before + 1]] = True
    first = np.flatnonzero(begins)
    first_source = np.append(0, np.cumsum(times[first]))
    source = read[begins[written]]
    arrays = (np.append(first, count) * width, first_source, source * width)
    return tuple(array.astype(np.int32) for array in arrays)  # type: ignore[return-value]
