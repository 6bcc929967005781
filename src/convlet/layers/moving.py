"""Layers that move numbers: padding, cropping, upsampling, shapes, axes.

They compute nothing, but for bilinear upsampling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from convlet import arguments
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.layer import Layer, Shape
from convlet.layers.window import GridLayer
from convlet.ops import (
    TakeTable,
    TapTable,
    crop_table,
    pad_table,
    repeat_table,
    tap_table,
    transpose_table,
)
from convlet.ops.take import check_size, cropped_size

Pair = tuple[int, int]


def _known(shape: Shape) -> list[int]:
    """Return the sizes that are not left open."""
    return [size for size in shape if size is not None]


def _append_take(builder: Builder, x: Buffer, table: TakeTable) -> Buffer:
    """Append one instruction that moves numbers and puts zeros between them."""
    return builder.apply("take", x, shape=table.output_shape, table=table, fill=0.0)


class GridMove(GridLayer):
    """What moves the positions of a grid, channels and all; subclasses say where to."""

    def output_size(self, axis: int, size: int) -> int:
        """Return how many positions an axis of the output has."""
        raise NotImplementedError

    def table(self, shape: tuple[int, ...]) -> TakeTable:
        """Return the table for images of a shape."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *output grid, channels), None where the input's grid is."""
        self.check_input_shape(input_shape)
        check_size(self.owner, _known(input_shape[1:]))
        grid = tuple(
            None if size is None else self.output_size(axis, size)
            for axis, size in enumerate(input_shape[1:-1])
        )
        check_size(self.owner, _known((*grid, input_shape[-1])))
        return (input_shape[0], *grid, input_shape[-1])

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        return _append_take(builder, x, self.table(x.shape))

    def read_pairs(self, name: str, value: Any) -> tuple[Pair, ...]:
        """Return (begin, end) for each axis from what Keras takes for it.

        Raises
        ------
        ValueError
            Unless ``value`` is one integer for all, one for each axis, or two for each axis; of a
            single axis, the two.
        """
        if self.rank == 1:
            begin, end = arguments.per_axis(self.owner, name, value, 2, 0)
            return ((begin, end),)
        several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
        items = list(value) if several else [value] * self.rank
        requirement = (
            f"an integer of at least 0, a tuple of {self.rank} such integers or a tuple of "
            f"{self.rank} pairs of them (begin, end)"
        )
        try:
            pairs = [arguments.per_axis(self.owner, name, item, 2, 0) for item in items]
        except ValueError:
            raise arguments.invalid(self.owner, name, requirement, value) from None
        if len(pairs) != self.rank:
            raise arguments.invalid(self.owner, name, requirement, value)
        return tuple((begin, end) for begin, end in pairs)

    def written_pairs(self, pairs: tuple[Pair, ...]) -> list[Any]:
        """Return the pairs as Keras's configurations have them: of a single axis, the two."""
        return list(pairs[0]) if self.rank == 1 else [list(pair) for pair in pairs]


class ZeroPadding(GridMove):
    """Zeros around a grid of ``rank`` axes; the public classes fix the rank."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.padding = self.read_pairs("padding", padding)

    def output_size(self, axis: int, size: int) -> int:
        """Return how many positions an axis of the output has."""
        return size + sum(self.padding[axis])

    def table(self, shape: tuple[int, ...]) -> TakeTable:
        """Return the table for images of a shape."""
        return pad_table(shape, self.padding, owner=self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "padding": self.written_pairs(self.padding)}


class Cropping(GridMove):
    """A grid of ``rank`` axes without its border; the public classes fix the rank."""

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.cropping = self.read_pairs("cropping", cropping)

    def output_size(self, axis: int, size: int) -> int:
        """Return how many positions an axis of the output has."""
        return cropped_size(self.owner, axis, size, self.cropping[axis])

    def table(self, shape: tuple[int, ...]) -> TakeTable:
        """Return the table for images of a shape."""
        return crop_table(shape, self.cropping, owner=self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "cropping": self.written_pairs(self.cropping)}


class UpSampling(GridMove):
    """A grid of ``rank`` axes with every position repeated; the public classes fix the rank."""

    def __init__(
        self, size: int | Sequence[int] = 2, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.size = arguments.per_axis(self.owner, "size", size, self.rank)

    def output_size(self, axis: int, size: int) -> int:
        """Return how many positions an axis of the output has."""
        return size * self.size[axis]

    def table(self, shape: tuple[int, ...]) -> TakeTable:
        """Return the table for images of a shape."""
        return repeat_table(shape, self.size, owner=self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "size": list(self.size)}


class ZeroPadding1D(ZeroPadding):
    """Zeros before and behind an axis.

    Parameters
    ----------
    padding : int or tuple of int
        How many at either end, or (begin, end).
    data_format : None or "channels_last"
        Channels always come last.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes, or the result more than 2**27 numbers an image.

    Notes
    -----
    Input (batch, steps, channels), output (batch, begin + steps + end, channels). See
    `convlet.ops.pad_table`.
    """

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Zeros around images.

    Parameters
    ----------
    padding : int, tuple of int or tuple of pairs
        How many on every side; or one number for each axis; or (begin, end) for each axis.
    data_format : None or "channels_last"
        Channels always come last.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `ZeroPadding1D` does.
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes; see `ZeroPadding2D` for arguments and errors."""

    rank = 3


