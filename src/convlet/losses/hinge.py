"""Hinge losses, those of support vector machines: what is right by a margin of 1 costs nothing."""

from __future__ import annotations

import numpy as np

from convlet.losses.base import DenseLoss, quietly
from convlet.losses.targets import one_hot_targets


class Hinge(DenseLoss):
    """The mean of max(1 - t p, 0) over the last axis, for targets t of -1 and 1.

    Batches whose targets are all 0 or 1 are read as -1 and 1.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "hinge"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ max(1 - t p, 0)."""
        return np.maximum(1 - _signs(y_true, y_pred) * y_pred, 0).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -1/c t where the margin is not kept, 0 elsewhere."""
        t = _signs(y_true, y_pred)
        return np.where(1 - t * y_pred <= 0, 0, -t) / y_pred.shape[-1]


class SquaredHinge(DenseLoss):
    """The mean of max(1 - t p, 0)^2 over the last axis, with the targets of ``Hinge``.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "squared_hinge"
        The loss's name.
    """

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1/c Σ max(1 - t p, 0)^2."""
        return np.square(np.maximum(1 - _signs(y_true, y_pred) * y_pred, 0)).mean(axis=-1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return -2/c t max(1 - t p, 0)."""
        t = _signs(y_true, y_pred)
        return t * np.maximum(1 - t * y_pred, 0) * (-2 / y_pred.shape[-1])


class CategoricalHinge(DenseLoss):
    """max(1 + the largest wrong prediction - the right one, 0), given one-hot targets t.

    Over the last axis, the right one is Σ t p, the largest wrong one max (1 - t) p.

    Parameters
    ----------
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``.
    name : str, default "categorical_hinge"
        The loss's name.
    """

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets of at least 0, of the predictions' shape."""
        return one_hot_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values; see ``Loss.call``."""
        t = y_true.astype(y_pred.dtype)
        right, wrong = (t * y_pred).sum(axis=-1), ((1 - t) * y_pred).max(axis=-1)
        return np.maximum(1 + wrong - right, 0)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return 1 - t at the largest wrong prediction, minus t everywhere; 0 beyond the margin."""
        t = y_true.astype(y_pred.dtype)
        worst = ((1 - t) * y_pred).argmax(axis=-1)[..., np.newaxis]
        is_worst = worst == np.arange(y_pred.shape[-1])
        beyond = self.call(y_true, y_pred)[..., np.newaxis] <= 0
        return np.where(beyond, 0, is_worst * (1 - t) - t)


def _signs(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return targets of 0 and 1 as -1 and 1, others as they are."""
    t = y_true.astype(y_pred.dtype)
    return 2 * t - 1 if ((t == 0) | (t == 1)).all() else t
