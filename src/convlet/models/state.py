"""What training knows besides the weights: optimizer slots, counters, the seed, the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.engine import Variable
from convlet.optimizers import Optimizer

Slots = dict[str, np.ndarray]

_LIMIT = 1 << 63  # counters and seeds are words of random keys


class NonFiniteLossError(ArithmeticError):
    """The loss or a weight stopped being a finite number; the weights are the last good ones."""


class TrainingState:
    """The state of a compiled model's training.

    Attributes
    ----------
    iterations, epochs : int
        Steps made, and epochs begun, since the model was compiled.
    slots : dict of str to dict of str to ndarray
        For each variable's path, what the optimizer remembers about it.
    """

    def __init__(self) -> None:
        self.iterations = 0
        self.epochs = 0
        self._seed: int | None = None
        self.slots: dict[str, Slots] = {}
        # values and slots with which the last finite loss was computed; arrays are never written
        # into, so keeping them costs no copy
        self._good: dict[str, tuple[Variable, np.ndarray, Slots]] = {}

    @property
    def seed(self) -> int:
        """Key of the order of the data and of dropout."""
        if self._seed is None:
            self._seed = random.next_seed()
        return self._seed

    def get_config(self) -> dict[str, Any]:
        """Return counters and seed, as JSON types."""
        return {"iterations": self.iterations, "epochs": self.epochs, "seed": self._seed}

    def restore_config(self, config: Any) -> None:
        """Take counters and seed from what `get_config` returned.

        Raises
        ------
        ValueError
            If it is not of that form.
        """
        owner = "the state of training"
        if not isinstance(config, dict) or set(config) != {"iterations", "epochs", "seed"}:
            raise ValueError(f"{owner} must hold iterations, epochs and seed, got {config!r:.80}")
        numbers = {
            name: None
            if name == "seed" and value is None
            else arguments.integer(owner, name, value, 0)
            for name, value in config.items()
        }
        for name, number in numbers.items():
            if number is not None and number >= _LIMIT:
                raise arguments.invalid(owner, name, "below 2**63", number)
        self.iterations = numbers["iterations"] or 0
        self.epochs = numbers["epochs"] or 0
        self._seed = numbers["seed"]

    def random_key(self) -> np.ndarray:
        """Return what a program's random buffer holds during the next step."""
        return np.array([self.seed, self.iterations], np.uint64)

    def update(
        self,
        optimizer: Optimizer,
        variables: Mapping[str, Variable],
        gradients: Mapping[str, np.ndarray],
    ) -> None:
        """Make one step with every variable that has a gradient.

        Raises
        ------
        NonFiniteLossError
            If a weight would not be finite; then no weight is changed.
        """
        good: dict[str, tuple[Variable, np.ndarray, Slots]] = {}
        made: dict[str, tuple[np.ndarray, Slots]] = {}
        for path, gradient in gradients.items():
            variable = variables[path]
            slots = self.slots.get(path) or optimizer.slots(variable.value)
            with np.errstate(over="ignore", invalid="ignore"):
                value, new_slots = optimizer.update(
                    variable.value, gradient, slots, self.iterations
                )
            if not np.isfinite(value).all():
                raise NonFiniteLossError(f"the step would make {path} infinite")
            good[path] = variable, variable.value, slots
            made[path] = value, new_slots
        for path, (value, new_slots) in made.items():
            variables[path].assign(value)
            self.slots[path] = new_slots
        self._good = good
        self.iterations += 1

    def step_back(self) -> None:
        """Put back the weights and slots with which the last finite loss was computed."""
        for path, (variable, value, slots) in self._good.items():
            variable.assign(value)
            self.slots[path] = slots
        self._good = {}
