"""How far a layer or a network is from turning with its input: equivariance, measured.

Lecture 000: a map Φ is equivariant to a transformation T if Φ(T x) = T Φ(x), invariant if
Φ(T x) = Φ(x). Convolutions are equivariant to translations, group convolutions to their group; how
nearly anything else is, these functions measure.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from convlet import arguments
from convlet.layers import Layer

Transform = Callable[[np.ndarray], np.ndarray]


def translation(shift: Sequence[int]) -> Transform:
    """Return the transformation that shifts samples, with zeros coming in.

    Parameters
    ----------
    shift : sequence of int
        Positions along each axis of the grid, towards larger coordinates if positive.

    Raises
    ------
    ValueError
        If ``shift`` holds anything but integers; when called, if samples have another rank.
    """
    try:
        steps = tuple(operator.index(n) for n in shift)
    except TypeError:
        requirement = "integers, one for each axis of the grid"
        raise arguments.invalid("translation", "shift", requirement, shift) from None

    def translate(x: np.ndarray) -> np.ndarray:
        _check_rank("translation", x, len(steps))
        y = np.zeros_like(x)
        to: list[slice] = [slice(None)]
        of: list[slice] = [slice(None)]
        for step, size in zip(steps, x.shape[1:-1], strict=True):
            to.append(slice(max(step, 0), max(size + min(step, 0), 0)))
            of.append(slice(max(-step, 0), max(size - max(step, 0), 0)))
        y[tuple(to)] = x[tuple(of)]
        return y

    return translate


def rotation(degrees: float) -> Transform:
    """Return the transformation that turns images about their middle, against the clock.

    Multiples of 90 degrees are exact; others are interpolated by cubic splines, with zeros coming
    in at the corners (`scipy.ndimage.rotate`).

    Raises
    ------
    ValueError
        If ``degrees`` is no number; when called, if samples are no images (two axes of a grid).
    ImportError
        When called, if SciPy is needed and missing.
    """
    angle = arguments.real("rotation", "degrees", degrees) % 360

    def rotate(x: np.ndarray) -> np.ndarray:
        _check_rank("rotation", x, 2)
        if angle % 90 == 0:
            return np.rot90(x, int(angle // 90), axes=(1, 2))
        from scipy import ndimage

        return ndimage.rotate(x, angle, axes=(2, 1), reshape=False)

    return rotate


def scaling(factor: float) -> Transform:
    """Return the transformation that enlarges images about their middle, keeping their size.

    Values between pixels are interpolated by cubic splines, zeros come in from outside.

    Parameters
    ----------
    factor : float
        Above 0; 2 makes everything twice as large.

    Raises
    ------
    ValueError
        If ``factor`` is no positive number.
    ImportError
        When called, if SciPy is missing.
    """
    zoom = arguments.real("scaling", "factor", factor)
    if zoom <= 0:
        raise arguments.invalid("scaling", "factor", "a number above 0", factor)

    def scale(x: np.ndarray) -> np.ndarray:
        from scipy import ndimage

        matrix = np.ones(x.ndim)
        matrix[1:-1] = 1 / zoom
        middle = (np.array(x.shape) - 1) / 2
        return ndimage.affine_transform(x, matrix, offset=middle - matrix * middle)

    return scale


def equivariance_error(
    layer: Layer,
    transform: Transform,
    x: Any,
    output_transform: Transform | None = None,
    margin: int = 0,
) -> float:
    """Return how far Φ(T x) is from T Φ(x), relative to the size of T Φ(x).

    Parameters
    ----------
    layer : Layer
        A layer or a model, Φ.
    transform : callable
        T, from an array of samples to one of the same shape: `translation`, `rotation`, `scaling`,
        or one's own.
    x : array_like, shape (batch, *grid, channels)
        The samples that it is measured on.
    output_transform : callable, optional
        What T is to the output: a shift by fewer positions behind a stride, with the maps changing
        places behind a group convolution. By default T itself where the output has a grid of as
        many axes; where it has none, nothing: then the error is that of invariance.
    margin : int
        Positions at each border of the output's grid that are left out, since what a
        transformation brings in from outside is not what was there.

    Returns
    -------
    float
        ‖Φ(T x) - T Φ(x)‖ / ‖T Φ(x)‖, 0 for an equivariant layer; the difference itself where
        T Φ(x) is zero.

    Raises
    ------
    ValueError
        If an argument is not of its form, a transformation changes a shape, or the margin leaves
        nothing.
    """
    owner = "equivariance_error"
    samples = np.asarray(arguments.numbers(owner, "x", x), layer.dtype)
    moved = _applied(owner, transform, samples, "transform")
    expected = layer(samples)
    if output_transform is not None:
        expected = _applied(owner, output_transform, expected, "output_transform")
    elif expected.ndim == samples.ndim:
        expected = _applied(owner, transform, expected, "transform")
    inside = _inside(owner, expected.shape, arguments.integer(owner, "margin", margin, 0))
    difference = layer(np.ascontiguousarray(moved))[inside] - expected[inside]
    size = float(np.linalg.norm(expected[inside]))
    return float(np.linalg.norm(difference)) / (size or 1.0)


def _applied(owner: str, transform: Transform, x: np.ndarray, name: str) -> np.ndarray:
    y = np.asarray(transform(x))
    if y.shape != x.shape:
        raise ValueError(f"{owner}: {name} must keep the shape {x.shape}, got {y.shape}")
    return y


def _inside(owner: str, shape: tuple[int, ...], margin: int) -> tuple[slice, ...]:
    if margin and (len(shape) < 3 or min(shape[1:-1]) <= 2 * margin):
        raise ValueError(
            f"{owner}: margin must leave something of the output's grid {shape[1:-1]}, got {margin}"
        )
    if not margin:
        return (slice(None),)
    return (slice(None), *(slice(margin, size - margin) for size in shape[1:-1]))


def _check_rank(owner: str, x: np.ndarray, rank: int) -> None:
    if x.ndim != rank + 2:
        raise ValueError(
            f"{owner}: samples must have {rank} axes between batch and channels, "
            f"got shape {x.shape}"
        )
