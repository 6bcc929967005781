"""Weights that stand in several places of a kernel, or in some of them alone.

Lecture 000, formula 15: a shared weight's gradient is the sum of the gradients of its places. So a
kernel that is laid out from fewer weights (rotated copies, a connection table between maps, the
same numbers in another shape) is an ordinary kernel to whoever convolves with it.
"""

from __future__ import annotations

import math

import numpy as np


def tie(
    weights: np.ndarray, index: np.ndarray, weights_shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Return a kernel that is laid out from weights.

    Parameters
    ----------
    weights : ndarray
    index : ndarray of int
        For each place of the kernel, the weight that stands there, counted in row-major order; -1
        for a place that is always zero.
    weights_shape : tuple of int, optional
        The weights' shape, which the gradient needs.

    Returns
    -------
    ndarray, shape of ``index``
    """
    return np.where(index < 0, weights.dtype.type(0), weights.ravel()[index])


def tie_gradient(
    kernel_gradient: np.ndarray, index: np.ndarray, weights_shape: tuple[int, ...]
) -> np.ndarray:
    """Return ∂J/∂weights: for each weight the sum over its places."""
    there = index >= 0
    total = np.bincount(index[there], kernel_gradient[there], math.prod(weights_shape))
    return total.reshape(weights_shape).astype(kernel_gradient.dtype)
