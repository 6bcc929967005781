"""Reshaping, adding and scaling, with their gradients."""

from __future__ import annotations

import numpy as np
import pytest

from convlet.ops import (
    add,
    rescale,
    rescale_gradient,
    reshape,
    reshape_gradient,
    scale,
    scale_gradient,
)
from numerics import central_difference, normal


@pytest.mark.parametrize(
    ("before", "after"),
    [((2, 3, 4), (24,)), ((24,), (2, 3, 4)), ((6,), (6,)), ((1,), ()), ((), (1,))],
)
def test_reshape_keeps_images_apart_and_elements_in_order(
    before: tuple[int, ...], after: tuple[int, ...]
):
    x = normal(5, *before)
    y = reshape(x, before, after)
    assert y.shape == (5, *after)
    for image in range(5):
        np.testing.assert_array_equal(y[image].ravel(), x[image].ravel())


@pytest.mark.parametrize(("before", "after"), [((2, 3, 4), (24,)), ((24,), (2, 3, 4))])
def test_reshape_gradient_goes_back(before: tuple[int, ...], after: tuple[int, ...]):
    x, delta = normal(5, *before), normal(5, *after)
    back = reshape_gradient(delta, before, after)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.vdot(reshape(x, before, after), delta), np.vdot(x, back))


def test_reshape_of_a_view():
    x = normal(2, 3, 4).transpose(0, 2, 1)
    np.testing.assert_array_equal(reshape(x, (4, 3), (12,)), x.copy().reshape(2, 12))


def test_reshape_of_an_empty_batch():
    assert reshape(np.ones((0, 2, 3)), (2, 3), (6,)).shape == (0, 6)
    assert reshape_gradient(np.ones((0, 6)), (2, 3), (6,)).shape == (0, 2, 3)


def test_add():
    x, y = normal(3, 4), normal(3, 4, seed=1)
    np.testing.assert_array_equal(
        add(x, y), [[a + b for a, b in zip(*r, strict=True)] for r in zip(x, y, strict=True)]
    )


SCALES = [
    (2.0, -1.0),
    (1 / 255, 0.0),
    (np.array([1.0, 2.0, -3.0]), np.array([0.5, 0.0, 1.0])),
    (np.array([1.0, 2.0, -3.0]), 1.0),
]


@pytest.mark.parametrize(("scale", "offset"), SCALES)
def test_rescale(scale: float | np.ndarray, offset: float | np.ndarray):
    x = normal(2, 4, 3)
    y = rescale(x, scale, offset)
    scales, offsets = np.broadcast_to(scale, 3), np.broadcast_to(offset, 3)
    for channel in range(3):
        np.testing.assert_allclose(
            y[..., channel], x[..., channel] * scales[channel] + offsets[channel]
        )


@pytest.mark.parametrize(("scale", "offset"), SCALES)
def test_rescale_gradient(scale: float | np.ndarray, offset: float | np.ndarray):
    x, delta = normal(2, 4, 3), normal(2, 4, 3, seed=1)
    difference = central_difference(
        lambda x: float((rescale(x, scale, offset) * delta).sum()), x, step=1.0
    )
    np.testing.assert_allclose(rescale_gradient(delta, scale, offset), difference, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("scale", "offset"), SCALES)
def test_the_float_type_stays(dtype: str, scale: float | np.ndarray, offset: float | np.ndarray):
    x = normal(2, 4, 3, dtype=dtype)
    results = [
        rescale(x, scale, offset),
        rescale_gradient(x, scale, offset),
        add(x, x),
        reshape(x, (4, 3), (12,)),
    ]
    assert {result.dtype.name for result in results} == {dtype}


@pytest.mark.parametrize("grid", [(), (3,), (2, 3)])
def test_scale_and_both_its_gradients(grid: tuple[int, ...]):
    x, gamma, delta = normal(4, *grid, 5), normal(5), normal(4, *grid, 5, seed=1)
    y = scale(x, gamma)
    for channel in range(5):
        np.testing.assert_array_equal(y[..., channel], x[..., channel] * gamma[channel])
    by_x = central_difference(lambda x: float((scale(x, gamma) * delta).sum()), x)
    np.testing.assert_allclose(scale(delta, gamma), by_x, atol=1e-9)
    by_gamma = central_difference(lambda gamma: float((scale(x, gamma) * delta).sum()), gamma)
    np.testing.assert_allclose(scale_gradient(x, delta), by_gamma, atol=1e-9)
