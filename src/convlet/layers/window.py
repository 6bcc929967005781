"""What convolutions and poolings share: a window that slides over a grid of any rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments
from convlet.layers.layer import Layer, Shape
from convlet.ops import TapTable, tap_table


class GridLayer(Layer):
    """A layer on inputs of shape (batch, *grid, channels).

    The public classes fix ``rank``; nothing else tells 1-D from 3-D.
    """

    rank: int

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last"):
            raise ValueError(
                f"{self.owner}: data_format must be 'channels_last', got {data_format!r}; move the "
                "channels with numpy.moveaxis(x, 1, -1)"
            )

    def check_input_shape(self, input_shape: Shape) -> None:
        """Raise a ValueError unless the shape is (batch, *grid, channels) with known channels."""
        if len(input_shape) != self.rank + 2:
            axes = "1 spatial axis" if self.rank == 1 else f"{self.rank} spatial axes"
            raise ValueError(
                f"{self.owner}: the input must have shape (batch, {axes}, channels), "
                f"{self.rank + 2} axes in all, got {input_shape}"
            )
        if input_shape[-1] is None:
            raise ValueError(
                f"{self.owner}: the number of channels must be known, got {input_shape}"
            )


class WindowLayer(GridLayer):
    """A layer whose window slides over a grid.

    Subclasses set ``window`` (its size in taps), ``strides``, ``padding`` and ``dilation_rate``.
    """

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]

    def table(self, grid: Sequence[int]) -> TapTable:
        """Return the tap table for a grid.

        Raises
        ------
        ValueError
            If the window is larger than the padded grid.
        """
        return tap_table(
            grid, self.window, self.strides, self.padding, self.dilation_rate, self.owner
        )

    def output_grid(self, grid: Shape) -> Shape:
        """Return the sizes of the output grid, None where the input's is."""
        extents = [d * (k - 1) + 1 for k, d in zip(self.window, self.dilation_rate, strict=True)]
        known = [e if n is None else n for n, e in zip(grid, extents, strict=True)]
        sizes = self.table(known).output_shape
        return tuple(None if n is None else size for n, size in zip(grid, sizes, strict=True))

    def read_padding(self, value: object, choices: Sequence[str] = ("valid", "same")) -> str:
        """Return the padding if it is one of ``choices``."""
        return arguments.choice(self.owner, "padding", value, choices)
