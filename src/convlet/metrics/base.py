"""What every metric is: a number built up batch by batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from convlet import arguments
from convlet.losses.base import Loss, quietly
from convlet.losses.targets import as_floats, as_predictions, dense_targets, spread_weights
from convlet.serialization import Configurable, object_name


class Metric(Configurable):
    """The base of all metrics; one's own defines ``update_state``, ``result`` and ``reset_state``.

    Called, a metric takes in a batch and returns the result so far.

    What a metric has gathered can be handed out and taken back, so that a run may go on in another
    process: ``get_state`` and ``set_state``. For that a class names, in ``state_names``, what it
    gathers: a number or an array ``"total"`` is kept in the attribute ``_total``. An array whose
    shape is known from the first batch on has no numbers before.

    Parameters
    ----------
    name : str, optional
        The class's name in snake case if left out.
    """

    state_names: tuple[str, ...] | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = object_name(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch as ``update_state`` does, and return the metric of all so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_state(self) -> dict[str, float | np.ndarray]:
        """Return what has been gathered since the last reset: numbers and arrays by name.

        Raises
        ------
        NotImplementedError
            If the class does not name its state.
        """
        values = {name: getattr(self, f"_{name}") for name in self._names()}
        return {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in values.items()}

    def set_state(self, state: Mapping[str, float | np.ndarray]) -> None:
        """Go on from what ``get_state`` of an equal metric returned; forget what was gathered here.

        Raises
        ------
        ValueError
            For other names, what are no numbers, and arrays of other shapes; nothing has changed
            then.
        NotImplementedError
            If the class does not name its state.
        """
        names, owner = self._names(), type(self).__name__
        if not isinstance(state, Mapping) or set(state) != set(names):
            given = sorted(map(str, state)) if isinstance(state, Mapping) else state
            raise ValueError(
                f"{owner}: a state must be a dict of {', '.join(names)}, got {given!r:.80}"
            )
        taking = copy.deepcopy(self)  # so that nothing has changed if the state does not fit
        taking.reset_state()
        for name in names:
            like = getattr(taking, f"_{name}")
            setattr(taking, f"_{name}", _as_state(owner, name, state[name], like))
        vars(self).update(vars(taking))

    def _names(self) -> tuple[str, ...]:
        if self.state_names is None:
            raise NotImplementedError(
                f"{type(self).__name__} must name in state_names what it gathers"
            )
        return self.state_names

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: ``update_state(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """Return the metric of all batches since the last reset: a number, or several."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} must define reset_state")


def _as_state(owner: str, name: str, value: object, like: float | np.ndarray) -> Any:
    """Return a copy of a state's number or array, which must be like the one it replaces."""
    array = arguments.numbers(owner, f"the state's {name}", value)
    if not isinstance(like, np.ndarray):
        if array.ndim != 0:
            raise ValueError(f"{owner}: the state's {name} must be a number, got an array")
        return type(like)(array)
    fits = len(array.shape) == len(like.shape) and all(
        known in (0, size) for size, known in zip(array.shape, like.shape, strict=True)
    )
    if not fits:
        shape = ", ".join(str(size) if size else "any" for size in like.shape)
        raise ValueError(
            f"{owner}: the state's {name} must have the shape ({shape}), got {array.shape}"
        )
    return array.astype(like.dtype)


def dense_batch(
    owner: str,
    y_true: object,
    y_pred: object,
    sample_weight: object,
    dtype: type[np.floating] = np.float64,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets, predictions, both (n, ..., c), and weights, (n, ...), 1 if there are none.

    Raises
    ------
    ValueError
        For targets, predictions or weights that do not fit.
    """
    predictions = as_predictions(owner, y_pred)
    targets = dense_targets(y_true, predictions.shape, owner)
    rows = predictions.shape[:-1]
    if sample_weight is None:
        return targets, predictions, np.ones(rows, dtype)
    return targets, predictions, spread_weights(sample_weight, rows, dtype, owner)


def check_last_axis(owner: str, known: int, size: int, what: str = "labels") -> None:
    """Raise unless the last axis is as long as in the batches before, which had 0 if none was."""
    if known not in (0, size):
        raise ValueError(
            f"{owner}: y_pred must have {known} {what} along the last axis, got {size}"
        )


class _Average(Metric):
    """A metric that is the weighted mean of values: sum of weight times value / sum of weights.

    The values of a sample are averaged first, so that images of all sizes count the same.
    """

    state_names = ("total", "weight")

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._total = 0.0
        self._weight = 0.0

    def result(self) -> float:
        """Return the mean, or 0.0 if the weights' sum is 0, as it is before the first batch."""
        return self._total / self._weight if self._weight else 0.0

    @quietly
    def _add(
        self, values: np.ndarray, sample_weight: object, counted: np.ndarray | None = None
    ) -> None:
        weights = np.ones(values.shape)
        if sample_weight is not None:
            owner = type(self).__name__
            weights = spread_weights(sample_weight, values.shape, np.float64, owner)
        if counted is not None:
            weights = weights * counted
        values_per_sample = max(1, math.prod(values.shape[1:]))
        self._total += float((weights * values).sum()) / values_per_sample
        self._weight += float(weights.sum()) / values_per_sample


class Mean(_Average):
    """The weighted mean of numbers.

    Parameters
    ----------
    name : str, default "mean"
        The metric's name.
    """

    def update_state(self, values: object, sample_weight: object = None) -> None:
        """Take in numbers.

        Parameters
        ----------
        values : array_like
            Numbers of any shape.
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For what is no array of numbers, and for weights that do not fit.
        """
        self._add(as_floats("Mean", "values", values), sample_weight)


class MeanMetric(_Average):
    """The base of metrics that are a weighted mean over samples; they define ``values``."""

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like
            Targets.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        predictions = as_predictions(type(self).__name__, y_pred)
        self._add(self.values(y_true, predictions), sample_weight)

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Check the targets and return one value for each row of predictions, (n, ...)."""
        raise NotImplementedError(f"{type(self).__name__} must define values")


class LossMetric(MeanMetric):
    """The base of metrics that are the weighted mean of a loss's values."""

    def __init__(self, loss: Loss, name: str | None) -> None:
        super().__init__(name)
        self._loss = loss

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch; see ``MeanMetric.update_state``."""
        owner = type(self).__name__
        predictions = as_predictions(owner, y_pred)
        targets = self._loss.check_targets(y_true, predictions.shape, owner)
        values = self._loss.call(targets, predictions)
        self._add(values, sample_weight, self._loss.counted(targets))
