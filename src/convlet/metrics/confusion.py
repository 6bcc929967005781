"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.losses.targets import as_numbers, whole_labels


def confusion_matrix(y_true: object, y_pred_labels: object, classes: int) -> np.ndarray:
    """Count how often each class was taken for each.

    Parameters
    ----------
    y_true : array_like
        The right labels, whole numbers from 0 to ``classes - 1``.
    y_pred_labels : array_like
        The predicted ones, of the same shape.
    classes : int
        How many classes there are.

    Returns
    -------
    ndarray of int64, shape (classes, classes)
        Rows are the right classes, columns the predicted ones.

    Raises
    ------
    ValueError
        If the shapes differ, a label is no class, or the matrix is larger than the memory.
    """
    owner = "confusion_matrix"
    classes = arguments.integer(owner, "classes", classes)
    arguments.fits_memory(owner, "the matrix", (classes, classes), np.int64, "fewer classes")
    right = whole_labels(as_numbers(owner, "y_true", y_true), classes, owner, "y_true")
    predicted = as_numbers(owner, "y_pred_labels", y_pred_labels)
    predicted = whole_labels(predicted, classes, owner, "y_pred_labels")
    if right.shape != predicted.shape:
        raise ValueError(
            f"{owner}: y_pred_labels must have y_true's shape {right.shape}, got {predicted.shape}"
        )
    return pair_counts(right, predicted, classes)


def pair_counts(
    right: np.ndarray, predicted: np.ndarray, classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return how often each class was taken for each, or the sums of these answers' weights.

    Parameters
    ----------
    right, predicted : ndarray of int64
        Labels from 0 to ``classes - 1``, in one shape.
    classes : int
    weights : ndarray, optional
        In the same shape.
    """
    pairs = (right * classes + predicted).ravel()
    of_each = None if weights is None else weights.ravel()
    return np.bincount(pairs, of_each, classes**2).reshape(classes, classes)
