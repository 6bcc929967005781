"""Residual networks for large images: ResNet with 18, 34, 50, 101 and 152 layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

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
    BatchNormalization,
    Conv2D,
    Input,
    KerasTensor,
    MaxPooling2D,
    ZeroPadding2D,
)
from convlet.models import Functional, Model

Block = Callable[[KerasTensor, int, int, str, bool], KerasTensor]


def _basic_block(
    x: KerasTensor, filters: int, strides: int, name: str, use_bias: bool
) -> KerasTensor:
    """Return x plus two 3x3 convolutions of it; a projection brings x to their shape if need be."""
    shortcut = x
    if strides > 1 or channels_of(x) != filters:
        shortcut = _projection(x, filters, strides, name, use_bias)
    y = normalized_convolution(x, filters, 3, f"{name}_1", strides=strides, use_bias=use_bias)
    y = normalized_convolution(y, filters, 3, f"{name}_2", use_bias=use_bias, activation=False)
    return _sum(shortcut, y, name)


def _bottleneck_block(
    x: KerasTensor, filters: int, strides: int, name: str, use_bias: bool
) -> KerasTensor:
    """Return x plus a 3x3 convolution between two 1x1 ones, the last with four times the filters.

    The stride is that of the first, as in the paper and in Keras; some have it in the second.
    """
    shortcut = x
    if name.endswith("block1"):
        shortcut = _projection(x, 4 * filters, strides, name, use_bias)
    y = normalized_convolution(x, filters, 1, f"{name}_1", strides=strides, use_bias=use_bias)
    y = normalized_convolution(y, filters, 3, f"{name}_2", use_bias=use_bias)
    y = normalized_convolution(y, 4 * filters, 1, f"{name}_3", use_bias=use_bias, activation=False)
    return _sum(shortcut, y, name)


def _projection(
    x: KerasTensor, filters: int, strides: int, name: str, use_bias: bool
) -> KerasTensor:
    return normalized_convolution(
        x, filters, 1, f"{name}_0", strides=strides, use_bias=use_bias, activation=False
    )


def _sum(shortcut: KerasTensor, y: KerasTensor, name: str) -> KerasTensor:
    y = Add(name=f"{name}_add")([shortcut, y])
    tensor: KerasTensor = Activation("relu", name=f"{name}_out")(y)
    return tensor


class _Variant(NamedTuple):
    block: Block
    blocks: tuple[int, ...]


_VARIANTS = {
    "ResNet18": _Variant(_basic_block, (2, 2, 2, 2)),
    "ResNet34": _Variant(_basic_block, (3, 4, 6, 3)),
    "ResNet50": _Variant(_bottleneck_block, (3, 4, 6, 3)),
    "ResNet101": _Variant(_bottleneck_block, (3, 4, 23, 3)),
    "ResNet152": _Variant(_bottleneck_block, (3, 8, 36, 3)),
}
"""Which blocks, and how many at each size: the paper's table 1."""


def _resnet(
    owner: str,
    include_top: bool,
    input_shape: Sequence[int | None],
    pooling: str | None,
    classes: int,
    use_bias: bool,
    width: float,
) -> Model:
    """Return one of the networks; layers have the names that Keras's have."""
    arguments.boolean(owner, "use_bias", use_bias)
    scaled, (block, blocks) = scaled_by(owner, width), _VARIANTS[owner]
    image = Input(input_shape)
    x = ZeroPadding2D(3, name="conv1_pad")(image)
    x = Conv2D(scaled(64), 7, strides=2, use_bias=use_bias, name="conv1_conv")(x)
    x = BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x)
    x = Activation("relu", name="conv1_relu")(x)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, 2, name="pool1_pool")(x)

    def of_stage(x: KerasTensor, stage: int, strides: int, name: str) -> KerasTensor:
        return block(x, scaled(64 * 2**stage), strides, name, use_bias)

    x = residual_stages(x, blocks, of_stage)
    output = ended_in_average(owner, x, include_top, pooling, classes)
    return Functional(image, output, name=owner.lower())


def ResNet18(  # noqa: N802 - called like a class, as Keras's applications are
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    use_bias: bool = False,
    width: float = 1.0,
) -> Model:
    """Return a residual network of 18 layers: eight blocks of two 3x3 convolutions.

    As published, 11,689,512 trainable weights. Where the size changes, the shortcut is a 1x1
    convolution (the paper's option B).

    Parameters
    ----------
    include_top : bool
        Whether to end in global average pooling and softmax.
    input_shape : tuple
        Rows, columns, channels; without the top, rows and columns may be None.
    pooling : {None, "avg", "max"}
        How to end without the top: in the last maps, or their mean or maximum.
    classes : int
        Number of outputs.
    use_bias : bool
        Whether convolutions have biases, which the normalization behind them takes off again. The
        paper's have none; Keras has no such network.
    width : float
        What the numbers of channels are multiplied by.

    Raises
    ------
    ValueError
        If an argument is not of its form.

    Notes
    -----
    The first form, v1: normalization behind each convolution, relu behind the sum. Source: K. He,
    X. Zhang, S. Ren and J. Sun, *Deep residual learning for image recognition*, 2016, table 1.
    """
    return _resnet("ResNet18", include_top, input_shape, pooling, classes, use_bias, width)


def ResNet34(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    use_bias: bool = False,
    width: float = 1.0,
) -> Model:
    """Return a residual network of 34 layers, 21,797,672 trainable weights; see `ResNet18`."""
    return _resnet("ResNet34", include_top, input_shape, pooling, classes, use_bias, width)


def ResNet50(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    use_bias: bool = True,
    width: float = 1.0,
) -> Model:
    """Return a residual network of 50 layers: sixteen blocks of 1x1, 3x3 and 1x1 convolutions.

    Keras's variant, whose convolutions have biases: 25,636,712 weights, with the names and shapes
    of ``keras.applications.ResNet50``. With ``use_bias=False`` it is the paper's, 25,557,032
    trainable weights. The other arguments are those of `ResNet18`.
    """
    return _resnet("ResNet50", include_top, input_shape, pooling, classes, use_bias, width)


def ResNet101(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    use_bias: bool = True,
    width: float = 1.0,
) -> Model:
    """Return a residual network of 101 layers, 44,707,176 weights; see `ResNet50`."""
    return _resnet("ResNet101", include_top, input_shape, pooling, classes, use_bias, width)


def ResNet152(  # noqa: N802
    include_top: bool = True,
    input_shape: Sequence[int | None] = (224, 224, 3),
    pooling: str | None = None,
    classes: int = 1000,
    *,
    use_bias: bool = True,
    width: float = 1.0,
) -> Model:
    """Return a residual network of 152 layers, 60,419,944 weights; see `ResNet50`."""
    return _resnet("ResNet152", include_top, input_shape, pooling, classes, use_bias, width)
