"""What the cross-entropies share."""

from __future__ import annotations

from typing import Self

import numpy as np

from convlet import arguments, ops
from convlet.losses.base import MEAN, Loss

EPSILON = 1e-7  # Keras's: probabilities are kept this far from 0 and 1


class Crossentropy(Loss):
    """A loss of probabilities or, with ``from_logits``, of what goes into softmax or sigmoid."""

    def __init__(
        self,
        from_logits: bool = False,
        name: str | None = None,
        reduction: str | None = MEAN,
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = arguments.boolean(type(self).__name__, "from_logits", from_logits)

    def from_logits_twin(self) -> Self | None:
        """Return the same loss for logits, which is exact and stable where this one has to clip.

        None if this loss is for logits already, and for subclasses of convlet's losses, whose own
        formulas may know nothing of logits.
        """
        if self.from_logits or Crossentropy not in type(self).__bases__:
            return None
        return self.from_config({**self.get_config(), "from_logits": True})


def check_smoothing(owner: str, label_smoothing: float) -> float:
    """Return the share of the targets that is spread over all classes, from 0 to 1."""
    return arguments.real(owner, "label_smoothing", label_smoothing, 0.0, 1.0)


def smoothed(y_true: np.ndarray, s: float, classes: int, dtype: np.dtype) -> np.ndarray:
    """Return (1 - s) t + s / classes for targets t, in a float type."""
    return (1 - s) * y_true.astype(dtype) + s / classes


def binary_values(t: np.ndarray, y_pred: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return -t ln p - (1 - t) ln(1 - p) for each probability, clipped, or of each logit."""
    if from_logits:
        z = y_pred
        # -t ln σ(z) - (1-t) ln(1-σ(z)) = ln(1 + e^z) - t z, with no e to a power above 0
        return np.maximum(z, 0) - t * z + np.log1p(np.exp(-np.abs(z)))
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def binary_derivative(t: np.ndarray, y_pred: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return the derivative of each of `binary_values` by its prediction."""
    if from_logits:
        return ops.activation(y_pred, "sigmoid") - t
    p = np.clip(y_pred, EPSILON, 1 - EPSILON)
    # -t/p + (1-t)/(1-p)
    return np.where(is_clipped(y_pred), 0, (p - t) / (p * (1 - p)))


def is_clipped(probabilities: np.ndarray) -> np.ndarray:
    """Return where clipping to [EPSILON, 1 - EPSILON] changes a probability.

    The loss is constant there, its derivative 0. NaN is no such place, so that it stays visible.
    """
    return (probabilities < EPSILON) | (probabilities > 1 - EPSILON)
