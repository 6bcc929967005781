"""Pooling against windows written out, with the cases that are easily got wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import signal

from convlet.ops import (
    TapTable,
    average_pool,
    average_pool_gradient,
    max_pool,
    max_pool_gradient,
    sum_pool,
    sum_pool_gradient,
    tap_table,
)
from numerics import central_difference, distinct, normal, tables, windows_by_loops

TABLES = tables().filter(lambda table: (table.counts() > 0).all())
INFINITY = float("inf")
NAN = float("nan")


def winner_by_definition(window: list[tuple[int, float]]) -> tuple[int, float]:
    """Return the first not-a-number, or else the first of the largest."""
    not_numbers = [(number, value) for number, value in window if np.isnan(value)]
    if not_numbers:
        return not_numbers[0]
    largest = max(value for _, value in window)
    return next((number, value) for number, value in window if value == largest)


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_max_is_the_first_of_the_largest(table: TapTable):
    x = np.round(normal(2, *table.input_shape, 2))  # rounded: many ties
    y, winner = max_pool(x, table)
    for place, window in windows_by_loops(x, table).items():
        assert (winner[place], y[place]) == winner_by_definition(window)


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_max_among_values_that_are_not_finite(table: TapTable):
    random = np.random.default_rng(0)
    x = random.choice([NAN, INFINITY, -INFINITY, 0.0, 1.0], (2, *table.input_shape, 2))
    y, winner = max_pool(x, table)
    for place, window in windows_by_loops(x, table).items():
        number, value = winner_by_definition(window)
        assert winner[place] == number
        np.testing.assert_equal(y[place], value)


@pytest.mark.parametrize("special", [NAN, INFINITY])
@pytest.mark.parametrize("place", range(6))
def test_max_special_value_at_every_place_of_a_window(place: int, special: float):
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    x.flat[place] = special
    y, winner = max_pool(x, tap_table((2, 3), (2, 3)))
    np.testing.assert_equal(y.item(), special)
    assert winner.item() == place


@pytest.mark.parametrize(
    ("first", "second"), [(a, b) for a, b in product(range(4), range(4)) if a < b]
)
@pytest.mark.parametrize("others", [NAN, INFINITY, 7.0, -INFINITY])
def test_the_first_not_a_number_wins(first: int, second: int, others: float):
    x = np.full((1, 4, 1), 7.0)
    x[0, first], x[0, second] = NAN, others
    _, winner = max_pool(x, tap_table((4,), (4,)))
    assert winner.item() == first


@pytest.mark.parametrize("place", range(4))
def test_not_a_number_wins_over_infinity_before_and_after_it(place: int):
    x = np.full((1, 4, 1), INFINITY)
    x[0, place] = NAN
    y, winner = max_pool(x, tap_table((4,), (4,)))
    assert np.isnan(y.item())
    assert winner.item() == place


@pytest.mark.parametrize("place", range(4))
def test_minus_infinity_is_never_the_maximum_of_others(place: int):
    x = np.full((1, 4, 1), -1e308)
    x[0, place] = -INFINITY
    y, winner = max_pool(x, tap_table((4,), (4,)))
    assert (y.item(), winner.item()) == (-1e308, 1 if place == 0 else 0)


def test_a_window_of_minus_infinity_is_won_inside_the_input():
    table = tap_table((3, 3), (3, 3), 1, "same")
    y, winner = max_pool(np.full((1, 3, 3, 1), -INFINITY), table)
    assert (y == -INFINITY).all()
    positions = table.positions()
    read = positions[np.arange(9), winner.ravel()]
    first_inside = [row[row >= 0][0] for row in positions]
    np.testing.assert_array_equal(read, first_inside)
    gradient = max_pool_gradient(np.ones((1, 3, 3, 1)), winner, table)
    assert gradient.sum() == 9, "no δ is lost in the padding"


def test_padding_is_not_a_zero():
    table = tap_table((2,), (3,), 1, "same")
    y, _ = max_pool(np.array([[[-2.0], [-5.0]]]), table)
    np.testing.assert_array_equal(y[0, :, 0], [-2, -2])


def test_a_tie_goes_to_the_first_tap_in_row_major_order():
    table = tap_table((2, 2), (2, 2))
    for tied in product([0.0, 1.0], repeat=4):
        _, winner = max_pool(np.array(tied).reshape(1, 2, 2, 1), table)
        assert winner.item() == int(np.argmax(tied))


def test_minus_zero_and_zero_tie():
    _, winner = max_pool(np.array([[[-0.0], [0.0]]]), tap_table((2,), (2,)))
    assert winner.item() == 0


@pytest.mark.parametrize(
    ("taps", "dtype"),
    [
        (1, "uint8"),
        (254, "uint8"),
        (255, "uint8"),
        (256, "uint16"),
        pytest.param(65535, "uint16", marks=pytest.mark.slow),
        pytest.param(65536, "uint32", marks=pytest.mark.slow),
    ],
)
def test_winners_type_is_the_smallest_that_holds_the_window(taps: int, dtype: str):
    """One number more than there are taps is needed, for windows without a winner yet."""
    table = tap_table((taps,), (taps,))
    x = np.zeros((1, taps, 1), "float32")
    x[0, -1] = 1
    _, winner = max_pool(x, table)
    assert winner.dtype == dtype
    assert winner.item() == taps - 1


@given(TABLES)
@settings(deadline=None, max_examples=40)
def test_max_gradient_is_the_central_difference(table: TapTable):
    x = distinct(1, *table.input_shape, 2)
    delta = normal(1, *table.output_shape, 2)
    difference = central_difference(
        lambda x: float((max_pool(x, table)[0] * delta).sum()), x, step=0.25
    )
    gradient = max_pool_gradient(delta, max_pool(x, table)[1], table)
    np.testing.assert_allclose(gradient, difference, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_overlapping_windows_with_one_winner_add_up(stride: int):
    table = tap_table((5, 5), (3, 3), stride)
    x = np.zeros((1, 5, 5, 1))
    x[0, 2, 2] = 1
    y, winner = max_pool(x, table)
    gradient = max_pool_gradient(np.ones_like(y), winner, table)
    expected = np.zeros((5, 5))
    expected[2, 2] = y.size
    np.testing.assert_array_equal(gradient[0, ..., 0], expected)


def test_an_infinite_delta_goes_to_the_winner_alone():
    """It is placed, not multiplied by 0 or 1, which would give not-a-number."""
    table = tap_table((4,), (2,), 2)
    x = np.array([[[1.0], [2.0], [4.0], [3.0]]])
    _, winner = max_pool(x, table)
    gradient = max_pool_gradient(np.array([[[INFINITY], [NAN]]]), winner, table)
    np.testing.assert_array_equal(gradient[0, :, 0], [0, INFINITY, NAN, 0])


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_average_is_the_mean_of_the_inputs_inside(table: TapTable):
    x = normal(2, *table.input_shape, 2)
    y = average_pool(x, table)
    for place, window in windows_by_loops(x, table).items():
        np.testing.assert_allclose(y[place], np.mean([value for _, value in window]))


@given(TABLES)
@settings(deadline=None, max_examples=40)
def test_average_gradient_is_the_central_difference(table: TapTable):
    x, delta = normal(1, *table.input_shape, 2), normal(1, *table.output_shape, 2)
    difference = central_difference(
        lambda x: float((average_pool(x, table) * delta).sum()), x, step=1.0
    )
    np.testing.assert_allclose(average_pool_gradient(delta, table), difference, atol=1e-12)


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_gradients_are_adjoint_to_pooling(table: TapTable):
    x, delta = distinct(2, *table.input_shape, 3), normal(2, *table.output_shape, 3)
    y, winner = max_pool(x, table)
    np.testing.assert_allclose(
        np.vdot(y, delta), np.vdot(x, max_pool_gradient(delta, winner, table)), atol=1e-9
    )
    np.testing.assert_allclose(
        np.vdot(average_pool(x, table), delta),
        np.vdot(x, average_pool_gradient(delta, table)),
        atol=1e-9,
    )


@given(tables())
@settings(deadline=None, max_examples=40)
def test_sum_is_that_of_the_inputs_inside_and_its_gradient_the_adjoint(table: TapTable):
    """Windows of padding alone sum up nothing."""
    x, delta = distinct(2, *table.input_shape, 2), distinct(2, *table.output_shape, 2)
    y = sum_pool(x, table)
    for place, window in windows_by_loops(x, table).items():
        assert y[place] == sum(value for _, value in window)
    np.testing.assert_allclose(np.vdot(y, delta), np.vdot(x, sum_pool_gradient(delta, table)))


def test_sum_is_scipys_convolution_with_ones():
    x = normal(1, 7, 6, 1)
    expected = signal.convolve2d(x[0, ..., 0], np.ones((3, 2)), "valid")
    y = sum_pool(x, tap_table((7, 6), (3, 2)))
    np.testing.assert_allclose(y[0, ..., 0], expected, rtol=1e-12, atol=1e-14)


def test_average_with_same_padding_does_not_count_the_padding():
    x = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    y = average_pool(x, tap_table((3, 3), (2, 2), 1, "same"))
    np.testing.assert_allclose(y[0, ..., 0], [[3, 4, 4.5], [6, 7, 7.5], [7.5, 8.5, 9]])


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("special", [NAN, INFINITY, -INFINITY])
def test_average_passes_on_what_is_not_finite(place: int, special: float):
    x = np.zeros((1, 4, 1))
    x[0, place] = special
    np.testing.assert_equal(average_pool(x, tap_table((4,), (4,))).item(), special)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    table = tap_table((5, 5), (2, 3), 2, "same")
    x, delta = normal(2, 5, 5, 3, dtype=dtype), normal(2, 3, 3, 3, dtype=dtype)
    y, winner = max_pool(x, table)
    results = [
        y,
        max_pool_gradient(delta, winner, table),
        average_pool(x, table),
        average_pool_gradient(delta, table),
    ]
    assert {result.dtype.name for result in results} == {dtype}


def test_channels_and_images_are_pooled_separately():
    table = tap_table((4, 4), (2, 2), 2)
    x = distinct(3, 4, 4, 5)
    y, winner = max_pool(x, table)
    for image, channel in product(range(3), range(5)):
        one = x[image : image + 1, ..., channel : channel + 1]
        y_of_one, winner_of_one = max_pool(one, table)
        np.testing.assert_array_equal(y[image, ..., channel], y_of_one[0, ..., 0])
        np.testing.assert_array_equal(winner[image, ..., channel], winner_of_one[0, ..., 0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)])
def test_one_pixel_images(shape: tuple[int, int]):
    table = tap_table(shape, (2, 2), 2, "same")
    x = distinct(1, *shape, 1)
    y, winner = max_pool(x, table)
    assert y.max() == x.max()
    assert max_pool_gradient(np.ones_like(y), winner, table).sum() == y.size
    np.testing.assert_allclose(average_pool(x, table)[0, 0, 0, 0], x[0, :2, :2].mean())


def test_views_are_read_right_and_not_written():
    table = tap_table((4, 3), (2, 2), 2, "same")
    plain = distinct(2, 4, 3, 2)
    view = np.repeat(plain, 2, axis=2)[:, :, ::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(max_pool(view, table)[0], max_pool(plain, table)[0])
    np.testing.assert_array_equal(average_pool(view, table), average_pool(plain, table))
