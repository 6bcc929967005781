"""AlexNet: five convolutions, three fully connected layers, normalization by neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.applications.parts import ended, scaled_by
from convlet.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    KerasTensor,
    LocalResponseNormalization,
    MaxPooling2D,
)
from convlet.models import Functional, Model

# filters, kernel size, stride, whether it is cut in two, normalized, pooled
_CONVOLUTIONS = (
    (96, 11, 4, False, True, True),
    (256, 5, 1, True, True, True),
    (384, 3, 1, False, False, False),
    (384, 3, 1, True, False, False),
    (256, 3, 1, True, False, True),
)


def AlexNet(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int | None] = (227, 227, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    groups: int = 1,
    width: float = 1.0,
) -> Model:
    """Return AlexNet, 62,378,344 weights; with ``groups=2``, as published, 60,965,224.

    relu throughout, local response normalization behind the first two convolutions, 3x3 max
    pooling with stride 2 behind three of them, dropout before the two hidden layers of 4096 units,
    softmax.

    Parameters
    ----------
    include_top : bool
        Whether to end in the fully connected layers and softmax.
    input_shape : tuple
        Rows, columns, channels; at least 67 rows and columns. Without the top, rows and columns
        may be None.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    groups : int
        Into how many parts that do not see each other the second, fourth and fifth convolutions
        are cut: 2 on the two graphics cards of the paper, 1 in most later descriptions.
    width : float
        What the numbers of channels and of hidden units are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    The paper says 224 rows and columns; its 55x55 maps need 227 without padding. Its initial
    weights and biases are not used. Source: A. Krizhevsky, I. Sutskever and G. Hinton, *ImageNet
    classification with deep convolutional neural networks*, 2012; lecture 004, part four.
    """
    owner = "AlexNet"
    scaled = scaled_by(owner, width)
    image = x = Input(input_shape)
    for number, (filters, size, stride, cut, normalized, pooled) in enumerate(_CONVOLUTIONS, 1):
        x = Conv2D(
            scaled(filters),
            size,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            groups=groups if cut else 1,
            activation="relu",
            name=f"conv{number}",
        )(x)
        if normalized:
            x = LocalResponseNormalization(2, 2.0, 1e-4, 0.75, name=f"norm{number}")(x)
        if pooled:
            x = MaxPooling2D(3, 2, name=f"pool{number}")(x)

    def top(x: KerasTensor) -> KerasTensor:
        x = Flatten(name="flatten")(x)
        for number in (6, 7):
            x = Dropout(0.5, name=f"drop{number}")(x)
            x = Dense(scaled(4096), activation="relu", name=f"fc{number}")(x)
        tensor: KerasTensor = Dense(classes, activation="softmax", name="predictions")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name="alexnet")
