"""Every optimizer against Keras's numbers, by both executors; clipping, decay, averages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from convlet import config, optimizers
from convlet.optimizers import SGD, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop, Weight
from numerics import normal
from optimizer_cases import GRADIENTS, KERAS, VALUES, made, stepped


@pytest.fixture(params=["native", "reference"])
def executor(request: pytest.FixtureRequest) -> Iterator[str]:
    before = config.executor()
    config.set_executor(request.param)
    yield request.param
    config.set_executor(before)


def arrays(dtype: str) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Return the weights, and each step's gradients."""
    gradients = [[np.array(g, dtype) for g in of_step] for of_step in GRADIENTS]
    return [np.array(v, dtype) for v in VALUES], gradients


def step(optimizer: Optimizer, weight: Weight, iterations: int = 0) -> optimizers.Step:
    return optimizer.update_all([weight], iterations)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", KERAS)
def test_steps_are_keras_s(executor: str, name: str, dtype: str):
    after = stepped(made(name), *arrays(dtype))
    found = np.concatenate([weight.value for weight in after])
    assert found.dtype == dtype
    # Keras takes 1 - 0.999^t in float32, where a few digits are lost
    np.testing.assert_allclose(found, KERAS[name][2], rtol=0, atol=4e-6)


@pytest.mark.parametrize("name", KERAS)
def test_what_comes_in_is_not_written_into(executor: str, name: str):
    optimizer, value = made(name), normal(3, 4, dtype="float32")
    slots = optimizer.all_slots(value)
    value.flags.writeable = False
    for slot in slots.values():
        slot.flags.writeable = False
    before = {key: slot.copy() for key, slot in slots.items()}
    after = step(optimizer, Weight(value, value, slots), 3)
    assert not np.shares_memory(after.value, value)
    assert after.slots.keys() == slots.keys()
    for key, slot in slots.items():
        np.testing.assert_array_equal(slot, before[key])
        assert after.slots[key].shape == value.shape
        assert not np.shares_memory(after.slots[key], after.value)


def test_averages_are_of_the_weights_behind_each_step(executor: str):
    optimizer = SGD(0.5, use_ema=True, ema_momentum=0.75)
    w = [np.array([1.0], "float32")]
    after = stepped(optimizer, w, [[np.array([g], "float32")] for g in (2, -2, 4)])
    # weights 0, 1, -1; averages 0, 0.25, 0.75 * 0.25 - 0.25
    assert (after[0].value[0], after[0].slots["average"][0]) == (-1.0, -0.0625)


def test_a_moving_average_that_begins_late_begins_with_the_weight(executor: str):
    optimizer = SGD(0.5, use_ema=True, ema_momentum=0.5)
    w = np.array([3.0], "float32")
    after = step(optimizer, Weight(w, np.ones_like(w) * 2, optimizer.all_slots(w)), 7)
    assert (after.value[0], after.slots["average"][0]) == (2.0, 2.5)


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_which_weights_decay():
    optimizer, kernel, other, bias = SGD(0.1), Named("kernel"), Named("kernel"), Named("bias")
    assert not optimizer.decays(kernel)
    optimizer = SGD(0.1, weight_decay=0.5)
    assert optimizer.decays(bias)
    optimizer.exclude_from_weight_decay([kernel], ["ias", "gamma"])
    assert [optimizer.decays(v) for v in (kernel, other, bias)] == [False, True, False]
    optimizer.exclude_from_weight_decay()
    assert optimizer.decays(kernel)
    message = "SGD: exclude_from_weight_decay: var_names must be a list of strings, got 'bias'"
    with pytest.raises(ValueError, match=message):
        optimizer.exclude_from_weight_decay(var_names="bias")
    with pytest.raises(ValueError, match="var_list must be a list of weights, got"):
        optimizer.exclude_from_weight_decay([np.zeros(3)])
    with pytest.raises(ValueError, match="var_list must be a list of weights, got <test_rules"):
        optimizer.exclude_from_weight_decay(kernel)
    with pytest.raises(ValueError, match="var_names must be a list of strings, got 3"):
        optimizer.exclude_from_weight_decay(var_names=3)


