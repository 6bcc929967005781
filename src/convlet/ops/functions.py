"""Convolution and pooling as functions of arrays, with Keras's arguments instead of a tap table.

Each checks what it is given, makes the tap table, and calls the operator that executors call
(`convlet.ops.convolution`, `convlet.ops.pooling`). Here strides may go with dilation, padding may
be any number of positions, and hold any constant or the mirrored signal.

Results are float64, or float32 if all arrays given are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convlet import arguments
from convlet.ops import convolution, pooling
from convlet.ops.fft import ALGORITHMS, fft_has_room, fft_pays
from convlet.ops.padding import Fill, pad, pad_gradient
from convlet.ops.taps import Padding, TapTable, tap_table, transposed_tap_table

PerAxis = int | Sequence[int]


def read_fill(owner: str, fill: object) -> Fill:
    """Return what padding holds if it is a finite number or the word "reflect".

    Raises
    ------
    ValueError
        Otherwise.
    """
    if isinstance(fill, str) and fill.lower() == "reflect":
        return "reflect"
    try:
        return arguments.real(owner, "fill", fill)
    except ValueError:
        raise arguments.invalid(owner, "fill", "a finite number or 'reflect'", fill) from None


def read_padding(owner: str, padding: Any, rank: int) -> Padding:
    """Return the padding unless it is a word that a window of ``rank`` axes does not know.

    Raises
    ------
    ValueError
        Then; pairs are checked where the tap table is made.
    """
    words = ("valid", "same", "causal") if rank == 1 else ("valid", "same")
    if isinstance(padding, str):
        return arguments.choice(owner, "padding", padding, words)
    if not isinstance(padding, Iterable):
        pairs = "pair" if rank == 1 else "pairs"
        requirement = f"one of {', '.join(map(repr, words))}, or {rank} {pairs} (begin, end)"
        raise arguments.invalid(owner, "padding", requirement, padding)
    return list(padding)


def window_table(
    owner: str,
    input_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: PerAxis,
    padding: Padding,
    dilation_rate: PerAxis,
    groups: int,
) -> TapTable:
    """Return the tap table for an input and a kernel, once their shapes are known to fit.

    Parameters
    ----------
    input_shape : sequence of int
        (*grid, channels), without the batch axis.
    kernel_shape : sequence of int
        (*window, channels / groups, filters).

    Raises
    ------
    ValueError
        If an argument is not of its form, or one does not fit the other.
    """
    kernel = arguments.shape(owner, "the kernel's shape", kernel_shape)
    rank = len(kernel) - 2
    if rank < 1:
        requirement = "(*window, channels / groups, filters) with at least one axis of the window"
        raise arguments.invalid(owner, "the kernel's shape", requirement, kernel)
    sample = tuple(input_shape)
    if len(sample) != rank + 1:
        axes = "1 spatial axis" if rank == 1 else f"{rank} spatial axes"
        raise ValueError(
            f"{owner}: the input must have {axes} and channels for a kernel of shape {kernel}, "
            f"got shape {sample} for one sample"
        )
    arguments.integer(owner, "groups", groups)
    if kernel[-1] % groups:
        raise arguments.invalid(
            owner, "the kernel's filters", f"a multiple of groups ({groups})", kernel[-1]
        )
    if sample[-1] != kernel[-2] * groups:
        raise ValueError(
            f"{owner}: the input must have {kernel[-2] * groups} channels for a kernel of shape "
            f"{kernel} and groups={groups}, got {sample[-1]}"
        )
    padding = read_padding(owner, padding, rank)
    return tap_table(sample[:-1], kernel[:-2], strides, padding, dilation_rate, owner)


def pairs_and_unpadded(table: TapTable) -> tuple[list[tuple[int, int]], TapTable]:
    """Return the padding of each axis, and the table of a grid that is padded already."""
    padded = [
        replace(axis, size=axis.size + axis.begin + axis.end, begin=0, end=0) for axis in table.axes
    ]
    return [(axis.begin, axis.end) for axis in table.axes], TapTable(tuple(padded))


def _put_padding_around(
    owner: str, x: np.ndarray, table: TapTable, fill: Fill
) -> tuple[np.ndarray, TapTable]:
    """Return what is convolved through which table; zeros are left to the table."""
    if fill == 0:
        return x, table
    padding, unpadded = pairs_and_unpadded(table)
    shape = (len(x), *unpadded.input_shape, x.shape[-1])
    arguments.fits_memory(owner, "the padded input", shape, x.dtype)
    return pad(x, padding, fill), unpadded


def _algorithm(
    owner: str,
    algorithm: str,
    table: TapTable,
    factors: tuple[np.ndarray, np.ndarray],
    kernel_shape: Sequence[int],
    groups: int,
) -> str:
    """Return "direct" or "fft", checked; "auto" decides by the sizes of a batch and a kernel."""
    algorithm = arguments.choice(owner, "algorithm", algorithm, ALGORITHMS)
    strides = tuple(axis.stride for axis in table.axes)
    if algorithm == "fft" and max(strides) > 1:
        raise arguments.invalid(owner, "strides", "1 where algorithm is 'fft'", strides)
    if algorithm != "auto":
        return algorithm
    *_, channels, filters = kernel_shape
    pays = fft_pays(table, len(factors[0]), channels * groups, filters, groups)
    return "fft" if pays and fft_has_room(*factors) else "direct"


def conv(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    fill: Fill = 0.0,
    algorithm: str = "auto",
) -> np.ndarray:
    """Return the convolution as networks mean it, which is cross-correlation.

    Lecture 000, formula 20. The mathematician's convolution is `convlet.ops.convolve`.

    Parameters
    ----------
    x : ndarray, shape (batch, *grid, channels)
        A grid of any rank from 1.
    kernel : ndarray, shape (*window, channels / groups, filters)
    strides, dilation_rate : int or sequence of int
        Distance of neighbouring outputs, and of neighbouring taps; one for all axes, or one each.
    padding : {"valid", "same", "causal"} or sequence of (begin, end)
        "causal", for one axis alone, pads the beginning so that no output reads a later input.
    groups : int
        Channels and filters are cut into as many ranges that do not see each other.
    fill : float or "reflect"
        What the padding holds: a constant, or the signal mirrored without repeating its border, as
        `numpy.pad` has it.
    algorithm : {"auto", "direct", "fft"}
        As for `convlet.ops.correlate`; "fft" needs strides of 1.

    Returns
    -------
    ndarray, shape (batch, *output grid, filters)

    Raises
    ------
    ValueError
        If an argument is not of its form, shapes and groups do not fit each other, the window is
        larger than the padded grid, or the result would not fit into memory.
    """
    x, kernel = arguments.floats("conv", x=x, kernel=kernel)
    fill = read_fill("conv", fill)
    table = window_table("conv", x.shape[1:], kernel.shape, strides, padding, dilation_rate, groups)
    shape = (len(x), *table.output_shape, kernel.shape[-1])
    arguments.fits_memory("conv", "the output", shape, x.dtype)
    x, table = _put_padding_around("conv", x, table, fill)
    algorithm = _algorithm("conv", algorithm, table, (x, kernel), kernel.shape, groups)
    return convolution.conv(x, kernel, table, groups, algorithm)


def _check_output_gradient(
    owner: str, output_gradient: np.ndarray, table: TapTable, filters: int
) -> None:
    expected = (*table.output_shape, filters)
    if output_gradient.shape[1:] != expected:
        sizes = ", ".join(map(str, expected))
        raise arguments.invalid(
            owner, "output_gradient's shape", f"(batch, {sizes})", output_gradient.shape
        )


def conv_input_gradient(
    output_gradient: np.ndarray,
    kernel: np.ndarray,
    input_shape: Sequence[int],
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    fill: Fill = 0.0,
    algorithm: str = "auto",
) -> np.ndarray:
    """Return ∂J/∂x of `conv` from δ = ∂J/∂y.

    Lecture 001: δ_i = Σ_j δ_j * K_ij; lecture 002: the transposed Jacobian for the signal, times δ.

    Parameters
    ----------
    output_gradient : ndarray, shape (batch, *output grid, filters)
    kernel : ndarray, shape (*window, channels / groups, filters)
    input_shape : sequence of int
        (*grid, channels), the shape of one sample.
    strides, padding, dilation_rate, groups, fill, algorithm
        As given to `conv`.

    Returns
    -------
    ndarray, shape (batch, *grid, channels)

    Raises
    ------
    ValueError
        As `conv`, and if ``output_gradient`` has not the shape of its output.
    """
    owner = "conv_input_gradient"
    delta, kernel = arguments.floats(owner, output_gradient=output_gradient, kernel=kernel)
    fill = read_fill(owner, fill)
    sample = arguments.shape(owner, "input_shape", input_shape)
    table = window_table(owner, sample, kernel.shape, strides, padding, dilation_rate, groups)
    _check_output_gradient(owner, delta, table, kernel.shape[-1])
    arguments.fits_memory(owner, "the gradient", (len(delta), *sample), delta.dtype)
    algorithm = _algorithm(owner, algorithm, table, (delta, kernel), kernel.shape, groups)
    if fill != "reflect":  # whatever the constant, it has no part in the gradient
        return convolution.conv_input_gradient(delta, kernel, table, groups, algorithm)
    pairs, unpadded = pairs_and_unpadded(table)
    padded_shape = (len(delta), *unpadded.input_shape, sample[-1])
    arguments.fits_memory(owner, "the padded gradient", padded_shape, delta.dtype)
    padded = convolution.conv_input_gradient(delta, kernel, unpadded, groups, algorithm)
    return pad_gradient(padded, pairs, fill)


def conv_kernel_gradient(
    x: np.ndarray,
    output_gradient: np.ndarray,
    kernel_shape: Sequence[int],
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    fill: Fill = 0.0,
    algorithm: str = "auto",
) -> np.ndarray:
    """Return ∂J/∂kernel of `conv` from δ = ∂J/∂y, summed over the batch.

    Lecture 001: ∂J/∂K = Σ δ (patch that K met); lecture 004: Σ_t δ_t x_{t-i}.

    Parameters
    ----------
    x : ndarray, shape (batch, *grid, channels)
    output_gradient : ndarray, shape (batch, *output grid, filters)
    kernel_shape : sequence of int
        (*window, channels / groups, filters).
    strides, padding, dilation_rate, groups, fill, algorithm
        As given to `conv`.

    Returns
    -------
    ndarray, shape kernel_shape

    Raises
    ------
    ValueError
        As `conv`, and if ``output_gradient`` has not the shape of its output.
    """
    owner = "conv_kernel_gradient"
    x, delta = arguments.floats(owner, x=x, output_gradient=output_gradient)
    fill = read_fill(owner, fill)
    kernel_shape = arguments.shape(owner, "the kernel's shape", kernel_shape)
    table = window_table(owner, x.shape[1:], kernel_shape, strides, padding, dilation_rate, groups)
    _check_output_gradient(owner, delta, table, kernel_shape[-1])
    if len(x) != len(delta):
        raise ValueError(
            f"{owner}: x and output_gradient must have equally many samples, "
            f"got {len(x)} and {len(delta)}"
        )
    arguments.fits_memory(owner, "the gradient", kernel_shape, x.dtype)
    x, table = _put_padding_around(owner, x, table, fill)
    algorithm = _algorithm(owner, algorithm, table, (x, delta), kernel_shape, groups)
    return convolution.conv_kernel_gradient(x, delta, table, groups, algorithm)


def conv_transpose(
    x: np.ndarray,
    kernel: np.ndarray,
    strides: PerAxis = 1,
    padding: Padding = "valid",
    output_padding: PerAxis | None = None,
    dilation_rate: PerAxis = 1,
    groups: int = 1,
) -> np.ndarray:
    """Return the transposed convolution: the input gradient of the convolution with this kernel.

    Lecture 003, "Transposed convolution". Sizes are Keras's.

    Parameters
    ----------
    x : ndarray, shape (batch, *grid, channels)
    kernel : ndarray, shape (*window, filters / groups, channels)
    strides, dilation_rate, groups
        As `conv` has them.
    padding : {"valid", "same"} or sequence of (begin, end)
        "valid" keeps all that the window reaches, "same" gives ``size * stride`` positions; pairs
        are cut off what the window reaches.
    output_padding : int or sequence of int, optional
        Positions added at the end, fewer than the stride, which tells apart the inputs that a
        strided convolution brings to one size. With "same", the size is then ``(size - 1) * stride
        + output_padding``, and 1 more if the window spans an odd number of positions.

    Returns
    -------
    ndarray, shape (batch, *output grid, filters)

    Raises
    ------
    ValueError
        If an argument is not of its form, shapes or groups do not fit, nothing is left of the
        output, or it would not fit into memory.
    """
    owner = "conv_transpose"
    x, kernel = arguments.floats(owner, x=x, kernel=kernel)
    if kernel.ndim < 3 or x.ndim != kernel.ndim or 0 in kernel.shape + x.shape[1:]:
        raise ValueError(
            f"{owner}: x must have shape (batch, *grid, channels) and the kernel (*window, filters "
            f"/ groups, channels) with as many axes, got {x.shape} and {kernel.shape}"
        )
    channels = kernel.shape[-1]
    arguments.integer(owner, "groups", groups)
    if x.shape[-1] != channels or channels % groups:
        raise ValueError(
            f"{owner}: x must have the {channels} channels of the kernel, a multiple of groups, "
            f"got {x.shape[-1]} channels and groups={groups}"
        )
    table = _transposed_table(
        x.shape[1:-1], kernel.shape[:-2], strides, padding, output_padding, dilation_rate
    )
    shape = (len(x), *table.input_shape, kernel.shape[-2] * groups)
    arguments.fits_memory(owner, "the output", shape, x.dtype)
    return convolution.conv_input_gradient(x, kernel, table, groups)


def _transposed_table(
    grid: Sequence[int],
    window: Sequence[int],
    strides: PerAxis,
    padding: Padding,
    output_padding: PerAxis | None,
    dilation_rate: PerAxis,
) -> TapTable:
    """Return the table of the convolution that is walked backwards; pairs cut its input grid."""
    owner = "conv_transpose"
    if isinstance(padding, str):
        return transposed_tap_table(
            grid, window, strides, padding, output_padding, dilation_rate, owner
        )
    pairs = list(padding) if isinstance(padding, Iterable) else []
    if len(pairs) != len(grid):
        requirement = f"'valid', 'same' or a list of pairs (begin, end), {len(grid)} in all"
        raise arguments.invalid(owner, "padding", requirement, padding)
    cuts = [arguments.per_axis(owner, "padding", pair, 2, 0) for pair in pairs]
    added = 0 if output_padding is None else output_padding
    whole = transposed_tap_table(grid, window, strides, "valid", added, dilation_rate, owner)
    axes = [
        replace(axis, size=axis.size - begin - end, begin=begin, end=axis.end + end)
        for axis, (begin, end) in zip(whole.axes, cuts, strict=True)
    ]
    if any(axis.size < 1 for axis in axes):
        raise ValueError(
            f"{owner}: padding must leave at least one position of the output along each axis, got "
            f"{padding!r} for an output of {whole.input_shape}"
        )
    return TapTable(tuple(axes))


def _pool_table(
    owner: str, x: np.ndarray, pool_size: PerAxis, strides: PerAxis | None, padding: Padding
) -> TapTable:
    """Return the table of a pooling; no window may lie in the padding alone."""
    rank = x.ndim - 2
    if rank < 1:
        raise ValueError(f"{owner}: x must have shape (batch, *grid, channels), got {x.shape}")
    window = arguments.per_axis(owner, "pool_size", pool_size, rank)
    strides = window if strides is None else strides
    if isinstance(padding, str):
        padding = arguments.choice(owner, "padding", padding, ("valid", "same"))
    else:
        padding = read_padding(owner, padding, rank)
    table = tap_table(x.shape[1:-1], window, strides, padding, owner=owner)
    if any(max(axis.begin, axis.end) >= axis.taps for axis in table.axes):
        raise ValueError(
            f"{owner}: padding must be less than pool_size along each axis, got {padding} with "
            f"pool_size={window}"
        )
    shape = (len(x), *table.output_shape, x.shape[-1])
    arguments.fits_memory(owner, "the output", shape, x.dtype)
    return table


def max_pool(
    x: np.ndarray,
    pool_size: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the maximum of each window (lecture 000, definition 8).

    Parameters
    ----------
    x : ndarray, shape (batch, *grid, channels)
    pool_size : int or sequence of int
        Size of the window.
    strides : int or sequence of int, optional
        Distance of neighbouring windows; by default the window's size.
    padding : {"valid", "same"} or sequence of (begin, end)
        Padding takes no part; pairs must be smaller than the window.

    Returns
    -------
    ndarray, shape (batch, *output grid, channels)

    Raises
    ------
    ValueError
        If an argument is not of its form, the window is larger than the padded grid, or the result
        would not fit into memory.
    """
    (x,) = arguments.floats("max_pool", x=x)
    return pooling.max_pool(x, _pool_table("max_pool", x, pool_size, strides, padding))[0]


def average_pool(
    x: np.ndarray,
    pool_size: PerAxis,
    strides: PerAxis | None = None,
    padding: Padding = "valid",
) -> np.ndarray:
    """Return the mean of each window's inputs (lecture 000, remark 5); padding is not counted.

    Arguments, result and errors are those of `max_pool`.
    """
    (x,) = arguments.floats("average_pool", x=x)
    return pooling.average_pool(x, _pool_table("average_pool", x, pool_size, strides, padding))
