"""What needs every pixel: by the C++ core, or by NumPy if the reference is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convlet import _native, config
from convlet.ops.noise import standard_normal
from convlet.ops.warp import displacement_fields, draw_words
from convlet.ops.warp import warp as reference_warp

_NO_FIELD = np.empty(0, np.float32)
_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

Draw = tuple[int, int, int]  # seed, epoch, the operation's number


@dataclass(frozen=True)
class Border:
    """How places between pixels and beyond the border are read; see `convlet.ops.warp.warp`."""

    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float = 0.0


@dataclass(frozen=True)
class Field:
    """A displacement field: how it is drawn and smoothed, and what multiplies it.

    ``mix`` has shape (n, 2, 2): B in q(p) = A p + t + B d(p).
    """

    draw: Draw
    taps: np.ndarray
    mix: np.ndarray


def _is_native() -> bool:
    return config.executor() == "native"


def parameter_words(seed: int, epoch: int, operations: list[int], images: np.ndarray) -> np.ndarray:
    """Return 8 random words for each operation and image, shape (operations, images, 8)."""
    if not _is_native():
        return np.stack([draw_words(images, 2, (seed, epoch, number)) for number in operations])
    words = np.empty((len(operations), len(images), 8), np.uint32)
    numbers = np.array(operations, np.uint32)
    _native.parameter_words(seed, epoch, numbers, images, words, config.instruction_set())
    return words


def warp(
    x: np.ndarray,
    images: np.ndarray,
    matrices: np.ndarray,
    field: Field | None,
    shape: tuple[int, int],
    border: Border,
) -> np.ndarray:
    """Return warped images of another shape; see `convlet.ops.warp.warp`."""
    if not _is_native():
        displacements = None
        if field is not None:
            fields = displacement_fields(images, shape, field.taps, field.draw)
            displacements = np.einsum("nij,njrc->nirc", field.mix, fields)
        how = (border.interpolation, border.fill_mode, border.fill_value)
        return reference_warp(x, matrices, displacements, shape, *how)
    changes = np.zeros((len(x), 10), np.float32)
    changes[:, :6] = (matrices - _IDENTITY).reshape(-1, 6)
    taps, draw = _NO_FIELD, (0, 0, 0)
    if field is not None:
        changes[:, 6:] = field.mix.reshape(-1, 4)
        taps, draw = _reaching(field.taps, max(shape)), field.draw
    y = np.empty((len(x), *shape, x.shape[3]), np.float32)
    _native.warp(
        x,
        y,
        images,
        changes,
        taps,
        draw,
        getattr(_native.FillMode, border.fill_mode),
        border.fill_value,
        border.interpolation == "nearest",
        config.instruction_set(),
        config.threads(),
    )
    return y


def _reaching(taps: np.ndarray, size: int) -> np.ndarray:
    """Return the taps that reach an image's pixels from some other one of its pixels."""
    beyond = max(len(taps) // 2 - size, 0)
    return taps[beyond : len(taps) - beyond].astype(np.float32)


def normals(images: np.ndarray, shape: tuple[int, ...], draw: Draw) -> np.ndarray:
    """Return standard normal numbers for images of a shape, float32 of shape (n, *shape)."""
    y = np.zeros((len(images), *shape), np.float32)
    if not _is_native():
        units = math.prod(shape)
        words = draw_words(images, -(-units // 4), draw)[:, :units]
        return standard_normal(words).astype(np.float32).reshape(y.shape)
    _native.add_noise(y, y, images, draw, 1.0, config.instruction_set(), config.threads())
    return y


def erased(
    x: np.ndarray,
    images: np.ndarray,
    boxes: np.ndarray,
    draw: Draw,
    value: float | None,
    value_range: tuple[float, float],
) -> np.ndarray:
    """Return images of shape (n, rows, columns, channels) with a box of each filled.

    Parameters
    ----------
    boxes : ndarray of int32, shape (n, 4)
        First row, last row, first column, last column, the last ones outside.
    value : float or None
        What the boxes are filled with; None for normal numbers times the range's upper end, cut
        to the range.
    """
    low, high = value_range
    y = x.copy()
    if _is_native():
        fill = 0.0 if value is None else value
        numbers = (value is None, fill, high, low, high)
        _native.erase(y, images, boxes, draw, *numbers, config.instruction_set(), config.threads())
        return y
    noise = (
        None if value is not None else np.clip(normals(images, x.shape[1:], draw) * high, low, high)
    )
    for n, (first_row, last_row, first_column, last_column) in enumerate(boxes.tolist()):
        box = (n, slice(first_row, last_row), slice(first_column, last_column))
        y[box] = value if noise is None else noise[box]
    return y
