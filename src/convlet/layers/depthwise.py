"""Depthwise and separable convolutions: each channel by itself, then mixed or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.convolution import WeightedWindow
from convlet.ops import tap_table


class Depthwise(WeightedWindow):
    """What depthwise and separable convolutions share: kernels for each channel by itself."""

    depth_multiplier: int

    def _convolve_channels(self, builder: Builder, x: Buffer, kernel: Variable) -> Buffer:
        """Append the convolution of each channel with its own kernels.

        Its kernel (*window, channels, multiplier) is, number by number, that of a convolution of as
        many groups as channels.
        """
        table, channels = self.table(x.shape[:-1]), x.shape[-1]
        filters = channels * self.depth_multiplier
        index = np.arange(kernel.size).reshape(*self.window, 1, filters)
        return builder.apply(
            "conv",
            x,
            builder.tied(kernel, index),
            shape=(*table.output_shape, filters),
            table=table,
            groups=channels,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class DepthwiseConv(Depthwise):
    """A depthwise convolution over a grid of ``rank`` axes; the public classes fix the rank."""

    regularized = ("depthwise", "bias")

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        self.depth_multiplier = arguments.integer(self.owner, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = self.read_initializer(
            "depthwise_initializer", depthwise_initializer
        )

    def filters_of(self, channels: int) -> int:
        """Return ``channels * depth_multiplier``."""
        return channels * self.depth_multiplier

    def make_kernels(self, channels: int) -> None:
        """Make the kernel, (*window, channels, depth_multiplier)."""
        shape, terms = (*self.window, channels, self.depth_multiplier), self.terms_of("depthwise")
        self.kernel = self.add_weight(shape, self.depthwise_initializer, name="kernel", **terms)

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one convolution."""
        return self._convolve_channels(builder, x, self.kernel)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        initializer = initializers.serialize(self.depthwise_initializer)
        return {**super().get_config(), "depthwise_initializer": initializer}


class DepthwiseConv1D(DepthwiseConv):
    """Convolution of each channel by itself, over one axis.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the kernel along each axis, in taps.
    strides : int or tuple of int
        Distance of neighbouring outputs, in input positions.
    padding : {"valid", "same"}
        As in `Conv1D`.
    depth_multiplier : int
        Number of kernels, and so of output channels, for each input channel.
    data_format : None or "channels_last"
        Channels always come last.
    dilation_rate : int or tuple of int
        Distance of neighbouring taps, in input positions. Above 1 only with strides of 1.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`.
    use_bias : bool
        Whether each output channel adds a bias.
    depthwise_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    depthwise_regularizer, bias_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    depthwise_constraint, bias_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Conv1D`.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, channels * depth_multiplier), kernel
    (taps, channels, depth_multiplier). Source: Howard et al., MobileNets, 2017.
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Convolution of each channel by itself, over two axes; arguments as for `DepthwiseConv1D`."""

    rank = 2


class SeparableConv(Depthwise):
    """A separable convolution over a grid of ``rank`` axes; the public classes fix the rank."""

    regularized = ("depthwise", "pointwise", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        self.filters = arguments.integer(self.owner, "filters", filters)
        self.depth_multiplier = arguments.integer(self.owner, "depth_multiplier", depth_multiplier)
        self.depthwise_initializer = self.read_initializer(
            "depthwise_initializer", depthwise_initializer
        )
        self.pointwise_initializer = self.read_initializer(
            "pointwise_initializer", pointwise_initializer
        )

    def filters_of(self, channels: int) -> int:
        """Return ``filters``."""
        return self.filters

    def make_kernels(self, channels: int) -> None:
        """Make the two kernels."""
        shape = (*self.window, channels, self.depth_multiplier)
        self.depthwise_kernel = self.add_weight(
            shape,
            self.depthwise_initializer,
            name="depthwise_kernel",
            **self.terms_of("depthwise"),
        )
        shape = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.add_weight(
            shape,
            self.pointwise_initializer,
            name="pointwise_kernel",
            **self.terms_of("pointwise"),
        )

    def convolve(self, builder: Builder, x: Buffer) -> Buffer:
        """Append both convolutions."""
        y = self._convolve_channels(builder, x, self.depthwise_kernel)
        table = tap_table(y.shape[:-1], (1,) * self.rank)
        kernel = builder.parameter(self.pointwise_kernel)
        shape = (*y.shape[:-1], self.filters)
        return builder.apply("conv", y, kernel, shape=shape, table=table, groups=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
        }


class SeparableConv1D(SeparableConv):
    """Convolution of each channel by itself, then of all channels at each position, over one axis.

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier
        Those of the first convolution, as in `DepthwiseConv1D`.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`, after the second.
    use_bias : bool
        Whether each filter adds a bias.
    depthwise_initializer, pointwise_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    depthwise_regularizer, pointwise_regularizer, bias_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    depthwise_constraint, pointwise_constraint, bias_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        As `Conv1D`.

    Notes
    -----
    Input (batch, steps, channels), output (batch, new steps, filters), kernels (taps, channels,
    depth_multiplier) and (1, channels * depth_multiplier, filters). Source: Chollet, Xception,
    2017.
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """Separable convolution over two axes; arguments and errors as for `SeparableConv1D`."""

    rank = 2
