"""Moving numbers: tables against NumPy's own functions, the gradient against differences."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.ops import (
    TakeTable,
    crop_table,
    pad_table,
    repeat_table,
    take,
    take_gradient,
    transpose_table,
)
from numerics import central_difference, normal, take_tables

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def pairs(shape: tuple[int, ...], largest: int = 9) -> st.SearchStrategy:
    """Draw (begin, end) for some of the first axes."""
    pair = st.tuples(st.integers(0, largest), st.integers(0, largest))
    return st.lists(pair, max_size=len(shape)).map(tuple)


def for_all_axes(given_pairs: tuple, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return pairs for a batch and all of its axes."""
    return [(0, 0), *given_pairs, *[(0, 0)] * (len(shape) - len(given_pairs))]


# --- the operator ---


def test_each_number_is_the_one_that_the_table_names():
    table = TakeTable((3,), (np.array([2, -1, 0, 2, 2], np.int32),))
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(take(x, table, 7.0), [[3, 7, 1, 3, 3], [6, 7, 4, 6, 6]])
    delta = np.array([[1.0, 10.0, 100.0, 1000.0, 10000.0]])
    np.testing.assert_array_equal(take_gradient(delta, table), [[100, 0, 11001]])


def test_coordinates_of_several_axes_add_up():
    table = TakeTable((2, 3), (np.array([3, 0, -1]), np.array([2, -1, 0])))
    x = np.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(take(x, table, -1.0), [[[5, -1, 3], [2, -1, 0], [-1, -1, -1]]])
    assert table.output_shape == (3, 3)


def test_channels_move_together():
    assert pad_table((4, 5, 3), [(1, 1), (2, 0)]).width == 3
    assert pad_table((4, 3), [(0, 0), (1, 0)]).width == 1
    assert transpose_table((4, 5, 3), (1, 0, 2)).width == 3
    assert transpose_table((4, 5, 3), (2, 0, 1)).width == 1
    assert transpose_table((3, 3), (1, 0)).width == 1
    assert TakeTable((6,), (np.array([1]), np.arange(3))).width == 1
    assert TakeTable((), ()).width == 1
    assert len(pad_table((4, 5, 3), [(1, 1)]).sources()) == 6 * 5


@given(take_tables())
@settings(deadline=None, max_examples=60)
def test_the_gradient_agrees_with_central_differences(table: TakeTable):
    x, delta = normal(2, *table.input_shape), normal(2, *table.output_shape, seed=1)
    difference = central_difference(lambda x: float((take(x, table, 3.0) * delta).sum()), x, 1.0)
    np.testing.assert_allclose(take_gradient(delta, table, 3.0), difference, atol=1e-12)


def test_the_gradient_adds_in_the_order_of_the_outputs():
    table = TakeTable((2,), (np.array([1, 0, 1, 1], np.int32),))
    delta = np.float32([[1e8, 0, 1, -1e8]])
    expected = (np.float32(1e8) + np.float32(1)) + np.float32(-1e8)
    assert take_gradient(delta, table)[0, 1] == expected
    assert take_gradient(delta[:, ::-1], table)[0, 1] == 0
    assert take_gradient(delta[:, [0, 1, 3, 2]], table)[0, 1] == 1


@given(take_tables(), st.sampled_from(["float32", "float64"]), st.integers(0, 3))
@settings(deadline=None, max_examples=20)
def test_shapes_and_float_types(table: TakeTable, dtype: str, images: int):
    x = normal(images, *table.input_shape, dtype=dtype)
    y = take(x, table, 1.5)
    back = take_gradient(y, table, 1.5)
    assert (y.shape, y.dtype) == ((images, *table.output_shape), dtype)
    assert (back.shape, back.dtype) == (x.shape, dtype)
    assert table.sources().dtype == np.int32


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_passes_unchanged(special: float):
    x = normal(2, 3, 2)
    x[0, 1, 1] = special
    table = repeat_table((3, 2), (2,))
    np.testing.assert_array_equal(take(x, table), x.repeat(2, axis=1))
    np.testing.assert_array_equal(take(x, pad_table((3, 2), [(1, 0)]), special)[:, 0], special)


def test_images_may_be_a_view():
    x = normal(2, 3, 4).transpose(0, 2, 1)
    np.testing.assert_array_equal(
        take(x, pad_table((4, 3), [(1, 1)])), np.pad(x, [(0, 0), (1, 1), (0, 0)])
    )


# --- tables against NumPy ---


