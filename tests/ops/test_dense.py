"""The fully connected layer's product and gradients against loops and differences."""

from __future__ import annotations

import numpy as np
import pytest

from convlet.ops import (
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    dense,
    dense_input_gradient,
    dense_kernel_gradient,
    tap_table,
)
from numerics import central_difference, normal

BETWEEN = [(), (1,), (4,), (2, 3)]  # axes between the batch and the channels
SIZES = [(1, 1), (5, 1), (1, 4), (5, 4)]


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(("inputs", "units"), SIZES)
def test_product(between: tuple[int, ...], inputs: int, units: int):
    x, kernel = normal(3, *between, inputs), normal(inputs, units)
    y = dense(x, kernel)
    assert y.shape == (3, *between, units)
    for place in np.ndindex(y.shape):
        z = sum(kernel[i, place[-1]] * x[(*place[:-1], i)] for i in range(inputs))
        np.testing.assert_allclose(y[place], z, atol=1e-14)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(("inputs", "units"), SIZES)
def test_gradients(between: tuple[int, ...], inputs: int, units: int):
    x, kernel = normal(2, *between, inputs), normal(inputs, units)
    delta = normal(2, *between, units, seed=1)
    of_x = central_difference(lambda x: float((dense(x, kernel) * delta).sum()), x, 1.0)
    of_kernel = central_difference(lambda k: float((dense(x, k) * delta).sum()), kernel, 1.0)
    np.testing.assert_allclose(dense_input_gradient(delta, kernel), of_x, atol=1e-12)
    np.testing.assert_allclose(dense_kernel_gradient(x, delta), of_kernel, atol=1e-12)


def test_it_is_a_convolution_of_one_position():
    table = tap_table((), ())
    x, kernel, delta = normal(3, 5), normal(5, 4), normal(3, 4)
    np.testing.assert_allclose(dense(x, kernel), conv(x, kernel, table))
    np.testing.assert_allclose(
        dense_input_gradient(delta, kernel), conv_input_gradient(delta, kernel, table)
    )
    np.testing.assert_allclose(
        dense_kernel_gradient(x, delta), conv_kernel_gradient(x, delta, table)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    x, kernel, delta = (normal(*shape, dtype=dtype) for shape in [(2, 3), (3, 4), (2, 4)])
    results = [
        dense(x, kernel),
        dense_input_gradient(delta, kernel),
        dense_kernel_gradient(x, delta),
    ]
    assert {result.dtype.name for result in results} == {dtype}


def test_an_empty_batch_gives_an_empty_batch():
    assert dense(np.ones((0, 3)), np.ones((3, 4))).shape == (0, 4)
    np.testing.assert_array_equal(
        dense_kernel_gradient(np.ones((0, 3)), np.ones((0, 4))), np.zeros((3, 4))
    )


def test_views_are_read_right():
    x, kernel = normal(3, 5), normal(5, 4)
    np.testing.assert_allclose(
        dense(np.asfortranarray(x), np.repeat(kernel, 2, axis=0)[::2]), x @ kernel
    )
