"""Normalization: by the statistics of a batch, of one image, or of neighbouring channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.group import ORDERS
from convlet.layers.layer import Layer, Shape
from convlet.ops import transpose_table


def _integer(owner: str, name: str, value: object) -> int:
    """Return an axis as an int; it may be counted from the end."""
    try:
        return arguments.integer(owner, name, value, -32)
    except ValueError:
        raise arguments.invalid(owner, name, "an integer", value) from None


def place_of(owner: str, axis: int, input_shape: Shape) -> int:
    """Return which axis of the input ``axis`` is, the batch's counted as 0.

    Raises
    ------
    ValueError
        If there is no such axis beside the batch's, or its size is left open.
    """
    rank = len(input_shape)
    place = axis + rank if axis < 0 else axis
    if not 1 <= place < rank or input_shape[place] is None:
        raise ValueError(
            f"{owner}: axis must be one of the input's beside the batch's and of known size, "
            f"got {axis} and an input of shape {input_shape}"
        )
    return place


def permuted(builder: Builder, x: Buffer, order: list[int], owner: str) -> Buffer:
    """Append what brings the axes of an image into an order, nothing if they are in it."""
    if order == sorted(order):
        return x
    table = transpose_table(x.shape, order, owner)
    return builder.apply("take", x, shape=table.output_shape, table=table, fill=0.0)


class AffineNormalization(Layer):
    """What all normalizations share that multiply by a weight γ and add a weight β in the end."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = arguments.real(self.owner, "epsilon", epsilon, 0)
        self.center = arguments.boolean(self.owner, "center", center)
        self.scale = arguments.boolean(self.owner, "scale", scale)
        self.beta_initializer = self.read_initializer("beta_initializer", beta_initializer)
        self.gamma_initializer = self.read_initializer("gamma_initializer", gamma_initializer)

    def make_affine(self, shape: tuple[int, ...]) -> None:
        """Make γ and β; one that was not asked for stays 1 or 0, and is no weight of the layer."""
        self.gamma = (
            self.add_weight(shape, self.gamma_initializer, name="gamma")
            if self.scale
            else Variable("gamma", shape, self.dtype, initializers.get("ones"), 0, False)
        )
        self.beta = (
            self.add_weight(shape, self.beta_initializer, name="beta")
            if self.center
            else Variable("beta", shape, self.dtype, initializers.get("zeros"), 0, False)
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
        }


