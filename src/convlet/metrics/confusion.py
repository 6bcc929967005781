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
        If the shapes differ, or a label is no class.
    """
    owner = "confusion_matrix"
    classes = arguments.integer(owner, "classes", classes)
    right = whole_labels(as_numbers(owner, "y_true", y_true), classes, owner, "y_true")
    predicted = as_numbers(owner, "y_pred_labels", y_pred_labels)
    predicted = whole_labels(predicted, classes, owner, "y_pred_labels")
    if right.shape != predicted.shape:
        raise ValueError(
            f"{owner}: y_pred_labels must have y_true's shape {right.shape}, got {predicted.shape}"
        )
    pairs = (right * classes + predicted).ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