@given(shapes, st.data())
@settings(deadline=None, max_examples=60)
def test_padding_is_that_of_numpy(shape: tuple[int, ...], data: st.DataObject):
    padding = data.draw(pairs(shape))
    x, everywhere = normal(2, *shape), for_all_axes(padding, shape)
    constant = np.pad(x, everywhere, constant_values=-2.5)
    np.testing.assert_array_equal(take(x, pad_table(shape, padding), -2.5), constant)
    edge = take(x, pad_table(shape, padding, "edge"))
    np.testing.assert_array_equal(edge, np.pad(x, everywhere, mode="edge"))
    reflected = take(x, pad_table(shape, padding, "reflect"))
    np.testing.assert_array_equal(reflected, np.pad(x, everywhere, mode="reflect"))


@given(shapes, st.data())
@settings(deadline=None, max_examples=40)
def test_cropping_takes_padding_off_again(shape: tuple[int, ...], data: st.DataObject):
    cropping = data.draw(pairs(shape, 3))
    larger = tuple(
        size + sum(pair)
        for size, pair in zip(shape, for_all_axes(cropping, shape)[1:], strict=True)
    )
    x = normal(2, *larger)
    part = tuple(
        slice(begin, size - end)
        for size, (begin, end) in zip(larger, for_all_axes(cropping, shape)[1:], strict=True)
    )
    np.testing.assert_array_equal(take(x, crop_table(larger, cropping)), x[(slice(None), *part)])


@given(shapes, st.data())
@settings(deadline=None, max_examples=40)
def test_upsampling_repeats(shape: tuple[int, ...], data: st.DataObject):
    repeats = data.draw(st.lists(st.integers(1, 4), max_size=len(shape)))
    x = normal(2, *shape)
    y = x
    for axis, factor in enumerate(repeats, start=1):
        y = np.repeat(y, factor, axis)
    np.testing.assert_array_equal(take(x, repeat_table(shape, repeats)), y)


@given(shapes, st.data())
@settings(deadline=None, max_examples=40)
def test_permuting_is_transposing(shape: tuple[int, ...], data: st.DataObject):
    axes = data.draw(st.permutations(range(len(shape))))
    x = normal(2, *shape)
    expected = x.transpose(0, *(axis + 1 for axis in axes))
    np.testing.assert_array_equal(take(x, transpose_table(shape, axes)), expected)
    back = take_gradient(expected, transpose_table(shape, axes))
    np.testing.assert_array_equal(back, x)


# --- bad arguments ---

ARGUMENTS = [
    (
        lambda: pad_table((4, 2), [(1, 1)] * 3),
        "pad_table: padding must be at most 2 pairs (begin, end), got [(1, 1), (1, 1), (1, 1)]",
    ),
    (lambda: pad_table((4, 2), 1), "padding must be at most 2 pairs (begin, end), got 1"),
    (
        lambda: pad_table((4, 2), [(1, -1)]),
        "padding must be an integer of at least 0 or a tuple of 2 such integers, got (1, -1)",
    ),
    (lambda: pad_table((4, 0), []), "input_shape must be a tuple of integers of at least 1"),
    (
        lambda: pad_table((4, 2), [(1, 1)], "wrap"),
        "mode must be one of 'constant', 'edge', 'reflect', got 'wrap'",
    ),
    (
        lambda: crop_table((4, 3), [(0, 0), (1, 2)], owner="Cut"),
        "Cut: cropping must leave at least 1 position along axis 1, which has 3, got (1, 2)",
    ),
    (lambda: repeat_table((4, 2), (0,)), "repeats must be a tuple of integers of at least 1"),
    (lambda: repeat_table((4,), (1, 2)), "repeats must be at most 1 integers, got (1, 2)"),
    (
        lambda: transpose_table((4, 2), (1, 1)),
        "axes must be a permutation of the numbers 0 to 1, got (1, 1)",
    ),
    (lambda: transpose_table((4, 2), (1, 2, 0)), "axes must be an integer of at least 0 or a"),
    (
        lambda: pad_table((4, 2), [(0, 2**26)]),
        "pad_table: the shape of an image must be that of at most 2**27 numbers, got (67108868, 2)",
    ),
    (lambda: pad_table((4, 2), [(10**40, 0)]), "must be that of at most 2**27 numbers, got"),
    (
        lambda: crop_table((10**9, 2), [(10**9 - 1, 0)]),
        "at most 2**27 numbers, got (1000000000, 2)",
    ),
    (lambda: repeat_table((4, 2), (10**9, 10**9)), "must be that of at most 2**27 numbers, got"),
    (lambda: transpose_table((10**9, 10**9), (1, 0)), "must be that of at most 2**27 numbers, got"),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS)
def test_a_bad_argument_is_named_with_what_would_do(make, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
