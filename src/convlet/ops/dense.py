"""The fully connected layer's product and its gradients (lecture 001, back propagation 2 and 3).

Arrays
------
x : (batch, ..., inputs)
kernel : (inputs, units), the transpose of the lecture's W
y : (batch, ..., units)
"""

from __future__ import annotations

import numpy as np


def dense(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return z = W a."""
    return np.tensordot(x, kernel, 1)


def dense_input_gradient(output_gradient: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return ∂J/∂a = Wᵀ δ."""
    return np.tensordot(output_gradient, kernel.T, 1)


def dense_kernel_gradient(x: np.ndarray, output_gradient: np.ndarray) -> np.ndarray:
    """Return ∂J/∂W = a δᵀ, summed over the images."""
    summed = tuple(range(x.ndim - 1))
    return np.tensordot(x, output_gradient, (summed, summed))
