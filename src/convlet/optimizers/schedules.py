"""Schedules: learning rates that follow the number of steps made.

A schedule is called with the number of steps before the one to come and returns that step's rate,
so a training that is taken up again needs nothing but its counter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from convlet import arguments
from convlet.serialization import Configurable, Registry, object_name

_ROUNDING = 1e-12


class LearningRateSchedule(Configurable):
    """The base of all schedules; one's own defines ``__call__``.

    Parameters
    ----------
    name : str, optional
        The class's name in snake case if left out.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = object_name(self, name)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

    def checked(self, step: int) -> float:
        """Return what a call returns, as a float.

        Raises
        ------
        ValueError
            Unless that is a number of 0 or above; it may be infinite.
        """
        rate = self(step)
        if isinstance(rate, float) and rate == math.inf:
            return rate  # training says that the step would make the weights infinite
        return arguments.real(type(self).__name__, f"the learning rate of step {step}", rate, 0.0)

    def _real(self, name: str, value: float, minimum: float = 0.0) -> float:
        return arguments.real(type(self).__name__, name, value, minimum)

    def _positive(self, name: str, value: float) -> float:
        number = arguments.real(type(self).__name__, name, value, 0.0)
        if number == 0:
            raise arguments.invalid(type(self).__name__, name, "a number above 0", value)
        return number


class _Decay(LearningRateSchedule):
    """What falls with the number of decay periods, whole ones only if it goes by stairs."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(type(self).__name__ if name is None else name)
        self.initial_learning_rate = self._real("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self._positive("decay_steps", decay_steps)
        self.decay_rate = self._real("decay_rate", decay_rate)
        self.staircase = arguments.boolean(type(self).__name__, "staircase", staircase)

    def periods(self, step: int) -> float:
        """Return how many periods have passed."""
        periods = step / self.decay_steps
        return math.floor(periods) if self.staircase else periods


class InverseTimeDecay(_Decay):
    """η = η₀ / (1 + d t), t counting periods of ``decay_steps`` (lecture 001, "Learning rate").

    With as many steps as an epoch has, and ``staircase``, t is the lecture's number of the epoch.

    Parameters
    ----------
    initial_learning_rate : float
        η₀, 0 or above.
    decay_steps : float
        Steps in a period, above 0.
    decay_rate : float
        d, 0 or above.
    staircase : bool, default False
        Whether only whole periods count.
    name : str, default "InverseTimeDecay"

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        return self.initial_learning_rate / (1 + self.decay_rate * self.periods(step))


