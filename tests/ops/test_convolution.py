"""Convolution: forward against loops and SciPy, gradients against differences and the adjoint."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from convlet.ops import (
    TapTable,
    add_bias,
    bias_gradient,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    tap_table,
)
from numerics import central_difference, conv_by_loops, normal, tables


@st.composite
def cases(draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3), largest: int = 3) -> tuple:
    """Draw a table, an image batch and a kernel that fit it, a δ, and the number of groups."""
    table = draw(tables(ranks))
    groups = draw(st.integers(1, largest))
    channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    batch, seed = draw(st.integers(1, 2)), draw(st.integers(0, 99))
    x = normal(batch, *table.input_shape, channels * groups, seed=seed)
    kernel = normal(*table.kernel_shape, channels, filters * groups, seed=seed)
    delta = normal(batch, *table.output_shape, filters * groups, seed=seed)
    return table, x, kernel, delta, groups


def correlate_with_scipy(x: np.ndarray, kernel: np.ndarray, table: TapTable) -> np.ndarray:
    """Pad the image, fill the holes of the kernel with zeros, correlate, keep every stride-th."""
    axes = table.axes
    padded = np.pad(x, [(0, 0), *((a.begin, a.end) for a in axes), (0, 0)])
    dilated = np.zeros((*(a.extent for a in axes), *kernel.shape[-2:]))
    dilated[tuple(slice(None, None, a.dilation) for a in axes)] = kernel
    kept = tuple(slice(None, None, a.stride) for a in axes)
    y = np.zeros((len(x), *table.output_shape, kernel.shape[-1]))
    for image, u, r in itertools.product(range(len(x)), *map(range, kernel.shape[-2:])):
        all_places = signal.correlate(padded[image, ..., u], dilated[..., u, r], "valid", "direct")
        y[image, ..., r] += all_places[kept]
    return y


@given(cases(ranks=(0, 1, 2, 3), largest=2))
@settings(deadline=None, max_examples=40)
def test_forward_is_the_formula(case: tuple):
    table, x, kernel, _, groups = case
    np.testing.assert_allclose(
        conv(x, kernel, table, groups), conv_by_loops(x, kernel, table, groups), atol=1e-12
    )


@given(cases(largest=1))
@settings(deadline=None, max_examples=60)
def test_forward_is_scipys(case: tuple):
    table, x, kernel, _, _ = case
    np.testing.assert_allclose(
        conv(x, kernel, table), correlate_with_scipy(x, kernel, table), atol=1e-12
    )


@given(cases(largest=4))
@settings(deadline=None, max_examples=30)
def test_groups_are_convolutions_side_by_side(case: tuple):
    table, x, kernel, _, groups = case
    separate = [
        conv(of_x, of_kernel, table)
        for of_x, of_kernel in zip(
            np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True
        )
    ]
    np.testing.assert_allclose(conv(x, kernel, table, groups), np.concatenate(separate, -1))


@given(cases())
@settings(deadline=None, max_examples=40)
def test_input_gradient_is_the_central_difference(case: tuple):
    table, x, kernel, delta, groups = case
    x, delta = x[:1], delta[:1]
    difference = central_difference(
        lambda x: float((conv(x, kernel, table, groups) * delta).sum()), x, step=1.0
    )
    gradient = conv_input_gradient(delta, kernel, table, groups)
    np.testing.assert_allclose(gradient, difference, atol=1e-11)


@given(cases())
@settings(deadline=None, max_examples=40)
def test_kernel_gradient_is_the_central_difference(case: tuple):
    table, x, kernel, delta, groups = case
    difference = central_difference(
        lambda kernel: float((conv(x, kernel, table, groups) * delta).sum()), kernel, step=1.0
    )
    gradient = conv_kernel_gradient(x, delta, table, groups)
    np.testing.assert_allclose(gradient, difference, atol=1e-11)


@given(cases(ranks=(0, 1, 2, 3, 4), largest=4))
@settings(deadline=None, max_examples=150)
def test_gradients_are_adjoint_to_the_forward_pass(case: tuple):
    """<conv(x, k), δ> = <x, input gradient> = <k, kernel gradient>, as it is linear in both."""
    table, x, kernel, delta, groups = case
    product = np.vdot(conv(x, kernel, table, groups), delta)
    of_input = np.vdot(x, conv_input_gradient(delta, kernel, table, groups))
    of_kernel = np.vdot(kernel, conv_kernel_gradient(x, delta, table, groups))
    np.testing.assert_allclose([of_input, of_kernel], product, rtol=1e-10, atol=1e-10)


# name: input, kernel, strides, padding, dilation, channels, filters, groups
SHAPES = {
    "one pixel": ((1, 1), (1, 1), 1, "valid", 1, 3, 2, 1),
    "one pixel, same": ((1, 1), (3, 3), 1, "same", 1, 2, 2, 1),
    "one pixel, dilated": ((1, 1), (3, 3), 1, "same", 2, 2, 2, 1),
    "one output": ((5, 4), (5, 4), 1, "valid", 1, 2, 3, 1),
    "stride over the kernel": ((9, 9), (2, 2), 4, "valid", 1, 2, 3, 1),
    "depthwise": ((6, 6), (3, 3), 1, "same", 1, 4, 8, 4),
    "taps that meet nothing": ((2, 2), (3, 3), 1, [(4, 4), (4, 4)], 3, 2, 2, 1),
    "an axis of one": ((7, 1), (3, 1), 2, "same", 1, 2, 2, 2),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("batch", [1, 3])
def test_particular_shapes(name: str, batch: int):
    shape, window, strides, padding, dilation, channels, filters, groups = SHAPES[name]
    table = tap_table(shape, window, strides, padding, dilation)
    x = normal(batch, *shape, channels)
    kernel = normal(*window, channels // groups, filters)
    delta = normal(batch, *table.output_shape, filters)
    y = conv(x, kernel, table, groups)
    np.testing.assert_allclose(y, conv_by_loops(x, kernel, table, groups), atol=1e-12)
    of_input = conv_input_gradient(delta, kernel, table, groups)
    of_kernel = conv_kernel_gradient(x, delta, table, groups)
    assert of_input.shape == x.shape
    assert of_kernel.shape == kernel.shape
    np.testing.assert_allclose(
        [np.vdot(x, of_input), np.vdot(kernel, of_kernel)], np.vdot(y, delta)
    )


def test_windows_of_nothing_but_padding_give_zero():
    table = tap_table((2,), (2,), padding=[(4, 4)])
    y = conv(np.full((1, 2, 1), np.nan), np.ones((2, 1, 1)), table)
    np.testing.assert_array_equal(y[0, :, 0], [0, 0, 0, np.nan, np.nan, np.nan, 0, 0, 0])


def test_a_tap_that_meets_no_input_has_no_gradient():
    """The outer taps of a 5-wide window never reach the one pixel when there is one output."""
    table = tap_table((1,), (5,), padding="same")
    gradient = conv_kernel_gradient(np.ones((1, 1, 1)), np.ones((1, 1, 1)), table)
    np.testing.assert_array_equal(gradient[:, 0, 0], [0, 0, 1, 0, 0])


def test_an_empty_batch_gives_an_empty_batch():
    table = tap_table((4, 4), (3, 3))
    x, kernel, delta = np.ones((0, 4, 4, 2)), np.ones((3, 3, 2, 5)), np.ones((0, 2, 2, 5))
    assert conv(x, kernel, table).shape == delta.shape
    assert conv_input_gradient(delta, kernel, table).shape == x.shape
    np.testing.assert_array_equal(conv_kernel_gradient(x, delta, table), np.zeros_like(kernel))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    table = tap_table((5, 5), (3, 3), 2, "same")
    x, kernel = normal(2, 5, 5, 4, dtype=dtype), normal(3, 3, 2, 6, dtype=dtype)
    delta, bias = normal(2, 3, 3, 6, dtype=dtype), normal(6, dtype=dtype)
    results = [
        conv(x, kernel, table, 2),
        conv_input_gradient(delta, kernel, table, 2),
        conv_kernel_gradient(x, delta, table, 2),
        add_bias(delta, bias),
        bias_gradient(delta),
    ]
    assert {result.dtype.name for result in results} == {dtype}


@pytest.mark.parametrize("order", ["F", "strided", "reversed", "read-only"])
def test_operands_may_lie_in_memory_as_they_like(order: str):
    def laid_out(array: np.ndarray) -> np.ndarray:
        if order == "F":
            return np.asfortranarray(array)
        if order == "strided":
            return np.repeat(array, 2, axis=1)[:, ::2]
        if order == "reversed":
            return np.flip(np.flip(array).copy())
        array = array.copy()
        array.flags.writeable = False
        return array

    table = tap_table((6, 5), (3, 2), 2, "same", 1)
    x, kernel, delta = normal(3, 6, 5, 4), normal(3, 2, 2, 6), normal(3, 3, 3, 6)
    plain = (
        conv(x, kernel, table, 2),
        conv_input_gradient(delta, kernel, table, 2),
        conv_kernel_gradient(x, delta, table, 2),
    )
    x_, kernel_, delta_ = map(laid_out, (x, kernel, delta))
    others = (
        conv(x_, kernel_, table, 2),
        conv_input_gradient(delta_, kernel_, table, 2),
        conv_kernel_gradient(x_, delta_, table, 2),
    )
    for one, other in zip(plain, others, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    np.testing.assert_array_equal(x_, x, "operands are never written to")
    np.testing.assert_array_equal(kernel_, kernel)


def test_images_of_a_batch_do_not_meet():
    table = tap_table((5, 5), (3, 3), padding="same")
    x, kernel = normal(4, 5, 5, 2), normal(3, 3, 2, 3)
    together = conv(x, kernel, table)
    for image in range(4):
        np.testing.assert_allclose(
            together[image : image + 1], conv(x[image : image + 1], kernel, table), atol=1e-12
        )


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 4, 5, 3), (2, 2, 2, 2, 3)])
def test_bias_and_its_gradient(shape: tuple[int, ...]):
    x, bias, delta = normal(*shape), normal(3), normal(*shape, seed=1)
    y = add_bias(x, bias)
    for channel in range(3):
        np.testing.assert_array_equal(y[..., channel], x[..., channel] + bias[channel])
    difference = central_difference(lambda b: float((add_bias(x, b) * delta).sum()), bias, 1.0)
    np.testing.assert_allclose(bias_gradient(delta), difference, atol=1e-12)
