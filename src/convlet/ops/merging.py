"""What makes one array of several: products, extrema, and arrays side by side.

Sums are `convlet.ops.add`; a difference and a mean are sums of what `convlet.ops.rescale` returns.
The gradients are the chain rule's, element by element: of a product δ times the other factor, of
an extremum δ for the operand that it was taken from and 0 for the other, of arrays side by side
the part of δ that stands where each one stood.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``x * y`` of two arrays of one shape; going back, ∂J/∂x = δ y and ∂J/∂y = δ x."""
    return x * y


def maximum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the larger of each two numbers; not-a-number, if one of them is."""
    return np.maximum(x, y)


def maximum_gradient(
    output_gradient: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ∂J/∂x and ∂J/∂y: δ goes to the larger number, of equal ones to the first.

    JAX and Keras on it give each of two equal numbers one half.
    """
    return _shared_out(output_gradient, (x >= y) | np.isnan(x))


def minimum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the smaller of each two numbers; not-a-number, if one of them is."""
    return np.minimum(x, y)


def minimum_gradient(
    output_gradient: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ∂J/∂x and ∂J/∂y: δ goes to the smaller number, of equal ones to the first."""
    return _shared_out(output_gradient, (x <= y) | np.isnan(x))


def _shared_out(delta: np.ndarray, to_first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    zero = delta.dtype.type(0)
    return np.where(to_first, delta, zero), np.where(to_first, zero, delta)


def concatenate(*arrays: np.ndarray, axis: int, sizes: Sequence[int]) -> np.ndarray:
    """Return arrays side by side.

    Parameters
    ----------
    arrays : ndarray, shape (batch, ...)
        All sizes but that of ``axis`` are the same.
    axis : int
        Of an image, from 0.
    sizes : sequence of int
        That of each array along the axis.
    """
    return np.concatenate(arrays, axis=axis + 1)


def concatenate_gradient(
    output_gradient: np.ndarray, axis: int, sizes: Sequence[int]
) -> tuple[np.ndarray, ...]:
    """Return ∂J/∂x for each array: δ, cut where they meet."""
    return tuple(np.split(output_gradient, np.cumsum(sizes)[:-1], axis=axis + 1))
