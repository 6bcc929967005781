"""Losses of how well two regions overlap, for segmentation: Dice and Tversky.

Both are 1 minus a quotient of sums over ``axis``, an axis or several of predictions (n, ..., c).
By default the sums go over the whole batch, which then has one value. What a program and
``gradient`` need is a value for each sample: the mean of the sample's own ones, or, where sums mix
samples, the mean of all of them for each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convlet import arguments
from convlet.losses.base import MEAN, DenseLoss, quietly
from convlet.losses.targets import as_floats, require

EPSILON = 1e-7  # Keras's: what is added to the quotient's denominator


class _Overlap(DenseLoss):
    """A loss of sums over some axes; it defines ``_parts``."""

    def __init__(
        self, axis: int | Sequence[int] | None, reduction: str | None, name: str | None
    ) -> None:
        super().__init__(reduction, name)
        self.axis = None
        if axis is not None:
            requirement = "an integer, a list of integers or None"
            self.axis = arguments.axes(type(self).__name__, axis, requirement)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return finite targets of the predictions' shape, which must have the axes."""
        self._axes(len(y_pred_shape))
        return super().check_targets(y_true, y_pred_shape, owner)

    @quietly
    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return a value for each sample, (n,)."""
        above, below = self._parts(*self._operands(y_true, y_pred))[:2]
        values = 1 - above / below
        if len(values) == 1:  # the samples are mixed
            return np.full(len(y_pred), values.mean())
        return values.reshape(len(values), -1).mean(axis=1)

    @quietly
    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of the sum of the values."""
        above, below, by_above, by_below = self._parts(*self._operands(y_true, y_pred))
        by_p = -(by_above * below - above * by_below) / np.square(below)
        return by_p * (len(y_pred) / above.size)

    def spread(
        self, sample_weight: object, shape: tuple[int, ...], dtype: np.dtype, owner: str
    ) -> np.ndarray:
        """Return one weight for each sample: their mean for all where the samples are mixed."""
        if not self._mixes_samples:
            return super().spread(sample_weight, shape, dtype, owner)
        weights = as_floats(owner, "sample_weight", sample_weight)
        require(np.isfinite(weights), weights, "weights must be finite", owner, "sample_weight")
        return np.full(shape, weights.mean(), dtype)

    def feeds(
        self, y_true: np.ndarray, weights: np.ndarray, y_pred_shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a program reads for a batch; see ``Loss.feeds``."""
        if self._mixes_samples:
            weights = np.full(len(weights), weights.mean(), weights.dtype)
        return super().feeds(y_true, weights, y_pred_shape)

    def values_shown_by_each(self, y_pred_shape: tuple[int, ...]) -> float:
        """Return the number of values over that of the samples."""
        axes = self._axes(len(y_pred_shape))
        values = math.prod(n for axis, n in enumerate(y_pred_shape) if axis not in axes)
        return values / y_pred_shape[0]

    @property
    def _mixes_samples(self) -> bool:
        return self.axis is None or 0 in np.atleast_1d(self.axis)

    def _axes(self, rank: int) -> tuple[int, ...]:
        """Return the axes that are summed over, counted from 0."""
        if self.axis is None:
            return tuple(range(rank))
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        axes = tuple(a + rank if a < 0 else a for a in given)
        if any(not 0 <= a < rank for a in axes) or len(set(axes)) < len(axes):
            raise ValueError(
                f"{type(self).__name__}: axis must name different axes of predictions with {rank} "
                f"axes, got {self.axis}"
            )
        return axes

    def _operands(
        self, y_true: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
        return y_true.astype(y_pred.dtype), y_pred, self._axes(y_pred.ndim)

    def _parts(
        self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | float, np.ndarray | float]:
        """Return the quotient's numerator and denominator, and their derivatives by p."""
        raise NotImplementedError


class Dice(_Overlap):
    """1 - 2 Σ t p / (Σ t + Σ p), the sums going over ``axis``.

    Source: Milletari, Navab, Ahmadi, "V-Net", 2016, without the squares.

    Parameters
    ----------
    axis : int or sequence of int, optional
        Axes of predictions (n, ..., c); all of them if left out. For one value an image,
        ``axis=(1, 2, 3)``; for one of each class of an image, ``axis=(1, 2)``.
    reduction : str or None, default "sum_over_batch_size"
        See ``Loss``. Where sums mix samples, the value is multiplied by the mean of the sample
        weights. None gives the mean for each sample.
    name : str, default "dice"
        The loss's name.

    Raises
    ------
    ValueError
        If ``axis`` is no axis, or names one twice.
    """

    def __init__(
        self,
        *,
        axis: int | Sequence[int] | None = None,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(axis, reduction, name)

    def _parts(
        self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | float, np.ndarray | float]:
        above = 2 * (t * p).sum(axis=axes, keepdims=True)
        below = t.sum(axis=axes, keepdims=True) + p.sum(axis=axes, keepdims=True) + EPSILON
        return above, below, 2 * t, 1.0


class Tversky(_Overlap):
    """1 - Σ t p / (Σ t p + alpha Σ t (1 - p) + beta Σ (1 - t) p), the sums going over ``axis``.

    Source: Salehi, Erdogmus, Gholipour, "Tversky loss function for image segmentation", 2017. As
    in Keras, alpha weighs what is missed and beta what is claimed wrongly; 0.5 and 0.5 give Dice.

    Parameters
    ----------
    alpha, beta : float, default 0.5
        At least 0.
    axis : int or sequence of int, optional
        As for ``Dice``.
    reduction : str or None, default "sum_over_batch_size"
        As for ``Dice``.
    name : str, default "tversky"
        The loss's name.

    Raises
    ------
    ValueError
        For a negative number, and for what is no axis.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        *,
        axis: int | Sequence[int] | None = None,
        reduction: str | None = MEAN,
        name: str | None = None,
    ) -> None:
        super().__init__(axis, reduction, name)
        self.alpha = arguments.real("Tversky", "alpha", alpha, 0.0)
        self.beta = arguments.real("Tversky", "beta", beta, 0.0)

    def _parts(
        self, t: np.ndarray, p: np.ndarray, axes: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | float, np.ndarray | float]:
        above = (t * p).sum(axis=axes, keepdims=True)
        missed = (t * (1 - p)).sum(axis=axes, keepdims=True)
        wrong = ((1 - t) * p).sum(axis=axes, keepdims=True)
        below = above + self.alpha * missed + self.beta * wrong + EPSILON
        return above, below, t, t - self.alpha * t + self.beta * (1 - t)
