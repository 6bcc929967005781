"""L2 and log-sum-exp pooling against windows written out, SciPy and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter
from scipy.special import logsumexp, softmax

from convlet.ops import (
    TapTable,
    average_pool,
    l2_pool,
    l2_pool_gradient,
    log_sum_exp_pool,
    log_sum_exp_pool_gradient,
    max_pool,
    tap_table,
)
from numerics import central_difference, normal, tables, windows_by_loops

TABLES = tables().filter(lambda table: (table.counts() > 0).all())
SHARPNESS = st.floats(0.01, 20)
INFINITY = float("inf")
NAN = float("nan")
WHOLE = tap_table((4,), (4,))


def row(*values: float) -> np.ndarray:
    """Return one image of one channel along one axis."""
    return np.array(values, float)[None, :, None]


@given(TABLES)
@settings(deadline=None, max_examples=40)
def test_l2_is_the_norm_of_the_inputs_inside(table: TapTable):
    x = normal(2, *table.input_shape, 2)
    y = l2_pool(x, table)
    for place, window in windows_by_loops(x, table).items():
        norm = np.linalg.norm([value for _, value in window])
        np.testing.assert_allclose(y[place], norm, rtol=1e-14)


@given(TABLES, SHARPNESS)
@settings(deadline=None, max_examples=40)
def test_log_sum_exp_is_scipys_less_the_logarithm_of_the_count(table: TapTable, t: float):
    x = normal(2, *table.input_shape, 2)
    y = log_sum_exp_pool(x, table, t)
    for place, window in windows_by_loops(x, table).items():
        values = np.array([value for _, value in window])
        expected = logsumexp(t * values, b=1 / len(values)) / t
        np.testing.assert_allclose(y[place], expected, rtol=1e-12, atol=1e-13 * (1 + 1 / t))


@given(TABLES)
@settings(deadline=None, max_examples=40)
def test_l2_gradient_is_the_central_difference(table: TapTable):
    x, delta = normal(1, *table.input_shape, 2), normal(1, *table.output_shape, 2)
    difference = central_difference(lambda x: float((l2_pool(x, table) * delta).sum()), x)
    gradient = l2_pool_gradient(delta, x, l2_pool(x, table), table)
    np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)


@given(TABLES, SHARPNESS)
@settings(deadline=None, max_examples=40)
def test_log_sum_exp_gradient_is_the_central_difference(table: TapTable, t: float):
    x, delta = normal(1, *table.input_shape, 2), normal(1, *table.output_shape, 2)
    difference = central_difference(
        lambda x: float((log_sum_exp_pool(x, table, t) * delta).sum()), x
    )
    y = log_sum_exp_pool(x, table, t)
    gradient = log_sum_exp_pool_gradient(delta, x, y, table, t)
    np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)


def test_a_right_triangle():
    x = row(3, -4, 0, 0)
    y = l2_pool(x, WHOLE)
    assert y.item() == 5
    gradient = l2_pool_gradient(np.ones((1, 1, 1)), x, y, WHOLE)
    np.testing.assert_allclose(gradient.ravel(), [0.6, -0.8, 0, 0], rtol=1e-15)


def test_a_window_of_zeros_has_no_l2_gradient():
    x = row(0, 0, 5, 0)
    table = tap_table((4,), (2,), 2)
    y = l2_pool(x, table)
    gradient = l2_pool_gradient(np.full((1, 2, 1), 2.0), x, y, table)
    np.testing.assert_array_equal(gradient.ravel(), [0, 0, 2, 0])


def test_log_sum_exp_by_hand():
    """The mean of e^0 = 1 and e^(ln 3) = 3 is 2."""
    table = tap_table((2,), (2,))
    x = row(0, np.log(3))
    y = log_sum_exp_pool(x, table, 1.0)
    np.testing.assert_allclose(y.item(), np.log(2), rtol=1e-15)
    gradient = log_sum_exp_pool_gradient(np.ones((1, 1, 1)), x, y, table, 1.0)
    np.testing.assert_allclose(gradient.ravel(), [0.25, 0.75], rtol=1e-15)


def test_the_gradient_is_shared_out_by_softmax():
    x = normal(1, 4, 1)
    y = log_sum_exp_pool(x, WHOLE, 2.5)
    gradient = log_sum_exp_pool_gradient(np.full((1, 1, 1), 3.0), x, y, WHOLE, 2.5)
    np.testing.assert_allclose(gradient, 3 * softmax(2.5 * x, axis=1), rtol=1e-13)


@given(TABLES)
@settings(deadline=None, max_examples=20)
def test_log_sum_exp_lies_between_its_limits(table: TapTable):
    """The mean for t -> 0, the maximum for t -> infinity, and never smaller for a larger t."""
    x = normal(2, *table.input_shape, 2)
    mean, maximum = average_pool(x, table), max_pool(x, table)[0]
    np.testing.assert_allclose(log_sum_exp_pool(x, table, 1e-6), mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(log_sum_exp_pool(x, table, 1e6), maximum, rtol=0, atol=1e-5)
    between = [log_sum_exp_pool(x, table, t) for t in (0.1, 1.0, 10.0)]
    for lower, upper in zip([mean, *between], [*between, maximum], strict=True):
        assert (lower <= upper + 1e-12).all()


def test_a_small_sharpness_keeps_its_digits():
    """The mean and, from its series, t / 2 times the variance; without care 1e-6 would remain."""
    x = normal(1, 4, 1)
    expected = x.mean() + 1e-6 / 2 * x.var()
    np.testing.assert_allclose(log_sum_exp_pool(x, WHOLE, 1e-6).item(), expected, rtol=1e-9)


@pytest.mark.parametrize("t", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("value", [-1e300, -700.0, 0.0, 700.0, 1e300])
def test_equal_numbers_give_that_number_without_overflow(value: float, t: float):
    with np.errstate(all="raise", under="ignore"):
        assert log_sum_exp_pool(row(*[value] * 4), WHOLE, t).item() == value


def test_numbers_far_apart_do_not_overflow():
    y = log_sum_exp_pool(row(-1e308, 1e308, 0, 5), WHOLE, 10.0)
    assert y.item() == 1e308
    x = row(0, 1000, -1000, 999)
    gradient = log_sum_exp_pool_gradient(
        np.ones((1, 1, 1)), x, log_sum_exp_pool(x, WHOLE, 1.0), WHOLE, 1.0
    )
    np.testing.assert_allclose(gradient.sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("place", range(4))
def test_values_that_are_not_finite_at_every_place(place: int):
    for value, l2, soft in (
        (NAN, NAN, NAN),
        (INFINITY, INFINITY, INFINITY),
        (-INFINITY, INFINITY, np.log(3 / 4)),
    ):
        x = row(0, 0, 0, 0)
        x[0, place] = value
        np.testing.assert_equal(l2_pool(x, WHOLE).item(), l2)
        np.testing.assert_allclose(log_sum_exp_pool(x, WHOLE, 1.0).item(), soft, rtol=1e-14)


def test_windows_of_special_values_alone():
    for value in (NAN, INFINITY, -INFINITY):
        np.testing.assert_equal(log_sum_exp_pool(row(*[value] * 4), WHOLE, 1.0).item(), value)
        np.testing.assert_equal(l2_pool(row(*[value] * 4), WHOLE).item(), abs(value))


def test_a_window_of_padding_alone():
    """The norm of nothing is 0, its maximum minus infinity; no δ comes back from there."""
    table = tap_table((2,), (1,), 2, [(2, 1)])
    x = row(3, 4)
    norm, y = l2_pool(x, table), log_sum_exp_pool(x, table, 1.0)
    np.testing.assert_array_equal(norm.ravel(), [0, 3, 0])
    np.testing.assert_array_equal(y.ravel(), [-INFINITY, 3, -INFINITY])
    for gradient in (
        l2_pool_gradient(np.ones_like(y), x, norm, table),
        log_sum_exp_pool_gradient(np.ones_like(y), x, y, table, 1.0),
    ):
        np.testing.assert_array_equal(gradient.ravel(), [1, 0])


def test_a_sharp_maximum_is_scipys_maximum_filter():
    x = normal(1, 6, 7, 1)
    table = tap_table((6, 7), (3, 3), 1, "same")
    expected = maximum_filter(x[0, ..., 0], 3, mode="constant", cval=-INFINITY)
    np.testing.assert_allclose(
        log_sum_exp_pool(x, table, 1e6)[0, ..., 0], expected, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    table = tap_table((5, 5), (2, 3), 2, "same")
    x, delta = normal(2, 5, 5, 3, dtype=dtype), normal(2, 3, 3, 3, dtype=dtype)
    norm, soft = l2_pool(x, table), log_sum_exp_pool(x, table, 2.0)
    results = [
        norm,
        soft,
        l2_pool_gradient(delta, x, norm, table),
        log_sum_exp_pool_gradient(delta, x, soft, table, 2.0),
    ]
    assert {result.dtype.name for result in results} == {dtype}
