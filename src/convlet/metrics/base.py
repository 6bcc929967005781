"""What every metric is: a number built up batch by batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convlet.losses.base import Loss, quietly
from convlet.losses.targets import as_floats, as_predictions, spread_weights
from convlet.serialization import Configurable, object_name


class Metric(Configurable):
    """The base of all metrics; one's own defines the three methods.

    Parameters
    ----------
    name : str, optional
        The class's name in snake case if left out.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = object_name(self, name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch: ``update_state(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> float:
        """Return the metric of all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} must define reset_state")


class _Average(Metric):
    """A metric that is the weighted mean of values: sum of weight times value / sum of weights.

    The values of a sample are averaged first, so that images of all sizes count the same.
    """

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
    def _add(self, values: np.ndarray, sample_weight: object) -> None:
        weights = np.ones(values.shape)
        if sample_weight is not None:
            owner = type(self).__name__
            weights = spread_weights(sample_weight, values.shape, np.float64, owner)
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

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return the loss's values."""
        owner = type(self).__name__
        return self._loss.call(self._loss.check_targets(y_true, y_pred.shape, owner), y_pred)
