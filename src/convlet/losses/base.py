"""What every loss is: values, their gradient, and their mean.

A loss reduces the last axis of predictions (n, ..., c) to values (n, ...): one for each image, or
one for each pixel of each image. The number that training lowers is the mean of all values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

from convlet.losses.targets import as_numbers, as_predictions, check_count, spread_weights
from convlet.serialization import Configurable, object_name

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
    """

    # The activation whose inputs are the logits that `from_logits_twin` reads: "softmax" for shares
    # of classes, "sigmoid" for single probabilities.
    output_activation: str | None = None

    # The formula by the name under which the engine knows it; each image's values then depend on
    # that image alone. It counts for the very class that says so: a subclass may compute something
    # else, and is called as Python code.
    formula: str | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = object_name(self, name)

    @quietly
    def __call__(self, y_true: object, y_pred: object, sample_weight: object = None) -> float:
        """Return the mean of all values, Keras's "sum_over_batch_size".

        Parameters
        ----------
        y_true : array_like
            Targets, as ``check_targets`` takes them.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``spread_weights``. The sum of weight times value is divided by the number of
            values, not by the sum of weights.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        owner = type(self).__name__
        predictions = as_predictions(owner, y_pred)
        values = self.call(self.check_targets(y_true, predictions.shape, owner), predictions)
        if sample_weight is not None:
            values = values * spread_weights(sample_weight, values.shape, values.dtype, owner)
        return float(values.sum(dtype=np.float64) / values.size)

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
