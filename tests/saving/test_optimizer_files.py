"""Optimizers and schedules in files: training goes on, and Keras's order of what is remembered."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from convlet import Sequential, load_model, optimizers, utils
from convlet.layers import Dense, Input
from convlet.optimizers import SGD, Adam, Optimizer, schedules
from convlet.optimizers.schedules import CosineDecay, OneCycle
from numerics import normal
from optimizer_cases import KERAS, made

X, Y = normal(8, 4, dtype="float32"), normal(8, 2, seed=1, dtype="float32")


def network(optimizer: Optimizer, steps: int = 3) -> Sequential:
    utils.set_random_seed(5)
    model = Sequential([Input((4,)), Dense(2)])
    model.compile(optimizer, "mse")
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model


@pytest.mark.parametrize("suffix", ["safetensors", "keras"])
@pytest.mark.parametrize("name", KERAS)
def test_training_goes_on_where_it_was_saved(tmp_path: Path, name: str, suffix: str):
    model, path = network(made(name)), tmp_path / f"model.{suffix}"
    model.save(path)
    read = load_model(path)
    assert optimizers.serialize(read.optimizer) == optimizers.serialize(model.optimizer)
    for _ in range(3):
        assert read.train_on_batch(X, Y) == model.train_on_batch(X, Y)
    for old, new in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def optimizer_arrays(path: Path) -> list[np.ndarray]:
    with zipfile.ZipFile(path).open("model.weights.h5") as stream, h5py.File(stream) as file:
        group = file["optimizer/vars"]
        return [group[str(number)][()] for number in range(len(group))]


# What stands behind the steps and the learning rate: the order that Keras 3.15.1 printed.
ORDERS = {
    "SGD": [],
    "momentum": ["kernel momentum", "bias momentum"],
    "AMSGrad": [
        "kernel momentum", "kernel velocity", "bias momentum", "bias velocity",
        "kernel velocity_hat", "bias velocity_hat",
    ],
    "RMSprop with all": [
        "kernel velocity", "bias velocity", "kernel momentum", "bias momentum",
        "kernel average_gradient", "bias average_gradient",
    ],
    "Adagrad": ["kernel accumulator", "bias accumulator"],
    "Adadelta": [
        "kernel accumulated_grad", "kernel accumulated_delta_var", "bias accumulated_grad",
        "bias accumulated_delta_var",
    ],
    "Adamax": ["kernel momentum", "kernel norm", "bias momentum", "bias norm"],
    "Lion": ["kernel momentum", "bias momentum"],
    "clipnorm, decay, averages": [
        "kernel average", "bias average", "kernel momentum", "kernel velocity", "bias momentum",
        "bias velocity",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_the_order_is_keras_s(tmp_path: Path, name: str):
    model, path = network(made(name)), tmp_path / "model.keras"
    model.save(path)
    steps, rate, *slots = optimizer_arrays(path)
    assert (int(steps), float(rate)) == (3, np.float32(model.optimizer.learning_rate))
    for array, place in zip(slots, ORDERS[name], strict=True):
        weight, slot = place.split()
        np.testing.assert_array_equal(array, model.state.slots[f"dense/{weight}"][slot])


def test_nadam_s_product_stands_last(tmp_path: Path):
    network(made("Nadam")).save(tmp_path / "model.keras")
    arrays = optimizer_arrays(tmp_path / "model.keras")
    assert [array.shape for array in arrays] == [(), (), (4, 2), (4, 2), (2,), (2,), ()]
    expected = np.prod([0.9 * (1 - 0.5 * 0.96**t) for t in (1, 2, 3)])
    assert arrays[-1] == pytest.approx(expected, rel=1e-6)


def test_a_schedule_is_keras_s_object_and_has_no_learning_rate_beside_it(tmp_path: Path):
    schedule, path = CosineDecay(0.5, 20), tmp_path / "model.keras"
    model = network(Adam(schedule))
    model.save(path)
    assert len(optimizer_arrays(path)) == 1 + 4
    config = json.loads(zipfile.ZipFile(path).read("config.json"))
    assert config["compile_config"]["optimizer"]["config"]["learning_rate"] == {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": {
            "initial_learning_rate": 0.5,
            "decay_steps": 20,
            "alpha": 0.0,
            "name": "CosineDecay",
            "warmup_target": None,
            "warmup_steps": 0,
        },
        "registered_name": None,
    }
    read = load_model(path)
    assert read.optimizer.learning_rate == model.optimizer.learning_rate == schedule(3)


def test_a_schedule_of_ours_alone_is_for_our_files(tmp_path: Path):
    model = network(SGD(OneCycle(0.1, 20)))
    with pytest.raises(ValueError, match="Keras has no schedule OneCycle; "):
        model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    assert schedules.serialize(read.optimizer.schedule) == schedules.serialize(OneCycle(0.1, 20))


def test_names_that_do_not_decay_are_kept(tmp_path: Path):
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = network(optimizer)
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    kernel, bias = read.weights
    assert (read.optimizer.decays(kernel), read.optimizer.decays(bias)) == (True, False)
    # Keras has no place for them
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").optimizer.decays(bias)


def test_weights_that_do_not_decay_are_kept(tmp_path: Path):
    model = network(SGD(0.1, weight_decay=0.5))
    model.optimizer.exclude_from_weight_decay(var_list=[model.weights[0]])
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    assert [read.optimizer.decays(v) for v in read.weights] == [False, True]
    for trained in (model, read):
        trained.train_on_batch(X, Y)
    for array, expected in zip(read.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


def test_an_optimizer_that_has_made_no_step(tmp_path: Path):
    for suffix in ("keras", "safetensors"):
        path = tmp_path / f"model.{suffix}"
        model = network(Adam(0.1, use_ema=True), steps=0)
        model.save(path)
        read = load_model(path)
        assert read.train_on_batch(X, Y) == model.train_on_batch(X, Y)
        assert read.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


class Steady(schedules.LearningRateSchedule):
    def __call__(self, step: int) -> float:
        return 0.25


def test_a_schedule_of_one_s_own(tmp_path: Path):
    model = network(SGD(Steady()))
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors", {"Steady": Steady})
    assert read.optimizer.learning_rate == 0.25
    with pytest.raises(ValueError, match="schedule: unknown 'Steady'; known are cosine_decay"):
        load_model(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="Keras has no schedule Steady"):
        model.save(tmp_path / "model.keras")
