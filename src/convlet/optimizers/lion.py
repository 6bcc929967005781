"""Lion: steps of one size, along the sign of the mean gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import _native, arguments
from convlet.optimizers.base import Slots
from convlet.optimizers.rule import RuleOptimizer
from convlet.optimizers.schedules import LearningRateSchedule


class Lion(RuleOptimizer):
    """Lion (Chen et al., *Symbolic discovery of optimization algorithms*, 2023).

    With learning rate η and gradient g, the mean m being 0 at first:

        w ← w - η sign(β₁m + (1 - β₁)g)        m ← β₂m + (1 - β₂)g

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        η, 0 or above; the paper's authors take a third to a tenth of what Adam gets.
    beta_1 : float, default 0.9
        β₁, above 0, where only the last gradient would count, and up to 1.
    beta_2 : float, default 0.99
        β₂, from 0 to 1.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.lion

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = arguments.real("Lion", "beta_1", beta_1, 0.0, 1.0)
        if self.beta_1 == 0:
            raise arguments.invalid("Lion", "beta_1", "above 0 and at most 1", beta_1)
        self.beta_2 = arguments.real("Lion", "beta_2", beta_2, 0.0, 1.0)

    def first_values(self) -> dict[str, float]:
        """Return the mean, 0."""
        return {"momentum": 0.0}

    def numbers(self, iterations: int) -> list[float]:
        """Return η, β₁, 1 - β₁, β₂ and 1 - β₂."""
        return [self.learning_rate, self.beta_1, 1 - self.beta_1, self.beta_2, 1 - self.beta_2]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its mean after a step."""
        η, β1, fresh_1, β2, fresh_2 = numbers
        m = slots["momentum"]
        return w - η * np.sign(β1 * m + fresh_1 * g), {"momentum": β2 * m + fresh_2 * g}
