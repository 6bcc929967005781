"""Layers that know no grid: the input, fully connected layers, and what changes shape or scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers, regularizers
from convlet.engine import Buffer, Builder
from convlet.layers.activation import activation_name, trace_activation
from convlet.layers.graph import KerasTensor, Node
from convlet.layers.layer import Layer, Shape


class InputLayer(Layer):
    """The shape of what a network is given; made by `Input`.

    Parameters
    ----------
    shape : tuple
        Shape of one sample, without the batch; None for sizes left open.
    **kwargs
        ``name`` and ``dtype`` of `Layer`.
    """

    penalizes_output = False

    def __init__(self, shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape: Shape = arguments.shape(self.owner, "shape", shape, allow_none=True)
        self.inbound_nodes.append(Node(self, [], (None, *self.shape)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append nothing."""
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "shape": list(self.shape)}


def Input(  # noqa: N802 - Keras's name
    shape: Sequence[int | None], name: str | None = None, dtype: str | None = None
) -> KerasTensor:
    """Return the beginning of a network: a tensor that layers are called on.

    It also stands first in the list of a `Sequential`.

    Parameters
    ----------
    shape : tuple
        Without the batch; None for sizes left open, as in ``(None, None, 3)``.
    name : str, optional
    dtype : {"float32", "float64"}, optional

    Raises
    ------
    ValueError
        If ``shape`` holds anything but positive integers and None.
    """
    tensor: KerasTensor = InputLayer(shape, name=name, dtype=dtype).output
    return tensor


class Dense(Layer):
    """A fully connected layer: every unit sees every input channel.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`.
    use_bias : bool
        Whether each unit adds a bias.
    kernel_initializer, bias_initializer : str or Initializer
        How the first values are drawn.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    kernel_constraint, bias_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if the number of input channels
        is unknown or not the one that the kernel was made for.

    Notes
    -----
    Input (batch, ..., channels), output (batch, ..., units), kernel (channels, units). Source:
    lecture 001, "Mathematics of back propagation in CNN" 2 and 3.
    """

    regularized = ("kernel", "bias")

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = arguments.integer(self.owner, "units", units)
        self.activation = activation_name(self.owner, activation)
        self.use_bias = arguments.boolean(self.owner, "use_bias", use_bias)
        self.kernel_initializer = self.read_initializer("kernel_initializer", kernel_initializer)
        self.bias_initializer = self.read_initializer("bias_initializer", bias_initializer)

    def _channels(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked."""
        channels = input_shape[-1] if len(input_shape) > 1 else None
        if channels is None:
            raise ValueError(
                f"{self.owner}: the input must have shape (batch, ..., channels) with a known "
                f"number of channels, got {input_shape}"
            )
        if self.built and channels != self.kernel.shape[0]:
            raise ValueError(
                f"{self.owner}: the input must have {self.kernel.shape[0]} channels, "
                f"for which the kernel was made, got {channels}"
            )
        return channels

    def build(self, input_shape: Shape) -> None:
        """Make kernel and bias."""
        shape, terms = (self._channels(input_shape), self.units), self.terms_of("kernel")
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **terms)
        if self.use_bias:
            terms = self.terms_of("bias")
            self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias", **terms)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, ..., units)."""
        self._channels(input_shape)
        return (*input_shape[:-1], self.units)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append product, bias and activation."""
        shape = (*x.shape[:-1], self.units)
        y = builder.apply("dense", x, builder.parameter(self.kernel), shape=shape)
        if self.use_bias:
            y = builder.apply("add_bias", y, builder.parameter(self.bias), shape=shape)
        return trace_activation(builder, y, self.activation)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Flatten(Layer):
    """All of a sample's axes as one, in row-major order.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, product of the other sizes), None if one of them is."""
        sizes = [n for n in input_shape[1:] if n is not None]
        known = len(sizes) == len(input_shape) - 1
        return (input_shape[0], math.prod(sizes) if known else None)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        shape = (math.prod(x.shape),)
        return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)


class ActivityRegularization(Layer):
    """Gives its input as it is, which adds (l1 Σ|x| + l2 Σx²) / samples to the loss.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        The factors, at least 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        self.l1 = arguments.real("ActivityRegularization", "l1", l1, 0)
        self.l2 = arguments.real("ActivityRegularization", "l2", l2, 0)
        super().__init__(activity_regularizer=regularizers.L1L2(self.l1, self.l2), **kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append nothing."""
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config


class Rescaling(Layer):
    """``x * scale + offset``: brings inputs to the range that a network was made for.

    Parameters
    ----------
    scale, offset : float or sequence of float
        One number, or one for each channel.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.
    """

    def __init__(
        self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale = self._numbers("scale", scale)
        self.offset = self._numbers("offset", offset)

    def _numbers(self, name: str, value: Any) -> float | list[float]:
        if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1:
            return [self._number(name, item) for item in value]
        return self._number(name, value)

    def _number(self, name: str, value: Any) -> float:
        number = arguments.real(self.owner, name, value)
        if abs(number) > float(np.finfo(self.dtype).max):
            raise arguments.invalid(self.owner, name, f"within the range of {self.dtype}", value)
        return number

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(value, list) and len(value) != input_shape[-1]:
                raise ValueError(
                    f"{self.owner}: {name} must be one number or one for each of the input's "
                    f"channels, got {len(value)} numbers and an input of shape {input_shape}"
                )
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        scale, offset = np.array(self.scale, self.dtype), np.array(self.offset, self.dtype)
        return builder.apply("rescale", x, shape=x.shape, scale=scale, offset=offset)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
