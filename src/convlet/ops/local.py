"""Locally connected layers: a window that slides, with weights of its own at every position.

Lecture 001: a convolution is a locally connected layer whose positions share their weights. Without
sharing, for output position o and the window's taps Δ,

    y[r][o] = Σ_u Σ_Δ w[o, Δ, u, r] x[u][o + Δ]

and the gradients are those of a convolution before its shared weight adds up its uses. The tap
table says which x each tap meets.

Arrays
------
x : (batch, *table.input_shape, channels)
kernel : (output positions, taps * channels, filters), both in row-major order
y : (batch, *table.output_shape, filters)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet.ops.taps import TapTable

_ALL = slice(None)


def _by_tap(kernel: np.ndarray, table: TapTable) -> np.ndarray:
    """Return the kernel as (*output_shape, taps, channels, filters)."""
    return kernel.reshape(*table.output_shape, table.taps, -1, kernel.shape[-1])


def _place(table: TapTable, tap: tuple[int, ...], outputs: tuple[slice, ...]) -> Any:
    """Return the index of one tap's weights at some outputs."""
    return (*outputs, table.number(tap))


def local_conv(x: np.ndarray, kernel: np.ndarray, table: TapTable) -> np.ndarray:
    """Return the locally connected layer's output."""
    weights = _by_tap(kernel, table)
    y = np.zeros((len(x), *table.output_shape, kernel.shape[-1]), x.dtype)
    for tap, outputs, inputs in table:
        w = weights[_place(table, tap, outputs)]
        y[(_ALL, *outputs)] += np.einsum("n...u,...ur->n...r", x[(_ALL, *inputs)], w)
    return y


def local_conv_input_gradient(
    output_gradient: np.ndarray, kernel: np.ndarray, table: TapTable
) -> np.ndarray:
    """Return ∂J/∂x from δ = ∂J/∂y: each δ goes back through the weights that it came by."""
    weights = _by_tap(kernel, table)
    shape = (len(output_gradient), *table.input_shape, weights.shape[-2])
    input_gradient = np.zeros(shape, output_gradient.dtype)
    for tap, outputs, inputs in table:
        w = weights[_place(table, tap, outputs)]
        delta = output_gradient[(_ALL, *outputs)]
        input_gradient[(_ALL, *inputs)] += np.einsum("n...r,...ur->n...u", delta, w)
    return input_gradient


def local_conv_kernel_gradient(
    x: np.ndarray, output_gradient: np.ndarray, table: TapTable
) -> np.ndarray:
    """Return ∂J/∂kernel from δ = ∂J/∂y, summed over the images: δ times what each weight met."""
    channels, filters = x.shape[-1], output_gradient.shape[-1]
    shape = (*table.output_shape, table.taps, channels, filters)
    kernel_gradient = np.zeros(shape, output_gradient.dtype)
    for tap, outputs, inputs in table:
        patch, delta = x[(_ALL, *inputs)], output_gradient[(_ALL, *outputs)]
        kernel_gradient[_place(table, tap, outputs)] = np.einsum("n...u,n...r->...ur", patch, delta)
    return kernel_gradient.reshape(-1, table.taps * channels, filters)
