"""Inception: convolutions of several sizes side by side, and GoogLeNet, which is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convlet import arguments
from convlet.applications.parts import ended, scaled_by
from convlet.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    KerasTensor,
    LocalResponseNormalization,
    MaxPooling2D,
)
from convlet.models import Functional, Model

GOOGLENET_LOSS_WEIGHTS = {"main": 1.0, "auxiliary1": 0.3, "auxiliary2": 0.3}
"""What each of GoogLeNet's losses counts, for ``compile(loss_weights=...)``: the paper's 0.3."""

# Table 1: filters of 1x1, 3x3 and 5x5; 1x1 filters before 3x3, before 5x5, behind the pooling.
# None stands for a max pooling between the modules.
_MODULES = {
    "3a": ((64, 128, 32), (96, 16, 32)),
    "3b": ((128, 192, 96), (128, 32, 64)),
    "pool3": None,
    "4a": ((192, 208, 48), (96, 16, 64)),
    "4b": ((160, 224, 64), (112, 24, 64)),
    "4c": ((128, 256, 64), (128, 24, 64)),
    "4d": ((112, 288, 64), (144, 32, 64)),
    "4e": ((256, 320, 128), (160, 32, 128)),
    "pool4": None,
    "5a": ((256, 320, 128), (160, 32, 128)),
    "5b": ((384, 384, 128), (192, 48, 128)),
}


def inception_module(
    x: KerasTensor,
    filters: Sequence[int],
    reductions: Sequence[int] | None = None,
    name: str = "inception",
) -> KerasTensor:
    """Return an Inception module of x: 1x1, 3x3, 5x5 convolutions and a max pooling side by side.

    Parameters
    ----------
    x : KerasTensor
        Maps (batch, rows, columns, channels).
    filters : sequence of 3 int
        Those of the 1x1, 3x3 and 5x5 convolutions.
    reductions : sequence of 3 int, optional
        Filters of the 1x1 convolutions that stand before the 3x3 and the 5x5 ones, and behind the
        pooling; without them it is the naive module.
    name : str
        What the layers' names begin with.

    Returns
    -------
    KerasTensor
        As many rows and columns; in the naive module the channels of x come last.

    Raises
    ------
    ValueError
        If there are not three numbers of each kind, or ``x`` is not of that form.

    Notes
    -----
    Source: C. Szegedy et al., *Going deeper with convolutions*, 2015, figure 2, (a) naive and (b)
    with reductions; lecture 000, figure 7.
    """
    owner = "inception_module"
    one, three, five = arguments.per_axis(owner, "filters", filters, 3)
    pooled = MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    before_three = before_five = x
    if reductions is not None:
        to_three, to_five, behind = arguments.per_axis(owner, "reductions", reductions, 3)
        before_three = _convolution(x, to_three, 1, f"{name}_3x3_reduce")
        before_five = _convolution(x, to_five, 1, f"{name}_5x5_reduce")
        pooled = _convolution(pooled, behind, 1, f"{name}_pool_proj")
    branches = [
        _convolution(x, one, 1, f"{name}_1x1"),
        _convolution(before_three, three, 3, f"{name}_3x3"),
        _convolution(before_five, five, 5, f"{name}_5x5"),
        pooled,
    ]
    output: KerasTensor = Concatenate(name=f"{name}_output")(branches)
    return output


def _convolution(
    x: KerasTensor, filters: int, size: int, name: str, strides: int = 1
) -> KerasTensor:
    convolution = Conv2D(filters, size, strides, "same", activation="relu", name=name)
    output: KerasTensor = convolution(x)
    return output


def GoogLeNet(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    auxiliary: bool = True,
    width: float = 1.0,
) -> Model:
    """Return GoogLeNet: nine Inception modules and two auxiliary classifiers.

    13,378,280 weights; 6,998,552 without the auxiliary classifiers, which only help in training.
    Compile it with ``loss_weights=GOOGLENET_LOSS_WEIGHTS``.

    Parameters
    ----------
    include_top : bool
        Whether to end in classifiers; without them there is one output.
    input_shape : tuple
        Rows, columns, channels; at least 65 rows and columns with auxiliary classifiers. Without
        the top, rows and columns may be None.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs of each classifier.
    auxiliary : bool
        Whether to have the classifiers behind modules 4a and 4d: outputs are then a dict, "main",
        "auxiliary1" and "auxiliary2".
    width : float
        What the numbers of channels and of hidden units are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    Local response normalization before the first and behind the second stage, as in the paper.
    Source: C. Szegedy et al., *Going deeper with convolutions*, 2015, table 1 and section 5;
    lecture 000, figure 8.
    """
    owner = "GoogLeNet"
    scaled = scaled_by(owner, width)
    arguments.boolean(owner, "auxiliary", auxiliary)
    image = Input(input_shape)
    x, branches = _stem(image, scaled), {}
    for name, filters in _MODULES.items():
        if filters is None:
            x = MaxPooling2D(3, 2, "same", name=name)(x)
            continue
        of_convolutions, of_reductions = (tuple(map(scaled, numbers)) for numbers in filters)
        x = inception_module(x, of_convolutions, of_reductions, f"inception_{name}")
        branches[name] = x

    def top(x: KerasTensor) -> KerasTensor:
        x = Dropout(0.4, name="dropout")(GlobalAveragePooling2D(name="avg_pool")(x))
        tensor: KerasTensor = Dense(classes, activation="softmax", name="predictions")(x)
        return tensor

    outputs: Any = ended(owner, x, include_top, pooling, top)
    if include_top and auxiliary:
        outputs = {"main": outputs}
        for name, module in (("auxiliary1", "4a"), ("auxiliary2", "4d")):
            outputs[name] = _auxiliary(branches[module], classes, scaled, name)
    return Functional(image, outputs, name="googlenet")


def _stem(x: KerasTensor, scaled: Callable[[int], int]) -> KerasTensor:
    """Return what the first two stages make of the image: an eighth of its rows and columns."""
    x = _convolution(x, scaled(64), 7, "conv1", strides=2)
    x = MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = LocalResponseNormalization(2, 1.0, 2e-5, 0.75, name="norm1")(x)
    x = _convolution(x, scaled(64), 1, "conv2_reduce")
    x = _convolution(x, scaled(192), 3, "conv2")
    x = LocalResponseNormalization(2, 1.0, 2e-5, 0.75, name="norm2")(x)
    output: KerasTensor = MaxPooling2D(3, 2, "same", name="pool2")(x)
    return output


def _auxiliary(
    x: KerasTensor, classes: int, scaled: Callable[[int], int], name: str
) -> KerasTensor:
    """Return a classifier on inner maps: a gradient that has a shorter way back."""
    x = AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = _convolution(x, scaled(128), 1, f"{name}_conv")
    x = Flatten(name=f"{name}_flatten")(x)
    x = Dense(scaled(1024), activation="relu", name=f"{name}_fc")(x)
    x = Dropout(0.7, name=f"{name}_dropout")(x)
    output: KerasTensor = Dense(classes, activation="softmax", name=f"{name}_predictions")(x)
    return output
