"""Activations by name, for the layers that end in one."""

from __future__ import annotations

from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops.activations import ELEMENTWISE

_OVER_CHANNELS = ("softmax", "log_softmax")
_ALIASES = {"swish": "silu"}
ACTIVATIONS = ("linear", *ELEMENTWISE, *_OVER_CHANNELS)
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


def trace_activation(builder: Builder, x: Buffer, name: str) -> Buffer:
    """Append the activation's instruction and return the buffer of its output."""
    if name == "linear":
        return x
    if name in _OVER_CHANNELS:
        return builder.apply(name, x, shape=x.shape)
    operator = "activation" if ELEMENTWISE[name].of_output else "activation_of_input"
    return builder.apply(operator, x, shape=x.shape, function=name)


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
