"""What moves numbers: each number of the output is one number of the input, or a constant.

Padding, cropping, nearest upsampling and permuting axes are one operator with different *take
tables*. The table is a sum over axes: the number at coordinates (o1, o2, ...) of the output is

    y[o1, o2, ...] = x.flat[offset1[o1] + offset2[o2] + ...]

or the constant, if one of these offsets is -1. So ∂y/∂x is a matrix of zeros and ones, and going
back each number of the input gets the sum of the gradients of all outputs that took it, in the
order of the outputs: the chain rule's ∂J/∂x = (∂y/∂x)ᵀ δ (lectures 001 and 002).

Arrays
------
x : (batch, *table.input_shape)
y : (batch, *table.output_shape)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from convlet import arguments

Pairs = Sequence[tuple[int, int]]

_MOST_NUMBERS = 1 << 27  # of an image: half a gigabyte, and as much for their table


@dataclass(frozen=True, eq=False)
class TakeTable:
    """Which number of an image each number of another is.

    Parameters
    ----------
    input_shape : tuple of int
    offsets : tuple of ndarray
        For each axis of the output, what each coordinate adds to the place in the flattened input;
        -1 for the constant.
    """

    input_shape: tuple[int, ...]
    offsets: tuple[np.ndarray, ...]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of an image that is made."""
        return tuple(map(len, self.offsets))

    @cached_property
    def width(self) -> int:
        """How many numbers side by side always move together: the channels, or one number."""
        *others, last = self.offsets or (np.zeros(1, np.int32),)
        width = len(last)
        whole = np.array_equal(last, np.arange(width)) and self.input_shape[-1:] == (width,)
        apart = all((o[o >= 0] % width == 0).all() for o in others)
        return width if whole and apart else 1

    def sources(self) -> np.ndarray:
        """Return the table written out: the group of `width` input numbers that is taken, or -1.

        Returns
        -------
        ndarray of int32, shape (output numbers / width,)
            In row-major order of the output.
        """
        offsets = self.offsets if self.width == 1 else self.offsets[:-1]
        total = np.zeros((), np.int32)
        for offset in offsets:
            both = total[..., None] + offset // self.width
            total = np.where((total[..., None] < 0) | (offset < 0), np.int32(-1), both)
        return total.reshape(-1)


def _sizes(table: TakeTable) -> tuple[int, int]:
    """Return the numbers of groups in the input and in the output."""
    return prod(table.input_shape) // table.width, prod(table.output_shape) // table.width


def take(x: np.ndarray, table: TakeTable, fill: float = 0.0) -> np.ndarray:
    """Return the numbers that the table names, and ``fill`` where it names none."""
    inputs, _ = _sizes(table)
    sources = table.sources()
    y = x.reshape(len(x), inputs, table.width)[:, sources]
    y[:, sources < 0] = fill
    return y.reshape(len(x), *table.output_shape)


def take_gradient(output_gradient: np.ndarray, table: TakeTable, fill: float = 0.0) -> np.ndarray:
    """Return ∂J/∂x: for each number the sum of δ over the outputs that took it, in their order."""
    inputs, outputs = _sizes(table)
    sources = table.sources()
    delta = output_gradient.reshape(-1, outputs, table.width)[:, sources >= 0]
    input_gradient = np.zeros((len(output_gradient), inputs, table.width), delta.dtype)
    np.add.at(input_gradient.swapaxes(0, 1), sources[sources >= 0], delta.swapaxes(0, 1))
    return input_gradient.reshape(-1, *table.input_shape)


# --- tables ---


def check_size(owner: str, shape: Sequence[int]) -> None:
    """Raise a ValueError if an image of this shape is too large for a table.

    Parameters
    ----------
    owner : str
        Whose image it is, for the message.
    shape : sequence of int
        Of one image.

    Raises
    ------
    ValueError
        If it has more than 2**27 numbers.
    """
    if prod(shape) > _MOST_NUMBERS:
        requirement = "that of at most 2**27 numbers"
        raise arguments.invalid(owner, "the shape of an image", requirement, tuple(shape))


def cropped_size(owner: str, axis: int, size: int, pair: tuple[int, int]) -> int:
    """Return how many positions cropping leaves of an axis.

    Raises
    ------
    ValueError
        If there are none.
    """
    if sum(pair) >= size:
        raise ValueError(
            f"{owner}: cropping must leave at least 1 position along axis {axis}, "
            f"which has {size}, got {pair}"
        )
    return size - sum(pair)


