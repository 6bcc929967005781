"""The one list of networks that are timed: their layers, weights, data and arithmetic.

Names and array layout are Keras's; each contender translates them into its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What all layers have: a name, and whose output they read, the layer before's if no name."""

    name: str = ""
    reads: str = ""


@dataclass(frozen=True)
class Conv(Layer):
    """A square convolution.

    "same" is Keras's: with a stride of 2 and an even size, all padding is at the end.
    """

    channels: int
    kernel: int
    activation: str = "linear"
    stride: int = 1
    padding: str = "valid"
    bias: bool = True

    def pads(self, size: int) -> tuple[int, int]:
        """Return the padding before and after an axis."""
        if self.padding == "valid":
            return 0, 0
        outputs = -(-size // self.stride)
        both = max((outputs - 1) * self.stride + self.kernel - size, 0)
        return both // 2, both - both // 2


@dataclass(frozen=True)
class DepthwiseConv(Conv):
    """A convolution of each channel by itself."""


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalization over images and positions."""


@dataclass(frozen=True)
class Activation(Layer):
    """An activation by itself."""

    function: str


@dataclass(frozen=True)
class Add(Layer):
    """The sum of what it reads and of another layer's output."""

    other: str


@dataclass(frozen=True)
class MaxPool(Layer):
    """Max pooling over squares that do not overlap."""

    size: int


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean of each channel."""


@dataclass(frozen=True)
class Flatten(Layer):
    """All values in one row."""


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer; the last one's softmax is part of the loss where that is usual."""

    units: int
    activation: str


EPSILON = 1e-3  # of batch normalization: Keras's


@dataclass(frozen=True)
class Network:
    """A graph of layers, each behind those that it reads.

    Parameters
    ----------
    name : str
    input_shape : tuple of int
        Rows, columns, channels.
    layers : tuple of Layer
    learning_rate : float
        Of gradient descent; small where layers normalize, since with large steps on noise rounding
        alone drives libraries apart.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    learning_rate: float = 0.1

    def shapes(self) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
        """Yield each layer with the shapes of one image before and after it."""
        named = {}
        before = self.input_shape
        for layer in self.layers:
            before = named[layer.reads] if layer.reads else before
            after = _shape_after(layer, before)
            yield layer, before, after
            named[layer.name] = before = after

    @property
    def is_chain(self) -> bool:
        """Whether every layer reads the one before it, and no other."""
        return not any(layer.reads or isinstance(layer, Add) for layer in self.layers)

    def weights(self, seed: int = 0) -> list[np.ndarray]:
        """Return initial weights in Keras's order and layout, float32, the same for the same seed.

        Kernels are drawn as Keras's ``"glorot_uniform"`` draws them; biases are zero. Batch
        normalization has a factor, a shift, a mean and a variance.
        """
        random = np.random.default_rng(seed)
        weights = []
        for layer, before, after in self.shapes():
            if isinstance(layer, BatchNorm):
                channels = before[-1]
                weights += [np.full(channels, value, np.float32) for value in (1, 0, 0, 1)]
            if kernel := _kernel_shape(layer, before):
                field = math.prod(kernel[:-2])
                limit = math.sqrt(6 / (field * (kernel[-2] + kernel[-1])))
                weights.append(random.uniform(-limit, limit, kernel).astype(np.float32))
                if has_bias(layer):
                    weights.append(np.zeros(after[-1], np.float32))
        return weights

    def flops(self, training: bool) -> int:
        """Return the arithmetic of one image, two operations for each use of a weight.

        Training takes three times a prediction's: forward, the gradient of the weights, the
        gradient of the input; the first layer needs none of the latter. Biases, activations,
        pooling and the optimizer do not count.
        """
        total, passes = 0, 2 if training else 1
        for layer, before, after in self.shapes():
            if kernel := _kernel_shape(layer, before):
                positions = math.prod(after[:-1])
                total += 2 * passes * positions * math.prod(kernel)
                passes = 3 if training else 1
        return total

    def samples(self, number: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels to train on: noise, float32 and int64.

        The values do not matter to the time, and noise needs no file.
        """
        random = np.random.default_rng(seed)
        x = random.uniform(0, 1, (number, *self.input_shape)).astype(np.float32)
        return x, random.integers(0, self.classes, number)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.layers[-1].units


def has_bias(layer: Layer) -> bool:
    """Return whether a layer has a bias."""
    return isinstance(layer, Dense) or (isinstance(layer, Conv) and layer.bias)


def number_of_weights(layer: Layer) -> int:
    """Return how many arrays of weights a layer has."""
    if isinstance(layer, BatchNorm):
        return 4
    return has_bias(layer) + isinstance(layer, Conv | Dense)


def _shape_after(layer: Layer, before: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of one image after a layer."""
    match layer:
        case Conv(channels, kernel, _, stride):
            grid = ((n + sum(layer.pads(n)) - kernel) // stride + 1 for n in before[:-1])
            return (*grid, channels)
        case GlobalPool():
            return before[-1:]
        case MaxPool(size):
            return (*(length // size for length in before[:-1]), before[-1])
        case Flatten():
            return (math.prod(before),)
        case Dense(units):
            return (units,)
    return before


def _kernel_shape(layer: Layer, before: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a layer's kernel, None if it has none."""
    match layer:
        case DepthwiseConv(channels, kernel):
            return (*(kernel for _ in before[:-1]), channels, 1)
        case Conv(channels, kernel):
            return (*(kernel for _ in before[:-1]), before[-1], channels)
        case Dense(units):
            return (before[-1], units)
    return None


LENET = Network(
    "LeNet 20-50-500",
    (28, 28, 1),
    (
        Conv(20, 5, "tanh"),
        MaxPool(2),
        Conv(50, 5, "tanh"),
        MaxPool(2),
        Flatten(),
        Dense(500, "tanh"),
        Dense(10, "softmax"),
    ),
)
"""The lectures' network for MNIST, `convlet.applications.LeNet20_50_500`."""


def _residual(name: str, before: str, channels: int, stride: int) -> list[Layer]:
    """Return a block of ResNet-20: two convolutions, and what goes past them."""
    layers: list[Layer] = [
        Conv(channels, 3, "linear", stride, "same", False, reads=before),
        BatchNorm(),
        Activation("relu"),
        Conv(channels, 3, "linear", 1, "same", False),
        BatchNorm(name=f"{name}.inner"),
    ]
    past = before
    if stride > 1:
        past = f"{name}.past"
        layers += [
            Conv(channels, 1, "linear", stride, "same", False, reads=before),
            BatchNorm(name=past),
        ]
    return [*layers, Add(past, reads=f"{name}.inner"), Activation("relu", name=name)]


def _resnet20() -> Network:
    """Return He et al.'s network for CIFAR-10, projections where the grid shrinks."""
    layers: list[Layer] = [
        Conv(16, 3, "linear", 1, "same", False),
        BatchNorm(),
        Activation("relu", name="stem"),
    ]
    before = "stem"
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(3):
            name = f"{stage}.{block}"
            layers += _residual(name, before, channels, 2 if stage and not block else 1)
            before = name
    layers += [GlobalPool(), Dense(10, "softmax")]
    return Network("ResNet-20", (32, 32, 3), tuple(layers), 0.001)


RESNET20 = _resnet20()


def _inverted(name: str, before: str, shapes: tuple[int, int, int, int]) -> list[Layer]:
    """Return a block of MobileNetV2: widen, convolve each channel, narrow."""
    channels, filters, stride, expansion = shapes
    wide = channels * expansion
    layers: list[Layer] = []
    if expansion > 1:
        layers += [Conv(wide, 1, "linear", 1, "same", False, reads=before), BatchNorm()]
        layers += [Activation("relu6")]
    layers += [
        DepthwiseConv(wide, 3, "linear", stride, "same", False, reads="" if layers else before),
        BatchNorm(),
        Activation("relu6"),
        Conv(filters, 1, "linear", 1, "same", False),
        BatchNorm(name=name),
    ]
    if stride == 1 and channels == filters:
        layers += [Add(before, name=f"{name}.sum")]
    return layers


def _mobilenet_v2() -> Network:
    """Return Sandler et al.'s network for 32 x 32 images: fewer strides, as is usual."""
    layers: list[Layer] = [
        Conv(32, 3, "linear", 1, "same", False),
        BatchNorm(),
        Activation("relu6", name="stem"),
    ]
    before, channels = "stem", 32
    for stage, (expansion, filters, blocks, stride) in enumerate(
        [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2)]
    ):
        for block in range(blocks):
            shapes = (channels, filters, stride if block == 0 else 1, expansion)
            layers += _inverted(f"{stage}.{block}", before, shapes)
            before, channels = layers[-1].name, filters
    layers += [Conv(640, 1, "linear", 1, "same", False, reads=before), BatchNorm()]
    layers += [Activation("relu6"), GlobalPool(), Dense(10, "softmax")]
    return Network("MobileNetV2", (32, 32, 3), tuple(layers), 0.0001)


MOBILENET_V2 = _mobilenet_v2()

VGG = Network(
    "VGG for 32 x 32",
    (32, 32, 3),
    (
        *(
            layer
            for channels in (64, 128, 256)
            for layer in (
                Conv(channels, 3, "relu", 1, "same"),
                Conv(channels, 3, "relu", 1, "same"),
                MaxPool(2),
            )
        ),
        Flatten(),
        Dense(256, "relu"),
        Dense(10, "softmax"),
    ),
)
"""Simonyan and Zisserman's pattern, pairs of 3 x 3 convolutions and a pooling."""
