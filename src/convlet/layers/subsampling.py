"""Trainable subsampling of any rank: the mean of a window with a coefficient and a bias a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.activation import activation_name, trace_activation
from convlet.layers.layer import Shape
from convlet.layers.pooling import Pooling


class TrainableSubsampling(Pooling):
    """Trainable subsampling; the public classes fix the rank."""

    operator = "average_pool"
    regularized = ("coefficient", "bias")

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        activation: str | None = "sigmoid",
        activation_position: str = "after",
        coefficient_initializer: Any = "ones",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.activation = activation_name(self.owner, activation)
        self.activation_position = arguments.choice(
            self.owner, "activation_position", activation_position, ("before", "after")
        )
        self.coefficient_initializer = self.read_initializer(
            "coefficient_initializer", coefficient_initializer
        )
        self.bias_initializer = self.read_initializer("bias_initializer", bias_initializer)

    def build(self, input_shape: Shape) -> None:
        """Make a coefficient and a bias for each channel."""
        self.check_input_shape(input_shape)
        shape = (self._channels(input_shape),)
        terms = self.terms_of("coefficient")
        self.coefficient = self.add_weight(
            shape, self.coefficient_initializer, name="coefficient", **terms
        )
        terms = self.terms_of("bias")
        self.bias = self.add_weight(shape, self.bias_initializer, name="bias", **terms)

    def _channels(self, input_shape: Shape) -> int:
        """Return the number of input channels, checked."""
        channels = input_shape[-1]
        assert channels is not None  # checked with the shape
        if self.built and channels != self.bias.size:
            raise ValueError(
                f"{self.owner}: the input must have {self.bias.size} channels, "
                f"for which the coefficients were made, got {channels}"
            )
        return channels

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, *output grid, channels)."""
        output_shape = super().compute_output_shape(input_shape)
        self._channels(input_shape)
        return output_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append mean and coefficient, and before or after them bias and activation."""
        if self.activation_position == "before":
            return self._trace_mean(builder, self._trace_activation(builder, x))
        return self._trace_activation(builder, self._trace_mean(builder, x))

    def _trace_mean(self, builder: Builder, x: Buffer) -> Buffer:
        y = super().trace(builder, x)
        return builder.apply("scale", y, builder.parameter(self.coefficient), shape=y.shape)

    def _trace_activation(self, builder: Builder, x: Buffer) -> Buffer:
        y = builder.apply("add_bias", x, builder.parameter(self.bias), shape=x.shape)
        return trace_activation(builder, y, self.activation)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "activation": self.activation,
            "activation_position": self.activation_position,
            "coefficient_initializer": initializers.serialize(self.coefficient_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class TrainableSubsampling1D(TrainableSubsampling):
    """The mean of each window along one axis times a coefficient, and a bias and an activation.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        As for `MaxPooling1D`.
    activation : str, optional
        One of `convlet.layers.ACTIVATIONS`.
    activation_position : {"after", "before"}
        "after": f(β mean(x) + b); "before": β mean(f(x + b)).
    coefficient_initializer, bias_initializer : str or Initializer
        How the first values are drawn, one of each for a channel.
    coefficient_regularizer, bias_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    coefficient_constraint, bias_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes or of channels, or is smaller than the window.

    Notes
    -----
    Source: lecture 001, "Either before or after the pooling layer, there is an additive bias and
    sigmoidal nonlinearity", and δ^(l) = β upsample(δ^(l+1)) • f'(z^(l)), the pooling being the
    mean. LeCun et al., 1998, take the sum in place of the mean; their coefficient is β / n for
    windows of n positions.
    """

    rank = 1


class TrainableSubsampling2D(TrainableSubsampling):
    """Trainable subsampling over two axes; see `TrainableSubsampling1D` for the arguments."""

    rank = 2


class TrainableSubsampling3D(TrainableSubsampling):
    """Trainable subsampling over three axes; see `TrainableSubsampling1D` for the arguments."""

    rank = 3
