"""Warps: each pixel of a new image is read at some place of the old one, between its pixels.

With p a pixel's place (row, column) in the new image, its place in the old one is

    q(p) = A p + t + B d(p)

A p + t is affine (Keras's rotations, zooms, shears, translations), d a displacement field (Simard,
Steinkraus and Platt, *Best practices for convolutional neural networks applied to visual document
analysis*, 2003): uniform noise from -1 to 1, smoothed by a Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convlet.ops.dropout import philox

_LOW = np.uint64(0xFFFF)


def draw_words(images: np.ndarray, counters: int, draw: tuple[int, int, int]) -> np.ndarray:
    """Return random words of 32 bits that depend on image, place and draw alone.

    Parameters
    ----------
    images : ndarray of int, shape (n,)
        The images' numbers in the data set.
    counters : int
        Words for each image, by 4.
    draw : tuple of 3 int
        Seed, epoch, and a number of 32 bits that tells this operation from others.

    Returns
    -------
    ndarray of uint64, shape (n, 4 counters)
        The first words of all counters, then the second ones, and so on.
    """
    seed, epoch, operation = draw
    counter = (
        np.arange(counters, dtype=np.uint64)[None, :],
        images.astype(np.uint64)[:, None],
        np.array([[epoch & 0xFFFFFFFF]], np.uint64),
        np.array([[operation]], np.uint64),
    )
    return np.concatenate(philox(counter, (seed & 0xFFFFFFFF, seed >> 32)), axis=1)


def gaussian_taps(sigma: float) -> np.ndarray:
    """Return the Gaussian exp(-k² / 2σ²) at whole k from -3σ to 3σ, its sum 1."""
    radius = int(3 * sigma + 0.5)
    k = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (k / sigma) ** 2) if sigma > 0 else np.ones(1)
    return taps / taps.sum()


def displacement_fields(
    images: np.ndarray, shape: tuple[int, int], taps: np.ndarray, draw: tuple[int, int, int]
) -> np.ndarray:
    """Return smooth random fields, for rows and for columns.

    Parameters
    ----------
    images, draw
        As those of `draw_words`.
    shape : tuple of 2 int
        Rows and columns.
    taps : ndarray, shape (2 r + 1,)
        What noise is smoothed by along each axis; beyond the image it counts as 0.

    Returns
    -------
    ndarray, shape (n, 2, rows, columns)
    """
    size = math.prod(shape)
    words = draw_words(images, -(-size // 4), draw)[:, :size].reshape(-1, *shape)
    halves = np.stack([words & _LOW, words >> np.uint64(16)], axis=1)
    noise = (halves.astype(np.float64) + 0.5) / 32768 - 1
    for axis in (2, 3):
        noise = _smoothed(noise, taps, axis)
    return noise


def _smoothed(x: np.ndarray, taps: np.ndarray, axis: int) -> np.ndarray:
    """Return y[i] = Σ_k taps[k] x[i + k - r] along an axis, x being 0 outside."""
    radius, size = len(taps) // 2, x.shape[axis]
    around = [(radius, radius) if n == axis else (0, 0) for n in range(x.ndim)]
    padded = np.pad(x, around)
    parts = (
        tap * padded.take(range(k, k + size), axis=axis) for k, tap in enumerate(taps.tolist())
    )
    return sum(parts, np.zeros_like(x))


def _pixels_along(i: np.ndarray, size: int, fill_mode: str) -> np.ndarray:
    """Return the pixels that stand for numbers along an axis; with a constant, the nearest."""
    if fill_mode == "wrap":
        return i % size
    if fill_mode == "reflect":
        return np.minimum(i % (2 * size), 2 * size - 1 - i % (2 * size))
    return np.clip(i, 0, size - 1)


def warp(
    x: np.ndarray,
    matrices: np.ndarray,
    displacements: np.ndarray | None = None,
    shape: Sequence[int] | None = None,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
) -> np.ndarray:
    """Return images whose pixels come from other places of the given ones.

    Parameters
    ----------
    x : ndarray, shape (n, rows, columns, channels)
    matrices : ndarray, shape (n, 2, 3)
        (A | t) for each image: where (row, column, 1) of the new image is in the old one.
    displacements : ndarray, shape (n, 2, *shape), optional
        B d(p), for rows and for columns.
    shape : sequence of 2 int, optional
        Rows and columns of the new images; those of ``x`` by default.
    interpolation : {"bilinear", "nearest"}
        Whether a value lies between four pixels or is the nearest one's.
    fill_mode : {"constant", "nearest", "reflect", "wrap"}
        What is beyond the border: ``kkkk|abcd|kkkk``, ``aaaa|abcd|dddd``, ``dcba|abcd|dcba``,
        ``abcd|abcd|abcd``.
    fill_value : float
        The constant k.

    Returns
    -------
    ndarray, shape (n, *shape, channels)
        In the type of ``x``.
    """
    rows, columns = x.shape[1:3] if shape is None else shape
    places = np.stack([*np.indices((rows, columns)), np.ones((rows, columns))])
    q = np.einsum("nij,jrc->nirc", matrices, places)
    if displacements is not None:
        q = q + displacements
    if interpolation == "nearest":
        whole = np.floor(q + 0.5)
        return _values(x, whole, fill_mode, fill_value).astype(x.dtype)
    whole = np.floor(q)
    result = np.zeros((len(x), rows, columns, x.shape[3]))
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        offset = np.array(corner).reshape(1, 2, 1, 1)
        shares = np.where(offset, q - whole, 1 - (q - whole)).prod(axis=1)
        result += shares[..., None] * _values(x, whole + offset, fill_mode, fill_value)
    return result.astype(x.dtype)


def _values(x: np.ndarray, places: np.ndarray, fill_mode: str, fill_value: float) -> np.ndarray:
    """Return the pixels at whole places, some of them beyond the border."""
    i, j = places[:, 0].astype(np.int64), places[:, 1].astype(np.int64)
    r = _pixels_along(i, x.shape[1], fill_mode)
    c = _pixels_along(j, x.shape[2], fill_mode)
    values = x[np.arange(len(x))[:, None, None], r, c]
    if fill_mode == "constant":
        return np.where(((r == i) & (c == j))[..., None], values, fill_value)
    return values
