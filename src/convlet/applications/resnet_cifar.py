"""Residual networks for small images: the CIFAR-10 family, and the plain network beside it."""

from __future__ import annotations

from collections.abc import Sequence

from convlet import arguments
from convlet.applications.parts import (
    channels_of,
    ended_in_average,
    normalized_convolution,
    residual_stages,
    scaled_by,
)
from convlet.layers import (
    Activation,
    Add,
    Input,
    KerasTensor,
    MaxPooling2D,
    Permute,
    ZeroPadding2D,
)
from convlet.models import Functional, Model

_SHORTCUTS = ("identity", "projection", "none")


def _shortcut(x: KerasTensor, filters: int, strides: int, name: str, kind: str) -> KerasTensor:
    """Return x in the shape of what is added to it.

    "identity" takes every other row and column and adds channels of zeros, for which they change
    places with the columns: the paper's option A, without weights. "projection" is option B.
    """
    missing = filters - channels_of(x)
    if strides == 1 and missing == 0:
        return x
    if kind == "projection":
        return normalized_convolution(x, filters, 1, f"{name}_0", strides=strides, activation=False)
    x = MaxPooling2D(1, strides, name=f"{name}_0_subsample")(x)
    if missing:
        x = Permute((1, 3, 2), name=f"{name}_0_turn")(x)
        x = ZeroPadding2D(((0, 0), (0, missing)), name=f"{name}_0_pad")(x)
        x = Permute((1, 3, 2), name=f"{name}_0_turn_back")(x)
    return x


def _block(x: KerasTensor, filters: int, strides: int, name: str, shortcuts: str) -> KerasTensor:
    """Return two 3x3 convolutions of x, with x added to them unless there are no shortcuts."""
    y = normalized_convolution(x, filters, 3, f"{name}_1", strides=strides)
    y = normalized_convolution(y, filters, 3, f"{name}_2", activation=False)
    if shortcuts != "none":
        y = Add(name=f"{name}_add")([_shortcut(x, filters, strides, name, shortcuts), y])
    tensor: KerasTensor = Activation("relu", name=f"{name}_out")(y)
    return tensor


def CIFARResNet(  # noqa: N802 - called like a class, as Keras's applications are
    depth: int = 20,
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return a residual network for small images, of any depth 6n + 2.

    A 3x3 convolution, then 3n blocks of two, with 16, 32 and 64 channels; from one number of
    channels to the next the image loses half its rows and columns. Global average pooling, softmax.

    Parameters
    ----------
    depth : int
        Number of layers that have weights, 6n + 2: 8, 14, 20, ...
    include_top : bool
        Whether to end in global average pooling and softmax.
    input_shape : tuple
        Rows, columns, channels; without the top, rows and columns may be None.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    shortcuts : {"identity", "projection", "none"}
        "identity": without weights, new channels are zeros (the paper's option A); "projection":
        a 1x1 convolution where the size changes (option B); "none": the plain network.
    width : float
        What the numbers of channels are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren and J. Sun, *Deep residual learning for image recognition*,
    2016, section 4.2, whose convolutions have no biases. Lecture 000, "Residual networks".
    """
    owner = "CIFARResNet"
    scaled = scaled_by(owner, width)
    if arguments.integer(owner, "depth", depth, 8) % 6 != 2:
        raise arguments.invalid(owner, "depth", "6n + 2, such as 20, 32, 44, 56 or 110", depth)
    kind = arguments.choice(owner, "shortcuts", shortcuts, _SHORTCUTS)
    image = Input(input_shape)
    x = normalized_convolution(image, scaled(16), 3, "conv1")

    def block(x: KerasTensor, stage: int, strides: int, name: str) -> KerasTensor:
        return _block(x, scaled(16 * 2**stage), strides, name, kind)

    x = residual_stages(x, [depth // 6] * 3, block)
    output = ended_in_average(owner, x, include_top, pooling, classes)
    return Functional(image, output, name=f"{'plain' if kind == 'none' else 'resnet'}{depth}")


def ResNet20(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return `CIFARResNet` of 20 layers: 269,722 trainable weights."""
    return CIFARResNet(
        20, include_top, input_shape, pooling, classes, shortcuts=shortcuts, width=width
    )


def ResNet32(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return `CIFARResNet` of 32 layers: 464,154 trainable weights."""
    return CIFARResNet(
        32, include_top, input_shape, pooling, classes, shortcuts=shortcuts, width=width
    )


def ResNet44(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return `CIFARResNet` of 44 layers: 658,586 trainable weights."""
    return CIFARResNet(
        44, include_top, input_shape, pooling, classes, shortcuts=shortcuts, width=width
    )


def ResNet56(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return `CIFARResNet` of 56 layers: 853,018 trainable weights."""
    return CIFARResNet(
        56, include_top, input_shape, pooling, classes, shortcuts=shortcuts, width=width
    )


def ResNet110(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (32, 32, 3),
    pooling: str | None = None,
    classes: int = 10,
    *,
    shortcuts: str = "identity",
    width: float = 1.0,
) -> Model:
    """Return `CIFARResNet` of 110 layers: 1,727,962 trainable weights."""
    return CIFARResNet(
        110, include_top, input_shape, pooling, classes, shortcuts=shortcuts, width=width
    )
