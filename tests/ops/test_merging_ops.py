"""Products, extrema and arrays side by side, with their gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from convlet.ops import (
    concatenate,
    concatenate_gradient,
    maximum,
    maximum_gradient,
    minimum,
    minimum_gradient,
    multiply,
)
from numerics import central_difference, distinct, normal

EXTREMA = [(maximum, maximum_gradient), (minimum, minimum_gradient)]


def test_a_product_s_gradient_is_the_other_factor():
    x, y, delta = normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2)
    np.testing.assert_allclose(
        multiply(delta, y),
        central_difference(lambda x: (delta * multiply(x, y)).sum(), x),
        rtol=1e-8,
    )


@pytest.mark.parametrize(("extremum", "gradient"), EXTREMA)
def test_the_gradient_of_an_extremum_goes_to_where_it_comes_from(extremum, gradient):
    both = distinct(2, 4, 3)
    delta = normal(4, 3)
    for n, found in enumerate(gradient(delta, *both)):

        def loss(value, n=n):
            operands = [both[0], both[1]]
            operands[n] = value
            return (delta * extremum(*operands)).sum()

        np.testing.assert_allclose(found, central_difference(loss, both[n]), atol=1e-9)


def test_larger_and_smaller_numbers():
    x, y = np.array([[1.0, 5.0, -2.0]]), np.array([[2.0, 4.0, -2.0]])
    np.testing.assert_array_equal(maximum(x, y), [[2, 5, -2]])
    np.testing.assert_array_equal(minimum(x, y), [[1, 4, -2]])


@pytest.mark.parametrize("gradient", [maximum_gradient, minimum_gradient])
def test_of_equal_numbers_the_first_has_the_gradient(gradient):
    x = np.array([[1.0, np.nan, 0.0, np.nan]])
    y = np.array([[1.0, 0.0, np.nan, np.nan]])
    first, second = gradient(np.array([[3.0, 5.0, 7.0, 9.0]]), x, y)
    np.testing.assert_array_equal(first, [[3, 5, 0, 9]])
    np.testing.assert_array_equal(second, [[0, 0, 7, 0]])


@pytest.mark.parametrize(("extremum", "_gradient"), EXTREMA)
def test_what_is_no_number_is_passed_on(extremum, _gradient):
    nan, one = np.full((1, 1), np.nan), np.ones((1, 1))
    assert np.isnan(extremum(nan, one)).all()
    assert np.isnan(extremum(one, nan)).all()


@given(array_shapes(min_dims=1, max_dims=3, max_side=4), st.data())
@settings(max_examples=50, deadline=None)
def test_concatenation_and_its_gradient_undo_each_other(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    arrays = [
        normal(2, *shape[:axis], size, *shape[axis + 1 :], seed=seed)
        for seed, size in enumerate(sizes)
    ]
    whole = concatenate(*arrays, axis=axis, sizes=sizes)
    assert whole.shape == (2, *shape[:axis], sum(sizes), *shape[axis + 1 :])
    start = 0
    for array, size in zip(arrays, sizes, strict=True):
        np.testing.assert_array_equal(whole.take(range(start, start + size), axis=axis + 1), array)
        start += size
    for found, array in zip(concatenate_gradient(whole, axis, sizes), arrays, strict=True):
        np.testing.assert_array_equal(found, array)
