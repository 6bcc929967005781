"""Locally connected layers: against a convolution, against the sum written out, and gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import ops
from numerics import central_difference, normal, read_through, tables


def kernel_for(table, channels, filters, seed=0):
    positions = int(np.prod(table.output_shape))
    return normal(positions, table.taps * channels, filters, seed=seed)


def test_one_position_after_the_other():
    """Two positions, two taps: 1*1 + 2*2 and 3*2 + 4*3."""
    table = ops.tap_table((3,), (2,))
    x = np.array([[[1.0], [2.0], [3.0]]])
    kernel = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    np.testing.assert_array_equal(ops.local_conv(x, kernel, table), [[[5], [18]]])


@given(tables(), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_the_sum_written_out(table, channels, filters):
    x, kernel = normal(2, *table.input_shape, channels), kernel_for(table, channels, filters)
    weights = kernel.reshape(*table.output_shape, table.taps, channels, filters)
    y = ops.local_conv(x, kernel, table)
    for output in np.ndindex(table.output_shape):
        expected = np.zeros((2, filters))
        for tap in np.ndindex(table.kernel_shape):
            position = read_through(table, output, tap)
            if position is not None:
                expected += x[(slice(None), *position)] @ weights[(*output, table.number(tap))]
        np.testing.assert_allclose(y[(slice(None), *output)], expected, atol=1e-12)


@given(tables(), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_with_the_same_weights_everywhere_it_is_a_convolution(table, channels, filters):
    """And the convolution's kernel gradient adds up those of the positions."""
    x = normal(2, *table.input_shape, channels)
    shared = normal(*table.kernel_shape, channels, filters, seed=1)
    positions = int(np.prod(table.output_shape))
    kernel = np.tile(shared.reshape(1, -1, filters), (positions, 1, 1))
    y = ops.conv(x, shared, table)
    np.testing.assert_allclose(ops.local_conv(x, kernel, table), y, atol=1e-12)
    delta = normal(*y.shape, seed=2)
    np.testing.assert_allclose(
        ops.local_conv_input_gradient(delta, kernel, table),
        ops.conv_input_gradient(delta, shared, table),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        ops.local_conv_kernel_gradient(x, delta, table).sum(axis=0),
        ops.conv_kernel_gradient(x, delta, table).reshape(-1, filters),
        atol=1e-12,
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradients_are_the_changes(padding):
    table = ops.tap_table((4, 3), (2, 2), (2, 1), padding)
    x, kernel = normal(2, 4, 3, 2), kernel_for(table, 2, 3)
    delta = normal(*ops.local_conv(x, kernel, table).shape, seed=3)

    def total(x, kernel):
        return float((ops.local_conv(x, kernel, table) * delta).sum())

    by_x = central_difference(lambda v: total(v, kernel), x)
    by_kernel = central_difference(lambda v: total(x, v), kernel)
    found = ops.local_conv_input_gradient(delta, kernel, table)
    np.testing.assert_allclose(found, by_x, atol=1e-8)
    found = ops.local_conv_kernel_gradient(x, delta, table)
    np.testing.assert_allclose(found, by_kernel, atol=1e-8)
