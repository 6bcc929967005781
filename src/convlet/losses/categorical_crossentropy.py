"""The cross-entropy of classes that exclude one another, for one-hot targets and for labels.

Lecture 001, "Mathematics of back propagation in CNN(1)", maximises the log-likelihood

    J = Σ_i 1(y=i) ln p(y=i | x)        δ_i = ∂J/∂z_i = 1(y=i) - p(y=i)

of the softmax p of the logits z. The loss here is -J, to be minimised: its gradient by z is
p(y=i) - 1(y=i), the lecture's δ with the other sign.
"""

from __future__ import annotations

import numpy as np

from convlet import arguments, ops
from convlet.losses.base import MEAN, quietly
from convlet.losses.crossentropy import (
    EPSILON,
    Crossentropy,
    check_smoothing,
    is_clipped,
    smoothed,
)
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
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
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
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name, reduction)
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
        return smoothed(y_true, self.label_smoothing, y_pred.shape[-1], y_pred.dtype)


class SparseCategoricalCrossentropy(Crossentropy):
    """-ln p of the class that the label names, over the last axis.

    Parameters
    ----------
    from_logits : bool, default False
        As for ``CategoricalCrossentropy``.
    ignore_class : int, optional
        A label that means nothing, such as 255 for what nobody marked in an image; it need not be a
        class. Its values are 0 and do not count, neither here nor in a model's metrics.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "sparse_categorical_crossentropy"
        The loss's name.
    """

    output_activation = "softmax"
    formula = "sparse_categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        *,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name, reduction)
        self.ignore_class = ignore_class
        if ignore_class is not None:
            owner = type(self).__name__
            self.ignore_class = arguments.integer(owner, "ignore_class", ignore_class, -(1 << 31))

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return integer labels of shape (n, ...), read from that or from (n, ..., 1)."""
        return label_targets(y_true, y_pred_shape, owner, self.ignore_class)

    def counted(self, y_true: np.ndarray) -> np.ndarray | None:
        """Return where the label is not the one to be ignored."""
        return None if self.ignore_class is None else y_true != self.ignore_class

    def feeds(
        self, y_true: np.ndarray, weights: np.ndarray, y_pred_shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a program reads for a batch; see ``Loss.feeds``."""
        y_true, shares = super().feeds(y_true, weights, y_pred_shape)
        return self._classes(y_true), shares

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        return _values(_one_hot(self._classes(y_true), y_pred), y_pred, self.from_logits)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        return _gradient(_one_hot(self._classes(y_true), y_pred), y_pred, self.from_logits)

    def _classes(self, y_true: np.ndarray) -> np.ndarray:
        """Return labels with -1, which is no class, in place of those to be ignored."""
        counted = self.counted(y_true)
        return y_true if counted is None else np.where(counted, y_true, -1)


def _one_hot(labels: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return 1(y=i), all 0 for a label that is no class."""
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
