"""What is counted at thresholds: true and false positives and negatives, weighted.

A prediction above a threshold says yes; a target says yes unless it is 0. As each prediction is
above all thresholds up to some place in their order, one pass counts how many end at each place,
and sums over places give the counts: memory is as many numbers as there are thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments
from convlet.metrics.base import Metric, check_last_axis, dense_batch

Thresholds = float | Sequence[float] | None


class ThresholdMetric(Metric):
    """The base of metrics of binary answers at thresholds; they define ``result``.

    Parameters
    ----------
    thresholds : ndarray
        In ascending order.
    name : str, optional
    labels : int or None
        How many answers, along the last axis, are counted apart from each other; None for as many
        as the first batch has.
    """

    state_names = ("true_positives", "false_positives", "positives", "negatives")

    def __init__(self, thresholds: np.ndarray, name: str | None, labels: int | None = 1) -> None:
        super().__init__(name)
        self._at = thresholds
        self._labels = labels
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._count_none(self._labels or 0)

    def _count_none(self, labels: int) -> None:
        at_each = (len(self._at), labels)
        self._true_positives, self._false_positives = np.zeros(at_each), np.zeros(at_each)
        self._positives, self._negatives = np.zeros(labels), np.zeros(labels)

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like
            Targets of the predictions' shape: 0 says no, all else yes.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        owner = type(self).__name__
        targets, predictions, weights = dense_batch(owner, y_true, y_pred, sample_weight)
        self._count(*self._chosen(targets != 0, predictions, weights[..., np.newaxis]))

    def _chosen(
        self, says_yes: np.ndarray, predictions: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return those answers that count, and weights that go with them."""
        return says_yes, predictions, weights

    def _count(self, says_yes: np.ndarray, predictions: np.ndarray, weights: np.ndarray) -> None:
        if len(self._positives) == 0:
            self._count_none(predictions.shape[-1])
        labels = len(self._positives)
        if labels > 1:
            check_last_axis(type(self).__name__, labels, predictions.shape[-1])
        weights = np.broadcast_to(weights, predictions.shape).reshape(-1, labels)
        says_yes, predictions = (a.reshape(-1, labels) for a in (says_yes, predictions))
        # in the predictions' own type: 0.1 in float32 is not above a threshold of 0.1
        above = np.searchsorted(self._at.astype(predictions.dtype), predictions, side="left")
        above[np.isnan(predictions)] = 0
        for label in range(labels):
            yes, weight = says_yes[:, label], weights[:, label]
            for chosen, total, counts in (
                (yes, self._positives, self._true_positives),
                (~yes, self._negatives, self._false_positives),
            ):
                total[label] += weight[chosen].sum()
                places = np.bincount(above[chosen, label], weight[chosen], len(self._at) + 1)
                counts[:, label] += places[:0:-1].cumsum()[::-1]

    @property
    def _recall(self) -> np.ndarray:
        return ratio(self._true_positives, self._positives)

    @property
    def _precision(self) -> np.ndarray:
        return ratio(self._true_positives, self._true_positives + self._false_positives)

    @property
    def _specificity(self) -> np.ndarray:
        return ratio(self._negatives - self._false_positives, self._negatives)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, 0 where nothing was counted."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)


def evenly_spaced(owner: str, number: object, minimum: int) -> np.ndarray:
    """Return thresholds from 0 to 1; a single one is 0.5."""
    count = arguments.integer(owner, "num_thresholds", number, minimum)
    arguments.fits_memory(owner, "num_thresholds", (count,), np.float64)
    return np.linspace(0, 1, count) if count > 1 else np.array([0.5])


class _AtThresholds(ThresholdMetric):
    """A metric with a result for each of the thresholds that were asked for, in their order."""

    def __init__(
        self,
        thresholds: Thresholds,
        name: str | None,
        default: float = 0.5,
    ) -> None:
        self.thresholds = _checked(type(self).__name__, thresholds)
        asked = np.atleast_1d(default if thresholds is None else np.asarray(self.thresholds))
        self._order = np.argsort(asked, kind="stable")
        super().__init__(asked[self._order], name)

    def _by_threshold(self, values: np.ndarray) -> Any:
        """Return a number for one threshold, otherwise an array in the order asked for."""
        if len(values) == 1:
            return float(values[0, 0])
        result = np.empty(len(values))
        result[self._order] = values[:, 0]
        return result


