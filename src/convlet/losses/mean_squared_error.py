"""The mean squared error."""

from __future__ import annotations

import numpy as np

from convlet.losses.base import DenseLoss, quietly


class MeanSquaredError(DenseLoss):
    """The mean of (t - p)^2 over the last axis, t being the targets and p the predictions.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "mean_squared_error"
        The loss's name.
    """

    formula = "squared_error"

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ (p - t)^2."""
        return np.square(y_pred - y_true.astype(y_pred.dtype)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 2/c (p - t)."""
        return (y_pred - y_true.astype(y_pred.dtype)) * (2 / y_pred.shape[-1])
