"""Gradient descent, with momentum."""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.optimizers.base import Optimizer


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

    def slots(self, value: np.ndarray) -> dict[str, np.ndarray]:
        """Return the velocity, 0, under the name "momentum"; nothing if there is no momentum."""
        return {"momentum": np.zeros_like(value)} if self.momentum > 0 else {}

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: dict[str, np.ndarray],
        iterations: int,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
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
