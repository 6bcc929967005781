"""Adam and its kin: steps along the mean gradient, divided by the gradient's usual size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convlet import _native, arguments
from convlet.optimizers.base import Slots
from convlet.optimizers.rule import RuleOptimizer
from convlet.optimizers.schedules import LearningRateSchedule

_MOST_FACTORS = 1000  # 1 - 0.5 * 0.96^i is 1 in float64 long before


class _Moments(RuleOptimizer):
    """What remembers means of the gradient and of its size."""

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        owner = type(self).__name__
        self.beta_1 = arguments.real(owner, "beta_1", beta_1, 0.0, below=1.0)
        self.beta_2 = arguments.real(owner, "beta_2", beta_2, 0.0, below=1.0)
        self.epsilon = arguments.real(owner, "epsilon", epsilon, 0.0)

    def first_values(self) -> dict[str, float]:
        """Return the two means, 0."""
        return {"momentum": 0.0, "velocity": 0.0}


class Adam(_Moments):
    """Adam (Kingma and Ba, *Adam: a method for stochastic optimization*, 2015).

    In step t = 1, 2, ... with learning rate η and gradient g, means m and v being 0 at first:

        m ← m + (1 - β₁)(g - m)        v ← v + (1 - β₂)(g² - v)
        α = η √(1 - β₂ᵗ) / (1 - β₁ᵗ)   w ← w - α m / (√v + ε)

    With ``amsgrad``, the largest v so far takes v's place in the last formula (Reddi et al., *On
    the convergence of Adam and beyond*, 2018).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    beta_1, beta_2 : float, default 0.9 and 0.999
        β₁ and β₂, at least 0 and below 1.
    epsilon : float, default 1e-7
        ε, 0 or above. It is the paper's ε̂, which stands before the correction of v.
    amsgrad : bool, default False
        Whether steps never grow again where gradients were large.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.adam

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = arguments.boolean(type(self).__name__, "amsgrad", amsgrad)

    def first_values(self) -> dict[str, float]:
        """Return the two means, and the largest of the second with ``amsgrad``: 0."""
        return super().first_values() | ({"velocity_hat": 0.0} if self.amsgrad else {})

    def numbers(self, iterations: int) -> list[float]:
        """Return α, 1 - β₁, 1 - β₂ and ε."""
        t = iterations + 1
        α = self.learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return [α, 1 - self.beta_1, 1 - self.beta_2, self.epsilon]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its means after a step."""
        α, fresh_1, fresh_2, ε = numbers
        m = slots["momentum"] + fresh_1 * (g - slots["momentum"])
        v = slots["velocity"] + fresh_2 * (g * g - slots["velocity"])
        after = {"momentum": m, "velocity": v}
        if "velocity_hat" in slots:
            after["velocity_hat"] = v = np.maximum(slots["velocity_hat"], v)
        return w - α * m / (np.sqrt(v) + ε), after


class AdamW(Adam):
    """Adam with weight decay (Loshchilov and Hutter, 2019).

    `Adam`, with a default for what all optimizers can do: w ← w - ηλw before each step. The paper
    is *Decoupled weight decay regularization*.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    weight_decay : float, default 0.004
        λ, 0 or above.
    beta_1, beta_2, epsilon, amsgrad
        As those of `Adam`.
    **kwargs
        ``clipnorm`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        arguments.real("AdamW", "weight_decay", weight_decay, 0.0)  # None is no decay elsewhere
        kwargs["weight_decay"] = weight_decay
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, **kwargs)


class Adamax(_Moments):
    """Adam with the largest size in place of the mean one (Kingma and Ba, 2015, section 7.1).

    In step t = 1, 2, ... with learning rate η and gradient g, m and u being 0 at first:

        m ← m + (1 - β₁)(g - m)        u ← max(β₂u, |g|)
        w ← w - η m / ((1 - β₁ᵗ)(u + ε))

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    beta_1, beta_2 : float, default 0.9 and 0.999
        β₁ and β₂, at least 0 and below 1.
    epsilon : float, default 1e-7
        ε, 0 or above.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.adamax

    def first_values(self) -> dict[str, float]:
        """Return the mean and the largest size, 0."""
        return {"momentum": 0.0, "norm": 0.0}

    def numbers(self, iterations: int) -> list[float]:
        """Return η / (1 - β₁ᵗ), 1 - β₁, β₂ and ε."""
        corrected = self.learning_rate / (1 - self.beta_1 ** (iterations + 1))
        return [corrected, 1 - self.beta_1, self.beta_2, self.epsilon]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight, its mean and its largest size after a step."""
        corrected, fresh_1, β2, ε = numbers
        m = slots["momentum"] + fresh_1 * (g - slots["momentum"])
        u = np.maximum(β2 * slots["norm"], np.abs(g))
        return w - corrected * m / (u + ε), {"momentum": m, "norm": u}


class Nadam(_Moments):
    """Adam with Nesterov's look ahead (Dozat, *Incorporating Nesterov momentum into Adam*, 2016).

    In step t = 1, 2, ... with learning rate η and gradient g, m and v being 0 at first, the weight
    of the past grows from step to step, uₜ = β₁(1 - 0.96ᵗ/2), and Uₜ = u₁u₂...uₜ:

        m ← m + (1 - β₁)(g - m)        v ← v + (1 - β₂)(g² - v)
        m̂ = uₜ₊₁ m / (1 - Uₜ₊₁) + (1 - uₜ) g / (1 - Uₜ)
        w ← w - η m̂ / (√(v / (1 - β₂ᵗ)) + ε)

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above.
    beta_1, beta_2 : float, default 0.9 and 0.999
        β₁ and β₂, at least 0 and below 1.
    epsilon : float, default 1e-7
        ε, 0 or above.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.nadam

    def momentum_product(self, iterations: int) -> float:
        """Return Uₜ after so many steps, 1 before the first."""
        powers = 0.96 ** np.arange(1, min(iterations, _MOST_FACTORS) + 1)
        return float(self.beta_1**iterations * np.prod(1 - 0.5 * powers))

    def numbers(self, iterations: int) -> list[float]:
        """Return η times what m and g have in m̂, 1 - β₁, 1 - β₂, 1 / (1 - β₂ᵗ) and ε."""
        t, η = iterations + 1, self.learning_rate
        now, then = (self.beta_1 * (1 - 0.5 * 0.96**i) for i in (t, t + 1))
        of_m = η * then / (1 - self.momentum_product(t + 1))
        of_g = η * (1 - now) / (1 - self.momentum_product(t))
        correction = 1 / (1 - self.beta_2**t)
        return [of_m, of_g, 1 - self.beta_1, 1 - self.beta_2, correction, self.epsilon]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its means after a step."""
        of_m, of_g, fresh_1, fresh_2, correction, ε = numbers
        m = slots["momentum"] + fresh_1 * (g - slots["momentum"])
        v = slots["velocity"] + fresh_2 * (g * g - slots["velocity"])
        step = (of_m * m + of_g * g) / (np.sqrt(v * correction) + ε)
        return w - step, {"momentum": m, "velocity": v}
