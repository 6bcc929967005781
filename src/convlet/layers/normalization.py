"""Normalization: by the statistics of a batch, of one image, or of neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.group import ORDERS
from convlet.layers.layer import Layer, Shape
from convlet.ops import transpose_table


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

    gamma: Variable | None
    beta: Variable | None
    regularized = ("beta", "gamma")

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
        """Make γ and β; in place of one that was not asked for stands 1 or 0, no weight."""
        self.gamma = self.beta = None
        self.factor = Variable("gamma", shape, self.dtype, initializers.get("ones"), 0, False)
        self.shift = Variable("beta", shape, self.dtype, initializers.get("zeros"), 0, False)
        if self.scale:
            terms = self.terms_of("gamma")
            self.factor = self.add_weight(shape, self.gamma_initializer, name="gamma", **terms)
            self.gamma = self.factor
        if self.center:
            terms = self.terms_of("beta")
            self.shift = self.add_weight(shape, self.beta_initializer, name="beta", **terms)
            self.beta = self.shift

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
        gamma, beta = builder.parameter(self.factor), builder.parameter(self.shift)
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
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    beta_constraint, gamma_constraint : str or Constraint, optional
        What the weights must be after every step of training.
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
        self.axis = arguments.axis(self.owner, axis)

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
        As in `BatchNormalization`, one number for each map; regularizers and constraints, too.
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

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the normalization; by moving averages, those of a map stand at each of its places.

        A convolution before it can then do it (`convlet.engine.planner`).
        """
        if builder.training and self.trainable:
            return super().trace(builder, x)
        places = np.tile(np.arange(self.moving_mean.size), ORDERS[self.group])
        numbers = (self.moving_mean, self.moving_variance, self.factor, self.shift)
        spread = [builder.tied(variable, places) for variable in numbers]
        return builder.apply("normalize", x, *spread, shape=x.shape, epsilon=self.epsilon)

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


