"""Pooling layers of any rank: maximum, mean, sum or norm of a window, or of the whole grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Shape
from convlet.layers.window import GridLayer, WindowLayer
from convlet.ops import tap_table


class Pooling(WindowLayer):
    """Pooling over a grid of ``rank`` axes; the public classes fix rank and operator."""

    operator: str

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.window = arguments.per_axis(self.owner, "pool_size", pool_size, self.rank)
        strides = self.window if strides is None else strides
        self.strides = arguments.per_axis(self.owner, "strides", strides, self.rank)
        self.padding = self.read_padding(padding)
        self.dilation_rate = (1,) * self.rank

    @property
    def pool_size(self) -> tuple[int, ...]:
        """Size of the window."""
        return self.window

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *output grid, channels)."""
        self.check_input_shape(input_shape)
        return (input_shape[0], *self.output_grid(input_shape[1:-1]), input_shape[-1])

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        table = self.table(x.shape[:-1])
        return builder.apply(
            self.operator, x, shape=(*table.output_shape, x.shape[-1]), table=table
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "pool_size": list(self.window),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class GlobalPooling(GridLayer):
    """Pooling over the whole grid; the public classes fix rank and operator."""

    operator: str

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.keepdims = arguments.boolean(self.owner, "keepdims", keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, channels), with a grid of ones between if ``keepdims``."""
        self.check_input_shape(input_shape)
        grid = (1,) * self.rank if self.keepdims else ()
        return (input_shape[0], *grid, input_shape[-1])

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a pooling whose window is the grid, and a reshape."""
        *grid, channels = x.shape
        table = tap_table(grid, grid, owner=self.owner)
        pooled = (*table.output_shape, channels)
        y = builder.apply(self.operator, x, shape=pooled, table=table)
        if self.keepdims:
            return y
        shape = (channels,)
        return builder.apply("reshape", y, shape=shape, input_shape=pooled, output_shape=shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "keepdims": self.keepdims}


class MaxPooling1D(Pooling):
    """The maximum of each window along one axis.

    Parameters
    ----------
    pool_size : int or tuple of int
        Size of the window along each axis.
    strides : int or tuple of int, optional
        Distance of neighbouring windows; by default the size of the window.
    padding : {"valid", "same"}
        "valid": only windows inside the input; "same": ``ceil(size / stride)`` windows. What lies
        outside takes no part: it is no maximum and counts in no mean.
    data_format : None or "channels_last"
        Channels always come last.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes or is smaller than the window.

    Notes
    -----
    Source: lecture 000, definition 8; gradients in lecture 001. A tie goes to the first position,
    not-a-number wins.
    """

    rank = 1
    operator = "max_pool"


class MaxPooling2D(Pooling):
    """The maximum of each window over two axes; see `MaxPooling1D` for arguments and errors."""

    rank = 2
    operator = "max_pool"


class MaxPooling3D(Pooling):
    """The maximum of each window over three axes; see `MaxPooling1D` for arguments and errors."""

    rank = 3
    operator = "max_pool"


class AveragePooling1D(Pooling):
    """The mean of each window along one axis; arguments and errors are those of `MaxPooling1D`."""

    rank = 1
    operator = "average_pool"


class AveragePooling2D(Pooling):
    """The mean of each window over two axes; arguments and errors are those of `MaxPooling1D`."""

    rank = 2
    operator = "average_pool"


class AveragePooling3D(Pooling):
    """The mean of each window over three axes; arguments and errors are those of `MaxPooling1D`."""

    rank = 3
    operator = "average_pool"


class SumPooling1D(Pooling):
    """The sum of each window along one axis; arguments and errors are those of `MaxPooling1D`."""

    rank = 1
    operator = "sum_pool"


class SumPooling2D(Pooling):
    """The sum of each window over two axes; arguments and errors are those of `MaxPooling1D`."""

    rank = 2
    operator = "sum_pool"


class SumPooling3D(Pooling):
    """The sum of each window over three axes; arguments and errors are those of `MaxPooling1D`."""

    rank = 3
    operator = "sum_pool"


class L2Pooling1D(Pooling):
    """The square root of the sum of squares of each window along one axis.

    Arguments and errors are those of `MaxPooling1D`. A window of zeros has no gradient.
    """

    rank = 1
    operator = "l2_pool"


class L2Pooling2D(Pooling):
    """The square root of the sum of squares of each window over two axes; see `L2Pooling1D`."""

    rank = 2
    operator = "l2_pool"


class L2Pooling3D(Pooling):
    """The square root of the sum of squares of each window over three axes; see `L2Pooling1D`."""

    rank = 3
    operator = "l2_pool"


class GlobalMaxPooling1D(GlobalPooling):
    """The maximum of each channel over one axis.

    Parameters
    ----------
    data_format : None or "channels_last"
        Channels always come last.
    keepdims : bool
        Whether the axes that were pooled stay, with size 1.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.
    """

    rank = 1
    operator = "max_pool"


class GlobalMaxPooling2D(GlobalPooling):
    """The maximum of each channel over two axes; arguments are those of `GlobalMaxPooling1D`."""

    rank = 2
    operator = "max_pool"


class GlobalMaxPooling3D(GlobalPooling):
    """The maximum of each channel over three axes; arguments are those of `GlobalMaxPooling1D`."""

    rank = 3
    operator = "max_pool"


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel over one axis; arguments are those of `GlobalMaxPooling1D`."""

    rank = 1
    operator = "average_pool"


class GlobalAveragePooling2D(GlobalPooling):
    """The mean of each channel over two axes; arguments are those of `GlobalMaxPooling1D`."""

    rank = 2
    operator = "average_pool"


class GlobalAveragePooling3D(GlobalPooling):
    """The mean of each channel over three axes; arguments are those of `GlobalMaxPooling1D`."""

    rank = 3
    operator = "average_pool"
