"""Schedules against Keras's and PyTorch's numbers and the lecture's formula; as learning rates."""

from __future__ import annotations

import numpy as np
import pytest

from convlet import optimizers
from convlet.optimizers import SGD, schedules
from convlet.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

STEPS = (0, 3, 5, 10, 12, 15, 17, 31)

# What Keras 3.15.1 printed for STEPS, to 7 digits.
KERAS: list[tuple[LearningRateSchedule, list[float]]] = [
    (
        InverseTimeDecay(0.5, 10, 0.3),
        [0.5, 0.4587156, 0.4347826, 0.3846154, 0.3676471, 0.3448276, 0.3311258, 0.2590674],
    ),
    (
        InverseTimeDecay(0.5, 10, 0.3, staircase=True),
        [0.5, 0.5, 0.5, 0.3846154, 0.3846154, 0.3846154, 0.3846154, 0.2631579],
    ),
    (
        ExponentialDecay(0.5, 10, 0.3),
        [0.5, 0.3484226, 0.2738613, 0.15, 0.1179005, 0.08215839, 0.06457675, 0.01196867],
    ),
    (
        ExponentialDecay(0.5, 10, 0.3, True),
        [0.5, 0.5, 0.5, 0.15, 0.15, 0.15, 0.15, 0.0135],
    ),
    (
        CosineDecay(0.5, 20, alpha=0.1),
        [0.5, 0.4754764, 0.434099, 0.275, 0.2054711, 0.115901, 0.07452352, 0.05],
    ),
    (
        CosineDecay(0.1, 20, alpha=0.1, warmup_target=0.5, warmup_steps=5),
        [0.1, 0.34, 0.5, 0.434099, 0.3771479, 0.275, 0.2054711, 0.05],
    ),
    (
        CosineDecayRestarts(0.5, 5, m_mul=0.5, alpha=0.1),
        [0.5, 0.2054711, 0.275, 0.1625, 0.09637414, 0.1625, 0.1597469, 0.0607428],
    ),
    (
        CosineDecayRestarts(0.5, 5, t_mul=1.0),
        [0.5, 0.1727457, 0.5, 0.5, 0.3272541, 0.5, 0.3272541, 0.4522544],
    ),
    (
        PiecewiseConstantDecay([5, 12], [0.5, 0.2, 0.1]),
        [0.5, 0.5, 0.5, 0.2, 0.2, 0.1, 0.1, 0.1],
    ),
    (
        PolynomialDecay(0.5, 10, power=2.0),
        [0.5, 0.245051, 0.125075, 0.0001, 0.0001, 0.0001, 0.0001, 0.0001],
    ),
    (
        PolynomialDecay(0.5, 10, end_learning_rate=0.1, cycle=True),
        [0.5, 0.38, 0.3, 0.1, 0.26, 0.2, 0.16, 0.19],
    ),
]
ALL = [schedule for schedule, _ in KERAS] + [OneCycle(0.5, 20)]

# What PyTorch 2.13's OneCycleLR printed for 20 steps, to 8 digits.
ONE_CYCLE = {
    (0.3, 25.0, 1e4): [
        0.02, 0.065835921, 0.18583592, 0.33416408, 0.45416408, 0.5, 0.493732, 0.47524232,
        0.44545809, 0.40587283, 0.3584715, 0.30563101, 0.250001, 0.19437099, 0.1415305,
        0.094129173, 0.054543911, 0.024759684, 0.0062699969, 2e-06,
    ],
    (0.5, 10.0, 100.0): [
        0.05, 0.06356916, 0.10264, 0.1625, 0.23592916, 0.31407084, 0.3875, 0.44736, 0.48643084,
        0.5, 0.48777636, 0.45230199, 0.39704937, 0.32742699, 0.25025, 0.17307301, 0.10345063,
        0.048198006, 0.012723635, 0.0005,
    ],
}  # fmt: skip


@pytest.mark.parametrize(("schedule", "expected"), KERAS)
def test_rates_are_keras_s(schedule: LearningRateSchedule, expected: list[float]):
    found = [schedule(step) for step in STEPS]
    assert found == pytest.approx(expected, rel=1e-6)
    assert all(type(rate) is float for rate in found)


@pytest.mark.parametrize("settings", ONE_CYCLE)
def test_one_cycle_is_pytorch_s(settings: tuple[float, float, float]):
    schedule = OneCycle(0.5, 20, *settings)
    assert [schedule(step) for step in range(20)] == pytest.approx(ONE_CYCLE[settings], rel=1e-6)
    assert schedule(1000) == schedule(19)


