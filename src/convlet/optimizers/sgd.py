"""Gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import _native, arguments
from convlet.optimizers.base import Slots
from convlet.optimizers.rule import RuleOptimizer
from convlet.optimizers.schedules import LearningRateSchedule


class SGD(RuleOptimizer):
    """Gradient descent: w ← w - ηg, η being the learning rate and g the gradient.

    With momentum μ there is a velocity v, at first 0:

        v ← μv - ηg        w ← w + v

    and, with ``nesterov``, w ← w + μv - ηg of the new v (Sutskever et al., *On the importance of
    initialization and momentum in deep learning*, 2013).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.01
        η, 0 or above.
    momentum : float, default 0.0
        μ, from 0 to 1.
    nesterov : bool, default False
        Whether the step looks ahead by one velocity.
    **kwargs
        ``weight_decay`` and what else all optimizers take; see `Optimizer`.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    rule = _native.Rule.descent

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = arguments.real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = arguments.boolean("SGD", "nesterov", nesterov)

    def first_values(self) -> dict[str, float]:
        """Return the velocity, 0, under the name "momentum"; nothing if there is no momentum."""
        return {"momentum": 0.0} if self.momentum > 0 else {}

    def numbers(self, iterations: int) -> list[float]:
        """Return η, μ, and whether to look ahead."""
        return [self.learning_rate, self.momentum, float(self.nesterov)]

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its velocity after a step."""
        η, μ, nesterov = numbers
        if not slots:
            return w - η * g, {}
        v = μ * slots["momentum"] - η * g
        return w + (μ * v - η * g if nesterov else v), {"momentum": v}
