"""Networks that turn with their images: group convolutions from the first layer to the last."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.applications.parts import ended, scaled_by
from convlet.layers import (
    Activation,
    Dropout,
    GlobalAveragePooling2D,
    GroupBatchNormalization,
    GroupConv2D,
    GroupPooling2D,
    Input,
    KerasTensor,
    MaxPooling2D,
)
from convlet.models import Functional, Model

_FILTERS = {"p4": 10, "p4m": 7}  # 20 over the square root of the number of orientations
_KERNEL_SIZES = (3, 3, 3, 3, 3, 3, 4)
_POOLED = 2  # the layer behind which the maps are pooled


def _group_network(
    owner: str,
    group: str,
    include_top: bool,
    input_shape: Sequence[int],
    pooling: str | None,
    classes: int,
    width: float,
) -> Model:
    """Return the network of seven layers for a group."""
    filters = scaled_by(owner, width)(_FILTERS[group])
    image = x = Input(input_shape)
    for number, size in enumerate(_KERNEL_SIZES[:-1], start=1):
        lifting = number == 1
        convolution = GroupConv2D(
            filters, size, group, lifting, use_bias=False, name=f"conv{number}"
        )
        x = GroupBatchNormalization(group, name=f"conv{number}_bn")(convolution(x))
        x = Activation("relu", name=f"conv{number}_relu")(x)
        if number == _POOLED:
            x = MaxPooling2D(2, name=f"pool{number}")(x)
        x = Dropout(0.3, name=f"drop{number}")(x)

    def top(x: KerasTensor) -> KerasTensor:
        last = len(_KERNEL_SIZES)
        x = GroupConv2D(classes, _KERNEL_SIZES[-1], group, use_bias=False, name=f"conv{last}")(x)
        x = GroupPooling2D(group, name="orientations")(x)
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        tensor: KerasTensor = Activation("softmax", name="predictions")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name=owner.lower())


def P4CNN(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int] = (28, 28, 1),
    pooling: str | None = None,
    classes: int = 10,
    *,
    width: float = 1.0,
) -> Model:
    """Return a network whose answer does not change when the image is rotated by 90 degrees.

    Seven group convolutions, the first lifting, of 10 filters in four orientations each;
    normalization, relu and dropout behind them, 2x2 max pooling behind the second; in the end the
    maximum over orientations, the mean over places, and softmax. 24,610 trainable weights.

    Parameters
    ----------
    include_top : bool
        Whether to have the seventh convolution and what comes behind it.
    input_shape : tuple of int
        Rows, columns, channels; at least 28 rows and columns.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    width : float
        What the numbers of filters are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    A square image that every layer covers evenly, such as 28x28, turns exactly; of others, the 2x2
    pooling leaves out a row or a column at one side. Source: T. Cohen and M. Welling, *Group
    equivariant convolutional networks*, 2016, section 8.1: the ordinary network of 20 filters in
    each layer, divided by the square root of the group's order; lecture 004, "Group convolutions".
    """
    return _group_network("P4CNN", "p4", include_top, input_shape, pooling, classes, width)


def P4MCNN(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int] = (28, 28, 1),
    pooling: str | None = None,
    classes: int = 10,
    *,
    width: float = 1.0,
) -> Model:
    """Return `P4CNN` for rotations and reflections: 7 filters in eight orientations each."""
    return _group_network("P4MCNN", "p4m", include_top, input_shape, pooling, classes, width)
