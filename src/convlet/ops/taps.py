"""The tap table: which input position each output position reads, and through which kernel element.

Every operator that slides a window reads this one table, whatever its rank, stride, dilation and
padding. A *tap* is one element of the kernel. The grid is a product of axes and so is the table:
along one axis, output coordinate ``o`` reads through tap ``t`` the input coordinate

    i = o * stride + t * dilation - begin

if that lies inside the input; otherwise it reads padding, which contributes nothing. For a fixed
tap, the outputs that read inside form one interval and their inputs an arithmetic progression, so a
whole tap is one pair of slices (`TapTable.__iter__`). The forward pass walks these pairs from input
to output, the input gradient from output to input, the kernel gradient reads both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlet import arguments

Slices = tuple[slice, ...]
Padding = str | Sequence[tuple[int, int]]


_MAX_TAPS = 1 << 31  # the number of a tap fits 32 bits


def _ceil_divide(a: int, b: int) -> int:
    """Return a / b rounded up, exact for integers of any size."""
    return -(-a // b)


@dataclass(frozen=True)
class Axis:
    """One axis of a tap table.

    Parameters
    ----------
    size : int
        Number of input positions.
    taps : int
        Number of kernel elements.
    stride, dilation : int
        Distance of neighbouring outputs, and of neighbouring taps, in input positions.
    begin, end : int
        Padding before the first and after the last input position.
    """

    size: int
    taps: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0

    @property
    def extent(self) -> int:
        """Input positions that the window spans, its holes included."""
        return self.dilation * (self.taps - 1) + 1

    @property
    def outputs(self) -> int:
        """Number of output positions; below 1 if the window is larger than the padded input."""
        return (self.size + self.begin + self.end - self.extent) // self.stride + 1

    @property
    def meeting_taps(self) -> range:
        """The taps through which some output reads an input; the others meet padding alone."""
        # o * stride + t * dilation - begin must reach 0 for the last o, and stay below size for 0
        nearest = self.begin - (self.outputs - 1) * self.stride
        first = max(0, _ceil_divide(nearest, self.dilation))
        last = min(self.taps - 1, (self.size - 1 + self.begin) // self.dilation)
        return range(first, last + 1)

    def meeting(self, tap: int) -> tuple[slice, slice]:
        """Return the outputs that read an input through ``tap``, and those inputs, as slices."""
        offset = tap * self.dilation - self.begin
        first = max(0, _ceil_divide(-offset, self.stride))
        last = min(self.outputs - 1, (self.size - 1 - offset) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        start = first * self.stride + offset
        stop = last * self.stride + offset + 1
        return slice(first, last + 1), slice(start, stop, self.stride)


@dataclass(frozen=True)
class TapTable:
    """The product of its axes: a window that slides over an N-D grid.

    Iterating yields, for each kernel element in row-major order, its index, the slices of the
    outputs that read an input through it, and the slices of those inputs. Elements that meet
    nothing but padding are left out.
    """

    axes: tuple[Axis, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Sizes of the input grid."""
        return tuple(axis.size for axis in self.axes)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Sizes of the window, in taps."""
        return tuple(axis.taps for axis in self.axes)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Sizes of the output grid."""
        return tuple(axis.outputs for axis in self.axes)

    @property
    def taps(self) -> int:
        """Number of kernel elements."""
        return prod(self.kernel_shape)

    def number(self, tap: tuple[int, ...]) -> int:
        """Return the place of a tap in row-major order."""
        number = 0
        for index, size in zip(tap, self.kernel_shape, strict=True):
            number = number * size + index
        return number

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], Slices, Slices]]:
        for tap in itertools.product(*(axis.meeting_taps for axis in self.axes)):
            meetings = [axis.meeting(t) for axis, t in zip(self.axes, tap, strict=True)]
            yield tap, tuple(m[0] for m in meetings), tuple(m[1] for m in meetings)

    def counts(self) -> np.ndarray:
        """Return how many taps of each output position read an input: shape `output_shape`."""
        counts = np.zeros(self.output_shape, np.int64)
        for _, outputs, _ in self:
            counts[outputs] += 1
        return counts

    def positions(self) -> np.ndarray:
        """Return the table written out: the flat input position that is read, -1 for padding.

        Returns
        -------
        ndarray of int64, shape (output positions, taps)
            Rows and columns in row-major order of the output grid and of the kernel.
        """
        grid = np.arange(prod(self.input_shape)).reshape(self.input_shape)
        table = np.full((*self.output_shape, self.taps), -1, np.int64)
        for tap, outputs, inputs in self:
            table[..., self.number(tap)][outputs] = grid[inputs]
        return table.reshape(-1, self.taps)


def _padding_of_axis(padding: str, size: int, extent: int, stride: int) -> tuple[int, int]:
    """Return (begin, end) as Keras counts them: an odd rest of 'same' goes to the end."""
    if padding == "same":
        outputs = _ceil_divide(size, stride)
        total = max((outputs - 1) * stride + extent - size, 0)
        return total // 2, total - total // 2
    if padding == "causal":
        return extent - 1, 0
    return 0, 0


