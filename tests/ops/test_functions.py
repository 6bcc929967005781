"""The functions with Keras's arguments: every padding and fill against NumPy and SciPy, and errors.

What the operators behind them compute is tested in test_convolution.py and test_pooling.py.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from convlet import ops
from convlet.ops import functions
from numerics import central_difference, conv_by_loops, normal

FILLS = [0.0, 1.5, -2.0, "reflect"]


@st.composite
def windows(draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3)) -> tuple[tuple, tuple, dict]:
    """Draw the shapes of a sample and of a kernel, and all other arguments of `conv`."""
    rank = draw(st.sampled_from(ranks))
    largest = (0, 6, 5, 3)[rank]

    def per_axis(least: int, most: int) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank))

    window, dilation = per_axis(1, 3 if rank < 3 else 2), per_axis(1, 2)
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    more = per_axis(0, largest - 1)
    grid = [max(extent, 1 + n) for extent, n in zip(extents, more, strict=True)]
    pair = st.tuples(st.integers(0, 7), st.integers(0, 7))
    words = ["valid", "same", "causal"] if rank == 1 else ["valid", "same"]
    padding = draw(st.sampled_from(words) | st.lists(pair, min_size=rank, max_size=rank))
    groups, channels, filters = (draw(st.integers(1, 2)) for _ in range(3))
    arguments = {
        "strides": per_axis(1, 3),
        "padding": padding,
        "dilation_rate": dilation,
        "groups": groups,
        "fill": draw(st.sampled_from(FILLS)),
    }
    return (*grid, channels * groups), (*window, channels, filters * groups), arguments


def padded_by_numpy(x: np.ndarray, table: ops.TapTable, fill: Any) -> np.ndarray:
    widths = [(0, 0), *((axis.begin, axis.end) for axis in table.axes), (0, 0)]
    if fill == "reflect":
        return np.pad(x, widths, "reflect")
    return np.pad(x, widths, constant_values=fill)


@given(windows())
@settings(deadline=None, max_examples=100)
def test_every_padding_is_numpys(case: tuple):
    """Pad with NumPy, then slide the window by loops."""
    sample, window, arguments = case
    x, kernel = normal(2, *sample), normal(*window, seed=1)
    rest = {name: arguments[name] for name in ("strides", "padding", "dilation_rate")}
    table = ops.tap_table(sample[:-1], window[:-2], **rest)
    padded = padded_by_numpy(x, table, arguments["fill"])
    rest["padding"] = "valid"
    inside = ops.tap_table(padded.shape[1:-1], window[:-2], **rest)
    np.testing.assert_allclose(
        functions.conv(x, kernel, **arguments),
        conv_by_loops(padded, kernel, inside, arguments["groups"]),
        atol=1e-12,
    )


@given(windows(ranks=(1, 2)))
@settings(deadline=None, max_examples=60)
def test_gradients_are_the_central_differences(case: tuple):
    sample, window, arguments = case
    x, kernel = normal(1, *sample), normal(*window, seed=1)
    delta = normal(*functions.conv(x, kernel, **arguments).shape, seed=2)

    def loss(x: np.ndarray, kernel: np.ndarray) -> float:
        return float((functions.conv(x, kernel, **arguments) * delta).sum())

    np.testing.assert_allclose(
        functions.conv_input_gradient(delta, kernel, sample, **arguments),
        central_difference(lambda x: loss(x, kernel), x, 1.0),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        functions.conv_kernel_gradient(x, delta, window, **arguments),
        central_difference(lambda kernel: loss(x, kernel), kernel, 1.0),
        atol=1e-10,
    )


@given(windows())
@settings(deadline=None, max_examples=100)
def test_gradients_are_adjoint(case: tuple):
    """Without the constant's own share, <y, δ> = <x, ∂J/∂x>; with it, <y, δ> = <k, ∂J/∂k>."""
    sample, window, arguments = case
    x, kernel = normal(2, *sample), normal(*window, seed=1)
    y = functions.conv(x, kernel, **arguments)
    delta = normal(*y.shape, seed=2)
    of_nothing = functions.conv(np.zeros_like(x), kernel, **arguments)
    of_input = np.vdot(x, functions.conv_input_gradient(delta, kernel, sample, **arguments))
    of_kernel = np.vdot(kernel, functions.conv_kernel_gradient(x, delta, window, **arguments))
    np.testing.assert_allclose(of_input, np.vdot(y - of_nothing, delta), atol=1e-9)
    np.testing.assert_allclose(of_kernel, np.vdot(y, delta), atol=1e-9)


