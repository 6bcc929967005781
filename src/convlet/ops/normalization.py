"""Normalizing by statistics: of the batch, of one image, of neighbouring channels.

Ioffe and Szegedy, *Batch normalization: accelerating deep network training by reducing internal
covariate shift*, 2015: for each channel, μ and σ² over the images and positions of a batch, then

    x̂ = (x - μ) / sqrt(σ² + ε),    y = γ x̂ + β.

The mean and the variance depend on every x, and this is in the gradient by x (section 3 there, with
the sums gathered), m being the number of images times positions:

    ∂J/∂β = Σ δ,    ∂J/∂γ = Σ δ x̂,    ∂J/∂x = γ / sqrt(σ² + ε) (δ - (∂J/∂β + x̂ ∂J/∂γ) / m).
"""

from __future__ import annotations

import numpy as np


def _sum(x: np.ndarray) -> np.ndarray:
    """Return the sum over images and positions, one number for each channel."""
    return x.sum(axis=tuple(range(x.ndim - 1)))


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return μ and σ² of each channel over images and positions; σ² is the mean of (x - μ)².

    Parameters
    ----------
    x : ndarray, shape (batch, ..., channels)
    """
    count = x.size // x.shape[-1]
    mean = _sum(x) / count
    return mean, _sum((x - mean) ** 2) / count


def moving_average(average: np.ndarray, value: np.ndarray, momentum: float) -> np.ndarray:
    """Return ``average * momentum + value * (1 - momentum)``, as Keras has it."""
    return average * momentum + value * (1 - momentum)


def normalize(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Return γ (x - μ) / sqrt(σ² + ε) + β.

    Parameters
    ----------
    x : ndarray, shape (batch, ..., channels)
    mean, variance, gamma, beta : ndarray, shape (channels,)
    epsilon : float
    """
    return (x - mean) * (gamma / np.sqrt(variance + epsilon)) + beta


def normalize_gradient(
    output_gradient: np.ndarray, variance: np.ndarray, gamma: np.ndarray, epsilon: float
) -> np.ndarray:
    """Return ∂J/∂x = δ γ / sqrt(σ² + ε), where μ and σ² do not depend on x."""
    return output_gradient * (gamma / np.sqrt(variance + epsilon))


def normalization_sums(
    output_gradient: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ∂J/∂γ = Σ δ x̂ and ∂J/∂β = Σ δ, over images and positions."""
    normalized = (x - mean) / np.sqrt(variance + epsilon)
    return _sum(output_gradient * normalized), _sum(output_gradient)


def batch_normalize_gradient(
    output_gradient: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    gamma_gradient: np.ndarray,
    beta_gradient: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Return ∂J/∂x where μ and σ² are those of x.

    γ / sqrt(σ² + ε) (δ - (∂J/∂β + x̂ ∂J/∂γ) / m).
    """
    deviation, count = np.sqrt(variance + epsilon), x.size // x.shape[-1]
    normalized = (x - mean) / deviation
    shared = (beta_gradient + normalized * gamma_gradient) / count
    return gamma / deviation * (output_gradient - shared)
