"""Gradients of whole networks, by every weight and by the input, against central differences."""

import numpy as np
import pytest

from convlet import Layer, Sequential, layers, losses, random
from convlet.engine import run
from networks import EXAMPLES

STEP = 1e-6


class Shift(Layer):
    """Adds a weight of the input's shape: its gradient is the gradient by the input."""

    def build(self, input_shape):
        self.add_weight(input_shape[1:], "zeros", name="shift")

    def call(self, x, shift):
        return x + shift

    def gradient(self, x, shift, y, output_gradient):
        return output_gradient, output_gradient.sum(axis=0)


def loss_and_gradients(model, x, y):
    program = model.program("train", x.shape[1:])
    feeds = {
        "input": x,
        "targets": y,
        "weights": np.linspace(0.5, 1.5, len(x)) / len(y),
        "random": np.array([7, 3], np.uint64),
    }
    results = run(program, {name: feeds[name] for name in program.feeds})
    values = results[program.loss]
    penalties = sum(float(results[name]) for name in program.penalties)
    gradients = {name: results[buffer] for name, buffer in program.gradients.items()}
    return values.sum() + penalties, gradients


def check_gradients(model, x, y):
    _, gradients = loss_and_gradients(model, x, y)
    trainable = {path: v for path, v in model.named_weights().items() if v.trainable}
    assert set(gradients) == set(trainable)
    for path, variable in trainable.items():
        value = variable.value
        numeric = np.empty_like(value)
        for index in np.ndindex(value.shape):
            both = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * STEP
                variable.assign(moved)
                both.append(loss_and_gradients(model, x, y)[0])
            numeric[index] = (both[0] - both[1]) / (2 * STEP)
        variable.assign(value)
        np.testing.assert_allclose(gradients[path], numeric, rtol=2e-6, atol=2e-9, err_msg=path)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer(name):
    make, shape = EXAMPLES[name]
    random.set_random_seed(1)
    f64 = {"dtype": "float64"}
    # distinct values, far apart, so that no maximum changes hands within a step, and none at a kink
    size = 2 * int(np.prod(shape))
    x = (np.random.default_rng(0).permutation(size).reshape(2, *shape) + 0.37) / size - 0.3
    model = Sequential(
        [
            layers.Input(shape, **f64),
            Shift(**f64),
            make(**f64),
            layers.Flatten(**f64),
            layers.Dense(2, **f64),
        ]
    )
    model.compile("sgd", "mse")
    check_gradients(model, x, np.random.default_rng(1).normal(size=(2, 2)))


ACTIVATIONS = [name for name in layers.ACTIVATIONS if name != "linear"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    random.set_random_seed(2)
    model = Sequential(
        [
            layers.Dense(4, activation=activation, dtype="float64", input_shape=(3,)),
            layers.Dense(2, dtype="float64"),
        ]
    )
    model.compile("sgd", "mse")
    x = np.random.default_rng(3).normal(size=(4, 3))
    check_gradients(model, x, np.ones((4, 2)))


LOSSES = [
    (losses.SparseCategoricalCrossentropy(), "softmax", lambda n: np.arange(n) % 3),
    (losses.SparseCategoricalCrossentropy(from_logits=True), None, lambda n: np.arange(n) % 3),
    (losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax", lambda n: np.eye(3)[:n]),
    (losses.CategoricalCrossentropy(), "sigmoid", lambda n: np.eye(3)[:n]),
    (losses.BinaryCrossentropy(), "sigmoid", lambda n: np.eye(3)[:n]),
    (losses.BinaryCrossentropy(from_logits=True), None, lambda n: np.eye(3)[:n]),
    (losses.BinaryCrossentropy(), "softmax", lambda n: np.eye(3)[:n]),
    (losses.MeanSquaredError(), "softmax", lambda n: np.eye(3)[:n]),
    (
        losses.CustomLoss(
            lambda y, p: np.abs(p - y).mean(axis=-1),
            lambda y, p: np.sign(p - y) / p.shape[-1],
        ),
        "tanh",
        lambda n: 2.0 * np.eye(3)[:n],
    ),
]


@pytest.mark.parametrize(("loss", "activation", "targets"), LOSSES)
def test_every_loss_behind_the_activations_that_it_meets(loss, activation, targets):
    random.set_random_seed(4)
    model = Sequential([layers.Dense(3, activation=activation, dtype="float64", input_shape=(4,))])
    model.compile("sgd", loss)
    x = np.random.default_rng(5).normal(size=(3, 4))
    check_gradients(model, x, loss.check_targets(targets(3), (3, 3), "test"))


def test_a_network_with_a_loss_at_every_position():
    random.set_random_seed(6)
    f64 = {"dtype": "float64"}
    model = Sequential(
        [
            layers.Conv2D(3, 3, padding="same", activation="tanh", input_shape=(4, 3, 1), **f64),
            layers.Conv2D(2, 1, activation="softmax", **f64),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(7).normal(size=(2, 4, 3, 1))
    check_gradients(model, x, np.random.default_rng(8).integers(0, 2, (2, 4, 3)))
