"""Accuracies: how often predictions are right.

Where two predictions are equal and largest, the class is the first of them, and both are in the
top 1.
"""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.losses.targets import dense_targets, label_targets, one_hot_targets
from convlet.metrics.base import MeanMetric


class Accuracy(MeanMetric):
    """How often predictions equal targets, both being labels.

    Parameters
    ----------
    name : str, default "accuracy"
        The metric's name.
    """

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return the share of equal numbers along the last axis."""
        targets = dense_targets(y_true, y_pred.shape, "Accuracy")
        return (targets == y_pred).mean(axis=-1)


class BinaryAccuracy(MeanMetric):
    """How often predictions are on the targets' side of a threshold.

    Parameters
    ----------
    name : str, default "binary_accuracy"
        The metric's name.
    threshold : float, default 0.5
        From 0 to 1; predictions above it say 1, others 0.
    """

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = arguments.real("BinaryAccuracy", "threshold", threshold, 0.0, 1.0)

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return the share of right answers along the last axis."""
        targets = dense_targets(y_true, y_pred.shape, "BinaryAccuracy")
        return (targets == (y_pred > self.threshold)).mean(axis=-1)


class CategoricalAccuracy(MeanMetric):
    """How often the largest prediction is that of the right class, given one-hot targets.

    Parameters
    ----------
    name : str, default "categorical_accuracy"
        The metric's name.
    """

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 where the class is right, 0 elsewhere."""
        targets = one_hot_targets(y_true, y_pred.shape, "CategoricalAccuracy")
        return targets.argmax(axis=-1) == y_pred.argmax(axis=-1)


class SparseCategoricalAccuracy(MeanMetric):
    """How often the largest prediction is that of the right class, given labels.

    Parameters
    ----------
    name : str, default "sparse_categorical_accuracy"
        The metric's name.
    """

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 where the class is right, 0 elsewhere."""
        labels = label_targets(y_true, y_pred.shape, "SparseCategoricalAccuracy")
        return labels == y_pred.argmax(axis=-1)


class TopKCategoricalAccuracy(MeanMetric):
    """How often the right class is among the k largest predictions, given one-hot targets.

    Parameters
    ----------
    k : int, default 5
        How many predictions count.
    name : str, default "top_k_categorical_accuracy"
        The metric's name.
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = arguments.integer("TopKCategoricalAccuracy", "k", k)

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 where the class is among the k largest, 0 elsewhere."""
        targets = one_hot_targets(y_true, y_pred.shape, "TopKCategoricalAccuracy")
        return _in_top_k(targets.argmax(axis=-1), y_pred, self.k)


class SparseTopKCategoricalAccuracy(MeanMetric):
    """How often the right class is among the k largest predictions, given labels.

    Parameters
    ----------
    k : int, default 5
        How many predictions count.
    name : str, default "sparse_top_k_categorical_accuracy"
        The metric's name.
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = arguments.integer("SparseTopKCategoricalAccuracy", "k", k)

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 where the class is among the k largest, 0 elsewhere."""
        labels = label_targets(y_true, y_pred.shape, "SparseTopKCategoricalAccuracy")
        return _in_top_k(labels, y_pred, self.k)


def _in_top_k(labels: np.ndarray, y_pred: np.ndarray, k: int) -> np.ndarray:
    """Return whether fewer than k predictions are larger than the label's own, which is finite."""
    own = np.take_along_axis(y_pred, labels[..., np.newaxis], axis=-1)
    return ((y_pred > own).sum(axis=-1) < k) & np.isfinite(own[..., 0])
