"""Focal cross-entropies: what the network knows already counts less.

Source: Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", 2017:

    FL(p_t) = -α (1 - p_t)^γ ln p_t

p_t being the probability of the right answer. γ = 0 and α = 1 give the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convlet import arguments, ops
from convlet.losses.base import MEAN, quietly
from convlet.losses.crossentropy import (
    EPSILON,
    Crossentropy,
    binary_derivative,
    binary_values,
    check_smoothing,
    is_clipped,
    smoothed,
)
from convlet.losses.targets import binary_targets, one_hot_targets


class BinaryFocalCrossentropy(Crossentropy):
    """The mean of (1 - p_t)^γ (-t ln p - (1 - t) ln(1 - p)) over the last axis.

    With p_t = t p + (1 - t)(1 - p), t in [0, 1] being the targets.

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Whether values are multiplied by t alpha + (1 - t)(1 - alpha).
    alpha : float, default 0.25
        The weight of class 1, from 0 to 1; that of class 0 is 1 - alpha.
    gamma : float, default 2.0
        The exponent, at least 0.
    from_logits : bool, default False
        Whether predictions are logits z, with p = sigmoid(z). Otherwise they are the
        probabilities p, clipped to [1e-7, 1 - 1e-7] in logarithms.
    label_smoothing : float, default 0.0
        With s in its place, targets t become (1 - s) t + s / 2.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "binary_focal_crossentropy"
        The loss's name.

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    output_activation = "sigmoid"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name, reduction)
        owner = type(self).__name__
        self.apply_class_balancing = arguments.boolean(
            owner, "apply_class_balancing", apply_class_balancing
        )
        self.alpha = arguments.real(owner, "alpha", alpha, 0.0, 1.0)
        self.gamma = arguments.real(owner, "gamma", gamma, 0.0)
        self.label_smoothing = check_smoothing(owner, label_smoothing)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets from 0 to 1 of the predictions' shape; (n,) is read as (n, 1)."""
        return binary_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        t, weights = self._targets_and_weights(y_true, y_pred)
        miss, _ = _miss(t, y_pred, self.from_logits)
        crossentropy = binary_values(t, y_pred, self.from_logits)
        return (weights * miss**self.gamma * crossentropy).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        t, weights = self._targets_and_weights(y_true, y_pred)
        miss, by_miss = _miss(t, y_pred, self.from_logits)
        crossentropy = binary_values(t, y_pred, self.from_logits)
        by_crossentropy = binary_derivative(t, y_pred, self.from_logits)
        # (m^γ H)' = (m^γ)' H + m^γ H'
        by_power = _power_derivative(miss, self.gamma) * by_miss
        derivative = by_power * crossentropy + miss**self.gamma * by_crossentropy
        return weights * derivative / y_pred.shape[-1]

    def _targets_and_weights(
        self, y_true: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | float]:
        t = smoothed(y_true, self.label_smoothing, 2, y_pred.dtype)
        return t, t * self.alpha + (1 - t) * (1 - self.alpha) if self.apply_class_balancing else 1.0


def _miss(t: np.ndarray, y_pred: np.ndarray, from_logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return m = 1 - p_t, and its derivative by the predictions."""
    if not from_logits:
        return t * (1 - y_pred) + (1 - t) * y_pred, 1 - 2 * t
    p, not_p = ops.activation(y_pred, "sigmoid"), ops.activation(-y_pred, "sigmoid")
    return t * not_p + (1 - t) * p, (1 - 2 * t) * p * not_p


class CategoricalFocalCrossentropy(Crossentropy):
    """-Σ α (1 - p)^γ t ln p over the last axis, t being one-hot targets, or shares of the classes.

    Parameters
    ----------
    alpha : float or sequence of float, default 0.25
        The weight of all classes, or of each of them, at least 0.
    gamma : float, default 2.0
        The exponent, at least 0.
    from_logits : bool, default False
        Whether predictions are logits z, with p = softmax(z). Otherwise they are probabilities,
        divided by their sum and then clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float, default 0.0
        With s in its place and c classes, targets t become (1 - s) t + s / c.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "categorical_focal_crossentropy"
        The loss's name.

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    output_activation = "softmax"

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        *,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, name, reduction)
        owner = type(self).__name__
        self.alpha: float | list[float]
        if isinstance(alpha, (list, tuple, np.ndarray)):
            self.alpha = [arguments.real(owner, "each of alpha", a, 0.0) for a in alpha]
        else:
            self.alpha = arguments.real(owner, "alpha", alpha, 0.0)
        self.gamma = arguments.real(owner, "gamma", gamma, 0.0)
        self.label_smoothing = check_smoothing(owner, label_smoothing)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets of at least 0, of the predictions' shape."""
        classes = y_pred_shape[-1]
        if isinstance(self.alpha, list) and len(self.alpha) != classes:
            raise ValueError(
                f"{owner}: alpha of {type(self).__name__} must be a number or one for each of the "
                f"{classes} classes, got {len(self.alpha)}"
            )
        return one_hot_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        t = self._weighted_targets(y_true, y_pred)
        log_p, miss, _ = self._parts(y_pred)
        return -(t * miss**self.gamma * log_p).sum(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value; see ``Loss.gradient``."""
        t = self._weighted_targets(y_true, y_pred)
        log_p, miss, p = self._parts(y_pred)
        # p times the derivative of -t (1 - p)^γ ln p by p
        by_log = t * (p * _power_derivative(miss, self.gamma) * log_p - miss**self.gamma)
        if self.from_logits:  # ∂p_i/∂z_j = p_i (1(i=j) - p_j)
            return by_log - p * by_log.sum(axis=-1, keepdims=True)
        # p_i = y_i / Σ y has the derivatives ∂p_i/∂y_j = (1(i=j) - p_i) / Σ y
        by_log = np.where(is_clipped(p), 0, by_log)
        total = y_pred.sum(axis=-1, keepdims=True)
        by_p = np.where(is_clipped(p), 0, by_log / p)
        return (by_p - by_log.sum(axis=-1, keepdims=True)) / total

    def _parts(self, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ln p, 1 - p and p, the first two of clipped probabilities."""
        if self.from_logits:
            log_p = ops.log_softmax(y_pred)
            return log_p, -np.expm1(log_p), np.exp(log_p)
        p = y_pred / y_pred.sum(axis=-1, keepdims=True)
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        return np.log(clipped), 1 - clipped, p

    def _weighted_targets(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        t = smoothed(y_true, self.label_smoothing, y_pred.shape[-1], y_pred.dtype)
        return t * np.asarray(self.alpha, y_pred.dtype)


def _power_derivative(x: np.ndarray, exponent: float) -> np.ndarray | float:
    """Return the derivative of x^exponent, 0 where x is 0: there it is multiplied by ln 1."""
    if exponent == 0:
        return 0.0
    return np.where(x <= 0, 0, exponent * x ** (exponent - 1))
