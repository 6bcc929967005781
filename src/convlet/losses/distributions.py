"""Losses of distributions: the divergence of one from another, and the Poisson distribution's."""

from __future__ import annotations

import numpy as np

from convlet.losses.base import DenseLoss, quietly
from convlet.losses.crossentropy import EPSILON


class KLDivergence(DenseLoss):
    """The Kullback-Leibler divergence Σ t ln(t / p) over the last axis, t and p within [1e-7, 1].

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "kl_divergence"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return Σ t ln(t / p)."""
        t = np.clip(y_true.astype(y_pred.dtype), EPSILON, 1)
        return (t * np.log(t / np.clip(y_pred, EPSILON, 1))).sum(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -t / p, 0 where p is outside [1e-7, 1]."""
        t = np.clip(y_true.astype(y_pred.dtype), EPSILON, 1)
        return np.where((y_pred < EPSILON) | (y_pred > 1), 0, -t / y_pred)


class Poisson(DenseLoss):
    """The mean of p - t ln p over the last axis, for counts t of the expectations p.

    It is -ln of the Poisson distribution's probability of t, without the part that p has no share
    in. 1e-7 is added to p in the logarithm.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "poisson"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ (p - t ln p)."""
        t = y_true.astype(y_pred.dtype)
        return (y_pred - t * np.log(y_pred + EPSILON)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c (1 - t / p)."""
        return (1 - y_true.astype(y_pred.dtype) / (y_pred + EPSILON)) / y_pred.shape[-1]
