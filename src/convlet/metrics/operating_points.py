"""The best of one rate where another is at least so high, over thresholds from 0 to 1."""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.metrics.thresholds import (
    ThresholdMetric,
    checked_class_id,
    evenly_spaced,
    of_class,
)


class _OperatingPoint(ThresholdMetric):
    """The largest of one rate among those thresholds at which another is at least ``value``."""

    def __init__(
        self, num_thresholds: int, class_id: int | None, name: str | None, **required: float
    ) -> None:
        owner = type(self).__name__
        ((rate, value),) = required.items()
        self._required = arguments.real(owner, rate, value, 0.0, 1.0)
        super().__init__(evenly_spaced(owner, num_thresholds, 1), name)
        self.num_thresholds = len(self._at)
        self.class_id = checked_class_id(owner, class_id)

    def _chosen(
        self, says_yes: np.ndarray, predictions: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return of_class(type(self).__name__, self.class_id, says_yes, predictions, weights)

    def _best(self, rate: np.ndarray, constrained: np.ndarray) -> float:
        return float(rate[constrained >= self._required].max(initial=0.0))


class SensitivityAtSpecificity(_OperatingPoint):
    """The largest TP / (TP + FN) where TN / (TN + FP) is at least ``specificity``.

    Parameters
    ----------
    specificity : float
        From 0 to 1.
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 are tried.
    class_id : int, optional
        The class whose predictions count; all of them if left out.
    name : str, default "sensitivity_at_specificity"
        The metric's name.
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, specificity=specificity)
        self.specificity = self._required

    def result(self) -> float:
        """Return the sensitivity, 0.0 where no threshold will do."""
        return self._best(self._recall, self._specificity)


class SpecificityAtSensitivity(_OperatingPoint):
    """The largest TN / (TN + FP) where TP / (TP + FN) is at least ``sensitivity``.

    Parameters
    ----------
    sensitivity : float
        From 0 to 1.
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 are tried.
    class_id : int, optional
        The class whose predictions count; all of them if left out.
    name : str, default "specificity_at_sensitivity"
        The metric's name.
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, sensitivity=sensitivity)
        self.sensitivity = self._required

    def result(self) -> float:
        """Return the specificity, 0.0 where no threshold will do."""
        return self._best(self._specificity, self._recall)


class PrecisionAtRecall(_OperatingPoint):
    """The largest TP / (TP + FP) where TP / (TP + FN) is at least ``recall``.

    Parameters
    ----------
    recall : float
        From 0 to 1.
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 are tried.
    class_id : int, optional
        The class whose predictions count; all of them if left out.
    name : str, default "precision_at_recall"
        The metric's name.
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, recall=recall)
        self.recall = self._required

    def result(self) -> float:
        """Return the precision, 0.0 where no threshold will do."""
        return self._best(self._precision, self._recall)


class RecallAtPrecision(_OperatingPoint):
    """The largest TP / (TP + FN) where TP / (TP + FP) is at least ``precision``.

    Parameters
    ----------
    precision : float
        From 0 to 1.
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 are tried.
    class_id : int, optional
        The class whose predictions count; all of them if left out.
    name : str, default "recall_at_precision"
        The metric's name.
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, precision=precision)
        self.precision = self._required

    def result(self) -> float:
        """Return the recall, 0.0 where no threshold will do."""
        return self._best(self._recall, self._precision)
