"""VGG: stacks of 3x3 convolutions with 2x2 max pooling between them."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.applications.parts import ended, scaled_by
from convlet.layers import Conv2D, Dense, Flatten, Input, KerasTensor, MaxPooling2D
from convlet.models import Functional, Model

_CHANNELS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {
    "VGG11": (1, 1, 2, 2, 2),
    "VGG13": (2, 2, 2, 2, 2),
    "VGG16": (2, 2, 3, 3, 3),
    "VGG19": (2, 2, 4, 4, 4),
}
"""How many convolutions stand before each pooling: columns A, B, D and E of the paper's table 1."""


def _vgg(
    owner: str,
    include_top: bool,
    input_shape: Sequence[int | None],
    pooling: str | None,
    classes: int,
    width: float,
) -> Model:
    """Return one of the networks; layers have the names of Keras's VGG16 and VGG19."""
    scaled = scaled_by(owner, width)
    image = x = Input(input_shape)
    blocks = zip(_CHANNELS, _CONVOLUTIONS[owner], strict=True)
    for block, (channels, convolutions) in enumerate(blocks, start=1):
        for number in range(1, convolutions + 1):
            x = Conv2D(
                scaled(channels),
                3,
                padding="same",
                activation="relu",
                name=f"block{block}_conv{number}",
            )(x)
        x = MaxPooling2D(2, name=f"block{block}_pool")(x)

    def top(x: KerasTensor) -> KerasTensor:
        x = Flatten(name="flatten")(x)
        for name in ("fc1", "fc2"):
            x = Dense(scaled(4096), activation="relu", name=name)(x)
        tensor: KerasTensor = Dense(classes, activation="softmax", name="predictions")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name=owner.lower())


def VGG11(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    width: float = 1.0,
) -> Model:
    """Return VGG with 8 convolutions and 3 fully connected layers, 132,863,336 weights in all.

    Every convolution is 3x3 with zeros around the image and relu; its channels are 64, 128, 256,
    512 and 512, and behind each of these stages stands a 2x2 max pooling.

    Parameters
    ----------
    include_top : bool
        Whether to end in the fully connected layers and softmax.
    input_shape : tuple
        Rows, columns, channels; at least 32 rows and columns. Without the top, rows and columns
        may be None.
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
    The variant without normalization and, as in Keras, without dropout. Source: K. Simonyan and
    A. Zisserman, *Very deep convolutional networks for large-scale image recognition*, 2015,
    table 1, column A; lecture 000.
    """
    return _vgg("VGG11", include_top, input_shape, pooling, classes, width)


def VGG13(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    width: float = 1.0,
) -> Model:
    """Return VGG with 10 convolutions, column B, 133,047,848 weights; arguments as for `VGG11`."""
    return _vgg("VGG13", include_top, input_shape, pooling, classes, width)


def VGG16(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    width: float = 1.0,
) -> Model:
    """Return VGG with 13 convolutions, column D, 138,357,544 weights; arguments as for `VGG11`.

    Layers have the names and weights the shapes of ``keras.applications.VGG16``.
    """
    return _vgg("VGG16", include_top, input_shape, pooling, classes, width)


def VGG19(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    width: float = 1.0,
) -> Model:
    """Return VGG with 16 convolutions, column E, 143,667,240 weights; arguments as for `VGG11`.

    Layers have the names and weights the shapes of ``keras.applications.VGG19``.
    """
    return _vgg("VGG19", include_top, input_shape, pooling, classes, width)
