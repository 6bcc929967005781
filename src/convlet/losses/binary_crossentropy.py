"""The cross-entropy of yes-or-no questions."""

from __future__ import annotations

import numpy as np

from convlet.losses.base import MEAN, quietly
from convlet.losses.crossentropy import (
    Crossentropy,
    binary_derivative,
    binary_values,
    check_smoothing,
    smoothed,
)
from convlet.losses.targets import binary_targets


class BinaryCrossentropy(Crossentropy):
    """The mean of -t ln p - (1 - t) ln(1 - p) over the last axis, t in [0, 1] being the targets.

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits z, with p = sigmoid(z). Otherwise they are the
        probabilities p, clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float, default 0.0
        With s in its place, targets t become (1 - s) t + s / 2.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "binary_crossentropy"
        The loss's name.
    """

    output_activation = "sigmoid"
    formula = "binary_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name, reduction)
        self.label_smoothing = check_smoothing(type(self).__name__, label_smoothing)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets from 0 to 1 of the predictions' shape; (n,) is read as (n, 1)."""
        return binary_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        return binary_values(self._smoothed(y_true, y_pred), y_pred, self.from_logits).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        t = self._smoothed(y_true, y_pred)
        return binary_derivative(t, y_pred, self.from_logits) / y_pred.shape[-1]

    def _smoothed(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return smoothed(y_true, self.label_smoothing, 2, y_pred.dtype)