class BatchStatistics(AffineNormalization):
    """Normalization by the statistics of a batch; subclasses say what has statistics of its own."""

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs)
        self.momentum = arguments.real(self.owner, "momentum", momentum, 0, 1)
        self.moving_mean_initializer = self.read_initializer(
            "moving_mean_initializer", moving_mean_initializer
        )
        self.moving_variance_initializer = self.read_initializer(
            "moving_variance_initializer", moving_variance_initializer
        )

    def channels_of(self, input_shape: Shape) -> int:
        """Return how many statistics of a kind there are for an input."""
        raise NotImplementedError

    def to_channels(self, builder: Builder, x: Buffer) -> Buffer:
        """Append what makes the last axis the one that is not summed over."""
        raise NotImplementedError

    def from_channels(self, builder: Builder, y: Buffer, shape: tuple[int, ...]) -> Buffer:
        """Append the way back to an image's shape."""
        raise NotImplementedError

    def _checked_channels(self, input_shape: Shape) -> int:
        channels = self.channels_of(input_shape)
        if self.built and channels != self.moving_mean.size:
            raise ValueError(
                f"{self.owner}: the input must have {self.moving_mean.size} channels, "
                f"for which the statistics were made, got {channels}"
            )
        return channels

    def build(self, input_shape: Shape) -> None:
        """Make γ, β, and the moving mean and variance."""
        shape = (self._checked_channels(input_shape),)
        self.make_affine(shape)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, False, "moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, False, "moving_variance"
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self._checked_channels(input_shape)
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the normalization: while training by the batch, otherwise by moving averages."""
        y = self.to_channels(builder, x)
        gamma, beta = builder.parameter(self.gamma), builder.parameter(self.beta)
        if builder.training and self.trainable:
            operator, shape = "batch_normalize", self.moving_mean.shape
            statistics = builder.apply_all("channel_moments", y, shape=shape, per_image=False)
            for moving, value in zip(
                (self.moving_mean, self.moving_variance), statistics, strict=True
            ):
                new = builder.apply(
                    "moving_average",
                    builder.latest(moving),
                    value,
                    shape=shape,
                    per_image=False,
                    momentum=self.momentum,
                )
                builder.update(moving, new)
        else:
            operator = "normalize"
            statistics = (
                builder.parameter(self.moving_mean),
                builder.parameter(self.moving_variance),
            )
        y = builder.apply(
            operator, y, *statistics, gamma, beta, shape=y.shape, epsilon=self.epsilon
        )
        return self.from_channels(builder, y, x.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


class BatchNormalization(BatchStatistics):
    """Brings each channel to mean 0 and variance 1 over the batch, then scales and shifts it.

    While training, mean and variance are those of each channel over the images and positions of the
    batch, the variance the biased one, and after each step the moving averages go on:
    ``moving = moving * momentum + batch * (1 - momentum)``. Otherwise, and while ``trainable`` is
    False, the moving averages stand in for the batch's, as in Keras.

    Parameters
    ----------
    axis : int
        The channels' axis, the batch's counted as 0.
    momentum : float
        In [0, 1].
    epsilon : float
        Added to the variance, at least 0.
    center, scale : bool
        Whether a weight β is added, and whether a weight γ multiplies.
    beta_initializer, gamma_initializer : str or Initializer
        How the first values are drawn.
    moving_mean_initializer, moving_variance_initializer : str or Initializer
        Where the moving averages begin.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if there is no such axis, or
        its size is unknown or not the one that the statistics were made for.

    Notes
    -----
    Source: Ioffe and Szegedy, 2015; see `convlet.ops.normalization`.
    """

    def __init__(self, axis: int = -1, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(momentum, **kwargs)
        self.axis = _integer(self.owner, "axis", axis)

    def channels_of(self, input_shape: Shape) -> int:
        """Return the size of the channels' axis."""
        size = input_shape[place_of(self.owner, self.axis, input_shape)]
        assert size is not None  # checked with the axis
        return size

    def _order(self, shape: tuple[int, ...]) -> list[int]:
        """Return an image's axes with the channels' last."""
        place = place_of(self.owner, self.axis, (None, *shape)) - 1
        return [*(axis for axis in range(len(shape)) if axis != place), place]

    def to_channels(self, builder: Builder, x: Buffer) -> Buffer:
        """Append what brings the channels' axis to the end, nothing if it is there."""
        return permuted(builder, x, self._order(x.shape), self.owner)

    def from_channels(self, builder: Builder, y: Buffer, shape: tuple[int, ...]) -> Buffer:
        """Append what brings it back."""
        back = np.argsort(self._order(shape)).tolist()
        return permuted(builder, y, back, self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "axis": self.axis}


class GroupBatchNormalization(BatchStatistics):
    """Batch normalization behind group convolutions: all orientations of a map share everything.

    A rotated image gives the same maps with other orientations (see `GroupConv2D`). Statistics and
    weights by map, over the orientations, too, are the same for both, so the network stays
    equivariant.

    Parameters
    ----------
    group : {"p4", "p4m"}
        That of the layers before it.
    momentum, epsilon, center, scale, beta_initializer, gamma_initializer
        As in `BatchNormalization`, one number for each map.
    moving_mean_initializer, moving_variance_initializer
        As in `BatchNormalization`.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if its channels are no multiple
        of the group's orientations, or not those that the statistics were made for.

    Notes
    -----
    Input and output (batch, rows, columns, orientations * maps). Source: Cohen and Welling, 2016,
    section 6.3.
    """

    def __init__(self, group: str = "p4", momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(momentum, **kwargs)
        self.group = arguments.choice(self.owner, "group", group, tuple(ORDERS))

    def channels_of(self, input_shape: Shape) -> int:
        """Return the number of maps."""
        order, channels = ORDERS[self.group], input_shape[-1] if len(input_shape) > 1 else None
        if channels is None or channels % order:
            raise ValueError(
                f"{self.owner}: the input must have a multiple of {order} channels, its maps in "
                f"all orientations of {self.group}, got an input of shape {input_shape}"
            )
        return channels // order

    def to_channels(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a reshape that makes the orientations an axis of the grid."""
        order = ORDERS[self.group]
        shape = (*x.shape[:-1], order, x.shape[-1] // order)
        return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)

    def from_channels(self, builder: Builder, y: Buffer, shape: tuple[int, ...]) -> Buffer:
        """Append the reshape back."""
        return builder.apply("reshape", y, shape=shape, input_shape=y.shape, output_shape=shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "group": self.group}
