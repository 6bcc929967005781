"""SGD: sequences worked by hand, new arrays, float types; the settings that all share."""

from __future__ import annotations

import numpy as np
import pytest

from convlet import optimizers
from convlet.optimizers import SGD, Optimizer, schedules
from numerics import normal


def steps(optimizer: Optimizer, value: float, gradients: list[float]) -> list[float]:
    """Return the weight after each step."""
    weight = np.array([value])
    slots = optimizer.slots(weight)
    path = []
    for iteration, gradient in enumerate(gradients):
        weight, slots = optimizer.update(weight, np.array([gradient]), slots, iteration)
        path.append(float(weight[0]))
    return path


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # w: 1 - 0.1*2, 0.8 - 0.1*(-1), 0.9 - 0.1*4
        (SGD(0.1), [0.8, 0.9, 0.5]),
        # v: -0.2, -0.1 + 0.1, 0 - 0.4; w: 1 - 0.2, 0.8 + 0, 0.8 - 0.4
        (SGD(0.1, momentum=0.5), [0.8, 0.8, 0.4]),
        # the same v; w: 1 - 0.1 - 0.2, 0.7 + 0 + 0.1, 0.8 - 0.2 - 0.4
        (SGD(0.1, momentum=0.5, nesterov=True), [0.7, 0.8, 0.2]),
        # without momentum there is nothing to look ahead by
        (SGD(0.1, nesterov=True), [0.8, 0.9, 0.5]),
        (SGD(0.0, momentum=0.9), [1.0, 1.0, 1.0]),
    ],
)
def test_sequences_worked_by_hand(optimizer: SGD, expected: list[float]):
    assert steps(optimizer, 1.0, [2.0, -1.0, 4.0]) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_makes_new_arrays_of_the_weight_s_type(dtype: str, momentum: float, nesterov: bool):
    optimizer = SGD(0.1, momentum, nesterov)
    weight, gradient = normal(3, 4).astype(dtype), normal(3, 4, seed=1)
    slots = optimizer.slots(weight)
    weight.flags.writeable = gradient.flags.writeable = False
    for array in slots.values():
        array.flags.writeable = False
    after, new_slots = optimizer.update(weight, gradient, slots, 0)
    assert (after.dtype, after.shape) == (dtype, (3, 4))
    assert new_slots.keys() == slots.keys() == ({"momentum"} if momentum else set())
    for name, array in new_slots.items():
        assert (array.dtype, array.shape) == (dtype, (3, 4))
        assert not np.shares_memory(array, slots[name])
        assert not np.shares_memory(array, after)
    assert not np.shares_memory(after, weight)


def test_the_learning_rate_can_be_set_between_steps():
    optimizer = SGD(0.5)
    optimizer.learning_rate = np.float32(0.25)
    assert steps(optimizer, 1.0, [2.0]) == [0.5]
    assert type(optimizer.learning_rate) is float
    with pytest.raises(ValueError, match="SGD: learning_rate must be a number of at least 0, got"):
        optimizer.learning_rate = -1
    assert optimizer.learning_rate == 0.25


def test_a_step_that_diverges_gives_no_warnings():
    weight = np.full(2, 3e38, np.float32)
    optimizer = SGD(1e300, momentum=0.5, nesterov=True)
    after, _ = optimizer.update(weight, -weight, optimizer.slots(weight), 0)
    assert not np.isfinite(after).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "SGD: learning_rate must be a number of at least 0, got -0.1"),
        ({"learning_rate": np.nan}, "SGD: learning_rate must be a number of at least 0, got nan"),
        ({"learning_rate": np.inf}, "SGD: learning_rate must be a number of at least 0, got inf"),
        ({"learning_rate": "fast"}, "SGD: learning_rate must be a number of at least 0, got 'fas"),
        ({"momentum": 1.5}, "SGD: momentum must be a number of at least 0 and of at most 1, got"),
        ({"nesterov": 1}, "SGD: nesterov must be True or False, got 1"),
        (
            {"learning_rate": schedules.OneCycle},
            "SGD: learning_rate must be a number of at least 0, got <class",
        ),
        ({"weight_decay": -1}, "SGD: weight_decay must be a number of at least 0, got -1"),
        ({"clipnorm": "a"}, "SGD: clipnorm must be a number of at least 0, got 'a'"),
        ({"clipvalue": np.nan}, "SGD: clipvalue must be a number of at least 0, got nan"),
        ({"global_clipnorm": -2.0}, "SGD: global_clipnorm must be a number of at least 0, got -2"),
        (
            {"clipnorm": 1.0, "global_clipnorm": 1.0},
            "SGD: only one of clipnorm, clipvalue and global_clipnorm may be given, got clipnorm "
            "and global_clipnorm",
        ),
        ({"use_ema": 1}, "SGD: use_ema must be True or False, got 1"),
        ({"ema_momentum": 1.5}, "SGD: ema_momentum must be a number of at least 0 and of at most"),
        (
            {"ema_overwrite_frequency": 0},
            "SGD: ema_overwrite_frequency must be an integer of at least 1, got 0",
        ),
        ({"name": 3}, "SGD: name must be a string of printable characters, got 3"),
    ],
)
def test_errors_name_the_argument(arguments: dict, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        SGD(**arguments)
    assert message in str(error.value)


def test_names_and_configurations():
    assert optimizers.get("sgd").get_config() == {
        "learning_rate": 0.01,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": None,
        "clipnorm": None,
        "clipvalue": None,
        "global_clipnorm": None,
        "use_ema": False,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": None,
        "name": "sgd",
    }
    with pytest.raises(ValueError, match="optimizer: unknown 'ftrl'; known are adadelta, adagrad"):
        optimizers.get("ftrl")
    with pytest.raises(ValueError, match="optimizer Optimizer: the config does not fit"):
        optimizers.get(Optimizer)