def test_a_weight_that_does_not_decay(executor: str):
    w = np.array([1.0], "float32")
    optimizer = SGD(0.5, weight_decay=0.5)
    after = optimizer.update_all([Weight(w, w, {}, True), Weight(w, w, {}, False)], 0)
    assert [s.value[0] for s in after] == [0.25, 0.5]


def test_clipping_by_norm_leaves_small_gradients_alone(executor: str):
    w, g = np.zeros(2, "float32"), np.array([3.0, 4.0], "float32")
    weights = [Weight(w, g, {}), Weight(w, 2 * g, {}), Weight(w, 0 * g, {})]
    found = [s.value.tolist() for s in SGD(1.0, clipnorm=5.0).update_all(weights, 0)]
    assert found == [[-3, -4], [-3, -4], [0, 0]]
    # the norm of all is 5 sqrt(5)
    found = [s.value for s in SGD(1.0, global_clipnorm=5.0).update_all(weights, 0)]
    np.testing.assert_allclose(found, [-g / 5**0.5, -2 * g / 5**0.5, 0 * g], rtol=1e-6)


def test_a_large_gradient_s_square_does_not_overflow(executor: str):
    w, g = np.zeros(2, "float32"), np.array([3e30, 4e30], "float32")
    after = step(SGD(1.0, clipnorm=1.0), Weight(w, g, {}))
    np.testing.assert_allclose(after.value, [-0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("limit", ["", "clipnorm", "global_clipnorm"])
@pytest.mark.parametrize("name", ["Adam", "AMSGrad", "RMSprop with all", "Adamax", "Lion", "Nadam"])
def test_a_gradient_that_is_not_finite_is_seen(executor: str, name: str, limit: str, bad: float):
    kind, settings, _ = KERAS[name]
    optimizer = type(optimizers.get(kind))(0.1, **settings, **({limit: 1.0} if limit else {}))
    w = np.ones(5, "float32")
    g = w.copy()
    g[3] = bad
    finite = [
        s.is_finite
        for s in optimizer.update_all([Weight(w, x, optimizer.all_slots(w)) for x in (w, g)], 0)
    ]
    assert finite == [True, False]


def test_a_memory_that_is_not_finite_is_seen(executor: str):
    """A gradient whose square overflows would divide all later steps by infinity."""
    w, g = np.ones(3, "float32"), np.full(3, 1e30, "float32")
    optimizer = Adam()
    after = step(optimizer, Weight(w, g, optimizer.all_slots(w)))
    assert np.isfinite(after.value).all()
    assert not after.is_finite


def test_a_variance_does_not_become_negative_by_rounding(executor: str):
    w, g = np.zeros(4, "float32"), np.array([100.0, 77.7, 1e3, 0.3], "float32")
    after = stepped(RMSprop(1e-4, centered=True), [w], [[g]] * 200)
    assert np.isfinite(after[0].value).all()


def test_a_step_into_infinity_gives_no_warnings(executor: str):
    w = np.full(3, 3e38, "float32")
    for name in KERAS:
        optimizer = made(name)
        optimizer.weight_decay = 1e300
        step(optimizer, Weight(w, -w, optimizer.all_slots(w)))


def test_a_late_step_of_nadam_costs_no_more_and_stays_finite():
    optimizer = Nadam()
    product = np.prod([0.9 * (1 - 0.5 * 0.96**i) for i in range(1, 8)])
    assert optimizer.momentum_product(0) == 1
    assert optimizer.momentum_product(7) == pytest.approx(product, rel=1e-14)
    assert np.isfinite(optimizer.numbers(10**9)).all()


def test_settings_changed_between_steps(executor: str):
    """A momentum that is new begins at 0, and one that is no more is forgotten."""
    w = np.ones(2, "float32")
    optimizer = RMSprop(0.1, momentum=0.5)
    slots = step(optimizer, Weight(w, w, optimizer.all_slots(w))).slots
    optimizer.momentum, optimizer.centered = 0.0, True
    found = optimizer.all_slots(w, slots)
    assert list(found) == ["velocity", "average_gradient"]
    assert found["velocity"] is slots["velocity"]
    assert found["average_gradient"].tolist() == [0, 0]


def test_a_subclass_computes_what_it_says():
    class Halved(SGD):
        def update(self, value, gradient, slots, iterations):
            return value / 2, {}

    w = np.ones(2, "float32")
    assert step(Halved(), Weight(w, w, {})).value.tolist() == [0.5, 0.5]


def test_one_s_own_optimizer_clips_decays_and_averages():
    class Plain(Optimizer):
        def update(self, value, gradient, slots, iterations):
            assert slots == {}
            return value - self.learning_rate * gradient, {}

    optimizer = Plain(0.5, clipvalue=1.0, weight_decay=0.5, use_ema=True)
    w = np.array([4.0])
    after = step(optimizer, Weight(w, np.array([9.0]), optimizer.all_slots(w)))
    assert (after.value[0], after.slots["average"][0]) == (4 - 1 - 0.5, 2.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(beta_1=1.0), "Adam: beta_1 must be a number of at least 0 and below 1, got"),
        (lambda: Adam(beta_2=-0.1), "Adam: beta_2 must be a number of at least 0 and below 1, got"),
        (lambda: Adam(epsilon=-1), "Adam: epsilon must be a number of at least 0, got -1"),
        (lambda: Adam(amsgrad=1), "Adam: amsgrad must be True or False, got 1"),
        (lambda: AdamW(weight_decay=None), "AdamW: weight_decay must be a number of at least 0,"),
        (lambda: RMSprop(rho=2), "RMSprop: rho must be a number of at least 0 and of at most 1,"),
        (lambda: RMSprop(momentum=-1), "RMSprop: momentum must be a number of at least 0 and of"),
        (lambda: RMSprop(centered=None), "RMSprop: centered must be True or False, got None"),
        (lambda: Lion(beta_1=0), "Lion: beta_1 must be above 0 and at most 1, got 0"),
        (lambda: Lion(beta_2=1.5), "Lion: beta_2 must be a number of at least 0 and of at most 1"),
        (
            lambda: optimizers.Adagrad(initial_accumulator_value=-1),
            "Adagrad: initial_accumulator_value must be a number of at least 0, got -1",
        ),
        (lambda: optimizers.Adadelta(rho="x"), "Adadelta: rho must be a number of at least 0 and"),
        (lambda: optimizers.Adamax(beta_1=1), "Adamax: beta_1 must be a number of at least 0 and"),
    ],
)
def test_errors_name_the_argument(make, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        make()
    assert message in str(error.value)


# Keras 3.15.1's, from `get_config`.
DEFAULTS = {
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
    "adamw": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.004},
    "rmsprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    "adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "adadelta": {"rho": 0.95, "epsilon": 1e-7},
    "adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "lion": {"beta_1": 0.9, "beta_2": 0.99},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_keras_s(name: str):
    config = optimizers.get(name).get_config()
    assert config["learning_rate"] == 0.001
    assert {key: config[key] for key in DEFAULTS[name]} == DEFAULTS[name]


@pytest.mark.parametrize("name", KERAS)
def test_configurations_are_whole(name: str):
    optimizer = made(name)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    described = optimizers.serialize(optimizer)
    read = optimizers.get(described)
    assert optimizers.serialize(read) == described
    assert type(read) is type(optimizer)
    assert read.get_config()["exclude_from_weight_decay"] == ["bias"]
