"""Optimizers in training: memory that is used again, the way back, averages, schedules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convlet import NonFiniteLossError, Sequential, config, load_model, optimizers, utils
from convlet.callbacks import Callback
from convlet.layers import Dense, Input
from convlet.optimizers import SGD, Adam, Optimizer
from convlet.optimizers.schedules import ExponentialDecay
from numerics import normal
from optimizer_cases import KERAS, made

X, Y = normal(24, 5, dtype="float32"), np.arange(24) % 3


def network(optimizer: object = "rmsprop", dtype: str = "float32") -> Sequential:
    utils.set_random_seed(7)
    model = Sequential(
        [
            Input((5,), dtype=dtype),
            Dense(4, activation="tanh", dtype=dtype),
            Dense(3, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def arrays_of(model: Sequential) -> list[np.ndarray]:
    """Return all weights and slots."""
    weights = [v.value for v in model.weights]
    return weights + [a for slots in model.state.slots.values() for a in slots.values()]


def step(model: Sequential, times: int = 1) -> None:
    for _ in range(times):
        model.train_on_batch(X, Y)


# --- two sets of arrays ---


def places(model: Sequential) -> set[int]:
    return {array.ctypes.data for array in arrays_of(model)}


@pytest.mark.parametrize("name", ["SGD", "AMSGrad", "clipnorm, decay, averages"])
def test_two_sets_of_arrays_take_turns(name: str):
    model = network(made(name))
    step(model, 4)
    even, _ = places(model), step(model)
    odd, _ = places(model), step(model)
    assert even.isdisjoint(odd)
    for _ in range(3):
        assert places(model) == even
        step(model)
        assert places(model) == odd
        step(model)


@pytest.mark.parametrize("taken", [lambda a: a, lambda a: a[:1], memoryview])
def test_an_array_that_somebody_holds_does_not_change(taken: Callable):
    model = network(Adam(0.1))
    for _ in range(6):
        held = [taken(array) for array in arrays_of(model)]
        before = [np.array(array) for array in held]
        step(model, 5)
        for array, copy in zip(held, before, strict=True):
            np.testing.assert_array_equal(np.asarray(array), copy)


def test_predictions_in_between_see_each_step():
    """A program keeps the kernels of arrays that it has met; they must not hold other numbers."""
    model, other = network(Adam(0.1)), network(Adam(0.1))
    for _ in range(6):
        step(model)
        step(other)
        found = model.predict(X, verbose=0)
        fresh = network()
        fresh.set_weights(other.get_weights())
        np.testing.assert_array_equal(found, fresh.predict(X, verbose=0))


def test_arrays_are_let_go_of_when_training_is_over():
    model = network(Adam(0.1))
    model.fit(X, Y, epochs=3, verbose=0)
    assert model.state._good == {}


# --- the way back ---


class Recorder(Callback):
    """Records weights and slots, as copies, before each step."""

    def __init__(self) -> None:
        self.before: list[list[np.ndarray]] = []

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        self.before.append([array.copy() for array in arrays_of(self.model)])


def regression(optimizer: Optimizer) -> Sequential:
    """Return a model whose loss overflows for large inputs."""
    model = Sequential([Input((5,)), Dense(2, kernel_initializer="ones"), Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", KERAS)
def test_a_loss_that_is_not_finite_brings_back_weights_and_slots(name: str):
    model, x, recorder = regression(made(name)), X.copy(), Recorder()
    x[20:] = 1e30
    with pytest.raises(NonFiniteLossError, match="the loss became inf at epoch 1, step 6"):
        model.fit(x, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
    for array, expected in zip(arrays_of(model), recorder.before[4], strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_step_that_is_not_finite_changes_nothing():
    model = regression(SGD(0.01, momentum=0.9))
    step(model, 3)
    before = [array.copy() for array in arrays_of(model)]
    model.optimizer.learning_rate = 1e38
    for _ in range(2):
        with pytest.raises(NonFiniteLossError, match="the step would make dense"):
            model.train_on_batch(X * 10, Y)
        for array, expected in zip(arrays_of(model), before, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert model.state.iterations == 3


# --- what fit adds ---


def test_rmsprop_is_the_default():
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(loss="mse")
    assert type(model.optimizer) is optimizers.RMSprop


@pytest.mark.parametrize("name", KERAS)
def test_both_executors_train_alike(name: str):
    model = network(made(name))
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    native = model.get_weights()
    config.set_executor("reference")
    try:
        model = network(made(name))
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    finally:
        config.set_executor("native")
    # Lion's step is a sign: where rounding decides it, that is a whole step
    tolerance = 1e-3 if name in ("Lion", "Adadelta") else 2e-4
    for array, expected in zip(native, model.get_weights(), strict=True):
        np.testing.assert_allclose(array, expected, atol=tolerance)


def test_weights_become_their_averages_when_training_is_over():
    model = network(SGD(0.5, use_ema=True, ema_momentum=0.5))
    weights: list[list[np.ndarray]] = []

    class Weights(Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights.append(model.get_weights())

    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Weights()])
    for n, found in enumerate(model.get_weights()):
        first, second, third = (of_step[n] for of_step in weights)
        expected = 0.5 * (0.5 * first + 0.5 * second) + 0.5 * third
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_averages_leave_frozen_weights_and_what_is_not_trained_alone():
    model = network(SGD(0.5, use_ema=True))
    model.fit(X, Y, verbose=0)
    zeros = [np.zeros_like(array) for array in model.get_weights()]
    model.set_weights(zeros)
    model.fit(X, Y, epochs=0, verbose=0)
    for array in model.get_weights():
        np.testing.assert_array_equal(array, 0)
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    for array in model.layers[0].get_weights():
        np.testing.assert_array_equal(array, 0)
    assert np.abs(model.layers[-1].get_weights()[1]).max() > 0


def test_ctrl_c_keeps_the_weights_of_the_last_step():
    model = network(SGD(0.5, use_ema=True))

    class Interrupted(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.weights = model.get_weights()
            if batch == 2:
                raise KeyboardInterrupt

    callback = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    for array, expected in zip(model.get_weights(), callback.weights, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_schedule_goes_by_the_steps_made(tmp_path: Path):
    model = network(SGD(ExponentialDecay(1.0, 1, 0.5)))
    assert model.optimizer.learning_rate == 1.0
    model.fit(X, Y, batch_size=8, verbose=0)
    assert model.optimizer.iterations == model.state.iterations == 3
    assert model.optimizer.learning_rate == 0.125
    path = tmp_path / "network.safetensors"
    model.save(path)
    read = load_model(path)
    assert read.optimizer.learning_rate == 0.125
    step(model)
    step(read)
    for array, expected in zip(read.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    rate = model.optimizer.learning_rate
    with pytest.raises(ValueError, match="the metrics' names must differ"):
        model.compile(model.optimizer, "sparse_categorical_crossentropy", ["accuracy", "accuracy"])
    assert model.optimizer.learning_rate == rate
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    assert model.optimizer.learning_rate == 1.0


def test_weights_that_are_excluded_do_not_decay():
    def weights(exclude: bool) -> list[np.ndarray]:
        model = network(SGD(0.5, weight_decay=0.5))
        if exclude:
            first = model.layers[0].weights[0]
            model.optimizer.exclude_from_weight_decay([first], ["bias"])
        start = model.get_weights()
        step(model)
        return [start[0], start[2], *(model.get_weights()[n] for n in (0, 2))]

    before_0, before_2, all_0, all_2 = weights(False)
    *_, some_0, some_2 = weights(True)
    np.testing.assert_allclose(some_0 - all_0, 0.25 * before_0, atol=1e-6)
    np.testing.assert_array_equal(some_2, all_2)
    assert np.abs(before_2).max() > 0.1


class Counting(Optimizer):
    """Remembers numbers of other types and shapes than the weights'."""

    def slots(self, value):
        return {"count": np.zeros((), np.int32), "sum": np.zeros_like(value)}

    def update(self, value, gradient, slots, iterations):
        slots = {"count": slots["count"] + 1, "sum": slots["sum"] + gradient}
        return value - self.learning_rate * gradient, slots


def test_one_s_own_optimizer_keeps_its_slots_beside_the_averages():
    model = network(Counting(0.1, use_ema=True))
    step(model, 4)
    slots = model.state.slots["dense/kernel"]
    assert slots.keys() == {"average", "count", "sum"}
    assert slots["count"] == 4
