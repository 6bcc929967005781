"""MobileNet, versions 1 and 2: depthwise convolutions, each followed by a 1x1 convolution."""

from __future__ import annotations

from collections.abc import Sequence

from convlet.applications.parts import channels_of, ended, multiplier
from convlet.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    KerasTensor,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from convlet.models import Functional, Model

# filters and strides of the blocks of version 1
_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)
# filters, blocks and strides of the first of them, of version 2's stages
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


def MobileNet(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
) -> Model:
    """Return MobileNet, version 1: 4,253,864 weights, thirteen depthwise separable convolutions.

    Layers have the names and weights the shapes of ``keras.applications.MobileNet``.

    Parameters
    ----------
    include_top : bool
        Whether to end in a global average pooling, dropout, a 1x1 convolution and softmax.
    input_shape : tuple
        Rows, columns, channels. Without the top, rows and columns may be None.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    alpha : float
        What the numbers of channels are multiplied by, the paper's width multiplier.
    depth_multiplier : int
        How many kernels the depthwise convolutions have for each channel.
    dropout : float
        Rate of the top's dropout.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Keras's variant: relu6, and zeros behind the last row and column where the stride is 2. Source:
    A. Howard et al., *MobileNets: efficient convolutional neural networks for mobile vision
    applications*, 2017, table 1.
    """
    owner = "MobileNet"
    alpha = multiplier(owner, "alpha", alpha)
    image = Input(input_shape)
    first = int(32 * alpha)
    x = Conv2D(first, 3, strides=2, padding="same", use_bias=False, name="conv1")(image)
    x = _normalized(x, "conv1_bn", "conv1_relu")
    for number, (filters, strides) in enumerate(_BLOCKS, start=1):
        x = _separable(x, int(filters * alpha), strides, depth_multiplier, number)

    def top(x: KerasTensor) -> KerasTensor:
        x = GlobalAveragePooling2D(keepdims=True)(x)
        x = Dropout(dropout, name="dropout")(x)
        x = Conv2D(classes, 1, padding="same", name="conv_preds")(x)
        x = Reshape((classes,), name="reshape_2")(x)
        tensor: KerasTensor = Activation("softmax", name="predictions")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name="mobilenet")


def _normalized(
    x: KerasTensor, name: str, activation: str | None, momentum: float = 0.99
) -> KerasTensor:
    """Return x normalized and, if the activation has a name, behind relu6."""
    x = BatchNormalization(momentum=momentum, name=name)(x)
    return x if activation is None else ReLU(6.0, name=activation)(x)


def _separable(
    x: KerasTensor, filters: int, strides: int, depth_multiplier: int, number: int
) -> KerasTensor:
    """Return a depthwise 3x3 and a 1x1 convolution of x, each normalized and behind relu6."""
    if strides == 2:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = DepthwiseConv2D(
        3,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _normalized(x, f"conv_dw_{number}_bn", f"conv_dw_{number}_relu")
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _normalized(x, f"conv_pw_{number}_bn", f"conv_pw_{number}_relu")


def MobileNetV2(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    alpha: float = 1.0,
) -> Model:
    """Return MobileNet, version 2: 3,538,984 weights, seventeen inverted residual blocks.

    A block widens its input six times by a 1x1 convolution, convolves each channel by itself, and
    narrows by a 1x1 convolution without activation; shortcuts join the narrow ends. Layers have the
    names and weights the shapes of ``keras.applications.MobileNetV2``.

    Parameters
    ----------
    include_top, input_shape, pooling, classes
        As in `MobileNet`; the top is a global average pooling and softmax.
    alpha : float
        What the numbers of channels are multiplied by, the results rounded to multiples of 8; the
        last convolution has at least 1280.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    Source: M. Sandler et al., *MobileNetV2: inverted residuals and linear bottlenecks*, 2018,
    table 2.
    """
    owner = "MobileNetV2"
    alpha = multiplier(owner, "alpha", alpha)
    image = Input(input_shape)
    first = _multiple_of_8(32 * alpha)
    x = Conv2D(first, 3, strides=2, padding="same", use_bias=False, name="Conv1")(image)
    x = _normalized(x, "bn_Conv1", "Conv1_relu", 0.999)
    number = 0
    for filters, blocks, strides in _STAGES:
        for place in range(blocks):
            narrow = _multiple_of_8(int(filters * alpha))
            x = _inverted_residual(x, narrow, strides if place == 0 else 1, number)
            number += 1
    last = _multiple_of_8(1280 * max(1.0, alpha))
    x = Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = _normalized(x, "Conv_1_bn", "out_relu", 0.999)

    def top(x: KerasTensor) -> KerasTensor:
        x = GlobalAveragePooling2D()(x)
        tensor: KerasTensor = Dense(classes, activation="softmax", name="predictions")(x)
        return tensor

    return Functional(image, ended(owner, x, include_top, pooling, top), name="mobilenetv2")


def _multiple_of_8(channels: float) -> int:
    """Return the nearest multiple of 8, or the next one if that would lose more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _inverted_residual(x: KerasTensor, filters: int, strides: int, number: int) -> KerasTensor:
    """Return the block's output: wide inside, narrow at both ends, which are added if they can."""
    name, y = f"block_{number}_" if number else "expanded_conv_", x
    if number:
        wide = 6 * channels_of(x)
        y = Conv2D(wide, 1, padding="same", use_bias=False, name=f"{name}expand")(y)
        y = _normalized(y, f"{name}expand_BN", f"{name}expand_relu", 0.999)
    if strides == 2:
        y = ZeroPadding2D(_padding(y.shape[1:-1]), name=f"{name}pad")(y)
    y = DepthwiseConv2D(
        3,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        name=f"{name}depthwise",
    )(y)
    y = _normalized(y, f"{name}depthwise_BN", f"{name}depthwise_relu", 0.999)
    y = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(y)
    y = _normalized(y, f"{name}project_BN", None, 0.999)
    if strides == 1 and channels_of(x) == filters:
        y = Add(name=f"{name}add")([x, y])
    return y


def _padding(grid: Sequence[int | None]) -> tuple[tuple[int, int], ...]:
    """Return Keras's padding for a 3x3 window with stride 2: odd sizes have one in front, too."""
    return tuple((0 if size is None else size % 2, 1) for size in grid)
