"""Tap tables against their definition, written out position by position."""

from __future__ import annotations

import itertools
import re
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.ops import TapTable, tap_table
from convlet.ops.taps import Axis
from numerics import tables

PADDINGS = [(0, 0), (1, 0), (0, 1), (2, 3), (5, 1), (0, 6), (7, 7)]


def reads_of_axis(axis: Axis) -> list[list[int]]:
    """Return which input coordinate every output reads through every tap, -1 for padding.

    The windows are laid one after the other over a line of cells: `begin` cells of padding, the
    input, `end` cells of padding.
    """
    cells = [-1] * axis.begin + list(range(axis.size)) + [-1] * axis.end
    rows = []
    start = 0
    while start + axis.dilation * (axis.taps - 1) < len(cells):
        rows.append([cells[start + t * axis.dilation] for t in range(axis.taps)])
        start += axis.stride
    return rows


def positions_by_loops(table: TapTable) -> np.ndarray:
    """Return the flat table of several axes from those of each axis."""
    axes = [reads_of_axis(axis) for axis in table.axes]
    rows = []
    for windows in itertools.product(*axes):
        row = []
        for position in itertools.product(*windows):
            if -1 in position:
                row.append(-1)
            else:
                row.append(np.ravel_multi_index(position, table.input_shape) if position else 0)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_one_axis_reads_what_a_sliding_window_reads(stride: int, dilation: int):
    for size, taps, (begin, end) in itertools.product(range(1, 10), range(1, 5), PADDINGS):
        axis = Axis(size, taps, stride, dilation, begin, end)
        if axis.outputs < 1:
            assert reads_of_axis(axis) == []
            continue
        np.testing.assert_array_equal(TapTable((axis,)).positions(), reads_of_axis(axis))


@given(tables(ranks=(0, 1, 2, 3, 4)))
@settings(deadline=None, max_examples=150)
def test_positions_of_any_rank(table: TapTable):
    np.testing.assert_array_equal(table.positions(), positions_by_loops(table))


@given(tables(ranks=(0, 1, 2, 3, 4)))
@settings(deadline=None, max_examples=100)
def test_slices_and_positions_say_the_same(table: TapTable):
    outputs_of = np.arange(np.prod(table.output_shape, dtype=int)).reshape(table.output_shape)
    inputs_of = np.arange(np.prod(table.input_shape, dtype=int)).reshape(table.input_shape)
    from_slices = {
        (o, table.number(tap), i)
        for tap, outputs, inputs in table
        for o, i in zip(np.ravel(outputs_of[outputs]), np.ravel(inputs_of[inputs]), strict=True)
    }
    positions = table.positions()
    from_positions = {
        (o, t, positions[o, t]) for o, t in np.ndindex(positions.shape) if positions[o, t] >= 0
    }
    assert from_slices == from_positions


@given(tables(ranks=(0, 1, 2, 3, 4)))
@settings(deadline=None, max_examples=100)
def test_counts_are_the_taps_inside(table: TapTable):
    inside = (table.positions() >= 0).sum(axis=1).reshape(table.output_shape)
    np.testing.assert_array_equal(table.counts(), inside)


@given(tables(ranks=(1, 2, 3)))
@settings(deadline=None, max_examples=100)
def test_within_a_tap_no_input_is_met_twice(table: TapTable):
    """The input gradient adds into slices and relies on this."""
    for column in table.positions().T:
        met = column[column >= 0]
        assert len(set(met)) == len(met)


def test_taps_come_in_row_major_order():
    taps = [tap for tap, _, _ in tap_table((3, 3, 3), (2, 1, 2))]
    assert taps == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]


def test_rank_zero_is_one_position_and_one_tap():
    table = tap_table((), ())
    assert (table.input_shape, table.kernel_shape, table.output_shape) == ((), (), ())
    assert table.taps == 1
    assert list(table) == [((), (), ())]
    np.testing.assert_array_equal(table.positions(), [[0]])


@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 5), st.integers(1, 3))
@settings(deadline=None, max_examples=150)
def test_same_keeps_ceil_of_size_over_stride(size: int, taps: int, stride: int, dilation: int):
    table = tap_table((size,), (taps,), stride, "same", dilation)
    (axis,) = table.axes
    assert table.output_shape == (ceil(size / stride),)
    assert 0 <= axis.end - axis.begin <= 1, "an odd rest goes to the end"
    assert axis.begin == 0 or table.positions()[0, 0] == -1, "no more padding than is read"


@pytest.mark.parametrize(
    ("size", "taps", "stride", "begin", "end"),
    [
        (5, 3, 1, 1, 1),
        (5, 2, 1, 0, 1),
        (5, 4, 1, 1, 2),
        (5, 3, 2, 1, 1),
        (6, 3, 2, 0, 1),
        (224, 7, 2, 2, 3),
        (10, 2, 3, 0, 1),
        (10, 1, 3, 0, 0),
        (1, 5, 1, 2, 2),
    ],
)
def test_same_padding_as_keras_has_it(size: int, taps: int, stride: int, begin: int, end: int):
    (axis,) = tap_table((size,), (taps,), stride, "same").axes
    assert (axis.begin, axis.end) == (begin, end)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