class Cropping1D(Cropping):
    """An axis without its first and last positions.

    Parameters
    ----------
    cropping : int or tuple of int
        How many are cut off at either end, or (begin, end).
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes, more than 2**27 numbers an image, or nothing is left of it.

    Notes
    -----
    Input (batch, steps, channels), output (batch, steps - begin - end, channels). See
    `convlet.ops.crop_table`.
    """

    rank = 1


class Cropping2D(Cropping):
    """Images without their border.

    Parameters
    ----------
    cropping : int, tuple of int or tuple of pairs
        How many positions are cut off on every side; or one number for each axis; or (begin, end)
        for each axis.
    data_format : None or "channels_last"
        Channels always come last.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Cropping1D` does.
    """

    rank = 2

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)  # Keras's default for images is none


class Cropping3D(Cropping):
    """Volumes without their border, by default of one position; see `Cropping2D`."""

    rank = 3


class UpSampling1D(UpSampling):
    """An axis with every position repeated.

    Parameters
    ----------
    size : int
        How often.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes, or the result more than 2**27 numbers an image.

    Notes
    -----
    Input (batch, steps, channels), output (batch, steps * size, channels). See
    `convlet.ops.repeat_table`.
    """

    rank = 1


class UpSampling2D(UpSampling):
    """Images enlarged: every row and column repeated, or lines drawn between them.

    Parameters
    ----------
    size : int or tuple of int
        How often, for both axes or for each.
    data_format : None or "channels_last"
        Channels always come last.
    interpolation : {"nearest", "bilinear"}
        "nearest": every new position has the value of the nearest old one; "bilinear": of the line
        between the two nearest rows and columns. Positions are the centres of pixels, and beyond
        those of the outermost pixels nothing changes any more.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `UpSampling1D` does; when it meets its input, if a bilinear kernel of such a size takes
        more memory than there is.

    Notes
    -----
    Bilinear, the new position o of an axis that grows s times lies at (o + 1/2) / s - 1/2 and has

        y[o] = Σ_i x[i] max(0, 1 - |(o + 1/2) / s - 1/2 - i|)

    with the first and the last x repeated beyond the edge. That is a transposed convolution with
    strides of s and a triangle for a kernel, each channel by itself. Going back is a convolution.
    """

    rank = 2

    def __init__(
        self,
        size: int | Sequence[int] = 2,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = arguments.choice(
            self.owner, "interpolation", interpolation, ("nearest", "bilinear")
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *output grid, channels), None where the input's grid is."""
        output_shape = super().compute_output_shape(input_shape)
        if self.interpolation == "bilinear":
            taps = 4 * math.prod(self.size)
            # measured: 80 bytes a tap for an image of one pixel; and the kernel's copies
            size = taps * (100 + 16 * math.prod(_known(input_shape[-1:])))
            arguments.bytes_fit_memory(self.owner, "bilinear upsampling by such a size", size)
        return output_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction; bilinear: the edge repeated, and a transposed convolution."""
        if self.interpolation == "nearest":
            return super().trace(builder, x)
        grid, edges = x.shape[:-1], [(int(size > 1),) * 2 for size in self.size]
        padded = _append_take(builder, x, pad_table(x.shape, edges, "edge", self.owner))
        table = self._bilinear_table(grid)
        kernel = builder.parameter(self._bilinear_kernel(x.shape[-1]))
        shape = (*table.input_shape, x.shape[-1])
        return builder.apply(
            "conv_transpose", padded, kernel, shape=shape, table=table, groups=x.shape[-1]
        )

    def _bilinear_table(self, grid: Sequence[int]) -> TapTable:
        """Return the table of the way back, from the large grid to the small one with its edge."""
        kernel_shape = [len(_triangle(size)) for size in self.size]
        beyond = [(size + size // 2 if size > 1 else 0,) * 2 for size in self.size]
        large = [size * n for size, n in zip(self.size, grid, strict=True)]
        return tap_table(large, kernel_shape, self.size, beyond, owner=self.owner)

    def _bilinear_kernel(self, channels: int) -> Variable:
        """Return the kernel, (taps, taps, 1, channels): no weight, since it is always the same."""
        triangles = np.outer(*map(_triangle, self.size))
        shape = (*triangles.shape, 1, channels)
        return Variable(
            "bilinear_kernel",
            shape,
            self.dtype,
            lambda *_: np.broadcast_to(triangles[..., None, None], shape),
            seed=0,
            trainable=False,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "interpolation": self.interpolation}


def _triangle(size: int) -> np.ndarray:
    """Return the weights of the new positions that an old one reaches, symmetrical about it."""
    taps = 2 * size - size % 2
    return 1 - np.abs(np.arange(taps) - (taps - 1) / 2) / size


class UpSampling3D(UpSampling):
    """Volumes enlarged: every position repeated along each axis; ``size`` as in `UpSampling2D`."""

    rank = 3


class Reshape(Layer):
    """Another shape for the same numbers, in row-major order.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch; one size may be -1, which is then what is left for it.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If ``target_shape`` is not of its form; when it meets its input, if that has another number
        of elements.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = self._sizes(target_shape)

    def _sizes(self, value: Any) -> tuple[int, ...]:
        """Return the target shape, checked."""
        requirement = "a tuple of integers of at least 1, one of which may be -1"
        items = list(value) if isinstance(value, Iterable) else []
        try:
            sizes = tuple(arguments.integer(self.owner, "target_shape", n, -1) for n in items)
        except ValueError:
            raise arguments.invalid(self.owner, "target_shape", requirement, value) from None
        if not sizes or 0 in sizes or sizes.count(-1) > 1:
            raise arguments.invalid(self.owner, "target_shape", requirement, value)
        return sizes

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *target_shape), None for -1 if a size of the input is left open."""
        sizes = _known(input_shape[1:])
        if len(sizes) < len(input_shape) - 1:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        count, known = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        rest = count // known
        if count % known or (rest != 1 and -1 not in self.target_shape):
            raise ValueError(
                f"{self.owner}: target_shape must hold the input's {count} numbers, "
                f"got {self.target_shape} and an input of shape {input_shape}"
            )
        return (input_shape[0], *(rest if n == -1 else n for n in self.target_shape))

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        shape = tuple(_known(self.compute_output_shape((None, *x.shape))[1:]))
        return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """A sample's axes in another order.

    Parameters
    ----------
    dims : tuple of int
        For each axis of the output, which axis of the input it is; counted from 1, since 0 is the
        batch.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If ``dims`` is no permutation; when it meets its input, if that has another number of axes
        or more than 2**27 numbers an image.

    Notes
    -----
    See `convlet.ops.transpose_table`.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(dims, Iterable) and not isinstance(dims, (str, bytes))
        items = list(dims) if several else []
        requirement = "a tuple that holds each of the numbers 1 to its length once"
        try:
            self.dims = tuple(arguments.integer(self.owner, "dims", item) for item in items)
        except ValueError:
            raise arguments.invalid(self.owner, "dims", requirement, dims) from None
        if not items or sorted(self.dims) != list(range(1, len(items) + 1)):
            raise arguments.invalid(self.owner, "dims", requirement, dims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *the other sizes in the new order)."""
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"{self.owner}: the input must have {len(self.dims)} axes beside the batch, "
                f"as many as dims={self.dims}, got {input_shape}"
            )
        check_size(self.owner, _known(input_shape[1:]))
        return (input_shape[0], *(input_shape[dim] for dim in self.dims))

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        order = [dim - 1 for dim in self.dims]
        return _append_take(builder, x, transpose_table(x.shape, order, self.owner))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "dims": list(self.dims)}
