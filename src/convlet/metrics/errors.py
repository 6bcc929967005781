"""Errors of predicted numbers."""

from __future__ import annotations

import numpy as np

from convlet import losses
from convlet.losses.base import quietly
from convlet.losses.targets import dense_targets
from convlet.metrics.base import LossMetric, MeanMetric


class MeanSquaredError(LossMetric):
    """The mean of (t - p)^2, t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "mean_squared_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanSquaredError(), name)


class MeanAbsoluteError(MeanMetric):
    """The mean of |t - p|, t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "mean_absolute_error"
        The metric's name.
    """

    @quietly
    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ |t - p|."""
        targets = dense_targets(y_true, y_pred.shape, "MeanAbsoluteError")
        return np.abs(targets - y_pred).mean(axis=-1)
