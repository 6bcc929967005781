"""Networks, classes of one's own and comparisons that the tests of model files share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from convlet import Sequential, initializers, losses, metrics, optimizers
from convlet.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from convlet.models import Model
from numerics import normal

# --- one's own classes ---


class Scale(Layer):
    """A layer with a weight that training changes and one that it leaves alone."""

    def __init__(self, power: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape: tuple) -> None:
        self.add_weight(input_shape[-1:], "ones", name="factor")
        self.add_weight(input_shape[-1:], "he_normal", trainable=False, name="offset")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def call(self, x: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return self.power * x * factor + offset

    def gradient(self, x: np.ndarray, factor: np.ndarray, *others: np.ndarray) -> tuple:
        δ = others[-1]
        axes = tuple(range(x.ndim - 1))
        return δ * self.power * factor, (δ * self.power * x).sum(axes), δ.sum(axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.power}


class Distance(losses.Loss):
    """The sum of squares, weighted."""

    def __init__(self, weight: float, name: str | None = None) -> None:
        super().__init__(name)
        self.weight = weight

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return self.weight * ((y_pred - y_true) ** 2).sum(axis=-1)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 2 * self.weight * (y_pred - y_true)


class Largest(metrics.MeanMetric):
    """The largest prediction."""

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.max(axis=-1)


class Averaging(optimizers.Optimizer):
    """Steps along the mean of all gradients; its slots have other types, shapes and orders."""

    def slots(self, value: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "sum/all": np.zeros(value.shape[::-1], value.dtype).T,
            "count": np.zeros((), np.int32),
        }

    def update(self, value: np.ndarray, gradient: np.ndarray, slots: dict, iterations: int) -> Any:
        total, count = slots["sum/all"] + gradient, slots["count"] + np.int32(1)
        step = (self.learning_rate * total / count).astype(value.dtype)
        return value - step, {"sum/all": np.asfortranarray(total), "count": count}


class Everywhere(initializers.Initializer):
    """One number, as an array without memory of its own for each element."""

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        return np.broadcast_to(np.float64(0.25), shape)


OWN = {cls.__name__: cls for cls in (Scale, Distance, Largest, Averaging, Everywhere)}


# --- what the tests share ---


def digits_like(samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return images of 6 x 6 pixels, in 2 channels, and labels of 3 classes."""
    return normal(samples, 6, 6, 2, dtype="float32"), np.arange(samples) % 3


def network(**changes: Any) -> Sequential:
    """Return a network with a bit of everything, the same one for the same random seed."""
    inner = Sequential(
        [Conv2D(2, 3, padding="same", activation="relu"), Dropout(0.25), MaxPooling2D(2)],
        name="inner",
    )
    return Sequential(
        [
            Input((6, 6, 2)),
            Rescaling(0.5, offset=[0.5, 1.0]),
            inner,
            Scale(2.0),
            Flatten(),
            Dropout(0.5, seed=3),
            Dense(4, activation="tanh", trainable=False),
            Dense(3, activation=changes.get("activation", "softmax")),
        ],
        name=changes.get("name", "network"),
    )


def compiled_network() -> Sequential:
    model = network()
    model.compile(
        optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        weighted_metrics=[metrics.SparseCategoricalCrossentropy(name="weighted")],
    )
    return model


def described(path: Path) -> dict[str, Any]:
    """Return the JSON in a file."""
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["convlet"])


def assert_equal_models(read: Model, written: Model) -> None:
    """Assert that two models are built alike, hold the same bits, and train the same weights."""
    assert read.get_config() == written.get_config()
    assert read.input_shape == written.input_shape
    assert list(read.named_weights()) == list(written.named_weights())
    for name, variable in written.named_weights().items():
        other = read.named_weights()[name]
        np.testing.assert_array_equal(other.value, variable.value, strict=True, err_msg=name)
        assert other.trainable == variable.trainable, name


def saved_again(model: Model, path: Path) -> bytes:
    """Return the bytes of the file that a model is saved in beside ``path``."""
    other = path.with_name("again.safetensors")
    model.save(other)
    return other.read_bytes()


def own_network() -> Sequential:
    model = Sequential([Input((4,)), Scale(3.0), Dense(3, kernel_initializer=Everywhere())])
    model.compile(Averaging(0.01), Distance(0.5), metrics=[Largest()], weighted_metrics=["mae"])
    return model