def _checked(owner: str, thresholds: Thresholds) -> float | list[float] | None:
    if thresholds is None or isinstance(thresholds, (int, float)):
        return None if thresholds is None else _threshold(owner, "thresholds", thresholds)
    if not isinstance(thresholds, (list, tuple, np.ndarray)) or len(thresholds) == 0:
        requirement = "a number from 0 to 1 or a list of such numbers"
        raise arguments.invalid(owner, "thresholds", requirement, thresholds)
    return [_threshold(owner, "each of thresholds", t) for t in thresholds]


def _threshold(owner: str, name: str, value: object) -> float:
    return arguments.real(owner, name, value, 0.0, 1.0)


class _Count(_AtThresholds):
    """A metric that is one of the counts."""

    def __init__(self, thresholds: Thresholds = None, name: str | None = None) -> None:
        super().__init__(thresholds, name)


class TruePositives(_Count):
    """How often the answer is rightly yes, or the sum of the weights of these answers.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        From 0 to 1, 0.5 if left out; predictions above it say yes. For several the result is an
        array.
    name : str, default "true_positives"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the count."""
        return self._by_threshold(self._true_positives)


class FalsePositives(_Count):
    """How often the answer is wrongly yes, or the sum of the weights of these answers.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        As for ``TruePositives``.
    name : str, default "false_positives"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the count."""
        return self._by_threshold(self._false_positives)


class TrueNegatives(_Count):
    """How often the answer is rightly no, or the sum of the weights of these answers.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        As for ``TruePositives``.
    name : str, default "true_negatives"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the count."""
        return self._by_threshold(self._negatives - self._false_positives)


class FalseNegatives(_Count):
    """How often the answer is wrongly no, or the sum of the weights of these answers.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        As for ``TruePositives``.
    name : str, default "false_negatives"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the count."""
        return self._by_threshold(self._positives - self._true_positives)


class _OfClasses(_AtThresholds):
    """A metric that may look at the k largest predictions alone, or at one class."""

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        owner = type(self).__name__
        # below all predictions: the k largest say yes, whatever they are
        super().__init__(thresholds, name, default=0.5 if top_k is None else -1e10)
        self.top_k = None if top_k is None else arguments.integer(owner, "top_k", top_k)
        self.class_id = checked_class_id(owner, class_id)

    def _chosen(
        self, says_yes: np.ndarray, predictions: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.top_k is not None:
            first = np.argsort(-predictions, axis=-1, kind="stable")[..., : self.top_k]
            only = np.full_like(predictions, -1e10)
            np.put_along_axis(only, first, np.take_along_axis(predictions, first, -1), -1)
            predictions = only
        return of_class(type(self).__name__, self.class_id, says_yes, predictions, weights)


def checked_class_id(owner: str, class_id: int | None) -> int | None:
    """Return the number of a class, or None."""
    return None if class_id is None else arguments.integer(owner, "class_id", class_id, 0)


def of_class(
    owner: str,
    class_id: int | None,
    says_yes: np.ndarray,
    predictions: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the answers about one class, about all of them for None."""
    if class_id is None:
        return says_yes, predictions, weights
    if class_id >= predictions.shape[-1]:
        requirement = f"below {predictions.shape[-1]}, the number of predictions"
        raise arguments.invalid(owner, "class_id", requirement, class_id)
    only = (..., slice(class_id, class_id + 1))
    return says_yes[only], predictions[only], weights


class Precision(_OfClasses):
    """How many of the answers yes are right: TP / (TP + FP), 0 if there are none.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        As for ``TruePositives``. With ``top_k``, all k predictions say yes if it is left out.
    top_k : int, optional
        Only the k largest predictions along the last axis may say yes.
    class_id : int, optional
        The class whose predictions count; all of them if left out.
    name : str, default "precision"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the precision at each threshold."""
        return self._by_threshold(self._precision)


class Recall(_OfClasses):
    """How many of the targets yes are found: TP / (TP + FN), 0 if there are none.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        As for ``Precision``.
    top_k : int, optional
        As for ``Precision``.
    class_id : int, optional
        As for ``Precision``.
    name : str, default "recall"
        The metric's name.
    """

    def result(self) -> Any:
        """Return the recall at each threshold."""
        return self._by_threshold(self._recall)