def _steps(shape: Sequence[int]) -> list[int]:
    """Return the distance of neighbours along each axis of the flattened image."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _table(
    shape: tuple[int, ...], coordinates: Iterable[np.ndarray], steps: Sequence[int]
) -> TakeTable:
    """Return the table of output axes that read these coordinates, -1 for none, at these steps."""
    offsets = [
        np.where(c < 0, -1, c * step).astype(np.int32)
        for c, step in zip(coordinates, steps, strict=True)
    ]
    return TakeTable(shape, tuple(offsets))


def _along_axes(
    owner: str, shape: tuple[int, ...], sizes: Sequence[int], read: Callable[[int], np.ndarray]
) -> TakeTable:
    """Return the table of an output of these ``sizes``, whose axis n reads coordinates read(n)."""
    check_size(owner, shape)
    check_size(owner, sizes)
    return _table(shape, map(read, range(len(shape))), _steps(shape))


def _pairs(owner: str, name: str, value: Pairs, axes: int) -> list[tuple[int, int]]:
    """Return (begin, end) for each axis, (0, 0) for those behind the last pair."""
    pairs = list(value) if isinstance(value, Iterable) else []
    if not isinstance(value, Iterable) or len(pairs) > axes:
        requirement = f"at most {axes} pairs (begin, end)"
        raise arguments.invalid(owner, name, requirement, value)
    pairs += [(0, 0)] * (axes - len(pairs))
    checked = [arguments.per_axis(owner, name, pair, 2, 0) for pair in pairs]
    return [(begin, end) for begin, end in checked]


def pad_table(
    input_shape: Sequence[int], padding: Pairs, mode: str = "constant", owner: str = "pad_table"
) -> TakeTable:
    """Return the table that puts numbers around an image, as `numpy.pad` does.

    Parameters
    ----------
    input_shape : sequence of int
        Of one image, its channels included.
    padding : sequence of (begin, end)
        For its first axes; those behind stay as they are.
    mode : {"constant", "edge", "reflect"}
        ``"constant"`` puts the number `take` fills with; ``"edge"`` repeats the first and the last
        position; ``"reflect"`` mirrors the image at these, which are not repeated themselves, as
        often as it takes.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If an argument is not of its form, or the result has more than 2**27 numbers.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    pairs = _pairs(owner, "padding", padding, len(shape))
    mode = arguments.choice(owner, "mode", mode, ("constant", "edge", "reflect"))

    def read(axis: int) -> np.ndarray:
        size, (begin, end) = shape[axis], pairs[axis]
        coordinates = np.arange(-begin, size + end)
        if mode == "edge":
            return coordinates.clip(0, size - 1)
        if mode == "reflect":
            # there and back again takes 2 (n - 1) steps
            coordinates %= max(2 * (size - 1), 1)
            return np.minimum(coordinates, 2 * (size - 1) - coordinates)
        return np.where(coordinates < size, coordinates, -1)

    sizes = [size + sum(pair) for size, pair in zip(shape, pairs, strict=True)]
    return _along_axes(owner, shape, sizes, read)


def crop_table(input_shape: Sequence[int], cropping: Pairs, owner: str = "crop_table") -> TakeTable:
    """Return the table that cuts numbers off an image.

    Parameters
    ----------
    input_shape : sequence of int
        Of one image, its channels included.
    cropping : sequence of (begin, end)
        For its first axes; those behind stay as they are.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If an argument is not of its form, nothing is left, or the image has more than 2**27
        numbers.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    pairs = _pairs(owner, "cropping", cropping, len(shape))
    sizes = [cropped_size(owner, axis, shape[axis], pair) for axis, pair in enumerate(pairs)]
    return _along_axes(
        owner, shape, sizes, lambda axis: pairs[axis][0] + np.arange(sizes[axis], dtype=np.int64)
    )


def repeat_table(
    input_shape: Sequence[int], repeats: Sequence[int], owner: str = "repeat_table"
) -> TakeTable:
    """Return the table that repeats every position of an image: upsampling by the nearest one.

    Parameters
    ----------
    input_shape : sequence of int
        Of one image, its channels included.
    repeats : sequence of int
        For its first axes; those behind stay as they are.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If an argument is not of its form, or the result has more than 2**27 numbers.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    factors = arguments.shape(owner, "repeats", repeats)
    if len(factors) > len(shape):
        raise arguments.invalid(owner, "repeats", f"at most {len(shape)} integers", repeats)
    factors += (1,) * (len(shape) - len(factors))
    sizes = [size * factor for size, factor in zip(shape, factors, strict=True)]
    return _along_axes(
        owner, shape, sizes, lambda axis: np.arange(sizes[axis], dtype=np.int64) // factors[axis]
    )


def transpose_table(
    input_shape: Sequence[int], axes: Sequence[int], owner: str = "transpose_table"
) -> TakeTable:
    """Return the table that permutes the axes of an image, as `numpy.transpose` does.

    Parameters
    ----------
    input_shape : sequence of int
        Of one image.
    axes : sequence of int
        For each axis of the result, which axis of the image it is; the first one is 0.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If ``axes`` is no permutation, or the image has more than 2**27 numbers.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    order = arguments.per_axis(owner, "axes", axes, len(shape), 0)
    if sorted(order) != list(range(len(shape))):
        requirement = f"a permutation of the numbers 0 to {len(shape) - 1}"
        raise arguments.invalid(owner, "axes", requirement, axes)
    check_size(owner, shape)
    steps = _steps(shape)
    coordinates = (np.arange(shape[axis], dtype=np.int64) for axis in order)
    return _table(shape, coordinates, [steps[axis] for axis in order])
