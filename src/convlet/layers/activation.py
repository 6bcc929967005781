"""Activations by name, for the layers that end in one."""

from __future__ import annotations

import math
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops.activations import ELEMENTWISE

_OVER_CHANNELS = ("softmax", "log_softmax")
_ALIASES = {"swish": "silu"}
_LAYERS_ONLY = ("rectifier",)  # `ReLU` with all its arguments
ACTIVATIONS = ("linear", *(n for n in ELEMENTWISE if n not in _LAYERS_ONLY), *_OVER_CHANNELS)
"""Names of all activations."""


def activation_name(owner: str, value: Any) -> str:
    """Return the name of an activation; None stands for "linear".

    Raises
    ------
    ValueError
        If there is no such activation.
    """
    if value is None:
        return "linear"
    if isinstance(value, str):
        value = _ALIASES.get(value.lower(), value)
    return arguments.choice(owner, "activation", value, ACTIVATIONS)


def trace_activation(builder: Builder, x: Buffer, name: str, **parameters: Any) -> Buffer:
    """Append the activation's instruction and return the buffer of its output."""
    if name == "linear":
        return x
    if name in _OVER_CHANNELS:
        return builder.apply(name, x, shape=x.shape)
    operator = "activation" if ELEMENTWISE[name].of_output else "activation_of_input"
    return builder.apply(operator, x, shape=x.shape, function=name, **parameters)


class Activation(Layer):
    """An activation function, applied to every unit (softmax: over the channels of a position).

    Parameters
    ----------
    activation : str or None
        One of `ACTIVATIONS`; None is "linear".
    **kwargs
        Those of `Layer`.
    """

    def __init__(self, activation: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation_name(self.owner, activation)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction, none for "linear"."""
        return trace_activation(builder, x, self.activation)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "activation": self.activation}


class _Elementwise(Layer):
    """An activation as a layer of its own."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return input_shape


class ReLU(_Elementwise):
    """The rectifier, with a choice of its slopes and limits.

    ``x`` from ``threshold`` to ``max_value``, ``max_value`` above it, and
    ``negative_slope * (x - threshold)`` below.

    Parameters
    ----------
    max_value : float, optional
        At least 0; no limit by default.
    negative_slope : float
        At least 0.
    threshold : float
        At least 0.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: Nair and Hinton, 2010; the arguments are Keras's.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = (
            None if max_value is None else arguments.real(self.owner, "max_value", max_value, 0)
        )
        self.negative_slope = arguments.real(self.owner, "negative_slope", negative_slope, 0)
        self.threshold = arguments.real(self.owner, "threshold", threshold, 0)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction: a simpler one, which fuses with more, where it does."""
        slope, limit = self.negative_slope, self.max_value
        if not self.threshold and limit is None:
            if not slope:
                return trace_activation(builder, x, "relu")
            return trace_activation(builder, x, "leaky_relu", negative_slope=slope)
        if not self.threshold and not slope and limit == 6:
            return trace_activation(builder, x, "relu6")
        return trace_activation(
            builder,
            x,
            "rectifier",
            negative_slope=slope,
            threshold=self.threshold,
            max_value=math.inf if limit is None else limit,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(_Elementwise):
    """``x`` above 0, ``negative_slope * x`` below.

    Parameters
    ----------
    negative_slope : float
        At least 0.
    **kwargs
        Those of `Layer`.

    Notes
    -----
    Source: Maas, Hannun and Ng, 2013.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = arguments.real(self.owner, "negative_slope", negative_slope, 0)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        return trace_activation(builder, x, "leaky_relu", negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """``x`` above 0, ``alpha * (e^x - 1)`` below.

    Parameters
    ----------
    alpha : float
        At least 0.
    **kwargs
        Those of `Layer`.

    Notes
    -----
    Source: Clevert, Unterthiner and Hochreiter, 2016.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = arguments.real(self.owner, "alpha", alpha, 0)

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        return trace_activation(builder, x, "elu", alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(_Elementwise):
    """``e^x_i / Σ_j e^x_j`` over the channels of each position.

    Parameters
    ----------
    axis : int
        The channels' axis, the last one: -1, or its number with the batch's counted.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        If ``axis`` is no integer; when it meets its input, if it is not the last axis.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = arguments.integer(self.owner, "axis", axis, -1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        last = len(input_shape) - 1
        if self.axis not in (-1, last):
            raise ValueError(
                f"{self.owner}: axis must be the last one, -1 or {last}, got {self.axis}; "
                "put a Permute before it"
            )
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append one instruction."""
        return trace_activation(builder, x, "softmax")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "axis": self.axis}
