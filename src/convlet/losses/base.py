"""What every loss is: values, their gradient, and their mean.

A loss reduces the last axis of predictions (n, ..., c) to values (n, ...): one for each image, or
one for each pixel of each image. The number that training lowers is the mean of all values, or
another reduction of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from convlet import arguments
from convlet.losses.targets import (
    as_numbers,
    as_predictions,
    check_count,
    dense_targets,
    spread_weights,
)
from convlet.serialization import Configurable, object_name

MEAN = "sum_over_batch_size"
_REDUCTIONS = (MEAN, "sum", "mean", "mean_with_sample_weight", "none")

P = ParamSpec("P")
R = TypeVar("R")


def quietly(formula: Callable[P, R]) -> Callable[P, R]:
    """Return a formula that computes with infinities and NaNs without NumPy's warnings.

    A network that diverges is reported once and in words by the training loop.
    """

    @functools.wraps(formula)
    def without_warnings(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return formula(*args, **kwargs)

    return without_warnings


class Loss(Configurable):
    """The base of all losses; one's own defines ``call`` and ``gradient``.

    Parameters
    ----------
    name : str, optional
        The class's name in snake case if left out.
    reduction : str or None, default "sum_over_batch_size"
        What becomes of the values, each multiplied by its weight: "sum_over_batch_size" or "mean"
        divide their sum by how many there are, "mean_with_sample_weight" by the sum of the weights,
        "sum" by nothing. None or "none" leaves them as they are, which is no number to train on.

    Raises
    ------
    ValueError
        For another reduction, and a name that is no string.
    """

    # The activation whose inputs are the logits that `from_logits_twin` reads: "softmax" for shares
    # of classes, "sigmoid" for single probabilities.
    output_activation: str | None = None

    # The formula by the name under which the engine knows it; each image's values then depend on
    # that image alone. It counts for the very class that says so: a subclass may compute something
    # else, and is called as Python code.
    formula: str | None = None

    def __init__(self, name: str | None = None, reduction: str | None = MEAN) -> None:
        self.name = object_name(self, name)
        self.reduction = reduction
        if reduction is not None:
            owner = type(self).__name__
            self.reduction = arguments.choice(owner, "reduction", reduction, _REDUCTIONS)

    @property
    def is_reduced(self) -> bool:
        """Whether the loss is one number, as training needs it."""
        return self.reduction not in (None, "none")

    @quietly
    def __call__(self, y_true: object, y_pred: object, sample_weight: object = None) -> Any:
        """Return the mean of all values, or what else ``reduction`` asks for.

        Parameters
        ----------
        y_true : array_like
            Targets, as ``check_targets`` takes them.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``spread_weights``. By default, the sum of weight times value is divided by the
            number of values, not by the sum of weights.

        Returns
        -------
        float or ndarray
            An array of the weighted values where the reduction is None.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        owner = type(self).__name__
        predictions = as_predictions(owner, y_pred)
        targets = self.check_targets(y_true, predictions.shape, owner)
        values = self.call(targets, predictions)
        weights = np.ones(values.shape, values.dtype)
        if sample_weight is not None:
            weights = self.spread(sample_weight, values.shape, values.dtype, owner)
            values = values * weights
        if not self.is_reduced:
            return values
        divisor = self._divisor(weights, self.counted(targets), values.size, predictions.shape)
        return float(values.sum(dtype=np.float64) / divisor)

    def spread(
        self, sample_weight: object, shape: tuple[int, ...], dtype: np.dtype, owner: str
    ) -> np.ndarray:
        """Return one weight for each value, of the values' ``shape``; see ``spread_weights``."""
        return spread_weights(sample_weight, shape, dtype, owner)

    def counted(self, y_true: np.ndarray) -> np.ndarray | None:
        """Return for each value whether its target counts, or None where all of them do.

        Parameters
        ----------
        y_true : ndarray
            Targets, as ``check_targets`` returned them.
        """
        return None

    def feeds(
        self, y_true: np.ndarray, weights: np.ndarray, y_pred_shape: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a program reads for a batch: targets, and what each value counts for.

        Parameters
        ----------
        y_true : ndarray
            Targets, as ``check_targets`` returned them.
        weights : ndarray
            Sample weights, (n,) or ``y_pred_shape[:-1]``.
        y_pred_shape : tuple of int
            (n, ..., c).
        """
        counted = self.counted(y_true)
        if counted is not None:
            axes = (1,) * (counted.ndim - weights.ndim)
            weights = weights.reshape(weights.shape + axes) * counted
        divisor = self._divisor(weights, counted, math.prod(y_pred_shape[:-1]), y_pred_shape)
        return y_true, weights / np.asarray(divisor, weights.dtype)

    def values_shown_by_each(self, y_pred_shape: tuple[int, ...]) -> float:
        """Return how many values each one that ``call`` returns is the mean of, 1 by default."""
        return 1.0

    def _divisor(
        self,
        weights: np.ndarray,
        counted: np.ndarray | None,
        values: int,
        y_pred_shape: tuple[int, ...],
    ) -> float:
        """Return what the sum of the weighted values is divided by."""
        if self.reduction == "sum":
            return 1 / self.values_shown_by_each(y_pred_shape)
        divisor: float = values if counted is None else counted.sum()
        if self.reduction == "mean_with_sample_weight":
            if counted is not None:
                weights = weights * counted
            divisor = weights.sum(dtype=np.float64) * (values / weights.size)
        return divisor or math.inf  # nothing counts: the loss is 0

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return targets as ``call`` and ``gradient`` need them.

        Parameters
        ----------
        y_true : array_like
            What the user passed: any numbers, unless a loss asks for more.
        y_pred_shape : tuple of int
            The predictions' shape, (n, ..., c).
        owner : str
            Who asks, for messages.

        Raises
        ------
        ValueError
            If the loss cannot be computed from these targets.
        """
        targets = as_numbers(owner, "y_true", y_true)
        check_count(targets, y_pred_shape, owner)
        return targets

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the values, of shape ``y_pred.shape[:-1]`` and in y_pred's float type.

        Parameters
        ----------
        y_true : ndarray
            Targets, as ``check_targets`` returned them.
        y_pred : ndarray
            Predictions, (n, ..., c), float32 or float64.
        """
        raise NotImplementedError(f"{type(self).__name__} must define call")

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the derivative of each value by its predictions, of y_pred's shape and type.

        Neither weighted nor divided by the number of values: whoever takes the mean does that.
        The parameters are those of ``call``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define gradient")

    def from_logits_twin(self) -> Loss | None:
        """Return the same loss for logits, where this one is for probabilities, else None."""
        return None


class DenseLoss(Loss):
    """The base of losses that have one target for each prediction, a finite number."""

    def __init__(self, reduction: str | None = MEAN, name: str | None = None) -> None:
        super().__init__(name, reduction)

    def check_targets(
        self, y_true: object, y_pred_shape: tuple[int, ...], owner: str
    ) -> np.ndarray:
        """Return finite targets of the predictions' shape; (n,) is read as (n, 1)."""
        return dense_targets(y_true, y_pred_shape, owner)
