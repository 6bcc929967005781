"""Gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convlet import _native, arguments, config
from convlet.optimizers.base import Optimizer, Slots, Step, Weight


class SGD(Optimizer):
    """Gradient descent: w ← w - ηg, η being the learning rate and g the gradient.

    With momentum μ there is a velocity v, at first 0:

        v ← μv - ηg        w ← w + v

    and, with ``nesterov``, w ← w + μv - ηg of the new v (Sutskever et al., *On the importance of
    initialization and momentum in deep learning*, 2013).

    Parameters
    ----------
    learning_rate : float, default 0.01
        η, 0 or above.
    momentum : float, default 0.0
        μ, from 0 to 1.
    nesterov : bool, default False
        Whether the step looks ahead by one velocity.
    name : str, default "SGD"
        The optimizer's name.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str = "SGD",
    ) -> None:
        super().__init__(learning_rate, name)
        self.momentum = arguments.real("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = arguments.boolean("SGD", "nesterov", nesterov)

    def slots(self, value: np.ndarray) -> Slots:
        """Return the velocity, 0, under the name "momentum"; nothing if there is no momentum."""
        return {"momentum": np.zeros_like(value)} if self.momentum > 0 else {}

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: Slots,
        iterations: int,
    ) -> tuple[np.ndarray, Slots]:
        """Return the weight and its velocity after a step; see ``Optimizer.update``."""
        # A step that diverges is reported in words by the training loop, not by NumPy.
        with np.errstate(over="ignore", invalid="ignore"):
            η = value.dtype.type(self.learning_rate)
            μ = value.dtype.type(self.momentum)
            step = η * gradient.astype(value.dtype, copy=False)
            if self.momentum == 0:
                return value - step, {}
            velocity = μ * slots["momentum"] - step
            if self.nesterov:
                return value + (μ * velocity - step), {"momentum": velocity}
            return value + velocity, {"momentum": velocity}

    def update_all(self, weights: Sequence[Weight], iterations: int) -> list[Step]:
        """Return all weights after a step, in float32 by the C++ core, in one pass."""
        arrays = [a for weight in weights for a in (*weight[:2], *weight.slots.values())]
        is_float32 = all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
        # a subclass may compute something else
        if type(self) is not SGD or config.executor() != "native" or not is_float32:
            return super().update_all(weights, iterations)
        values = [weight.value for weight in weights]
        velocities = [w.slots["momentum"] for w in weights] if self.momentum else []
        new_values = [np.empty_like(value) for value in values]
        new_velocities = [np.empty_like(velocity) for velocity in velocities]
        with np.errstate(over="ignore"):  # a rate too large for float32 makes weights infinite
            rate = float(np.float32(self.learning_rate))
        finite = _native.gradient_descent(
            values,
            [weight.gradient for weight in weights],
            velocities,
            new_values,
            new_velocities,
            rate,
            self.momentum,
            self.nesterov,
            config.instruction_set(),
            config.threads(),
        )
        slots: list[Slots] = [{"momentum": v} for v in new_velocities] or [{} for _ in weights]
        return [Step(*step) for step in zip(new_values, slots, finite, strict=True)]
