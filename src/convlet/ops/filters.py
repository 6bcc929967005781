"""Filters that people made by hand, long before networks learned theirs.

All but `gabor_bank` are arrays of the grid's rank, to be used with `convlet.ops.convolve`, the
mathematician's convolution. Only for `sobel` and for a `gabor` whose phase is no multiple of π does
it matter: a correlation gives the other sign. Axis 0 points down, axis 1 to the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from convlet import arguments

_SMALLEST, _LARGEST = 1e-6, 1e9  # lengths in positions; their quotients can be squared


def _outer(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the product of one factor for each axis."""
    return reduce(np.multiply.outer, factors)


def _positive(owner: str, name: str, value: object) -> float:
    """Return a number that is neither 0 nor out of all proportion."""
    return arguments.real(owner, name, value, _SMALLEST, _LARGEST)


def _size(owner: str, value: object) -> tuple[int, ...]:
    """Return the sizes of a filter; one number stands for rows and columns."""
    if isinstance(value, Iterable):
        sizes = arguments.shape(owner, "size", value)
        if not sizes:
            raise arguments.invalid(owner, "size", "an integer or a tuple of integers", value)
    else:
        sizes = (arguments.integer(owner, "size", value),) * 2
    arguments.fits_memory(owner, "the filter", sizes, np.float64)
    return sizes


def _from_centre(size: int) -> np.ndarray:
    """Return the coordinates of ``size`` places; 0 lies in the middle."""
    return np.arange(size) - (size - 1) / 2


def gaussian(size: int | Sequence[int], sigma: float | Sequence[float] = 1.0) -> np.ndarray:
    """Return a Gaussian filter, exp(-x² / 2σ²) along each axis, which sums to 1.

    Parameters
    ----------
    size : int or sequence of int
        Rows and columns, or the sizes of any number of axes.
    sigma : float or sequence of float
        Standard deviation in positions, one for all axes or one for each.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    sizes = _size("gaussian", size)
    sigmas = list(sigma) if isinstance(sigma, Iterable) else [sigma] * len(sizes)
    if len(sigmas) != len(sizes):
        requirement = f"a number above 0 or {len(sizes)} such numbers"
        raise arguments.invalid("gaussian", "sigma", requirement, sigma)
    factors = []
    for n, s in zip(sizes, sigmas, strict=True):
        exponent = -((_from_centre(n) / _positive("gaussian", "sigma", s)) ** 2) / 2
        factor = np.exp(exponent - exponent.max())  # the largest is 1, however small sigma
        factors.append(factor / factor.sum())
    return _outer(factors)


def binomial(size: int | Sequence[int]) -> np.ndarray:
    """Return the binomial filter, the small Gaussian kernel of lecture 000, example 2.

    Along an axis of 5 it is (1, 4, 6, 4, 1) / 16, whose variance is 1; (size - 1) / 4 for any size.

    Parameters
    ----------
    size : int or sequence of int
        Rows and columns, or the sizes of any number of axes, each at most 1000.

    Raises
    ------
    ValueError
        If it is not of its form.
    """
    sizes = _size("binomial", size)
    if max(sizes) > 1000:  # the integers below have as many digits in base 2
        raise arguments.invalid("binomial", "size", "at most 1000", size)
    factors = [np.array([math.comb(n - 1, k) / 2 ** (n - 1) for k in range(n)]) for n in sizes]
    return _outer(factors)


def sobel(axis: int = 1, rank: int = 2) -> np.ndarray:
    """Return Sobel's filter for edges: the difference along one axis, smoothed along the others.

    Convolved with a signal that rises by 1 from place to place along the axis it gives 8 (in two
    dimensions), as `scipy.ndimage.sobel` does. Lecture 003, "2D Convolution in Traditional Computer
    Vision": for axis 1 it is ((1, 0, -1), (2, 0, -2), (1, 0, -1)).

    Parameters
    ----------
    axis : int
        The axis along which differences are taken; 1 finds vertical edges.
    rank : int
        Number of axes.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    rank = _rank("sobel", rank)
    axis = arguments.integer("sobel", "axis", axis, 0)
    if axis >= rank:
        raise arguments.invalid("sobel", "axis", f"an axis below rank ({rank})", axis)
    difference, smooth = np.array([1.0, 0.0, -1.0]), np.array([1.0, 2.0, 1.0])
    return _outer([difference if n == axis else smooth for n in range(rank)])


