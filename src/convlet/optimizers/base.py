"""What every optimizer is: a rule from a weight and its gradient to the next weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convlet import arguments
from convlet.serialization import Configurable, object_name

Slots = dict[str, np.ndarray]


class Weight(NamedTuple):
    """A weight before a step, the loss's gradient by it, and what is remembered of it."""

    value: np.ndarray
    gradient: np.ndarray
    slots: Slots


class Step(NamedTuple):
    """A weight after a step, what is remembered of it now, and whether it is finite."""

    value: np.ndarray
    slots: Slots
    is_finite: bool


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

    def slots(self, value: np.ndarray) -> Slots:
        """Return what is remembered of a weight before the first step, by name."""
        return {}

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: Slots,
        iterations: int,
    ) -> tuple[np.ndarray, Slots]:
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

    def update_all(self, weights: Sequence[Weight], iterations: int) -> list[Step]:
        """Return all weights after a step, in arrays of the caller's own.

        Here one after the other, by ``update``.
        """
        steps = []
        for value, gradient, slots in weights:
            with np.errstate(over="ignore", invalid="ignore"):
                new_value, new_slots = self.update(value, gradient, slots, iterations)
            is_finite = bool(np.isfinite(new_value).all())
            steps.append(Step(np.array(new_value), new_slots, is_finite))
        return steps
