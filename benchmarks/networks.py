"""The one list of networks that are timed: their layers, weights, data and arithmetic.

Names and array layout are Keras's; each contender translates them into its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Conv:
    """A square convolution without padding."""

    channels: int
    kernel: int
    activation: str


@dataclass(frozen=True)
class MaxPool:
    """Max pooling over squares that do not overlap."""

    size: int


@dataclass(frozen=True)
class Flatten:
    """All values in one row."""


@dataclass(frozen=True)
class Dense:
    """A fully connected layer; the last one's softmax is part of the loss where that is usual."""

    units: int
    activation: str


Layer = Conv | MaxPool | Flatten | Dense


@dataclass(frozen=True)
class Network:
    """A chain of layers.

    Parameters
    ----------
    name : str
    input_shape : tuple of int
        Rows, columns, channels.
    layers : tuple of Layer
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]

    def shapes(self) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
        """Yield each layer with the shapes of one image before and after it."""
        before = self.input_shape
        for layer in self.layers:
            after = _shape_after(layer, before)
            yield layer, before, after
            before = after

    def weights(self, seed: int = 0) -> list[np.ndarray]:
        """Return initial weights in Keras's order and layout, float32, the same for the same seed.

        Kernels are drawn as Keras's ``"glorot_uniform"`` draws them; biases are zero.
        """
        random = np.random.default_rng(seed)
        weights = []
        for layer, before, after in self.shapes():
            if kernel := _kernel_shape(layer, before):
                field = math.prod(kernel[:-2])
                limit = math.sqrt(6 / (field * (kernel[-2] + kernel[-1])))
                weights.append(random.uniform(-limit, limit, kernel).astype(np.float32))
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


def _shape_after(layer: Layer, before: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of one image after a layer."""
    match layer:
        case Conv(channels, kernel):
            return (*(size - kernel + 1 for size in before[:-1]), channels)
        case MaxPool(size):
            return (*(length // size for length in before[:-1]), before[-1])
        case Flatten():
            return (math.prod(before),)
        case Dense(units):
            return (units,)


def _kernel_shape(layer: Layer, before: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of a layer's kernel, None if it has none."""
    match layer:
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
