"""Pooling layers between the mean and the maximum, of any rank: log-sum-exp and stochastic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.noise import layer_number
from convlet.layers.pooling import Pooling

_SHARPEST = 1e6  # beyond it, and below its inverse, float32 cannot tell it from maximum and mean


class LogSumExpPooling(Pooling):
    """Log-sum-exp pooling; the public classes fix the rank."""

    operator = "log_sum_exp_pool"

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        sharpness: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.sharpness = arguments.real(
            self.owner, "sharpness", sharpness, 1 / _SHARPEST, _SHARPEST
        )

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        table = self.table(x.shape[:-1])
        shape = (*table.output_shape, x.shape[-1])
        return builder.apply(self.operator, x, shape=shape, table=table, sharpness=self.sharpness)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "sharpness": self.sharpness}


class StochasticPooling(Pooling):
    """Stochastic pooling; the public classes fix the rank."""

    operator = "stochastic_pool_mean"

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.seed = None if seed is None else arguments.integer(self.owner, "seed", seed, 0)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a draw when training, otherwise the mean of all draws."""
        if not builder.training:
            return super().trace(builder, x)
        table = self.table(x.shape[:-1])
        shape = (*table.output_shape, x.shape[-1])
        number = layer_number(builder, self.seed)
        return builder.apply(
            "stochastic_pool", x, builder.random(), shape=shape, table=table, layer=number
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "seed": self.seed}


class LogSumExpPooling1D(LogSumExpPooling):
    """A smooth maximum, 1/t log(mean of e^(t x)), of each window along one axis.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        As for `MaxPooling1D`.
    sharpness : float
        t, from 1e-6 to 1e6: the larger it is, the nearer the output is to the maximum; the smaller,
        to the mean.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes or is smaller than the window.

    Notes
    -----
    Lecture 000, remark 5, "soft-maximization". Source: Pinheiro and Collobert, 2015; see
    `convlet.ops.log_sum_exp_pool`.
    """

    rank = 1


class LogSumExpPooling2D(LogSumExpPooling):
    """A smooth maximum of each window over two axes; see `LogSumExpPooling1D`."""

    rank = 2


class LogSumExpPooling3D(LogSumExpPooling):
    """A smooth maximum of each window over three axes; see `LogSumExpPooling1D`."""

    rank = 3


class StochasticPooling1D(StochasticPooling):
    """An activation of each window along one axis, drawn with a probability proportional to it.

    While training: one of those above 0, or 0 if there is none. Otherwise what a draw gives on
    average.

    Parameters
    ----------
    pool_size, strides, padding, data_format
        As for `MaxPooling1D`.
    seed : int, optional
        Tells apart the draws of networks that are trained with one random seed.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has another number of
        axes or is smaller than the window.

    Notes
    -----
    Source: Zeiler and Fergus, 2013. See `convlet.ops.stochastic_pool`.
    """

    rank = 1


class StochasticPooling2D(StochasticPooling):
    """A drawn activation of each window over two axes; see `StochasticPooling1D`."""

    rank = 2


class StochasticPooling3D(StochasticPooling):
    """A drawn activation of each window over three axes; see `StochasticPooling1D`."""

    rank = 3
