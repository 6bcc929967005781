"""What training knows besides the weights: optimizer slots, counters, the seed, the way back."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.engine import Variable
from convlet.optimizers import AVERAGE, Optimizer, Slots, Step, Weight

_LIMIT = 1 << 63  # counters and seeds are words of random keys


class NonFiniteLossError(ArithmeticError):
    """The loss or a weight stopped being a finite number; the weights are the last good ones."""


class TrainingState:
    """The state of a compiled model's training.

    Parameters
    ----------
    optimizer : Optimizer
        Who makes the steps, and is told how many they are: schedules go by it.

    Attributes
    ----------
    epochs : int
        Epochs begun since the model was compiled.
    slots : dict of str to dict of str to ndarray
        For each variable's path, what the optimizer remembers about it.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.iterations = 0
        self.epochs = 0
        self._seed: int | None = None
        self.slots: dict[str, Slots] = {}
        # the variable that slots were made for: another layer may take its path
        self._made_for: dict[str, Variable] = {}
        # values and slots with which the last finite loss was computed, and the values that the
        # step since then made of them; nobody writes into them before the next finite loss
        self._good: dict[str, tuple[np.ndarray, Slots, np.ndarray]] = {}

    @property
    def iterations(self) -> int:
        """Steps made since the model was compiled."""
        return self._iterations

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._iterations = self._optimizer.iterations = value

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
        variables: Mapping[str, Variable],
        gradients: Mapping[str, np.ndarray],
        updates: Mapping[str, np.ndarray],
    ) -> None:
        """Make one step with every variable that has a gradient, and replace those with an update.

        A variable with a constraint becomes what that makes of the step.

        The loss that the gradients are of is finite, so the way back before it is not needed any
        more: the arrays that it kept are written into, unless somebody else holds them.

        Raises
        ------
        NonFiniteLossError
            If a weight would not be finite; then no weight is changed.
        """
        before = [self._weight(path, variables[path], g) for path, g in gradients.items()]
        self.forget_the_way_back()  # if this step fails, the weights of now stay; memory is short
        made = self._optimizer.update_all(before, self.iterations)
        steps = [
            _constrained(step, variables[path]) for path, step in zip(gradients, made, strict=True)
        ]
        is_finite = {path: bool(np.isfinite(value).all()) for path, value in updates.items()}
        is_finite |= {path: step.is_finite for path, step in zip(gradients, steps, strict=True)}
        for path, finite in is_finite.items():
            if not finite:
                raise NonFiniteLossError(f"the step would make {path} infinite")
        for path, weight, step in zip(gradients, before, steps, strict=True):
            variable = variables[path]
            variable.adopt(step.value)
            self.slots[path], self._made_for[path] = step.slots, variable
            self._good[path] = weight.value, weight.slots, variable.value
        for path, value in updates.items():
            variable = variables[path]
            before_it = variable.value
            variable.adopt(value)
            self._made_for[path] = variable
            self._good[path] = before_it, {}, variable.value
        self.iterations += 1

    def _weight(self, path: str, variable: Variable, gradient: np.ndarray) -> Weight:
        """Return what a step needs to know about a variable."""
        slots = self._optimizer.all_slots(variable.value, self.known_slots(path, variable))
        decays = self._optimizer.decays(variable)
        return Weight(variable.value, gradient, slots, decays, self._spare(path))

    def _spare(self, path: str) -> list[np.ndarray]:
        """Return what the way back kept about a variable, as far as nobody else holds it."""
        if path not in self._good:
            return []
        value, slots, _ = self._good.pop(path)
        arrays = [value, *slots.values()]
        del value, slots, _  # they would count as holders
        return _unshared(arrays)

    def known_slots(self, path: str, variable: Variable) -> Slots:
        """Return what is remembered about a variable, not about another that had its path."""
        is_its_own = self._made_for.get(path, variable) is variable
        return self.slots.get(path, {}) if is_its_own else {}

    def take_averages(self, variables: Mapping[str, Variable]) -> None:
        """Let weights that are trained become their averages where the optimizer keeps some."""
        for path, variable in variables.items():
            average = self.known_slots(path, variable).get(AVERAGE)
            if average is not None and self._optimizer.use_ema and variable.trainable:
                variable.assign(average)

    def step_back(self) -> None:
        """Put back the weights and slots with which the last finite loss was computed.

        Weights that somebody has replaced since then are left alone.
        """
        for path, (value, slots, made) in self._good.items():
            variable = self._made_for[path]
            if variable.value is made:
                variable.assign(value)
                self.slots[path] = slots
        self.forget_the_way_back()

    def resume(self, config: Any, slots: Mapping[str, Slots]) -> None:
        """Take counters, seed and slots from a checkpoint.

        Raises
        ------
        ValueError
            See `restore_config`.
        """
        self.restore_config(config)
        self.slots = dict(slots)
        self._made_for = {}
        self.forget_the_way_back()

    def forget_the_way_back(self) -> None:
        """Let go of the weights of before the last step."""
        self._good = {}


def _constrained(step: Step, variable: Variable) -> Step:
    """Return a step with the weight as its constraint wants it."""
    if variable.constraint is None or not step.is_finite:
        return step
    value = variable.constraint.applied(step.value)
    return Step(value, step.slots, bool(np.isfinite(value).all()))


def _references(arrays: Sequence[np.ndarray], number: int) -> int:
    """Return how many hold an array of a list."""
    return sys.getrefcount(arrays[number])


_LIST_ALONE = _references([np.empty(0)], 0)


def _unshared(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return those of some arrays that nobody holds but this list, to be written into.

    An array that a user, a view or a program still holds must not change; Python counts them all.
    """
    count = range(len(arrays))
    alone = [arrays[n] for n in count if _references(arrays, n) == _LIST_ALONE]
    alone = [a for a in alone if type(a) is np.ndarray and a.flags.owndata]
    for array in alone:
        array.flags.writeable = True
    return alone
