"""What every optimizer is: a rule from a weight and its gradient to the next weight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from convlet import arguments
from convlet.optimizers import schedules
from convlet.optimizers.schedules import LearningRateSchedule
from convlet.serialization import Configurable, object_name

Slots = dict[str, np.ndarray]

AVERAGE = "average"
"""The slot of a weight's moving average."""

_UNDECAYED = "exclude_from_weight_decay"


class Named(Protocol):
    """A variable, as far as optimizers care."""

    name: str


class Weight(NamedTuple):
    """A weight before a step.

    Attributes
    ----------
    value, gradient : ndarray
        The weight, and the loss's derivative by it.
    slots : dict of str to ndarray
        What is remembered of it.
    decays : bool
        Whether weight decay counts for it.
    spare : sequence of ndarray
        Arrays that nobody needs any more, for the step to write into.
    """

    value: np.ndarray
    gradient: np.ndarray
    slots: Slots
    decays: bool = True
    spare: Sequence[np.ndarray] = ()


class Step(NamedTuple):
    """A weight after a step, what is remembered of it now, and whether all of that is finite."""

    value: np.ndarray
    slots: Slots
    is_finite: bool


class Optimizer(Configurable):
    """The base of all optimizers; one's own defines ``update`` and, if it remembers, ``slots``.

    An optimizer holds settings only. What it remembers of a weight, its slots, is handed in and
    out, and the weights that come in are not written into: the training loop keeps them to fall
    back to.

    A step is, in this order: gradients are clipped; weights decay, w ← w - ηλw, λ being
    ``weight_decay`` (Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019); the
    optimizer's own rule; moving averages follow, a ← κa + (1 - κ)w, κ being ``ema_momentum``, and
    a = w after the first step (Polyak and Juditsky, *Acceleration of stochastic approximation by
    averaging*, 1992). At the end of `Model.fit` the weights become their averages.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        0 or above; may be set between steps.
    weight_decay : float, optional
        The share of itself, times the learning rate, that each step takes from a weight.
    clipnorm : float, optional
        Each weight's gradient is scaled down to this Euclidean norm if it has a larger one. Here
        and in the next two, None and 0 are no limit; at most one may be given.
    clipvalue : float, optional
        Each number of a gradient is brought into [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        All gradients are scaled down together until their common norm is at most this.
    use_ema : bool
        Whether moving averages of the weights are kept.
    ema_momentum : float
        κ, from 0 to 1.
    ema_overwrite_frequency : int, optional
        After how many steps, each time, the weights become their averages; never before the end of
        training if left out.
    name : str, optional
        The class's name in snake case if left out.

    Attributes
    ----------
    iterations : int
        Steps made so far, as the model that was trained last has counted them; schedules go by it.
    undecayed : list of Variable
        The very weights that `exclude_from_weight_decay` was told last.

    Raises
    ------
    ValueError
        If an argument is out of its range, or more than one limit is given.
    """

    only_in_config = frozenset({_UNDECAYED})

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = self._optional("weight_decay", weight_decay)
        self.clipnorm = self._optional("clipnorm", clipnorm)
        self.clipvalue = self._optional("clipvalue", clipvalue)
        self.global_clipnorm = self._optional("global_clipnorm", global_clipnorm)
        self._check_limits()
        owner = type(self).__name__
        self.use_ema = arguments.boolean(owner, "use_ema", use_ema)
        self.ema_momentum = arguments.real(owner, "ema_momentum", ema_momentum, 0.0, 1.0)
        self.ema_overwrite_frequency = (
            None
            if ema_overwrite_frequency is None
            else arguments.integer(owner, "ema_overwrite_frequency", ema_overwrite_frequency)
        )
        self.name = object_name(self, name)
        self.iterations = 0
        self.undecayed: list[Named] = []
        self._undecayed_names: list[str] = []

    def _optional(self, name: str, value: float | None) -> float | None:
        return None if value is None else arguments.real(type(self).__name__, name, value, 0.0)

    def _check_limits(self) -> None:
        names = ("clipnorm", "clipvalue", "global_clipnorm")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{type(self).__name__}: only one of clipnorm, clipvalue and global_clipnorm may "
                f"be given, got {' and '.join(given)}"
            )

    # --- settings ---

    @property
    def learning_rate(self) -> float:
        """The step's length, as a multiple of the gradient; of a schedule, what it says now.

        Setting a number where there is a schedule is a TypeError, as in Keras. A schedule that
        says anything but a number of 0 or above, infinity included, is a ValueError.
        """
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate.checked(self.iterations)
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        owner = type(self).__name__
        if isinstance(value, LearningRateSchedule):
            self._learning_rate: float | LearningRateSchedule = value
            return
        if self.schedule is not None:
            raise TypeError(
                f"{owner}: learning_rate follows a schedule, {self.schedule.name}, and cannot be "
                f"set to a number, got {value!r}; another schedule would do, or a new optimizer"
            )
        self._learning_rate = arguments.real(owner, "learning_rate", value, minimum=0.0)

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule that the learning rate follows, None if it is a number."""
        rate = getattr(self, "_learning_rate", None)
        return rate if isinstance(rate, LearningRateSchedule) else None

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Named] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Say which weights do not decay; what was said before counts no more.

        Parameters
        ----------
        var_list : sequence of Variable, optional
            These very weights.
        var_names : sequence of str, optional
            Weights in whose own name, such as ``"bias"``, one of these is found.

        Notes
        -----
        A model's `.safetensors` file keeps both, a `.keras` file neither, as Keras.

        Raises
        ------
        ValueError
            If they are not of that form.
        """
        owner = f"{type(self).__name__}: exclude_from_weight_decay"
        names = _listed(var_names)
        if names is None or not all(isinstance(name, str) for name in names):
            raise arguments.invalid(owner, "var_names", "a list of strings", var_names)
        variables = _listed(var_list)
        if variables is None or not all(isinstance(getattr(v, "name", 0), str) for v in variables):
            raise arguments.invalid(owner, "var_list", "a list of weights", var_list)
        self.undecayed, self._undecayed_names = variables, names

    def decays(self, variable: Named) -> bool:
        """Return whether weight decay counts for a variable."""
        if not self.weight_decay or any(variable is known for known in self.undecayed):
            return False
        return not any(name in variable.name for name in self._undecayed_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON types."""
        config = super().get_config()
        if self.schedule is not None:
            config["learning_rate"] = schedules.serialize(self.schedule)
        if self._undecayed_names:
            config[_UNDECAYED] = list(self._undecayed_names)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new optimizer from what ``get_config`` returned."""
        settings = {key: value for key, value in config.items() if key != _UNDECAYED}
        if isinstance(settings.get("learning_rate"), dict):
            settings["learning_rate"] = schedules.get(settings["learning_rate"])
        optimizer = cls(**settings)
        optimizer.exclude_from_weight_decay(var_names=config.get(_UNDECAYED))
        return optimizer

    # --- the rule ---

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
            The weight, which has decayed already.
        gradient : ndarray
            The loss's derivative by it, of the same shape, which has been clipped already.
        slots : dict of str to ndarray
            What ``slots`` or the last ``update`` of this weight returned.
        iterations : int
            How many steps were done before.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")

    # --- a step for all weights ---

    def all_slots(self, value: np.ndarray, known: Slots | None = None) -> Slots:
        """Return all that a step needs to know of a weight: its average, if wanted, and its slots.

        Parameters
        ----------
        value : ndarray
            The weight.
        known : dict of str to ndarray, optional
            What the last step left, perhaps under other settings.
        """
        known = known or {}
        slots = self._own_slots(value, {k: a for k, a in known.items() if k != AVERAGE})
        return {AVERAGE: known.get(AVERAGE, value), **slots} if self.use_ema else slots

    def _own_slots(self, value: np.ndarray, known: Slots) -> Slots:
        return known or self.slots(value)

    def update_all(self, weights: Sequence[Weight], iterations: int) -> list[Step]:
        """Return all weights after a step, in arrays of the caller's own.

        Here one after the other, by ``update``.
        """
        self.iterations = iterations
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            gradients = self._clipped([weight.gradient for weight in weights])
            return [self._step(*pair) for pair in zip(weights, gradients, strict=True)]

    def _clipped(self, gradients: list[np.ndarray]) -> list[np.ndarray]:
        """Return the gradients within the limits that are set."""
        if self.clipvalue:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        limit = self.clipnorm or self.global_clipnorm
        if not limit:
            return gradients
        squares = [float(np.square(g, dtype=np.float64).sum()) for g in gradients]
        if self.global_clipnorm:
            squares = [sum(squares)] * len(squares)
        norms = [math.sqrt(square) for square in squares]
        factors = [limit / norm if norm > limit else 1.0 for norm in norms]
        return [g * g.dtype.type(f) for g, f in zip(gradients, factors, strict=True)]

    def _step(self, weight: Weight, gradient: np.ndarray) -> Step:
        """Return one weight after a step, given its clipped gradient."""
        value, as_its_type = weight.value, weight.value.dtype.type
        if self.weight_decay and weight.decays:
            value = value - value * as_its_type(self.weight_decay * self.learning_rate)
        known = {name: slot for name, slot in weight.slots.items() if name != AVERAGE}
        value, slots = self.update(value, gradient, known, self.iterations)
        if self.use_ema:
            κ = as_its_type(self.average_momentum(self.iterations))
            average = κ * weight.slots[AVERAGE] + (1 - κ) * value
            slots = {AVERAGE: average, **slots}
            value = average if self.takes_average(self.iterations) else value
        is_finite = all(np.isfinite(array).all() for array in (value, *slots.values()))
        return Step(np.array(value), slots, is_finite)

    def average_momentum(self, iterations: int) -> float:
        """Return κ of a step: 0 in the first, from which the averages start."""
        return self.ema_momentum if iterations > 0 else 0.0

    def takes_average(self, iterations: int) -> bool:
        """Return whether weights become their averages in the step after so many."""
        often = self.ema_overwrite_frequency
        return self.use_ema and often is not None and (iterations + 1) % often == 0


def _listed(value: Any) -> list[Any] | None:
    """Return a list's items, none for None; None for what is no list, a string included."""
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
