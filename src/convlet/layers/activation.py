"""Activations by name, for the layers that end in one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops.activations import ELEMENTWISE
from convlet.ops.take import check_size

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


class PReLU(_Elementwise):
    """``max(0, x) + alpha * min(0, x)``, with slopes ``alpha`` that are learned.

    Parameters
    ----------
    alpha_initializer : str or Initializer
        How the first slopes are drawn.
    alpha_regularizer : str or Regularizer, optional
        What the slopes add to the loss.
    alpha_constraint : str or Constraint, optional
        What the slopes must be after every step of training.
    shared_axes : int or tuple of int, optional
        Axes along which all units share a slope, counted from 1, since 0 is the batch: (1, 2) gives
        each channel of an image one slope. By default every unit has its own.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if that has not these axes,
        leaves sizes open that are not shared, has other sizes than those for which the slopes were
        made, or more than 2**27 numbers an image.

    Notes
    -----
    ``alpha`` has the input's shape without the batch, 1 along shared axes. Source: He et al.,
    *Delving deep into rectifiers*, 2015.
    """

    regularized = ("alpha",)

    def __init__(
        self, alpha_initializer: Any = "zeros", shared_axes: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = self.read_initializer("alpha_initializer", alpha_initializer)
        self.shared_axes = None if shared_axes is None else self._axes(shared_axes)

    def _axes(self, value: Any) -> tuple[int, ...]:
        """Return the shared axes, checked."""
        several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
        items = list(value) if several else [value]
        try:
            axes = tuple(arguments.integer(self.owner, "shared_axes", item) for item in items)
        except ValueError:
            axes = ()
        if len(set(axes)) != len(items):
            requirement = "None, an integer of at least 1 or a tuple of such integers, each once"
            raise arguments.invalid(self.owner, "shared_axes", requirement, value)
        return axes

    def _slopes_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the slopes for an input, None where its sizes are left open."""
        shared, last = self.shared_axes or (), len(input_shape) - 1
        if max(shared, default=0) > last:
            raise ValueError(
                f"{self.owner}: shared_axes must be axes of the input, from 1 to {last}, "
                f"got {self.shared_axes}"
            )
        sizes = enumerate(input_shape[1:], start=1)
        return tuple(1 if axis in shared else size for axis, size in sizes)

    def build(self, input_shape: Shape) -> None:
        """Make the slopes."""
        shape = self._slopes_shape(input_shape)
        known = [size for size in shape if size is not None]
        if len(known) < len(shape):
            raise ValueError(
                f"{self.owner}: the input's sizes must be known along axes that are not shared, "
                f"got {input_shape}"
            )
        terms = self.terms_of("alpha")
        self.alpha = self.add_weight(known, self.alpha_initializer, name="alpha", **terms)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        shape = self._slopes_shape(input_shape)
        check_size(self.owner, [size for size in input_shape[1:] if size is not None])
        if self.built:
            made = self.alpha.shape
            if len(shape) != len(made) or any(
                size not in (None, slopes) for size, slopes in zip(shape, made, strict=True)
            ):
                raise ValueError(
                    f"{self.owner}: the input must be one for slopes of shape {made}, "
                    f"which were made, got {input_shape}"
                )
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the positive part, the negative part times the slopes, and their sum."""
        positive = trace_activation(builder, x, "relu")
        negative = trace_activation(builder, x, "rectifier", negative_slope=1.0, max_value=0.0)
        scaled = self._scale(builder, negative)
        return builder.apply("add", positive, scaled, shape=x.shape)

    def _scale(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the product with the slopes: axes from the first not shared one on are one."""
        shared = self.shared_axes or ()
        places = range(1, len(x.shape) + 1)
        leading = next((axis - 1 for axis in places if axis not in shared), len(x.shape) - 1)
        grid, rest = x.shape[:leading], x.shape[leading:]
        flat = (*grid, math.prod(rest))
        slopes = np.arange(self.alpha.size).reshape(self.alpha.shape[leading:])
        alpha = builder.tied(self.alpha, np.broadcast_to(slopes, rest).reshape(-1))
        y = builder.apply("reshape", x, shape=flat, input_shape=x.shape, output_shape=flat)
        y = builder.apply("scale", y, alpha, shape=flat)
        return builder.apply("reshape", y, shape=x.shape, input_shape=flat, output_shape=x.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "shared_axes": None if self.shared_axes is None else list(self.shared_axes),
        }


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
