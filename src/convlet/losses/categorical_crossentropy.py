"""The cross-entropy of classes that exclude one another, for one-hot targets and for labels.

Lecture 001, "Mathematics of back propagation in CNN(1)", maximises the log-likelihood

    J = Σ_i 1(y=i) ln p(y=i | x)        δ_i = ∂J/∂z_i = 1(y=i) - p(y=i)

of the softmax p of the logits z. The loss here is -J, to be minimised: its gradient by z is
p(y=i) - 1(y=i), the lecture's δ with the other sign.
"""

from __future__ import annotations

import numpy as np

from convlet import ops
from convlet.losses.base import quietly
from convlet.losses.crossentropy import EPSILON, Crossentropy, check_smoothing, is_clipped
from convlet.losses.targets import label_targets, one_hot_targets


class CategoricalCrossentropy(Crossentropy):
    """-Σ t ln p over the last axis, t being one-hot targets, or shares of the classes.

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits z, with p = softmax(z). Otherwise they are probabilities,
        divided by their sum and then clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float, default 0.0
        With s in its place and c classes, targets t become (1 - s) t + s / c.
    name : str, default "categorical_crossentropy"
        The loss's name.
    """

    output_activation = "softmax"
    formula = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name)
        self.label_smoothing = check_smoothing(type(self).__name__, label_smoothing)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets of at least 0, of the predictions' shape."""
        return one_hot_targets(y_true, y_pred_shape, owner)

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        return _values(self._smoothed(y_true, y_pred), y_pred, self.from_logits)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        return _gradient(self._smoothed(y_true, y_pred), y_pred, self.from_logits)

    def _smoothed(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        s = self.label_smoothing
        return (1 - s) * y_true.astype(y_pred.dtype) + s / y_pred.shape[-1]


class SparseCategoricalCrossentropy(Crossentropy):
    """-ln p of the class that the label names, over the last axis.

    Parameters
    ----------
    from_logits : bool, default False
        As for ``CategoricalCrossentropy``.
    name : str, default "sparse_categorical_crossentropy"
        The loss's name.
    """

    output_activation = "softmax"
    formula = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False, *, name: str | None = None) -> None:
        super().__init__(from_logits, name)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return integer labels of shape (n, ...), read from that or from (n, ..., 1)."""
        return label_targets(y_true, y_pred_shape, owner)

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        return _values(_one_hot(y_true, y_pred), y_pred, self.from_logits)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        return _gradient(_one_hot(y_true, y_pred), y_pred, self.from_logits)


def _one_hot(labels: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return 1(y=i)."""
    return (labels[..., np.newaxis] == np.arange(y_pred.shape[-1])).astype(y_pred.dtype)


@quietly
def _values(t: np.ndarray, y_pred: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return -Σ t ln p."""
    if from_logits:
        log_p = ops.log_softmax(y_pred)
    else:
        q = y_pred / y_pred.sum(axis=-1, keepdims=True)
        log_p = np.log(np.clip(q, EPSILON, 1 - EPSILON))
    return -(t * log_p).sum(axis=-1)


@quietly
def _gradient(t: np.ndarray, y_pred: np.ndarray, from_logits: bool) -> np.ndarray:
    """Return the derivative of -Σ t ln p by the predictions."""
    if from_logits:
        p = np.exp(ops.log_softmax(y_pred))
        return p * t.sum(axis=-1, keepdims=True) - t  # p(y=i) - 1(y=i) for one-hot targets
    total = y_pred.sum(axis=-1, keepdims=True)
    q = y_pred / total
    # By q, the derivative is -t/q, and 0 where q is clipped. q_i = y_i / Σ y has the derivatives
    # ∂q_i/∂y_j = (1(i=j) - q_i) / Σ y, so that ∂/∂y_j = (∂/∂q_j - Σ_i q_i ∂/∂q_i) / Σ y.
    by_q = np.where(is_clipped(q), 0, -t / q)
    return (by_q - (q * by_q).sum(axis=-1, keepdims=True)) / total
