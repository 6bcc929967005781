"""Convolutions in which a table says which filter sees which input channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.convolution import WeightedWindow
from convlet.layers.layer import Shape


class _ConnectedPart(initializers.Initializer):
    """Draws a full kernel and keeps what is connected."""

    def __init__(self, full: initializers.Initializer, connections: np.ndarray) -> None:
        self.full = full
        self.connections = connections

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return weights of shape (*window, connections)."""
        kernel = self.full((*shape[:-1], *self.connections.shape), "float64", seed)
        return kernel[..., self.connections]


class TableConv(WeightedWindow):
    """A convolution with a connection table; the public classes fix the rank."""

    def __init__(
        self,
        connections: Any,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides=strides, padding=padding, **kwargs)
        self._connected = self._read_connections(connections)
        self.connections = self._connected.astype(int).tolist()
        self.kernel_initializer = self.read_initializer("kernel_initializer", kernel_initializer)

    def _read_connections(self, value: Any) -> np.ndarray:
        table = arguments.numbers(self.owner, "connections", value)
        if table.ndim != 2 or table.size == 0 or not np.isin(table, (0, 1)).all():
            raise ValueError(
                f"{self.owner}: connections must be a table of zeros and ones with a row for each "
                f"input channel and a column for each filter, got shape {table.shape}"
            )
        connected = table.astype(bool)
        for filter_number, column in enumerate(connected.T):
            if not column.any():
                raise ValueError(
                    f"{self.owner}: connections must join every filter to some channel, "
                    f"filter {filter_number} has none"
                )
        return connected

    def channels_of(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked against the table."""
        channels = super().channels_of(input_shape)
        if channels != len(self._connected):
            raise ValueError(
                f"{self.owner}: the input must have {len(self._connected)} channels, as many as "
                f"connections has rows, got {channels}"
            )
        return channels

    def filters_of(self, channels: int) -> int:
        """Return the number of the table's columns."""
        return self._connected.shape[1]

    def make_kernels(self, channels: int) -> None:
        """Make the kernel, (*window, number of connections)."""
        shape = (*self.window, int(self._connected.sum()))
        initializer = _ConnectedPart(self.kernel_initializer, self._connected)
        terms = self.terms_of("kernel")
        self.kernel = self.add_weight(shape, initializer, name="kernel", **terms)

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a convolution whose kernel is zero where nothing is connected."""
        index = np.full((*self.window, *self._connected.shape), -1)
        index[..., self._connected] = np.arange(self.kernel.size).reshape(self.kernel.shape)
        table = self.table(x.shape[:-1])
        shape = (*table.output_shape, self._connected.shape[1])
        kernel = builder.tied(self.kernel, index)
        return builder.apply("conv", x, kernel, shape=shape, table=table, groups=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "connections": self.connections,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }


class TableConv1D(TableConv):
    """Convolution over one axis, each filter seeing only some of the input channels.

    Parameters
    ----------
    connections : array_like of 0 and 1, shape (channels, filters)
        Which channels each filter sees, at least one.
    kernel_size : int or tuple of int
        Size of the kernel along each axis, in taps.
    strides, padding, data_format, dilation_rate, activation, use_bias
        As in `Conv1D`, with "valid" and "same" padding.
    kernel_initializer : str or Initializer
        How the first values are drawn: those of a full kernel, of which the connected part is kept.
    bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        As in `Conv1D`.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Conv1D`; for a table that is none, or that leaves a filter without channels; when it
        meets its input, if that has not as many channels as the table has rows.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, filters), kernel (taps, connections)
    in the table's row-major order. Source: lecture 000, LeNet-5's layer C3; LeCun et al.,
    Gradient-based learning applied to document recognition, 1998, table I.
    """

    rank = 1


class TableConv2D(TableConv):
    """Convolution with a connection table over two axes; arguments are those of `TableConv1D`."""

    rank = 2


class TableConv3D(TableConv):
    """Convolution with a connection table over three axes; arguments as for `TableConv1D`."""

    rank = 3
