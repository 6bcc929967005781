"""Orbit pooling: the maximum over what a filter sees under a group of transformations."""

from __future__ import annotations

import math
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops import tap_table


class OrbitPooling(Layer):
    """What pools over an orbit; subclasses set ``orbit_size`` and ``operator``."""

    orbit_size: int
    operator = "max_pool"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, ..., filters)."""
        channels = input_shape[-1] if len(input_shape) > 1 else None
        if channels is None or channels % self.orbit_size:
            raise ValueError(
                f"{self.owner}: the input must have shape (batch, ..., channels) with a multiple "
                f"of {self.orbit_size}, the size of an orbit, as its number of channels, "
                f"got {input_shape}"
            )
        return (*input_shape[:-1], channels // self.orbit_size)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a pooling of the grid (positions, orbit), between two reshapes."""
        *grid, channels = x.shape
        positions, filters = math.prod(grid), channels // self.orbit_size
        table = tap_table((positions, self.orbit_size), (1, self.orbit_size), owner=self.owner)
        y = self._reshape(builder, x, (positions, self.orbit_size, filters))
        y = builder.apply(self.operator, y, shape=(positions, 1, filters), table=table)
        return self._reshape(builder, y, (*grid, filters))

    def _reshape(self, builder: Builder, x: Buffer, shape: tuple[int, ...]) -> Buffer:
        return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)


class OrbitMaxPooling(OrbitPooling):
    """The maximum over an orbit: the channels that are one filter under a group.

    f_T(x) = max over τ in T of f(τ x) is invariant under every τ of the group T. With the f(τ x)
    of each filter as ``orbit_size`` channels, as `GroupConv2D` makes them, this layer takes the
    maximum of each orbit. (Of channels that are learned freely it makes maxout units.)

    Parameters
    ----------
    orbit_size : int
        Number of transformations in the group. Channels are ordered by transformation first:
        channel τ * filters + f is filter f under transformation τ.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If ``orbit_size`` is not a positive integer; when it meets its input, if it does not divide
        the number of channels.

    Notes
    -----
    Input (batch, ..., orbit_size * filters), output (batch, ..., filters). A tie goes to the first,
    not-a-number wins. Source: lecture 000, "Max-pooling: invariance", proposition 1.
    """

    def __init__(self, orbit_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.orbit_size = arguments.integer(self.owner, "orbit_size", orbit_size)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "orbit_size": self.orbit_size}