@settings(deadline=None, max_examples=100)
def test_causal_reads_no_later_input(size: int, taps: int, stride: int, dilation: int):
    table = tap_table((size,), (taps,), stride, "causal", dilation)
    assert table.output_shape == (ceil(size / stride),)
    now = np.arange(table.output_shape[0]) * stride
    assert (table.positions() <= now[:, None]).all()
    np.testing.assert_array_equal(table.positions()[:, -1], now)


def test_one_number_stands_for_all_axes():
    assert tap_table((9, 9), 3, 2, "same", 1) == tap_table((9, 9), (3, 3), (2, 2), "same", (1, 1))


def test_numbers_of_numpy_and_lists_will_do():
    table = tap_table(np.array([9, 8]), [3, 2], np.int64(2), [(1, 1), [0, np.int32(2)]])
    assert table == tap_table((9, 8), (3, 2), (2, 2), ((1, 1), (0, 2)))
    assert all(type(n) is int for n in (*table.input_shape, *table.kernel_shape))


def test_equal_tables_hash_alike():
    assert hash(tap_table((5,), (3,))) == hash(tap_table((5,), (3,)))


@pytest.mark.parametrize("padding", ["SAME", "Valid"])
def test_padding_in_any_case(padding: str):
    assert tap_table((5,), (3,), 1, padding) == tap_table((5,), (3,), 1, padding.lower())


def test_a_window_larger_than_the_input_is_named():
    message = (
        "Conv2D 'c': the window spans 7 positions along spatial axis 1 but the input has 5, "
        "padding included; use a smaller window, padding='same' or a larger input"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tap_table((9, 4), (3, 3), 1, [(0, 0), (1, 0)], (1, 3), owner="Conv2D 'c'")


PAIR = "an integer of at least 1 or a tuple of 2 such integers"
INTEGERS = "a tuple of integers of at least 1"
CHOICE = "one of 'valid', 'same', 'causal'"


@pytest.mark.parametrize(
    ("argument", "value", "requirement"),
    [
        ("input_shape", 5, INTEGERS),
        ("input_shape", None, INTEGERS),
        ("input_shape", "55", INTEGERS),
        ("input_shape", (5, 0), INTEGERS),
        ("input_shape", (5, -1), INTEGERS),
        ("input_shape", (5, None), INTEGERS),
        ("input_shape", (5, 5.0), INTEGERS),
        ("input_shape", (5, True), INTEGERS),
        ("kernel_shape", 0, PAIR),
        ("kernel_shape", (3, -3), PAIR),
        ("kernel_shape", (3, 3, 3), PAIR),
        ("kernel_shape", (3,), PAIR),
        ("kernel_shape", (3, 2.5), PAIR),
        ("kernel_shape", "33", PAIR),
        ("kernel_shape", None, PAIR),
        ("strides", 0, PAIR),
        ("strides", -1, PAIR),
        ("strides", True, PAIR),
        ("strides", np.True_, PAIR),
        ("strides", 1.0, PAIR),
        ("strides", float("nan"), PAIR),
        ("strides", (1, False), PAIR),
        ("dilation_rate", (1, 0), PAIR),
        ("dilation_rate", (), PAIR),
        ("dilation_rate", "2", PAIR),
        ("padding", "full", CHOICE),
        ("padding", "", CHOICE),
        ("padding", (), "'valid', 'same', 'causal' or 2 pairs (begin, end)"),
        ("padding", [(1, 1)], "'valid', 'same', 'causal' or 2 pairs (begin, end)"),
        ("padding", [(1, 1)] * 3, "'valid', 'same', 'causal' or 2 pairs (begin, end)"),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: object, requirement: str):
    arguments = {"input_shape": (5, 5), "kernel_shape": (3, 3)} | {argument: value}
    message = f"MaxPooling2D: {argument} must be {requirement}, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tap_table(**arguments, owner="MaxPooling2D")


@pytest.mark.parametrize("pair", [(-1, 0), (1,), (1, 2, 3), (0.5, 1), (True, 1), None, "11"])
def test_a_wrong_pair_of_padding_is_named(pair: object):
    message = (
        "tap_table: padding must be an integer of at least 0 or a tuple of 2 such integers, "
        f"got {pair!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tap_table((5, 5), (3, 3), padding=[(1, 1), pair])


@pytest.mark.parametrize("padding", [1, None, 1.5, True])
def test_padding_that_is_neither_word_nor_sequence_is_named(padding: object):
    with pytest.raises(ValueError, match=r"^tap_table: padding must be "):
        tap_table((5, 5), (3, 3), padding=padding)


def test_padding_may_be_an_array():
    given = tap_table((5, 5), (3, 3), padding=np.array([[1, 1], [0, 2]]))
    assert given == tap_table((5, 5), (3, 3), padding=[(1, 1), (0, 2)])


def test_taps_that_meet_nothing_but_padding_are_passed_over():
    table = tap_table((3,), (10**9,), padding="same")
    assert [tap for tap, _, _ in table] == [(t,) for t in range(499999997, 500000002)]


def test_a_window_has_less_than_two_to_the_31_taps():
    message = r"^tap_table: the window must be of less than 2\*\*31 taps, got \(65536, 32768\)$"
    with pytest.raises(ValueError, match=message):
        tap_table((5, 5), (1 << 16, 1 << 15), padding="same")
