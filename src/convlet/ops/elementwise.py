"""Small operators that change no sums: reshaping, adding, and scaling."""

from __future__ import annotations

import numpy as np

Shape = tuple[int, ...]


def reshape(x: np.ndarray, input_shape: Shape, output_shape: Shape) -> np.ndarray:
    """Return ``x`` with every image in ``output_shape`` in place of ``input_shape``."""
    return x.reshape(len(x), *output_shape)


def reshape_gradient(
    output_gradient: np.ndarray, input_shape: Shape, output_shape: Shape
) -> np.ndarray:
    """Return ∂J/∂x: δ with every image back in ``input_shape``."""
    return output_gradient.reshape(len(output_gradient), *input_shape)


def add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``x + y``; gradients of a value that is used twice add up (the chain rule's sum)."""
    return x + y


def rescale(x: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return ``x * scale + offset``, numbers or one for each channel."""
    return (x * scale + offset).astype(x.dtype, copy=False)


def rescale_gradient(
    output_gradient: np.ndarray, scale: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Return ∂J/∂x = δ * scale; the offset takes no part."""
    return (output_gradient * scale).astype(output_gradient.dtype, copy=False)


def scale(x: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return ``x * gamma``, one factor for each channel; going back, ∂J/∂x = scale(δ, γ).

    Parameters
    ----------
    x : ndarray, shape (batch, ..., channels)
    gamma : ndarray, shape (channels,)
    """
    return x * gamma


def scale_gradient(x: np.ndarray, output_gradient: np.ndarray) -> np.ndarray:
    """Return ∂J/∂γ: for each channel the sum of x δ over images and positions."""
    return (x * output_gradient).sum(axis=tuple(range(x.ndim - 1)))
