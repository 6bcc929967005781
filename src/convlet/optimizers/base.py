"""What every optimizer is: a rule from a weight and its gradient to the next weight."""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.serialization import Configurable, object_name


class Optimizer(Configurable):
    """The base of all optimizers; one's own defines ``update`` and, if it remembers, ``slots``.

    An optimizer holds settings only. What it remembers of a weight, its slots, is handed in and
    out, and nothing is written into: the training loop keeps the previous weights to fall back to.

    Parameters
    ----------
    learning_rate : float
        0 or above; may be set between steps.
    name : str, optional
        The class's name in snake case if left out.
    """

    def __init__(self, learning_rate: float, name: str | None = None) -> None:
        self.learning_rate = learning_rate
        self.name = object_name(self, name)

    @property
    def learning_rate(self) -> float:
        """The step's length, as a multiple of the gradient."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        owner = type(self).__name__
        self._learning_rate = arguments.real(owner, "learning_rate", value, minimum=0.0)

    def slots(self, value: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is remembered of a weight before the first step, by name."""
        return {}

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: dict[str, np.ndarray],
        iterations: int,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return a weight and its slots after a step, in new arrays of the weight's float type.

        Parameters
        ----------
        value : ndarray
            The weight.
        gradient : ndarray
            The loss's derivative by it, of the same shape.
        slots : dict of str to ndarray
            What ``slots`` or the last ``update`` of this weight returned.
        iterations : int
            How many steps were done before.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")