class SetNormalization(AffineNormalization):
    """Normalization by statistics of one image; subclasses say which of its numbers go together.

    The axes that γ and β have numbers for are brought to the end and made one.
    """

    axis: Any

    def affine_places(self, input_shape: Shape) -> list[int]:
        """Return the axes that γ and β have numbers for, in order, the batch's counted as 0."""
        raise NotImplementedError

    def sets(self, positions: int, numbers: int) -> tuple[int, int, int]:
        """Return what `convlet.ops.standardize` calls sets, of an image (positions, numbers)."""
        raise NotImplementedError

    def _affine_shape(self, input_shape: Shape) -> tuple[int, ...]:
        """Return the shape of γ and β, checked."""
        shape = tuple(input_shape[place] for place in self.affine_places(input_shape))
        if self.built and shape != self.factor.shape:
            raise ValueError(
                f"{self.owner}: the input must have {self.factor.shape} numbers along axis "
                f"{self.axis}, for which the layer was built, got {shape}"
            )
        return tuple(size for size in shape if size is not None)

    def build(self, input_shape: Shape) -> None:
        """Make γ and β."""
        self.make_affine(self._affine_shape(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self._affine_shape(input_shape)
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the normalization and, where asked for, product and sum."""
        places = [place - 1 for place in self.affine_places((None, *x.shape))]
        order = [axis for axis in range(len(x.shape)) if axis not in places] + places
        moved = permuted(builder, x, order, self.owner)
        numbers = math.prod(x.shape[place] for place in places)
        shape = (math.prod(x.shape) // numbers, numbers)
        y = builder.apply(
            "reshape", moved, shape=shape, input_shape=moved.shape, output_shape=shape
        )
        sets = self.sets(*shape)
        y = builder.apply("standardize", y, shape=shape, sets=sets, epsilon=self.epsilon)
        if self.scale:
            y = builder.apply("scale", y, _flat(builder, self.factor), shape=shape)
        if self.center:
            y = builder.apply("add_bias", y, _flat(builder, self.shift), shape=shape)
        y = builder.apply(
            "reshape", y, shape=moved.shape, input_shape=shape, output_shape=moved.shape
        )
        return permuted(builder, y, np.argsort(order).tolist(), self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "axis": self.axis}


def _flat(builder: Builder, variable: Variable) -> Buffer:
    """Return the buffer of a variable's numbers in a row."""
    if len(variable.shape) == 1:
        return builder.parameter(variable)
    return builder.tied(variable, np.arange(variable.size))


class LayerNormalization(SetNormalization):
    """Brings the numbers along an axis, or some axes, to mean 0 and variance 1, image by image.

    Parameters
    ----------
    axis : int or sequence of int
        What is normalized together, and has weights γ and β of its own; the batch's is 0.
    epsilon : float
        Added to the variance, at least 0.
    center, scale : bool
        Whether a weight β is added, and whether a weight γ multiplies.
    beta_initializer, gamma_initializer : str or Initializer
        How the first values are drawn.
    beta_regularizer, gamma_regularizer : str or Regularizer, optional
        What the weights add to the loss.
    beta_constraint, gamma_constraint : str or Constraint, optional
        What the weights must be after every step of training.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if there is no such axis, or
        its size is unknown or not the one that the weights were made for.

    Notes
    -----
    Source: Ba, Kiros and Hinton, 2016; see `convlet.ops.standardize`.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs)
        self.axis = arguments.axes(self.owner, axis)

    def affine_places(self, input_shape: Shape) -> list[int]:
        """Return the axes that are normalized together."""
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        places = sorted(place_of(self.owner, axis, input_shape) for axis in axes)
        if len(set(places)) < len(places):
            raise arguments.invalid(self.owner, "axis", "axes that differ", self.axis)
        return places

    def sets(self, positions: int, numbers: int) -> tuple[int, int, int]:
        """Return one set for each position along the other axes."""
        return 1, positions, numbers


class GroupNormalization(SetNormalization):
    """Brings groups of channels to mean 0 and variance 1, image by image.

    Parameters
    ----------
    groups : int
        Into how many equal parts the channels are cut; 1 takes all of them together, -1 each by
        itself (instance normalization).
    axis : int
        The channels' axis, the batch's counted as 0.
    epsilon, center, scale, beta_initializer, gamma_initializer
        As in `LayerNormalization`, one weight of a kind for each channel; regularizers and
        constraints, too.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if there is no such axis, or
        its size is unknown, no multiple of ``groups``, or not the one that the weights were made
        for.

    Notes
    -----
    Source: Wu and He, 2018; see `convlet.ops.standardize`.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs)
        self.groups = arguments.integer(self.owner, "groups", groups, -1)
        if self.groups == 0:
            raise arguments.invalid(self.owner, "groups", "an integer of at least 1, or -1", groups)
        self.axis = arguments.axis(self.owner, axis)

    def affine_places(self, input_shape: Shape) -> list[int]:
        """Return the channels' axis, whose size has been found right."""
        place = place_of(self.owner, self.axis, input_shape)
        channels = input_shape[place]
        assert channels is not None  # checked with the axis
        if channels % self.groups:
            raise ValueError(
                f"{self.owner}: the number of channels must be a multiple of groups "
                f"({self.groups}), got {channels}"
            )
        return [place]

    def sets(self, positions: int, numbers: int) -> tuple[int, int, int]:
        """Return one set for each group, over all positions."""
        groups = numbers if self.groups == -1 else self.groups
        return positions, groups, numbers // groups

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "groups": self.groups}


class LocalResponseNormalization(Layer):
    """Divides each number by what its neighbouring channels hold at the same place, as in AlexNet.

    y = x / (bias + alpha * sum of x² over the channels at most depth_radius away) ** beta

    Parameters
    ----------
    depth_radius : int
        How many channels to either side count, at least 0.
    bias, alpha, beta : float
        At least 0.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if its number of channels is
        unknown.

    Notes
    -----
    Keras has no such layer; arguments and defaults are those of TensorFlow's
    ``tf.nn.local_response_normalization``. AlexNet: ``LocalResponseNormalization(2, 2.0, 1e-4,
    0.75)``. ONNX's LRN has the same bias and beta, ``size = 2 * depth_radius + 1`` and, since it
    takes the sum's share of the window, ``alpha * size`` for this alpha. Source: Krizhevsky,
    Sutskever and Hinton, 2012; see `convlet.ops.local_response_normalization`.
    """

    def __init__(
        self,
        depth_radius: int = 5,
        bias: float = 1.0,
        alpha: float = 1.0,
        beta: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_radius = arguments.integer(self.owner, "depth_radius", depth_radius, 0)
        self.bias = arguments.real(self.owner, "bias", bias, 0)
        self.alpha = arguments.real(self.owner, "alpha", alpha, 0)
        self.beta = arguments.real(self.owner, "beta", beta, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        place_of(self.owner, -1, input_shape)
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        return builder.apply(
            "local_response_normalization",
            x,
            shape=x.shape,
            depth_radius=self.depth_radius,
            bias=self.bias,
            alpha=self.alpha,
            beta=self.beta,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "depth_radius": self.depth_radius,
            "bias": self.bias,
            "alpha": self.alpha,
            "beta": self.beta,
        }