def laplacian(rank: int = 2, diagonals: bool = False) -> np.ndarray:
    """Return the Laplacian filter: the sum of the second differences along all axes.

    Parameters
    ----------
    rank : int
        Number of axes.
    diagonals : bool
        Whether all neighbours count, those across corners included: in two dimensions -8 among
        eight ones instead of -4 among four.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    rank = _rank("laplacian", rank)
    diagonals = arguments.boolean("laplacian", "diagonals", diagonals)
    away = np.abs(np.indices((3,) * rank) - 1).sum(axis=0)  # steps from the middle
    neighbours = (away > 0) if diagonals else (away == 1)
    kernel = neighbours.astype(np.float64)
    kernel[(1,) * rank] = -neighbours.sum()
    return kernel


def _rank(owner: str, value: object) -> int:
    rank = arguments.integer(owner, "rank", value)
    if rank > 8:  # 3 ** 8 are 6,561 places
        raise arguments.invalid(owner, "rank", "at most 8", value)
    return rank


def _envelope(owner: str, wavelength: float, sigma: Any, bandwidth: Any) -> float:
    """Return the standard deviation of a Gabor filter's Gaussian."""
    if sigma is not None and bandwidth is not None:
        raise ValueError(
            f"{owner}: give sigma or bandwidth, one follows from the other, "
            f"got sigma={sigma!r} and bandwidth={bandwidth!r}"
        )
    if sigma is not None:
        return _positive(owner, "sigma", sigma)
    octaves = arguments.real(owner, "bandwidth", 1.0 if bandwidth is None else bandwidth, 0.01, 100)
    ratio = (2**octaves + 1) / (2**octaves - 1)
    return _positive(owner, "wavelength", wavelength * math.sqrt(math.log(2) / 2) / math.pi * ratio)


def gabor(
    size: int | Sequence[int],
    wavelength: float,
    orientation: float = 0.0,
    phase: float = 0.0,
    *,
    sigma: float | None = None,
    bandwidth: float | None = None,
    aspect_ratio: float = 1.0,
) -> np.ndarray:
    """Return a Gabor function, a wave under a Gaussian: what simple cells of the eye's cortex see.

    w(x, y) = exp(-(x'² + γ² y'²) / 2σ²) cos(2π x' / λ + φ), where x' = x cos τ + y sin τ and
    y' = -x sin τ + y cos τ; x points right and y down, both are 0 in the middle. Lecture 003, "The
    Neuro-scientific Basis", after Goodfellow, Bengio and Courville, formulas 9.16 to 9.18; their
    frequency is 2π / λ, their β_x is 1 / 2σ² and their β_y is γ² / 2σ².

    Parameters
    ----------
    size : int or sequence of two int
        Rows and columns.
    wavelength : float
        λ, in positions.
    orientation, phase : float
        τ and φ, in radians: where the wave runs to, and what it has at the middle.
    sigma : float, optional
        σ, in positions.
    bandwidth : float, optional
        Instead of sigma: the octaves between the two frequencies along x' at which the filter's
        answer is half as strong as at its best, from 0.01 to 100; by default 1. σ is λ / π
        sqrt(ln 2 / 2) (2^b + 1) / (2^b - 1).
    aspect_ratio : float
        γ; below 1 the Gaussian is longer along the wave's crests.

    Returns
    -------
    ndarray of float64, shape (rows, columns)

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    owner = "gabor"
    sizes = _size(owner, size)
    if len(sizes) != 2:
        raise arguments.invalid(owner, "size", "an integer or a tuple of two", size)
    wavelength = _positive(owner, "wavelength", wavelength)
    orientation = arguments.real(owner, "orientation", orientation)
    phase = arguments.real(owner, "phase", phase)
    gamma = _positive(owner, "aspect_ratio", aspect_ratio)
    sigma = _envelope(owner, wavelength, sigma, bandwidth)
    y, x = np.meshgrid(*map(_from_centre, sizes), indexing="ij")
    along = x * math.cos(orientation) + y * math.sin(orientation)
    across = -x * math.sin(orientation) + y * math.cos(orientation)
    gauss = np.exp(-((along / sigma) ** 2 + (gamma * across / sigma) ** 2) / 2)
    return gauss * np.cos(2 * math.pi * along / wavelength + phase)


def _at_least_one(owner: str, name: str, values: Any) -> tuple[float, ...]:
    numbers = tuple(values) if isinstance(values, Iterable) else ()
    if not numbers:
        raise arguments.invalid(owner, name, "a list of at least one number", values)
    return numbers


def gabor_bank(
    size: int | Sequence[int],
    wavelengths: Sequence[float],
    orientations: int = 8,
    phases: Sequence[float] = (0.0, math.pi / 2),
    *,
    bandwidth: float = 1.0,
    aspect_ratio: float = 1.0,
) -> np.ndarray:
    """Return Gabor functions of all wavelengths, orientations and phases as one kernel.

    It is what a `Conv2D` of one input channel takes as its kernel. The default phases are an even
    and an odd function; the sum of their squared answers does not depend on where in its wave an
    edge lies.

    Parameters
    ----------
    size, bandwidth, aspect_ratio
        As `gabor` has them, the same for all.
    wavelengths, phases : sequence of float
    orientations : int
        Number of orientations, equally far apart from 0 to π.

    Returns
    -------
    ndarray of float64, shape (rows, columns, 1, filters)
        The phase changes fastest, then the orientation.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    owner = "gabor_bank"
    sizes = _size(owner, size)
    count = arguments.integer(owner, "orientations", orientations)
    wavelengths = _at_least_one(owner, "wavelengths", wavelengths)
    phases = _at_least_one(owner, "phases", phases)
    filters = len(wavelengths) * count * len(phases)
    arguments.fits_memory(owner, "the bank", (*sizes, 1, filters), np.float64)
    bank = [
        gabor(
            sizes,
            wavelength,
            math.pi * n / count,
            phase,
            bandwidth=bandwidth,
            aspect_ratio=aspect_ratio,
        )
        for wavelength in wavelengths
        for n in range(count)
        for phase in phases
    ]
    return np.stack(bank, axis=-1)[:, :, None]
