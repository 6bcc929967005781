"""What the named networks share: their width, their end, and the checks of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convlet import arguments
from convlet.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    KerasTensor,
)

_WIDEST = 1e6  # times as many channels as published


def multiplier(owner: str, name: str, value: float) -> float:
    """Return what channels are multiplied by, an argument called ``name``.

    Raises
    ------
    ValueError
        If it is not a number above 0, or larger than any network could be.
    """
    factor = arguments.real(owner, name, value, maximum=_WIDEST)
    if factor <= 0:
        raise arguments.invalid(owner, name, "a number above 0", value)
    return factor


def scaled_by(owner: str, width: float) -> Callable[[int], int]:
    """Return the function that gives a layer's channels, from those of the network as published.

    Raises
    ------
    ValueError
        If ``width`` is not a number above 0.
    """
    factor = multiplier(owner, "width", width)
    return lambda channels: max(1, round(channels * factor))


def channels_of(x: KerasTensor) -> int:
    """Return the number of channels, which a layer's output always has."""
    channels = x.shape[-1]
    assert channels is not None
    return channels


def ended(
    owner: str,
    x: KerasTensor,
    include_top: bool,
    pooling: str | None,
    top: Callable[[KerasTensor], KerasTensor],
    names: tuple[str | None, str | None] = (None, None),
) -> KerasTensor:
    """Return a network's output: what ``top`` gives, or its maps, or their mean or maximum.

    Parameters
    ----------
    owner : str
        The network, for messages.
    x : KerasTensor
        Its last maps.
    include_top : bool
    pooling : {None, "avg", "max"}
        What to do without the top: nothing, or a global pooling.
    top : callable
        The layers that tell the classes.
    names : tuple of str or None
        Names of the two poolings.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """
    if pooling is not None:
        pooling = arguments.choice(owner, "pooling", pooling, ("avg", "max"))
    if arguments.boolean(owner, "include_top", include_top):
        return top(x)
    if pooling is None:
        return x
    mean, maximum = names
    layer = (
        GlobalAveragePooling2D(name=mean) if pooling == "avg" else GlobalMaxPooling2D(name=maximum)
    )
    pooled: KerasTensor = layer(x)
    return pooled


def ended_in_average(
    owner: str, x: KerasTensor, include_top: bool, pooling: str | None, classes: int
) -> KerasTensor:
    """Return a ResNet's output, as `ended`: the top is global average pooling and softmax."""

    def top(x: KerasTensor) -> KerasTensor:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        tensor: KerasTensor = Dense(classes, activation="softmax", name="predictions")(x)
        return tensor

    return ended(owner, x, include_top, pooling, top, ("avg_pool", "max_pool"))


def residual_stages(
    x: KerasTensor,
    counts: Sequence[int],
    block: Callable[[KerasTensor, int, int, str], KerasTensor],
) -> KerasTensor:
    """Return what a ResNet's blocks make of x, stage by stage, named as in Keras.

    Parameters
    ----------
    x : KerasTensor
    counts : sequence of int
        How many blocks each stage has. All but the first stage begin by halving rows and columns.
    block : callable
        ``block(x, stage, strides, name)`` returns what a block makes of x; stages count from 0.
    """
    for stage, count in enumerate(counts):
        for number in range(count):
            strides = 2 if stage > 0 and number == 0 else 1
            x = block(x, stage, strides, f"conv{stage + 2}_block{number + 1}")
    return x


def normalized_convolution(
    x: KerasTensor,
    filters: int,
    kernel_size: int,
    name: str,
    *,
    strides: int = 1,
    use_bias: bool = False,
    activation: bool = True,
) -> KerasTensor:
    """Return what a ResNet's convolution, normalization and relu give, named as in Keras.

    The layers are ``{name}_conv``, ``{name}_bn`` and ``{name}_relu``; padding is "same".
    """
    options: dict[str, Any] = {"strides": strides, "padding": "same", "use_bias": use_bias}
    x = Conv2D(filters, kernel_size, name=f"{name}_conv", **options)(x)
    x = BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)
    if activation:
        x = Activation("relu", name=f"{name}_relu")(x)
    return x