def _padding_of_axes(
    owner: str,
    padding: Padding,
    shape: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
) -> list[tuple[int, int]]:
    """Return (begin, end) of every axis."""
    if isinstance(padding, str):
        word = arguments.choice(owner, "padding", padding, ("valid", "same", "causal"))
        return [
            _padding_of_axis(word, n, extent, s)
            for n, extent, s in zip(shape, extents, strides, strict=True)
        ]
    pairs = list(padding) if isinstance(padding, Iterable) else []
    if not isinstance(padding, Iterable) or len(pairs) != len(shape):
        requirement = f"'valid', 'same', 'causal' or {len(shape)} pairs (begin, end)"
        raise arguments.invalid(owner, "padding", requirement, padding)
    begins_and_ends = [arguments.per_axis(owner, "padding", pair, 2, 0) for pair in pairs]
    return [(begin, end) for begin, end in begins_and_ends]


def tap_table(
    input_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation_rate: int | Sequence[int] = 1,
    owner: str = "tap_table",
) -> TapTable:
    """Return the tap table of a window that slides over a grid.

    Parameters
    ----------
    input_shape, kernel_shape : sequence of int
        Sizes of the grid and of the window; any rank, 0 included.
    strides, dilation_rate : int or sequence of int
        One for all axes, or one for each.
    padding : {"valid", "same", "causal"} or sequence of (begin, end)
        ``"same"`` keeps ``ceil(size / stride)`` outputs and depends on the size; ``"causal"`` pads
        the beginning alone, so that no output reads a later input.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If an argument is not of its form, or the window is larger than the padded grid.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    rank = len(shape)
    kernel = arguments.per_axis(owner, "kernel_shape", kernel_shape, rank)
    stride = arguments.per_axis(owner, "strides", strides, rank)
    dilation = arguments.per_axis(owner, "dilation_rate", dilation_rate, rank)
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    pads = _padding_of_axes(owner, padding, shape, extents, stride)
    axes = tuple(
        Axis(n, k, s, d, *pad)
        for n, k, s, d, pad in zip(shape, kernel, stride, dilation, pads, strict=True)
    )
    for number, axis in enumerate(axes):
        if axis.outputs < 1:
            raise ValueError(
                f"{owner}: the window spans {axis.extent} positions along spatial axis {number} "
                f"but the input has {axis.size + axis.begin + axis.end}, padding included; use a "
                "smaller window, padding='same' or a larger input"
            )
    if prod(kernel) >= _MAX_TAPS:
        raise arguments.invalid(owner, "the window", "of less than 2**31 taps", kernel)
    return TapTable(axes)


def transposed_tap_table(
    input_shape: Sequence[int],
    kernel_shape: Sequence[int],
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    owner: str = "transposed_tap_table",
) -> TapTable:
    """Return the table that a transposed convolution reads backwards, from outputs to inputs.

    Its output grid is the grid that is given; its input grid is the one that is made, of size

        "valid":  (n - 1) * stride + extent + output_padding
        "same":   (n - 1) * stride + extent % 2 + output_padding

    along an axis of n positions, where the kernel's extent is ``dilation * (taps - 1) + 1``.
    Without ``output_padding`` it is ``(n - 1) * stride + max(extent, stride)`` and ``n * stride``.

    Parameters
    ----------
    input_shape, kernel_shape : sequence of int
        Sizes of the grid that is given and of the window.
    strides, dilation_rate : int or sequence of int
        One for all axes, or one for each.
    padding : {"valid", "same"}
    output_padding : int or sequence of int, optional
        Positions added at the end, fewer than the stride.
    owner : str
        Whose table it is, for messages.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: Keras 3, whose sizes these are; with the defaults it is the transpose of the convolution
    of the same padding.
    """
    shape = arguments.shape(owner, "input_shape", input_shape)
    rank = len(shape)
    word = arguments.choice(owner, "padding", padding, ("valid", "same"))
    kernel = arguments.per_axis(owner, "kernel_shape", kernel_shape, rank)
    stride = arguments.per_axis(owner, "strides", strides, rank)
    dilation = arguments.per_axis(owner, "dilation_rate", dilation_rate, rank)
    added = output_paddings(owner, output_padding, stride)
    axes = tuple(map(_transposed_axis, shape, kernel, stride, dilation, [word] * rank, added))
    if any(axis.size < 1 for axis in axes):
        sizes = tuple(axis.size for axis in axes)
        raise ValueError(
            f"{owner}: an input of {shape} positions gives outputs of {sizes}; use a larger input, "
            "a larger kernel or more output_padding"
        )
    return TapTable(axes)


def output_paddings(
    owner: str, output_padding: Any, strides: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return the output padding of each axis, None where the size is the usual one."""
    if output_padding is None:
        return (None,) * len(strides)
    added = arguments.per_axis(owner, "output_padding", output_padding, len(strides), 0)
    if any(n >= stride for n, stride in zip(added, strides, strict=True)):
        requirement = f"below the strides, {strides}"
        raise arguments.invalid(owner, "output_padding", requirement, output_padding)
    return added


def _transposed_axis(
    size: int, taps: int, stride: int, dilation: int, padding: str, added: int | None
) -> Axis:
    extent = dilation * (taps - 1) + 1
    if padding == "valid":
        begin = 0
        made = (size - 1) * stride + (max(extent, stride) if added is None else extent + added)
    else:
        made = size * stride if added is None else (size - 1) * stride + extent % 2 + added
        # Keras pads the spread out input by `total`, the larger half of it at the beginning
        total = made - (size - 1) * stride + extent - 2
        begin = extent - 1 - min(_ceil_divide(total, 2), extent - 1)
    return Axis(made, taps, stride, dilation, begin, (size - 1) * stride + extent - made - begin)
