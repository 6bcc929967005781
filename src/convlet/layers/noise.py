"""Layers that draw while training and do nothing otherwise: dropout of several kinds, and noise."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.layers.window import GridLayer


def layer_number(builder: Builder, seed: int | None) -> int:
    """Return the number of 32 bits that tells a layer's random draws from others'."""
    return zlib.crc32(f"{builder.layer} {seed}".encode())


class RateDropout(Layer):
    """What the kinds of dropout share: at work while training only, when they ``draw``."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = arguments.real(self.owner, "rate", rate, 0, below=1)
        self.seed = None if seed is None else arguments.integer(self.owner, "seed", seed, 0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append what is drawn when training, otherwise nothing."""
        return self.draw(builder, x) if builder.training and self.rate > 0 else x

    def draw(self, builder: Builder, x: Buffer) -> Buffer:
        """Append what is done while training."""
        raise NotImplementedError(f"{type(self).__name__} must define draw")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class Dropout(RateDropout):
    """Drops units at random while training; does nothing otherwise.

    Parameters
    ----------
    rate : float
        Probability, in [0, 1), that a unit is set to zero. The others are divided by ``1 - rate``.
    seed : int, optional
        Tells apart the masks of networks that are trained with one random seed.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*,
    2014. See `convlet.ops.dropout`.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed, **kwargs)

    def draw(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        number = layer_number(builder, self.seed)
        return builder.apply(
            "dropout", x, builder.random(), shape=x.shape, rate=self.rate, layer=number
        )


class SpatialDropout(RateDropout, GridLayer):
    """Drops whole channels of an image at random; the public classes fix the rank."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self.check_input_shape(input_shape)
        return input_shape

    def draw(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        number = layer_number(builder, self.seed)
        return builder.apply(
            "spatial_dropout", x, builder.random(), shape=x.shape, rate=self.rate, layer=number
        )


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


class GaussianDropout(RateDropout):
    """Multiplies by normal noise of mean 1 while training; does nothing otherwise.

    Parameters
    ----------
    rate : float
        In [0, 1): the noise's standard deviation is sqrt(rate / (1 - rate)), that of `Dropout`'s
        factors.
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
    Source: Srivastava et al., 2014, section 10. The noise is that of `convlet.ops.gaussian_noise`.
    """

    def draw(self, builder: Builder, x: Buffer) -> Buffer:
        """Append ones, the noise on them, and the product with the input."""
        factors = builder.apply(
            "gaussian_noise",
            _rescaled(builder, x, 0.0, 1.0, self.dtype),
            builder.random(),
            shape=x.shape,
            stddev=math.sqrt(self.rate / (1 - self.rate)),
            layer=layer_number(builder, self.seed),
        )
        return builder.apply("multiply", x, factors, shape=x.shape)


# of selu: α and λ of Klambauer et al., 2017, formula 14
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class AlphaDropout(RateDropout):
    """Dropout for selu, while training: units drop to its lower limit, and moments stay.

    y = a (x m + α' (1 - m)) + b, the mask m being 0 with probability ``rate`` and otherwise 1, and
    α' = -λα what selu tends to. With a = ((1 - rate) (1 + rate α'²))^-½ and b = -a rate α', inputs
    of mean 0 and variance 1 keep both.

    Parameters
    ----------
    rate : float
        Probability, in [0, 1), that a unit is dropped.
    seed : int, optional
        Tells apart the masks of networks that are trained with one random seed.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: Klambauer et al., *Self-normalizing neural networks*, 2017. The mask is `Dropout`'s; see
    `convlet.ops.dropout`.
    """

    def draw(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a (1 - rate) (x - α'), whose dropout is a m (x - α'), and a α' + b to be added."""
        limit, kept = -_SELU_SCALE * _SELU_ALPHA, 1 - self.rate
        a = (kept * (1 + self.rate * limit**2)) ** -0.5
        dropped = builder.apply(
            "dropout",
            _rescaled(builder, x, a * kept, -a * kept * limit, self.dtype),
            builder.random(),
            shape=x.shape,
            rate=self.rate,
            layer=layer_number(builder, self.seed),
        )
        return _rescaled(builder, dropped, 1.0, a * limit * kept, self.dtype)


def _rescaled(builder: Builder, x: Buffer, scale: float, offset: float, dtype: str) -> Buffer:
    """Append ``scale * x + offset``."""
    factor, added = np.array(scale, dtype), np.array(offset, dtype)
    return builder.apply("rescale", x, shape=x.shape, scale=factor, offset=added)
