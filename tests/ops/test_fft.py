"""Convolution by FFT against the direct one, and against SciPy in test_signal.py."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.ops import (
    TapTable,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    fft_conv,
    fft_conv_input_gradient,
    fft_conv_kernel_gradient,
    tap_table,
)
from convlet.ops.fft import FFTConvolution, fast_length, fft_pays
from numerics import normal, tables


@st.composite
def tables_of_stride_1(draw: st.DrawFn) -> TapTable:
    """Draw a table of any padding and dilation."""
    axes = draw(tables((0, 1, 2, 3))).axes
    padding = [(axis.begin, axis.end) for axis in axes]
    dilation = [axis.dilation for axis in axes]
    return tap_table([a.size for a in axes], [a.taps for a in axes], 1, padding, dilation)


def check_against_direct(
    table: TapTable,
    images: int,
    channels: int,
    filters: int,
    groups: int = 1,
    dtype: str = "float64",
) -> None:
    """Hold forward and both gradients, from kept transforms and without, to the direct sums."""
    x = normal(images, *table.input_shape, channels, dtype=dtype)
    kernel = normal(*table.kernel_shape, channels // groups, filters, seed=1, dtype=dtype)
    delta = normal(images, *table.output_shape, filters, seed=2, dtype=dtype)
    kept = FFTConvolution(table, images, channels, filters, groups)
    X, W, D = (
        kept.transform_input(x),
        kept.transform_kernel(kernel),
        kept.transform_output_gradient(delta),
    )
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for expected, *results in (
        (conv(x, kernel, table, groups), kept.output(X, W), fft_conv(x, kernel, table, groups)),
        (
            conv_input_gradient(delta, kernel, table, groups),
            kept.input_gradient(D, W),
            fft_conv_input_gradient(delta, kernel, table, groups),
        ),
        (
            conv_kernel_gradient(x, delta, table, groups),
            kept.kernel_gradient(X, D),
            fft_conv_kernel_gradient(x, delta, table, groups),
        ),
    ):
        for result in results:
            assert result.shape == expected.shape
            assert result.dtype == expected.dtype
            scale = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    tables_of_stride_1(), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)
)
@settings(deadline=None, max_examples=60)
def test_any_table(
    dtype: str, table: TapTable, images: int, channels: int, filters: int, groups: int
):
    check_against_direct(table, images, channels * groups, filters * groups, groups, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("channels", "filters", "groups"), [(1, 1, 1), (3, 2, 1), (4, 6, 2)])
@pytest.mark.parametrize(
    ("grid", "window", "dilation"),
    [((1009,), (5,), 1), ((500,), (9,), 3), ((61, 90), (3, 4), 1), ((40, 31, 20), (3, 1, 2), 1)],
)
def test_grids_of_several_tiles(
    grid: tuple, window: tuple, dilation: int, channels: int, filters: int, groups: int, dtype: str
):
    table = tap_table(grid, window, padding="same", dilation_rate=dilation)
    tiles = FFTConvolution(table, 2, channels, filters, groups).tiles
    assert tiles >= 3
    check_against_direct(table, 2, channels, filters, groups, dtype)


@pytest.mark.parametrize(
    "table",
    [
        tap_table((1, 1), (3, 5), padding="same"),
        tap_table((4,), (60,), padding="same"),
        tap_table((4,), (60,), padding=[(70, 0)]),
        tap_table((3, 200), (9, 3), padding=[(8, 8), (0, 40)]),
        tap_table((5,), (2,), padding=[(2, 2)], dilation_rate=8),  # no tap meets an input
        tap_table((6,), (1,), padding=[(0, 50)]),
    ],
)
def test_kernels_and_padding_larger_than_the_grid(table: TapTable):
    check_against_direct(table, 2, 2, 3)
    check_against_direct(table, 1, 1, 1)


def test_chunks_do_not_show():
    """A signal of more tiles than one chunk holds, and a batch of more images."""
    check_against_direct(tap_table((90_000,), (40,)), 3, 1, 1)
    check_against_direct(tap_table((12, 12), (5, 5)), 700, 1, 2)


def test_no_images():
    table = tap_table((6,), (3,))
    assert fft_conv(np.ones((0, 6, 2)), np.ones((3, 2, 4)), table).shape == (0, 4, 4)


def test_the_same_transforms_serve_forward_and_back(monkeypatch: pytest.MonkeyPatch):
    """Lecture 001, "Reuse FFT results": three transforms and three back."""
    calls = []
    for name in ("rfftn", "irfftn"):
        original = getattr(np.fft, name)
        monkeypatch.setattr(
            np.fft, name, lambda *args, f=original, n=name: calls.append(n) or f(*args)
        )
    convolution = FFTConvolution(tap_table((9, 9), (3, 3)), 2, 3, 4)
    x = convolution.transform_input(normal(2, 9, 9, 3))
    kernel = convolution.transform_kernel(normal(3, 3, 3, 4))
    delta = convolution.transform_output_gradient(normal(2, 7, 7, 4))
    convolution.output(x, kernel)
    convolution.input_gradient(delta, kernel)
    convolution.kernel_gradient(x, delta)
    assert calls == ["rfftn"] * 3 + ["irfftn"] * 3


@given(st.integers(1, 5000))
def test_lengths_are_the_next_with_small_prime_factors(minimum: int):
    def is_smooth(n: int) -> bool:
        return 210**12 % n == 0

    length = fast_length(minimum)
    assert is_smooth(length)
    assert not any(is_smooth(n) for n in range(minimum, length))


def test_long_filters_pay_and_short_ones_do_not():
    assert fft_pays(tap_table((1_000_000,), (10_000,)), 1, 1, 1)
    assert not fft_pays(tap_table((1_000_000,), (2,)), 1, 1, 1)
    assert not fft_pays(tap_table((1_000_000,), (10_000,), strides=2), 1, 1, 1)
    assert not fft_pays(tap_table((5, 5), (2, 2)), 1, 1, 1)


def test_tiles_keep_memory_near_that_of_the_arrays():
    """A grid of 1.4 MB and a filter of 3 x 3: no transform of the whole grid for each filter."""
    table = tap_table((420, 420), (3, 3))
    x, kernel = normal(1, 420, 420, 1), normal(3, 3, 1, 1)
    fft_conv(x, kernel, table)
    tracemalloc.start()
    try:
        fft_conv(x, kernel, table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * x.nbytes


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (fft_conv, (np.ones((1, 9, 9, 1)), np.ones((3, 3, 1, 1)))),
        (fft_conv_input_gradient, (np.ones((1, 7, 4, 1)), np.ones((3, 3, 1, 1)))),
        (fft_conv_kernel_gradient, (np.ones((1, 9, 9, 1)), np.ones((1, 7, 4, 1)))),
    ],
)
def test_a_stride_is_an_error(function: Callable, arguments: tuple):
    table = tap_table((9, 9), (3, 3), strides=(1, 2))
    message = f"{function.__name__}: strides must be 1 for a convolution by FFT, got (1, 2)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(*arguments, table)


def test_a_stride_is_refused_before_anything_is_allocated():
    with pytest.raises(ValueError, match="strides must be 1"):
        FFTConvolution(tap_table((10**15,), (3,), strides=2), 1, 1, 1)


def test_spectra_that_would_not_fit_are_refused():
    message = r"^FFTConvolution: a convolution by FFT of these sizes would take .* GB, this machine"
    with pytest.raises(ValueError, match=message):
        FFTConvolution(tap_table((10**7, 10**7), (3, 3)), 1, 1, 1)


@pytest.mark.parametrize(
    ("x", "kernel", "message"),
    [
        ((1, 8, 2), (3, 2, 1), "fft_conv: x must be an array of shape (1, 9, 2), got (1, 8, 2)"),
        (
            (1, 9, 2),
            (4, 2, 1),
            "fft_conv: kernel must be an array of shape (3, 2, 1), got (4, 2, 1)",
        ),
        (
            (1, 9, 2),
            (3, 1, 1),
            "fft_conv: kernel must be an array of shape (3, 2, 1), got (3, 1, 1)",
        ),
    ],
)
def test_wrong_shapes_are_named(x: tuple, kernel: tuple, message: str):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fft_conv(np.ones(x), np.ones(kernel), tap_table((9,), (3,)))


def test_a_wrong_gradient_is_named():
    message = r"output_gradient must be an array of shape \(1, 7, 2\), got \(1, 9, 2\)$"
    with pytest.raises(ValueError, match=message):
        fft_conv_input_gradient(np.ones((1, 9, 2)), np.ones((3, 1, 2)), tap_table((9,), (3,)))


@pytest.mark.parametrize(("name", "channels", "filters"), [("channels", 3, 4), ("filters", 4, 3)])
def test_groups_that_do_not_divide_are_named(name: str, channels: int, filters: int):
    message = f"FFTConvolution: {name} must be a multiple of groups=2, got 3"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FFTConvolution(tap_table((9,), (3,)), 1, channels, filters, 2)
