"""Locally connected layers of any rank: convolutions without shared weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.activation import trace_activation
from convlet.layers.convolution import WeightedWindow
from convlet.layers.layer import Shape


class _KernelForEach(initializers.Initializer):
    """Draws for each position as for a convolution's kernel: fans are those of one window."""

    def __init__(self, one: initializers.Initializer, window: tuple[int, ...]) -> None:
        self.one = one
        self.window = window

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        """Return weights of shape (positions, taps * channels, filters)."""
        positions, products, filters = shape
        channels = products // math.prod(self.window)
        # the last but one axis of a kernel counts as its input channels, so positions go before
        seeds = np.random.SeedSequence(seed).generate_state(positions, np.uint64)
        one = (*self.window, channels, filters)
        drawn = [self.one(one, "float64", None if seed is None else int(s)) for s in seeds]
        return np.stack(drawn).reshape(shape)


class LocallyConnected(WeightedWindow):
    """A locally connected layer over a grid of ``rank`` axes; the public classes fix the rank."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides=strides, padding=padding, **kwargs)
        self.filters = arguments.integer(self.owner, "filters", filters)
        self.kernel_initializer = self.read_initializer("kernel_initializer", kernel_initializer)
        self._grid: tuple[int, ...] = ()

    def check_input_shape(self, input_shape: Shape) -> None:
        """Raise a ValueError unless the shape is the one for which there are weights."""
        super().check_input_shape(input_shape)
        grid = input_shape[1:-1]
        if self.built and None not in grid and grid != self._grid:
            raise ValueError(
                f"{self.owner}: the input's grid must be {self._grid}, for which the weights were "
                f"made, got {grid}"
            )

    def filters_of(self, channels: int) -> int:
        """Return ``filters``."""
        return self.filters

    def build(self, input_shape: Shape) -> None:
        """Make kernel and bias."""
        self._built_for = self.channels_of(input_shape)
        if None in input_shape[1:-1]:
            raise ValueError(
                f"{self.owner}: every position has weights of its own, so the input's sizes must "
                f"be known, got {input_shape}"
            )
        self._grid = tuple(n for n in input_shape[1:-1] if n is not None)
        outputs = self.table(self._grid).output_shape
        products = math.prod(self.window) * self._built_for
        initializer = _KernelForEach(self.kernel_initializer, self.window)
        shape = (math.prod(outputs), products, self.filters)
        terms = self.terms_of("kernel")
        self.kernel = self.add_weight(shape, initializer, name="kernel", **terms)
        if self.use_bias:
            biases, terms = (*outputs, self.filters), self.terms_of("bias")
            self.bias = self.add_weight(biases, self.bias_initializer, name="bias", **terms)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append sums of products, biases and activation."""
        table = self.table(x.shape[:-1])
        shape = (*table.output_shape, self.filters)
        kernel = builder.parameter(self.kernel)
        y = builder.apply("local_conv", x, kernel, shape=shape, table=table)
        if self.use_bias:
            y = self._add_biases(builder, y)
        return trace_activation(builder, y, self.activation)

    def _add_biases(self, builder: Builder, y: Buffer) -> Buffer:
        """Append the addition of a bias for each unit: with positions and filters as one axis."""
        flat = (math.prod(y.shape),)
        bias = builder.tied(self.bias, np.arange(self.bias.size))
        z = builder.apply("reshape", y, shape=flat, input_shape=y.shape, output_shape=flat)
        z = builder.apply("add_bias", z, bias, shape=flat)
        return builder.apply("reshape", z, shape=y.shape, input_shape=flat, output_shape=y.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }


class LocallyConnected1D(LocallyConnected):
    """A window that slides over one axis, with weights of its own at every position.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or tuple of int
        Size of the window along each axis, in taps.
    strides, padding, data_format, dilation_rate, activation
        As in `Conv1D`, with "valid" and "same" padding.
    use_bias : bool
        Whether each filter adds a bias, another one at each position.
    kernel_initializer, bias_initializer : str or Initializer
        How the first values are drawn, at each position as for a convolution.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        As in `Conv1D`.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Conv1D`; when it meets its input, if that leaves sizes open, or has not those for which
        the weights were made.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, filters), kernel (new steps, taps *
    channels, filters), bias (new steps, filters): the layout of Keras 2, which had these layers.
    Source: lecture 001, the layer that a convolution is by sharing weights.
    """

    rank = 1


class LocallyConnected2D(LocallyConnected):
    """A locally connected layer over two axes; arguments are those of `LocallyConnected1D`.

    Notes
    -----
    Kernel (new rows * new columns, taps * channels, filters), bias (new rows, new columns,
    filters). Source: Taigman et al., DeepFace, 2014.
    """

    rank = 2


class LocallyConnected3D(LocallyConnected):
    """A locally connected layer over three axes; arguments are those of `LocallyConnected1D`."""

    rank = 3
