"""The cross-entropy of yes-or-no questions."""

from __future__ import annotations

import numpy as np

from convlet import ops
from convlet.losses.base import MEAN, quietly
from convlet.losses.crossentropy import EPSILON, Crossentropy, check_smoothing, is_clipped
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
        t = self._smoothed(y_true, y_pred.dtype)
        if self.from_logits:
            z = y_pred
            # -t ln σ(z) - (1-t) ln(1-σ(z)) = ln(1 + e^z) - t z, with no e to a power above 0
            return (np.maximum(z, 0) - t * z + np.log1p(np.exp(-np.abs(z)))).mean(axis=-1)
        p = np.clip(y_pred, EPSILON, 1 - EPSILON)
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        t = self._smoothed(y_true, y_pred.dtype)
        if self.from_logits:
            derivative = ops.activation(y_pred, "sigmoid") - t
        else:
            p = np.clip(y_pred, EPSILON, 1 - EPSILON)
            # -t/p + (1-t)/(1-p)
            derivative = np.where(is_clipped(y_pred), 0, (p - t) / (p * (1 - p)))
        return derivative / y_pred.shape[-1]

    def _smoothed(self, y_true: np.ndarray, dtype: np.dtype) -> np.ndarray:
        s = self.label_smoothing
        return (1 - s) * y_true.astype(dtype) + s / 2