def test_one_cycle_may_only_fall():
    schedule = OneCycle(1.0, 5, pct_start=0)
    rates = [schedule(step) for step in range(5)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1.0


def test_lecture_001_s_rule():
    """mu0 / (1 + d t), t being the number of the epoch, here of 50 steps."""
    schedule = InverseTimeDecay(0.1, 50, 0.25, staircase=True)
    for epoch in range(4):
        for step in (50 * epoch, 50 * epoch + 49):
            assert schedule(step) == pytest.approx(0.1 / (1 + 0.25 * epoch))


def test_restarts_are_where_they_should_be():
    for ratio in (1.0, 1.5, 2.0, 3.0):
        schedule, begin = CosineDecayRestarts(1.0, 8, t_mul=ratio, m_mul=0.5), 0.0
        for restart in range(6):
            assert schedule(begin) == pytest.approx(0.5**restart, abs=1e-12)
            begin += 8 * ratio**restart
            assert schedule(begin - 1e-3) < 1e-6


def test_a_rate_that_grows_without_end_becomes_infinite():
    schedule = ExponentialDecay(1.0, 1, 10.0)
    assert schedule(1000) == schedule.checked(1000) == np.inf


def test_a_schedule_as_learning_rate():
    optimizer = SGD(ExponentialDecay(1.0, 1, 0.5))
    assert optimizer.learning_rate == 1.0
    w = np.zeros(1)
    path = []
    for iterations in range(3):
        (step,) = optimizer.update_all([optimizers.Weight(w, np.ones(1), {})], iterations)
        assert optimizer.learning_rate == 0.5**iterations
        w = step.value
        path.append(float(w[0]))
    assert path == [-1.0, -1.5, -1.75]


def test_a_number_does_not_replace_a_schedule():
    optimizer = SGD(ExponentialDecay(1.0, 1, 0.5))
    message = (
        "^SGD: learning_rate follows a schedule, ExponentialDecay, and cannot be set to a number, "
        "got 0.1; another schedule would do, or a new optimizer$"
    )
    with pytest.raises(TypeError, match=message):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = InverseTimeDecay(0.5, 1, 1.0)
    assert optimizer.learning_rate == 0.5
    optimizer = SGD(0.1)
    optimizer.learning_rate = InverseTimeDecay(0.5, 1, 1.0)
    assert optimizer.learning_rate == 0.5


@pytest.mark.parametrize("schedule", ALL)
def test_configurations_are_whole(schedule: LearningRateSchedule):
    described = optimizers.serialize(SGD(schedule))
    assert described["config"]["learning_rate"] == schedules.serialize(schedule)
    read = optimizers.get(described)
    assert optimizers.serialize(read) == described
    assert [read.schedule(step) for step in STEPS] == [schedule(step) for step in STEPS]


class Steady(LearningRateSchedule):
    def __call__(self, step: int) -> float:
        return np.float32(0.25)


def test_one_s_own_schedule():
    optimizer = SGD(Steady())
    assert type(optimizer.learning_rate) is float
    described = optimizers.serialize(optimizer)
    assert optimizers.get(described, {"Steady": Steady}).learning_rate == 0.25
    with pytest.raises(ValueError, match="schedule: unknown 'Steady'; known are cosine_decay, "):
        optimizers.get(described)
    with pytest.raises(NotImplementedError, match="LearningRateSchedule must define __call__"):
        LearningRateSchedule()(0)


class Saying(LearningRateSchedule):
    def __init__(self, rate: object) -> None:
        super().__init__()
        self.rate = rate

    def __call__(self, step: int) -> float:
        return self.rate


@pytest.mark.parametrize("rate", [None, "fast", -0.1, np.nan, np.ones(2)], ids=str)
def test_what_is_no_rate_is_refused_before_the_step(rate: object):
    optimizer, w = SGD(Saying(rate)), np.zeros(1)
    message = "^Saying: the learning rate of step 3 must be a number of at least 0, got "
    with pytest.raises(ValueError, match=message):
        optimizer.update_all([optimizers.Weight(w, np.ones(1), {})], 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ExponentialDecay(-1, 1, 1),
            "ExponentialDecay: initial_learning_rate must be a number of at least 0, got -1",
        ),
        (
            lambda: InverseTimeDecay(1, 0, 1),
            "InverseTimeDecay: decay_steps must be a number above 0, got 0",
        ),
        (
            lambda: InverseTimeDecay(1, 1, np.nan),
            "InverseTimeDecay: decay_rate must be a number of at least 0, got nan",
        ),
        (
            lambda: ExponentialDecay(1, 1, 1, 1),
            "ExponentialDecay: staircase must be True or False, got 1",
        ),
        (
            lambda: PiecewiseConstantDecay([1, 2], [1.0, 2.0]),
            "PiecewiseConstantDecay: values must be one more than boundaries, 3, got [1.0, 2.0]",
        ),
        (
            lambda: PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]),
            "PiecewiseConstantDecay: boundaries must be rising, got [2, 1]",
        ),
        (
            lambda: PiecewiseConstantDecay(5, [1.0]),
            "PiecewiseConstantDecay: boundaries must be a list of numbers, got 5",
        ),
        (
            lambda: PiecewiseConstantDecay([5], ["a", 1.0]),
            "PiecewiseConstantDecay: each of values must be a number of at least 0, got 'a'",
        ),
        (
            lambda: PolynomialDecay(1, 1, cycle=None),
            "PolynomialDecay: cycle must be True or False, got None",
        ),
        (
            lambda: PolynomialDecay(1, 1, power=-1),
            "PolynomialDecay: power must be a number of at least 0, got -1",
        ),
        (
            lambda: CosineDecay(1, 1, warmup_target="high"),
            "CosineDecay: warmup_target must be a number of at least 0, got 'high'",
        ),
        (
            lambda: CosineDecayRestarts(1, 1, t_mul=0.5),
            "CosineDecayRestarts: t_mul must be a number of at least 1, got 0.5",
        ),
        (lambda: OneCycle(1, 1), "OneCycle: total_steps must be an integer of at least 2, got 1"),
        (
            lambda: OneCycle(1, 9, 2.0),
            "OneCycle: pct_start must be a number of at least 0 and",
        ),
        (lambda: OneCycle(1, 9, 0.5, 0), "OneCycle: div_factor must be a number above 0, got 0"),
        (lambda: OneCycle(1, 9, name=""), "OneCycle: name must be a string of printable"),
    ],
)
def test_errors_name_the_argument(make, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        make()
    assert message in str(error.value)
