"""DeepFace: locally connected layers for faces that stand in the same place."""

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
    LocallyConnected2D,
    MaxPooling2D,
)
from convlet.models import Functional, Model


def DeepFace(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int] = (152, 152, 3),
    pooling: str | None = None,
    classes: int = 4030,
    *,
    width: float = 1.0,
) -> Model:
    """Return a network after DeepFace: 118,923,774 weights, 73 million of them shared by no place.

    Two convolutions with a max pooling between them, three locally connected layers, 4096 units
    with dropout, softmax; relu throughout. In an aligned face eyes and mouth have their places,
    so that different places may have different filters.

    Parameters
    ----------
    include_top : bool
        Whether to end in the fully connected layers and softmax.
    input_shape : tuple of int
        Rows, columns, channels; at least 72 rows and columns.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    width : float
        What the numbers of channels and of hidden units are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form, or images are too small.

    Notes
    -----
    The network alone, without the alignment before it and the normalization of features behind it.
    Source: Y. Taigman, M. Yang, M. Ranzato and L. Wolf, *DeepFace: closing the gap to human-level
    performance in face verification*, 2014, section 3 and figure 2.
    """
    owner = "DeepFace"
    scaled = scaled_by(owner, width)
    image = Input(input_shape)
    x = Conv2D(scaled(32), 11, activation="relu", name="C1")(image)
    x = MaxPooling2D(3, 2, "same", name="M2")(x)
    x = Conv2D(scaled(16), 9, activation="relu", name="C3")(x)
    for name, size, strides in (("L4", 9, 1), ("L5", 7, 2), ("L6", 5, 1)):
        x = LocallyConnected2D(scaled(16), size, strides, activation="relu", name=name)(x)

    def top(x: KerasTensor) -> KerasTensor:
        x = Flatten(name="flatten")(x)
        x = Dense(scaled(4096), activation="relu", name="F7")(x)
        x = Dropout(0.5, name="dropout")(x)
        tensor: KerasTensor = Dense(classes, activation="softmax", name="F8")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name="deepface")
