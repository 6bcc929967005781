"""Steps that are divided by the gradient's size so far: RMSprop, Adagrad and Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import _native, arguments
from convlet.optimizers.base import Slots
from convlet.optimizers.rule import RuleOptimizer
from convlet.optimizers.schedules import LearningRateSchedule


class RMSprop(RuleOptimizer):
    """Steps divided by the gradient's root mean square (Tieleman and Hinton, *Lecture 6.5*, 2012).

    With learning rate η and gradient g, the mean square v being 0 at first:

        v ← ρv + (1 - ρ)g²        w ← w - ηg / √(v + ε)

    ``centered`` takes the variance in place of v: with a ← ρa + (1 - ρ)g, v - a² (Graves,
    *Generating sequences with recurrent neural networks*, 2013), which is held at 0 or above where
    rounding would make it less. With momentum μ, what is subtracted is b ← μb + ηg / √(v + ε).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    rho : float, default 0.9
        ρ, from 0 to 1.
    momentum : float, default 0.0
        μ, from 0 to 1.
    epsilon : float, default 1e-7
        ε, 0 or above.
    centered : bool, default False
        Whether to divide by the standard deviation.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.rmsprop

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = arguments.real("RMSprop", "rho", rho, 0.0, 1.0)
        self.momentum = arguments.real("RMSprop", "momentum", momentum, 0.0, 1.0)
        self.epsilon = arguments.real("RMSprop", "epsilon", epsilon, 0.0)
        self.centered = arguments.boolean("RMSprop", "centered", centered)

    def first_values(self) -> dict[str, float]:
        """Return the mean square, and what momentum and ``centered`` need: 0."""
        names = ["velocity"]
        names += ["momentum"] if self.momentum > 0 else []
        names += ["average_gradient"] if self.centered else []
        return dict.fromkeys(names, 0.0)

    def numbers(self, iterations: int) -> list[float]:
        """Return η, ρ, 1 - ρ, ε, μ, and whether the variance is taken."""
        centered = float(self.centered)
        return [self.learning_rate, self.rho, 1 - self.rho, self.epsilon, self.momentum, centered]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its means after a step."""
        η, ρ, fresh, ε, μ, _ = numbers
        v = variance = ρ * slots["velocity"] + fresh * (g * g)
        after = {"velocity": v}
        if "average_gradient" in slots:
            a = after["average_gradient"] = ρ * slots["average_gradient"] + fresh * g
            variance = np.maximum(v - a * a, 0)
        step = η * g / np.sqrt(variance + ε)
        if "momentum" in slots:
            step = after["momentum"] = μ * slots["momentum"] + step
        return w - step, {name: after[name] for name in slots}


class Adagrad(RuleOptimizer):
    """Steps divided by the root of all squared gradients' sum (Duchi et al., 2011).

    With learning rate η and gradient g, the sum s being ``initial_accumulator_value`` at first:

        s ← s + g²        w ← w - ηg / √(s + ε)

    The paper is *Adaptive subgradient methods for online learning and stochastic optimization*.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    initial_accumulator_value : float, default 0.1
        0 or above.
    epsilon : float, default 1e-7
        ε, 0 or above.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.adagrad

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = arguments.real(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0
        )
        self.epsilon = arguments.real("Adagrad", "epsilon", epsilon, 0.0)

    def first_values(self) -> dict[str, float]:
        """Return the sum, as it was asked for."""
        return {"accumulator": self.initial_accumulator_value}

    def numbers(self, iterations: int) -> list[float]:
        """Return η and ε."""
        return [self.learning_rate, self.epsilon]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its sum after a step."""
        η, ε = numbers
        s = slots["accumulator"] + g * g
        return w - η * g / np.sqrt(s + ε), {"accumulator": s}


class Adadelta(RuleOptimizer):
    """Steps in the weight's own units (Zeiler, *ADADELTA: an adaptive learning rate method*, 2012).

    With learning rate η, 1 in the paper, and gradient g, the mean squares s of the gradients and d
    of the changes being 0 at first:

        s ← ρs + (1 - ρ)g²        x = -g √(d + ε) / √(s + ε)
        d ← ρd + (1 - ρ)x²        w ← w + ηx

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    rho : float, default 0.95
        ρ, from 0 to 1.
    epsilon : float, default 1e-7
        ε, 0 or above.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.adadelta

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = arguments.real("Adadelta", "rho", rho, 0.0, 1.0)
        self.epsilon = arguments.real("Adadelta", "epsilon", epsilon, 0.0)

    def first_values(self) -> dict[str, float]:
        """Return the two mean squares, 0."""
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def numbers(self, iterations: int) -> list[float]:
        """Return η, ρ, 1 - ρ and ε."""
        return [self.learning_rate, self.rho, 1 - self.rho, self.epsilon]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its mean squares after a step."""
        η, ρ, fresh, ε = numbers
        s, d = slots["accumulated_grad"], slots["accumulated_delta_var"]
        s = ρ * s + fresh * (g * g)
        x = -g * np.sqrt(d + ε) / np.sqrt(s + ε)
        d = ρ * d + fresh * (x * x)
        return w + η * x, {"accumulated_grad": s, "accumulated_delta_var": d}