@pytest.mark.parametrize(("fill", "mode"), [(0.0, "constant"), (2.5, "constant"), ("reflect", "")])
def test_the_border_is_scipys(fill: Any, mode: str):
    """`scipy.ndimage` calls "mirror" what NumPy calls "reflect"."""
    x, kernel = normal(6, 7), normal(3, 5)
    expected = ndimage.correlate(x, kernel, mode=mode or "mirror", cval=0 if mode == "" else fill)
    y = functions.conv(x[None, ..., None], kernel[..., None, None], padding="same", fill=fill)
    np.testing.assert_allclose(y[0, ..., 0], expected, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_mirrored_border_wider_than_the_signal(size: int):
    x = normal(1, size, 2)
    y = functions.conv(x, np.eye(2)[None], padding=[(9, 11)], fill="reflect")
    np.testing.assert_array_equal(y[0], np.pad(x[0], [(9, 11), (0, 0)], "reflect"))


def test_causal_outputs_do_not_read_ahead():
    x, kernel = normal(1, 8, 1), normal(3, 1, 1)
    y = functions.conv(x, kernel, padding="causal", dilation_rate=2)
    x[0, 5:] = 99
    np.testing.assert_array_equal(
        functions.conv(x, kernel, padding="causal", dilation_rate=2)[0, :5], y[0, :5]
    )


@pytest.mark.parametrize(
    ("x", "kernel", "expected"),
    [("float32", "float32", "float32"), ("float32", "float64", "float64"), ("u1", "i4", "float64")],
)
def test_the_results_type(x: str, kernel: str, expected: str):
    y = functions.conv(np.ones((1, 3, 1), x), np.ones((2, 1, 1), kernel), fill=1.0, padding="same")
    assert y.dtype == expected
    assert functions.max_pool(np.ones((1, 3, 1), x), 2).dtype == (
        "float32" if x == "float32" else "float64"
    )


# --- transposed ---


def transpose_by_loops(
    x: np.ndarray, kernel: np.ndarray, strides: list[int], dilation: list[int]
) -> np.ndarray:
    """Lay down the kernel, weighted, at every place of the input: all that it reaches."""
    grid, window = x.shape[1:-1], kernel.shape[:-2]
    columns = zip(grid, window, strides, dilation, strict=True)
    sizes = [(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in columns]
    y = np.zeros((len(x), *sizes, kernel.shape[-2]))
    for place, tap in itertools.product(np.ndindex(grid), np.ndindex(window)):
        at = tuple(p * s + t * d for p, t, s, d in zip(place, tap, strides, dilation, strict=True))
        y[(slice(None), *at)] += x[(slice(None), *place)] @ kernel[tap].T
    return y


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_transposed_lays_down_the_kernel(data: st.DataObject):
    rank = data.draw(st.integers(1, 2))
    per_axis = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    grid, window, strides, dilation = (data.draw(per_axis) for _ in range(4))
    extra = [data.draw(st.integers(0, s - 1)) for s in strides]
    x, kernel = normal(2, *grid, 3), normal(*window, 2, 3)
    whole = transpose_by_loops(x, kernel, strides, dilation)
    whole = np.pad(whole, [(0, 0), *((0, more) for more in extra), (0, 0)])
    cut = [
        (data.draw(st.integers(0, n // 3)), data.draw(st.integers(0, n // 3)))
        for n in whole.shape[1:-1]
    ]
    inside = tuple(slice(b, n - e) for n, (b, e) in zip(whole.shape[1:-1], cut, strict=True))
    y = functions.conv_transpose(x, kernel, strides, cut, extra, dilation)
    np.testing.assert_allclose(y, whole[(slice(None), *inside)], atol=1e-12)


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_transposed_is_the_adjoint_of_the_convolution(data: st.DataObject):
    """Same kernel, same arguments: <conv_transpose(x), z> = <x, conv(z)>, groups included."""
    size, taps, stride, dilation = (data.draw(st.integers(1, n)) for n in (5, 4, 3, 2))
    groups = data.draw(st.integers(1, 2))
    x, kernel = normal(1, size, 2 * groups), normal(taps, 3, 2 * groups)
    padding = data.draw(st.sampled_from(["valid", "same"]))
    window = {"strides": stride, "padding": padding, "dilation_rate": dilation, "groups": groups}
    y = functions.conv_transpose(x, kernel, **window)
    z = normal(*y.shape, seed=1)
    np.testing.assert_allclose(
        np.vdot(y, z), np.vdot(x, functions.conv(z, kernel, **window)), atol=1e-10
    )


# Keras 3: size, taps, stride, dilation, padding, output_padding -> output
KERAS_SIZES = [
    (4, 3, 2, 1, "valid", None, 9),
    (4, 2, 3, 1, "valid", None, 12),
    (4, 3, 2, 1, "valid", 1, 10),
    (4, 3, 2, 1, "same", None, 8),
    (4, 3, 2, 1, "same", 0, 7),
    (4, 3, 2, 1, "same", 1, 8),
    (4, 4, 2, 1, "same", 1, 7),
    (4, 2, 3, 1, "same", None, 12),
    (4, 3, 1, 2, "same", None, 4),
    (4, 3, 1, 2, "valid", None, 8),
]


@pytest.mark.parametrize(
    ("size", "taps", "stride", "dilation", "padding", "extra", "output"), KERAS_SIZES
)
def test_transposed_has_keras_sizes(size, taps, stride, dilation, padding, extra, output):
    x, kernel = normal(1, size, 1), normal(taps, 2, 1)
    y = functions.conv_transpose(x, kernel, stride, padding, extra, dilation)
    assert y.shape == (1, output, 2)


def test_transposed_enlarges_as_scipy_does():
    """Zeros between the places, then a full convolution."""
    x, kernel = normal(4, 5), normal(3, 2)
    spread = np.zeros((7, 9))
    spread[::2, ::2] = x
    y = functions.conv_transpose(x[None, ..., None], kernel[..., None, None], 2)
    np.testing.assert_allclose(y[0, ..., 0], signal.convolve2d(spread, kernel), atol=1e-12)


# --- pooling ---


@pytest.mark.parametrize("padding", ["valid", "same", [(1, 0), (1, 1)]])
def test_pooling_is_the_operators(padding: Any):
    x = normal(2, 7, 6, 3)
    table = ops.tap_table((7, 6), (3, 2), (2, 1), padding)
    np.testing.assert_array_equal(
        functions.max_pool(x, (3, 2), (2, 1), padding), ops.max_pool(x, table)[0]
    )
    np.testing.assert_array_equal(
        functions.average_pool(x, (3, 2), (2, 1), padding), ops.average_pool(x, table)
    )


def test_windows_of_a_pooling_lie_side_by_side_by_default():
    x = np.arange(12.0).reshape(1, 12, 1)
    np.testing.assert_array_equal(functions.max_pool(x, 3)[0, :, 0], [2, 5, 8, 11])
    np.testing.assert_array_equal(functions.average_pool(x, 3)[0, :, 0], [1, 4, 7, 10])


# --- errors ---

X, KERNEL = np.ones((1, 5, 5, 4)), np.ones((3, 3, 2, 6))
WRONG = {
    "fill": (
        {"fill": "wrap"},
        "conv: fill must be a finite number or 'reflect', got 'wrap'",
    ),
    "fill not-a-number": (
        {"fill": np.nan},
        "conv: fill must be a finite number or 'reflect', got nan",
    ),
    "causal": (
        {"padding": "causal"},
        "conv: padding must be one of 'valid', 'same', got 'causal'",
    ),
    "padding": (
        {"padding": 3},
        "conv: padding must be one of 'valid', 'same', or 2 pairs (begin, end), got 3",
    ),
    "negative padding": (
        {"padding": [(0, -1), (0, 0)]},
        "conv: padding must be an integer of at least 0 or a tuple of 2 such integers, got (0, -1)",
    ),
    "groups": ({"groups": 0}, "conv: groups must be an integer of at least 1, got 0"),
    "filters": (
        {"groups": 4},
        "conv: the kernel's filters must be a multiple of groups (4), got 6",
    ),
    "channels": (
        {"groups": 3},
        "conv: the input must have 6 channels for a kernel of shape (3, 3, 2, 6) and groups=3, "
        "got 4",
    ),
    "rank": (
        {"x": np.ones((5, 5, 4))},
        "conv: the input must have 2 spatial axes and channels for a kernel of shape (3, 3, 2, 6), "
        "got shape (5, 4) for one sample",
    ),
    "kernel": (
        {"kernel": np.ones((2, 6))},
        "conv: the kernel's shape must be (*window, channels / groups, filters) with at least one "
        "axis of the window, got (2, 6)",
    ),
    "text": ({"x": "image"}, "conv: x must be an array of numbers, got one of <U5"),
    "window": (
        {"dilation_rate": 3},
        "conv: the window spans 7 positions along spatial axis 0 but the input has 5, padding "
        "included; use a smaller window, padding='same' or a larger input",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name: str):
    arguments, message = WRONG[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        functions.conv(**{"x": X, "kernel": KERNEL, "groups": 2, **arguments})


@pytest.mark.parametrize("fill", [0.0, 1.0, "reflect"])
def test_what_would_not_fit_into_memory_is_refused(fill: Any):
    padding = [(10**13, 0), (0, 0)]
    with pytest.raises(
        ValueError,
        match=r"^conv: the output must fit into the \S+ GB of memory, got 1 x 10000000000003 x 3 x "
        r"6 numbers of float64, 1.44e\+06 GB; use a smaller one$",
    ):
        functions.conv(X, KERNEL, padding=padding, groups=2, fill=fill)
    with pytest.raises(ValueError, match=r"^conv_input_gradient: the gradient must fit into"):
        functions.conv_input_gradient(
            np.ones((1, 1, 1, 6)), KERNEL, (10**9, 10**9, 4), 10**9, groups=2, fill=fill
        )
    with pytest.raises(ValueError, match=r"^conv_kernel_gradient: the gradient must fit into"):
        functions.conv_kernel_gradient(
            np.ones((1, 1, 1, 1000)),
            np.ones((1, 1, 1, 1000)),
            (10**4, 10**5, 1000, 1000),
            padding=[(10**4 - 1, 0), (10**5 - 1, 0)],
            fill=fill,
        )


def test_padding_alone_may_be_too_much():
    """A large stride leaves a small output of a large padded input."""
    with pytest.raises(ValueError, match=r"^conv: the padded input must fit into"):
        functions.conv(X, KERNEL, 10**12, [(10**13, 0), (0, 0)], groups=2, fill=1.0)
    assert functions.conv(X, KERNEL, 10**12, [(10**13, 0), (0, 0)], groups=2).shape == (1, 11, 1, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((1, 2, 3, 6)), (5, 5, 4)), "(batch, 3, 3, 6), got (1, 2, 3, 6)"),
        ((np.ones((1, 3, 3, 4)), (5, 5, 4)), "(batch, 3, 3, 6), got (1, 3, 3, 4)"),
    ],
)
def test_a_delta_of_another_shape_is_named(arguments: tuple, message: str):
    delta, sample = arguments
    message = f"_gradient: output_gradient's shape must be {message}"
    with pytest.raises(ValueError, match=re.escape(f"conv_input{message}")):
        functions.conv_input_gradient(delta, KERNEL, sample, groups=2)
    with pytest.raises(ValueError, match=re.escape(f"conv_kernel{message}")):
        functions.conv_kernel_gradient(X, delta, KERNEL.shape, groups=2)


def test_batches_of_different_size_are_named():
    message = "x and output_gradient must have equally many samples, got 1 and 2"
    with pytest.raises(ValueError, match=message):
        functions.conv_kernel_gradient(X, np.ones((2, 3, 3, 6)), KERNEL.shape, groups=2)


WRONG_TRANSPOSED = {
    "output_padding": (
        {"strides": 2, "output_padding": 2},
        "output_padding must be below the strides",
    ),
    "rank": ({"x": np.ones((1, 3))}, "x must have shape (batch, *grid, channels) and the kernel"),
    "channels": ({"x": np.ones((1, 3, 5))}, "x must have the 4 channels of the kernel, a multiple"),
    "groups": ({"groups": 3}, "got 4 channels and groups=3"),
    "causal": ({"padding": "causal"}, "padding must be one of 'valid', 'same', got 'causal'"),
    "pairs": ({"padding": [(1, 1), (1, 1)]}, "list of pairs (begin, end), 1 in all, got [(1, 1), "),
    "nothing left": ({"padding": [(3, 2)]}, "padding must leave at least one position"),
    "memory": ({"strides": 10**13}, "the output must fit into the"),
}


@pytest.mark.parametrize("name", WRONG_TRANSPOSED)
def test_what_does_not_fit_a_transposed_one_is_named(name: str):
    arguments, message = WRONG_TRANSPOSED[name]
    with pytest.raises(ValueError, match=f"^conv_transpose: .*{re.escape(message)}"):
        functions.conv_transpose(
            **{"x": np.ones((1, 3, 4)), "kernel": np.ones((3, 2, 4)), **arguments}
        )


@pytest.mark.parametrize("pool", [functions.max_pool, functions.average_pool])
@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (np.ones((2, 3)), (2,), "x must have shape (batch, *grid, channels), got (2, 3)"),
        (X, (0,), "pool_size must be an integer of at least 1"),
        (X, (2, 1, "causal"), "padding must be one of 'valid', 'same', got 'causal'"),
        (X, (2, 1, [(2, 0), (0, 0)]), "padding must be less than pool_size along each axis, got "),
        (X, (6,), "the window spans 6 positions along spatial axis 0 but the input has 5"),
        (np.broadcast_to(1.0, (10**13, 2, 1)), (2,), "the output must fit into the"),
    ],
)
def test_what_does_not_fit_a_pooling_is_named(pool: Any, x: Any, arguments: tuple, message: str):
    with pytest.raises(ValueError, match=f"^{pool.__name__}: {re.escape(message)}"):
        pool(x, *arguments)
