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


def fold_normalization(
    kernel: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    *bias: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel and the bias of a convolution that normalizes what it makes.

    γ ((w ⋆ x + b) - μ) / sqrt(σ² + ε) + β is linear in x: each filter w is multiplied by
    γ / sqrt(σ² + ε), and the bias becomes (b - μ) γ / sqrt(σ² + ε) + β.

    Parameters
    ----------
    kernel : ndarray, shape (..., filters)
    mean, variance, gamma, beta : ndarray, shape (filters,)
    *bias : ndarray, shape (filters,)
        The convolution's, if it has one.
    epsilon : float
    """
    scale = gamma / np.sqrt(variance + epsilon)
    return kernel * scale, (sum(bias) - mean) * scale + beta


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


def _in_sets(x: np.ndarray, sets: tuple[int, int, int]) -> np.ndarray:
    return x.reshape(len(x), *sets)


def standardize(x: np.ndarray, sets: tuple[int, int, int], epsilon: float) -> np.ndarray:
    """Return x̂ = (x - μ) / sqrt(σ² + ε), with μ and σ² of some numbers of one image.

    Ba, Kiros and Hinton, *Layer normalization*, 2016, where these are all numbers or the channels
    of a position; Wu and He, *Group normalization*, 2018, where they are groups of channels.

    Parameters
    ----------
    x : ndarray, shape (batch, ...)
    sets : tuple of 3 int
        An image as (a, sets, b) numbers: each of the sets has a * b numbers, and its μ and σ².
    epsilon : float
    """
    grouped = _in_sets(x, sets)
    centred = grouped - grouped.mean(axis=(1, 3), keepdims=True)
    variance = (centred**2).mean(axis=(1, 3), keepdims=True)
    return (centred / np.sqrt(variance + epsilon)).reshape(x.shape)


def standardize_gradient(
    output_gradient: np.ndarray, x: np.ndarray, sets: tuple[int, int, int], epsilon: float
) -> np.ndarray:
    """Return ∂J/∂x = (δ - mean δ - x̂ mean(δ x̂)) / sqrt(σ² + ε), the means being of each set."""
    grouped, delta = _in_sets(x, sets), _in_sets(output_gradient, sets)
    deviation = np.sqrt(grouped.var(axis=(1, 3), keepdims=True) + epsilon)
    normalized = _in_sets(standardize(x, sets, epsilon), sets)
    mean = delta.mean(axis=(1, 3), keepdims=True)
    product = (delta * normalized).mean(axis=(1, 3), keepdims=True)
    return ((delta - mean - normalized * product) / deviation).reshape(x.shape)


def _sum_of_neighbours(x: np.ndarray, radius: int) -> np.ndarray:
    """Return for each channel the sum over those that are at most ``radius`` away."""
    channels = x.shape[-1]
    total = np.zeros_like(x)
    for shift in range(-min(radius, channels - 1), min(radius, channels - 1) + 1):
        here = slice(max(-shift, 0), channels - max(shift, 0))
        there = slice(max(shift, 0), channels - max(-shift, 0))
        total[..., here] += x[..., there]
    return total


def local_response_normalization(
    x: np.ndarray, depth_radius: int, bias: float, alpha: float, beta: float
) -> np.ndarray:
    """Return x s^-β with s = bias + α Σ x² over the channels at most ``depth_radius`` away.

    Krizhevsky, Sutskever and Hinton, *ImageNet classification with deep convolutional neural
    networks*, 2012, section 3.3, in the form of TensorFlow's function of this name.

    Parameters
    ----------
    x : ndarray, shape (batch, ..., channels)
    """
    return x * (bias + alpha * _sum_of_neighbours(x**2, depth_radius)) ** -beta


def local_response_normalization_gradient(
    output_gradient: np.ndarray,
    x: np.ndarray,
    depth_radius: int,
    bias: float,
    alpha: float,
    beta: float,
) -> np.ndarray:
    """Return ∂J/∂x = δ s^-β - 2αβ x Σ δ x s^(-β-1), the sum being over the same neighbours.

    Channel c is in the sum s of each of its neighbours, so its gradient is summed over these.
    """
    s = bias + alpha * _sum_of_neighbours(x**2, depth_radius)
    shared = _sum_of_neighbours(output_gradient * x * s ** (-beta - 1), depth_radius)
    return output_gradient * s**-beta - 2 * alpha * beta * x * shared
