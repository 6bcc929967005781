"""Convolution as networks mean it (cross-correlation), its input gradient and its kernel gradient.

Lecture 000, formula 20, for output channel r and input channels u:

    y[r][s, t] = Σ_u Σ_Δ w[r, u][Δs, Δt] x[u][s + Δs, t + Δt]

Here a grid of any rank, and the tap table says which x meets which w. Each function walks the taps;
for one tap the sum over channels is a matrix product over all images and positions at once.

Arrays
------
x : (batch, *table.input_shape, channels)
kernel : (*table.kernel_shape, channels / groups, filters), Keras's layout
y : (batch, *table.output_shape, filters)

With groups, filters and channels are cut into as many equal ranges; a range of filters sees one
range of channels. ``algorithm`` is "fft" for a computation by `convlet.ops.fft`, strides being 1;
"direct" and "auto" are the formulas themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convlet.ops.fft import fft_conv, fft_conv_input_gradient, fft_conv_kernel_gradient
from convlet.ops.taps import TapTable

_ALL = slice(None)


def _channel_groups(channels: int, filters: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """Yield the ranges of channels and of filters that belong together."""
    for g in range(groups):
        yield (
            slice(g * channels // groups, (g + 1) * channels // groups),
            slice(g * filters // groups, (g + 1) * filters // groups),
        )


def conv(
    x: np.ndarray, kernel: np.ndarray, table: TapTable, groups: int = 1, algorithm: str = "direct"
) -> np.ndarray:
    """Return the convolution of ``x`` with ``kernel`` (lecture 001: z_j = Σ_i a_i ∘ K_ij)."""
    if algorithm == "fft":
        return fft_conv(x, kernel, table, groups)
    filters = kernel.shape[-1]
    y = np.zeros((len(x), *table.output_shape, filters), x.dtype)
    for tap, outputs, inputs in table:
        for u, r in _channel_groups(x.shape[-1], filters, groups):
            # y[r] += w[Δ, u, r] x[u], at every output position that meets this tap
            y[(_ALL, *outputs, r)] += np.tensordot(x[(_ALL, *inputs, u)], kernel[tap][:, r], 1)
    return y


def conv_input_gradient(
    output_gradient: np.ndarray,
    kernel: np.ndarray,
    table: TapTable,
    groups: int = 1,
    algorithm: str = "direct",
) -> np.ndarray:
    """Return ∂J/∂x from δ = ∂J/∂y: the same table, walked from outputs to inputs.

    Lecture 001: δ_i = Σ_j δ_j * K_ij, a true convolution; lecture 002: the transposed Jacobian with
    respect to the signal, times δ.
    """
    if algorithm == "fft":
        return fft_conv_input_gradient(output_gradient, kernel, table, groups)
    filters = kernel.shape[-1]
    channels = kernel.shape[-2] * groups
    shape = (len(output_gradient), *table.input_shape, channels)
    input_gradient = np.zeros(shape, output_gradient.dtype)
    for tap, outputs, inputs in table:
        for u, r in _channel_groups(channels, filters, groups):
            delta = output_gradient[(_ALL, *outputs, r)]
            # within one tap every input is met at most once, so += loses nothing
            input_gradient[(_ALL, *inputs, u)] += np.tensordot(delta, kernel[tap][:, r].T, 1)
    return input_gradient


def conv_kernel_gradient(
    x: np.ndarray,
    output_gradient: np.ndarray,
    table: TapTable,
    groups: int = 1,
    algorithm: str = "direct",
) -> np.ndarray:
    """Return ∂J/∂kernel from δ = ∂J/∂y, summed over the images.

    Lecture 001: ∂J/∂K_ij = Σ_uv (δ_j)_uv (a_i)_uv, where (a_i)_uv is the patch that K met at u, v;
    lecture 004: Σ_t δ_t x_{t-i}; lecture 000, formula 15: a shared weight adds up its uses.
    """
    if algorithm == "fft":
        return fft_conv_kernel_gradient(x, output_gradient, table, groups)
    filters = output_gradient.shape[-1]
    channels = x.shape[-1]
    shape = (*table.kernel_shape, channels // groups, filters)
    kernel_gradient = np.zeros(shape, output_gradient.dtype)
    summed = tuple(range(x.ndim - 1))
    for tap, outputs, inputs in table:
        for u, r in _channel_groups(channels, filters, groups):
            patch = x[(_ALL, *inputs, u)]
            delta = output_gradient[(_ALL, *outputs, r)]
            kernel_gradient[tap][:, r] = np.tensordot(patch, delta, (summed, summed))
    return kernel_gradient


def add_bias(x: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return ``x + bias``, one bias for each channel (the last axis)."""
    return x + bias


def bias_gradient(output_gradient: np.ndarray) -> np.ndarray:
    """Return ∂J/∂b = Σ_uv δ_uv, over all images and positions (lecture 001)."""
    return output_gradient.sum(axis=tuple(range(output_gradient.ndim - 1)))
