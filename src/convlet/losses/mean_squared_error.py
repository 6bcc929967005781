"""The mean squared error."""

from __future__ import annotations

import numpy as np

from convlet.losses.base import Loss, quietly
from convlet.losses.targets import dense_targets


class MeanSquaredError(Loss):
    """The mean of (t - p)^2 over the last axis, t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "mean_squared_error"
        The loss's name.
    """

    formula = "squared_error"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return finite targets of the predictions' shape; (n,) is read as (n, 1)."""
        return dense_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ (p - t)^2."""
        return np.square(y_pred - y_true.astype(y_pred.dtype)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 2/c (p - t)."""
        return (y_pred - y_true.astype(y_pred.dtype)) * (2 / y_pred.shape[-1])
