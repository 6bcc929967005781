"""Layers that draw while training and do nothing otherwise: dropout by channel, and noise."""

from __future__ import annotations

import zlib
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.layers.window import GridLayer


def layer_number(builder: Builder, seed: int | None) -> int:
    """Return the number of 32 bits that tells a layer's random draws from others'."""
    return zlib.crc32(f"{builder.layer} {seed}".encode())


class SpatialDropout(GridLayer):
    """Drops whole channels of an image at random; the public classes fix the rank."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = arguments.real(self.owner, "rate", rate, 0, below=1)
        self.seed = None if seed is None else arguments.integer(self.owner, "seed", seed, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self.check_input_shape(input_shape)
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction when training, otherwise nothing."""
        if not builder.training or self.rate == 0:
            return x
        number = layer_number(builder, self.seed)
        return builder.apply(
            "spatial_dropout", x, builder.random(), shape=x.shape, rate=self.rate, layer=number
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class SpatialDropout1D(SpatialDropout):
    """Drops whole channels of an image at random while training; does nothing otherwise.

    Neighbouring positions of a map are much alike, so dropping some of them drops little.

    Parameters
    ----------
    rate : float
        Probability, in [0, 1), that a channel of an image is set to zero. The others are divided by
        ``1 - rate``.
    seed : int, optional
        Tells apart the masks of networks that are trained with one random seed.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes.

    Notes
    -----
    Source: Tompson et al., *Efficient object localization using convolutional networks*, 2015. See
    `convlet.ops.spatial_dropout`.
    """

    rank = 1


class SpatialDropout2D(SpatialDropout):
    """Drops whole channels over two axes; see `SpatialDropout1D` for the arguments."""

    rank = 2


class SpatialDropout3D(SpatialDropout):
    """Drops whole channels over three axes; see `SpatialDropout1D` for the arguments."""

    rank = 3


class GaussianNoise(Layer):
    """Adds normal noise while training; does nothing otherwise.

    Parameters
    ----------
    stddev : float
        The noise's standard deviation, in [0, 1].
    seed : int, optional
        Tells apart the noise of networks that are trained with one random seed.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    See `convlet.ops.gaussian_noise`.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = arguments.real(self.owner, "stddev", stddev, 0, 1)
        self.seed = None if seed is None else arguments.integer(self.owner, "seed", seed, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction when training, otherwise nothing."""
        if not builder.training or self.stddev == 0:
            return x
        number = layer_number(builder, self.seed)
        return builder.apply(
            "gaussian_noise", x, builder.random(), shape=x.shape, stddev=self.stddev, layer=number
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}
