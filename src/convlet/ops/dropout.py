"""Dropout, with a mask that is a function and not a memory.

Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014. Each
unit is kept with probability 1 - rate and divided by it, so that expectations stay.

Whether a unit is kept is a random number keyed by seed, layer, step, image and unit (the Philox
generator of Salmon et al., 2011), so the backward pass asks again instead of remembering, and the
order in which images are computed does not matter.
"""

from __future__ import annotations

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(counter: tuple[np.ndarray, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return four random words of 32 bits for every counter: Philox4x32-10.

    Parameters
    ----------
    counter : tuple of 4 ndarrays of uint64, broadcastable
        Words below 2**32.
    key : tuple of 2 int
        Words below 2**32.

    Returns
    -------
    tuple of 4 ndarrays of uint64
        Words below 2**32.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product0, product1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c2 = (product1 >> _32) ^ c1 ^ np.uint64(k0), (product0 >> _32) ^ c3 ^ np.uint64(k1)
        c1, c3 = product1 & _LOW, product0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def random_words(images: int, units: int, layer: int, random: np.ndarray) -> np.ndarray:
    """Return a random word of 32 bits for every unit of every image.

    Parameters
    ----------
    images, units : int
    layer : int
        A number of 32 bits that tells this layer from others.
    random : ndarray of uint64, shape (2,)
        The run's seed and the number of the training step.

    Returns
    -------
    ndarray of uint64, shape (images, units)
        Words below 2**32.
    """
    seed, step = (int(word) for word in random)
    blocks = -(-units // 4)  # a counter gives four words, for four neighbouring units
    counter = (
        np.arange(blocks, dtype=np.uint64)[None, :],
        np.arange(images, dtype=np.uint64)[:, None],
        np.array([[step & 0xFFFFFFFF]], np.uint64),
        np.array([[layer]], np.uint64),
    )
    words = np.stack(philox(counter, (seed & 0xFFFFFFFF, seed >> 32)), axis=-1)
    return words.reshape(images, 4 * blocks)[:, :units]


def _kept(images: int, units: int, rate: float, layer: int, random: np.ndarray) -> np.ndarray:
    """Return which units are kept: booleans of shape (images, units)."""
    threshold = np.uint64(round((1 - rate) * 2**32))
    return random_words(images, units, layer, random) < threshold


def dropout(x: np.ndarray, random: np.ndarray, rate: float, layer: int) -> np.ndarray:
    """Return ``x`` with each unit dropped with probability ``rate``, the others scaled up.

    The same function is its own gradient: ∂J/∂x = dropout(∂J/∂y).

    Parameters
    ----------
    x : ndarray, shape (batch, ...)
        Activations, or their gradient.
    random : ndarray of uint64, shape (2,)
        The run's seed and the number of the training step.
    rate : float
        In [0, 1).
    layer : int
        A number of 32 bits that tells this layer from others.
    """
    kept = _kept(len(x), int(np.prod(x.shape[1:])), rate, layer, random).reshape(x.shape)
    return np.where(kept, x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))


def spatial_dropout(x: np.ndarray, random: np.ndarray, rate: float, layer: int) -> np.ndarray:
    """Return ``x`` with each channel of an image dropped as a whole, or kept and scaled up.

    Tompson et al., *Efficient object localization using convolutional networks*, 2015. Arguments
    and gradient as of `dropout`.
    """
    kept = _kept(len(x), x.shape[-1], rate, layer, random)
    kept = kept.reshape(len(x), *(1,) * (x.ndim - 2), -1)
    return np.where(kept, x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))