class ExponentialDecay(_Decay):
    """η = η₀ dᵗ, t counting periods of ``decay_steps``.

    Parameters
    ----------
    initial_learning_rate : float
        η₀, 0 or above.
    decay_steps : float
        Steps in a period, above 0.
    decay_rate : float
        d, 0 or above.
    staircase : bool, default False
        Whether only whole periods count.
    name : str, default "ExponentialDecay"

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        return self.initial_learning_rate * _power(self.decay_rate, self.periods(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """A number up to each boundary, and another from there on.

    Parameters
    ----------
    boundaries : sequence of float
        Steps, rising; up to and with the first, the first value counts.
    values : sequence of float
        One more than boundaries, 0 or above.
    name : str, default "PiecewiseConstant"

    Raises
    ------
    ValueError
        If they are not of that form.
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        super().__init__(name)
        self.boundaries = self._listed("boundaries", boundaries, -math.inf)
        self.values = self._listed("values", values, 0.0)
        if sorted(self.boundaries) != self.boundaries:
            raise arguments.invalid(type(self).__name__, "boundaries", "rising", boundaries)
        if len(self.values) != len(self.boundaries) + 1:
            requirement = f"one more than boundaries, {len(self.boundaries) + 1}"
            raise arguments.invalid(type(self).__name__, "values", requirement, values)

    def _listed(self, name: str, value: Any, minimum: float) -> list[float]:
        if not isinstance(value, (list, tuple)):
            raise arguments.invalid(type(self).__name__, name, "a list of numbers", value)
        return [self._real(f"each of {name}", number, minimum) for number in value]

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(LearningRateSchedule):
    """η = (η₀ - η₁)(1 - p)ᵏ + η₁, p going from 0 to 1 in ``decay_steps``, and then staying there.

    With ``cycle``, the time for the whole way doubles, triples and so on whenever it is over.

    Parameters
    ----------
    initial_learning_rate : float
        η₀, 0 or above.
    decay_steps : float
        Above 0.
    end_learning_rate : float, default 0.0001
        η₁, 0 or above.
    power : float, default 1.0
        k, 0 or above.
    cycle : bool, default False
        Whether to go on beyond ``decay_steps``.
    name : str, default "PolynomialDecay"

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = self._real("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self._positive("decay_steps", decay_steps)
        self.end_learning_rate = self._real("end_learning_rate", end_learning_rate)
        self.power = self._real("power", power)
        self.cycle = arguments.boolean("PolynomialDecay", "cycle", cycle)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        cycles = max(1, math.ceil(step / self.decay_steps)) if self.cycle else 1
        p = min(step / (self.decay_steps * cycles), 1.0)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * (1 - p) ** self.power + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from η₀ to α η₀ in ``decay_steps``, after a straight way up if there is one.

    η = η₀ ((1 - α)(1 + cos(πp)) / 2 + α), p going from 0 to 1 (Loshchilov and Hutter, *SGDR:
    stochastic gradient descent with warm restarts*, 2017). With ``warmup_target``, the rate first
    goes straight from η₀ to that in ``warmup_steps``, and falls from there.

    Parameters
    ----------
    initial_learning_rate : float
        η₀, 0 or above.
    decay_steps : float
        Steps of the way down, above 0.
    alpha : float, default 0.0
        α, the share that is left in the end, 0 or above.
    name : str, default "CosineDecay"
    warmup_target : float, optional
        0 or above; without it there is no warm-up.
    warmup_steps : float, default 0
        0 or above.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = self._real("initial_learning_rate", initial_learning_rate)
        self.decay_steps = self._positive("decay_steps", decay_steps)
        self.alpha = self._real("alpha", alpha)
        self.warmup_target = (
            None if warmup_target is None else self._real("warmup_target", warmup_target)
        )
        self.warmup_steps = self._real("warmup_steps", warmup_steps)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        start, target = self.initial_learning_rate, self.warmup_target
        if target is None:
            return start * _cosine(step / self.decay_steps, self.alpha)
        if step < self.warmup_steps:
            return start + (target - start) * step / self.warmup_steps
        return target * _cosine((step - self.warmup_steps) / self.decay_steps, self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, each beginning anew (Loshchilov and Hutter, *SGDR*, 2017).

    η = η₀ ((1 - α) mⁱ (1 + cos(πp)) / 2 + α) in the i-th, i = 0, 1, ..., which takes
    ``first_decay_steps`` times ``t_mul`` to the i-th; p goes from 0 to 1 within it.

    Parameters
    ----------
    initial_learning_rate : float
        η₀, 0 or above.
    first_decay_steps : float
        Steps of the first, above 0.
    t_mul : float, default 2.0
        How much longer each is than the one before, 1 or above.
    m_mul : float, default 1.0
        m, how much lower each begins than the one before, 0 or above.
    alpha : float, default 0.0
        α, 0 or above.
    name : str, default "SGDRDecay"

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        super().__init__(name)
        self.initial_learning_rate = self._real("initial_learning_rate", initial_learning_rate)
        self.first_decay_steps = self._positive("first_decay_steps", first_decay_steps)
        self.t_mul = self._real("t_mul", t_mul, 1.0)
        self.m_mul = self._real("m_mul", m_mul)
        self.alpha = self._real("alpha", alpha)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        restarts, p = self._place(step / self.first_decay_steps)
        height = _power(self.m_mul, restarts) * _cosine(p, 0.0)
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)

    def _place(self, periods: float) -> tuple[int, float]:
        """Return how many restarts there were, and how much of the way since the last is done."""
        ratio = self.t_mul
        if ratio == 1:
            return math.floor(periods), periods % 1
        restarts = math.floor(math.log(1 + periods * (ratio - 1)) / math.log(ratio))
        begin, length = (ratio**restarts - 1) / (ratio - 1), ratio**restarts
        p = max(periods - begin, 0.0) / length
        # where a half cosine begins, the logarithm may have been rounded to the one before
        return (restarts + 1, 0.0) if p >= 1 - _ROUNDING else (restarts, p)


class OneCycle(LearningRateSchedule):
    """Up along half a cosine to a large rate and down to a tiny one (Smith, 2018).

    The paper, *A disciplined approach to neural network hyper-parameters*, goes straight up and
    down; half cosines are what fastai and PyTorch's ``OneCycleLR`` made of it, whose steps these
    are: from η / ``div_factor`` to η in the first ``pct_start`` of the steps, and from there to
    η / ``div_factor`` / ``final_div_factor`` in the last one, which then stays.

    Parameters
    ----------
    max_learning_rate : float
        η, 0 or above.
    total_steps : int
        All steps of the training, at least 2.
    pct_start : float, default 0.3
        The share of the steps that goes up, at least 0 and below 1.
    div_factor : float, default 25.0
        Above 0.
    final_div_factor : float, default 1e4
        Above 0.
    name : str, default "OneCycle"

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        name: str = "OneCycle",
    ) -> None:
        super().__init__(name)
        self.max_learning_rate = self._real("max_learning_rate", max_learning_rate)
        self.total_steps = arguments.integer("OneCycle", "total_steps", total_steps, 2)
        self.pct_start = arguments.real("OneCycle", "pct_start", pct_start, 0.0, below=1.0)
        self.div_factor = self._positive("div_factor", div_factor)
        self.final_div_factor = self._positive("final_div_factor", final_div_factor)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that ``step`` others were made before."""
        first, top = self.max_learning_rate / self.div_factor, self.max_learning_rate
        last = self.total_steps - 1
        peak = max(self.pct_start * self.total_steps - 1, 0.0)
        if step < peak:
            return top + (first - top) * _cosine(step / peak, 0.0)
        end = first / self.final_div_factor
        p = 1.0 if step >= last else (step - peak) / (last - peak)
        return end + (top - end) * _cosine(p, 0.0)


def _cosine(p: float, share: float) -> float:
    """Return half a cosine from 1, where p is 0, to a share, where it is 1 or above."""
    return (1 - share) * 0.5 * (1 + math.cos(math.pi * min(p, 1.0))) + share


def _power(base: float, exponent: float) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf  # training then says that the weights would be infinite


_registry = Registry("schedule", LearningRateSchedule)
for _schedule in (
    InverseTimeDecay,
    ExponentialDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    CosineDecay,
    CosineDecayRestarts,
    OneCycle,
):
    _registry.register(_schedule)


def get(
    identifier: object, custom_objects: Mapping[str, type] | None = None
) -> LearningRateSchedule:
    """Return the schedule that a dict or a schedule stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    return _registry.get(identifier, custom_objects)


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the schedule as JSON types; ``get`` reads them."""
    return _registry.serialize(schedule)
