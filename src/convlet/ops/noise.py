"""Gaussian noise, a function of the same random words as dropout's masks.

A word of 32 bits gives a normal number z by the inverse of the normal distribution function: its
first bit the sign, the others the probability u < 1/2 of what lies beyond -|z|. With x = 1 - 2u,
z = √2 erf⁻¹(x), and erf⁻¹ is the polynomial of Giles, *Approximating the erfinv function*, 2010,
good to 1e-6 of its value as far as 5 standard deviations, and to 4e-4 beyond.
"""

from __future__ import annotations

import math

import numpy as np

from convlet.ops.dropout import random_words

# of erf⁻¹(x) / x, the highest power first: in w - 2.5 and in sqrt(w) - 3, w = -ln(1 - x²)
_CENTRAL = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def standard_normal(words: np.ndarray) -> np.ndarray:
    """Return a standard normal number for each random word of 32 bits, as float64."""
    u = ((words & np.uint64(0x7FFFFFFF)).astype(np.float64) + 0.5) / 2**32
    w = -np.log(4 * u * (1 - u))
    quotient = np.where(w < 5, np.polyval(_CENTRAL, w - 2.5), np.polyval(_TAIL, np.sqrt(w) - 3))
    return np.where(words >> np.uint64(31), -1, 1) * math.sqrt(2) * (1 - 2 * u) * quotient


def gaussian_noise(x: np.ndarray, random: np.ndarray, stddev: float, layer: int) -> np.ndarray:
    """Return ``x`` plus normal numbers of mean 0; ∂J/∂x = δ.

    Parameters
    ----------
    x : ndarray, shape (batch, ...)
    random : ndarray of uint64, shape (2,)
        The run's seed and the number of the training step.
    stddev : float
        The numbers' standard deviation.
    layer : int
        A number of 32 bits that tells this layer from others.
    """
    words = random_words(len(x), math.prod(x.shape[1:]), layer, random)
    return (x + stddev * standard_normal(words).reshape(x.shape)).astype(x.dtype)
