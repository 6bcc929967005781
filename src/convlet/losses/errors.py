"""Losses of predicted numbers: absolute, relative, logarithmic, and less moved by outliers.

Each is a mean over the last axis, of size c, with targets t and predictions p.
"""

from __future__ import annotations

import math

import numpy as np

from convlet import arguments
from convlet.losses.base import MEAN, DenseLoss, quietly
from convlet.losses.crossentropy import EPSILON


class MeanAbsoluteError(DenseLoss):
    """The mean of |t - p| over the last axis.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "mean_absolute_error"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ |p - t|."""
        return np.abs(y_pred - y_true.astype(y_pred.dtype)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c sign(p - t), 0 where they are equal."""
        return np.sign(y_pred - y_true.astype(y_pred.dtype)) / y_pred.shape[-1]


class MeanAbsolutePercentageError(DenseLoss):
    """The mean of 100 |t - p| / |t| over the last axis, |t| being at least 1e-7.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "mean_absolute_percentage_error"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 100/c Σ |p - t| / |t|."""
        t = y_true.astype(y_pred.dtype)
        return 100 * (np.abs(y_pred - t) / np.maximum(np.abs(t), EPSILON)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 100/c sign(p - t) / |t|."""
        t = y_true.astype(y_pred.dtype)
        by_p = np.sign(y_pred - t) / np.maximum(np.abs(t), EPSILON)
        return by_p * (100 / y_pred.shape[-1])


class MeanSquaredLogarithmicError(DenseLoss):
    """The mean of (ln(1 + t) - ln(1 + p))^2 over the last axis, t and p being at least 1e-7.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "mean_squared_logarithmic_error"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ (ln(1 + p) - ln(1 + t))^2."""
        return np.square(self._difference(y_true, y_pred)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 2/c (ln(1 + p) - ln(1 + t)) / (1 + p), 0 below 1e-7."""
        by_p = self._difference(y_true, y_pred) / (1 + y_pred)
        return np.where(y_pred < EPSILON, 0, by_p) * (2 / y_pred.shape[-1])

    def _difference(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        t = y_true.astype(y_pred.dtype)
        return np.log1p(np.maximum(y_pred, EPSILON)) - np.log1p(np.maximum(t, EPSILON))


class Huber(DenseLoss):
    """Half the squared error up to an error of ``delta``, then on along the tangent.

    With e = p - t, the mean over the last axis of e^2 / 2 where |e| <= delta, elsewhere of
    delta |e| - delta^2 / 2. Source: Huber, "Robust estimation of a location parameter", 1964.

    Parameters
    ----------
    delta : float, default 1.0
        Above 0.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "huber_loss"
        The loss's name.

    Raises
    ------
    ValueError
        If delta is not above 0.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = MEAN,
        name: str | None = "huber_loss",
    ) -> None:
        super().__init__(reduction, name)
        self.delta = arguments.real("Huber", "delta", delta)
        if self.delta <= 0:
            raise arguments.invalid("Huber", "delta", "a number above 0", delta)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        e = np.abs(y_pred - y_true.astype(y_pred.dtype))
        linear = self.delta * e - 0.5 * self.delta**2
        return np.where(e <= self.delta, 0.5 * np.square(e), linear).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c times the error, cut to [-delta, delta]."""
        e = y_pred - y_true.astype(y_pred.dtype)
        return np.clip(e, -self.delta, self.delta) / y_pred.shape[-1]


class LogCosh(DenseLoss):
    """The mean of ln cosh(p - t) over the last axis.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "log_cosh"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ ln cosh(p - t)."""
        e = np.abs(y_pred - y_true.astype(y_pred.dtype))
        # ln((e^x + e^-x) / 2) = |x| + ln(1 + e^(-2|x|)) - ln 2, with no e to a power above 0
        return (e + np.log1p(np.exp(-2 * e)) - math.log(2)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c tanh(p - t)."""
        return np.tanh(y_pred - y_true.astype(y_pred.dtype)) / y_pred.shape[-1]


class CosineSimilarity(DenseLoss):
    """Minus the cosine of the angle between t and p over the last axis: -1 if they are parallel.

    Lengths count as at least 1e-7, so that vectors of zeros give 0.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "cosine_similarity"
        The loss's name.
    """

    def __init__(self, *, reduction: str | None = MEAN, name: str | None = None) -> None:
        super().__init__(reduction, name)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -Σ t p / (|t| |p|)."""
        return -(_unit(y_true.astype(y_pred.dtype)) * _unit(y_pred)).sum(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -(u - (u·v) v) / |p|, with u = t / |t| and v = p / |p|."""
        u, v = _unit(y_true.astype(y_pred.dtype)), _unit(y_pred)
        along = (u * v).sum(axis=-1, keepdims=True) * v
        length = _length(y_pred)
        return (np.where(length < EPSILON, 0, along) - u) / np.maximum(length, EPSILON)


def _length(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x).sum(axis=-1, keepdims=True))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(_length(x), EPSILON)
