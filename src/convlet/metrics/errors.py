"""Errors of predicted numbers."""

from __future__ import annotations

import math

from convlet import losses
from convlet.metrics.base import LossMetric


class MeanSquaredError(LossMetric):
    """The mean of (t - p)^2, t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "mean_squared_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanSquaredError(), name)


class RootMeanSquaredError(LossMetric):
    """The root of the mean of (t - p)^2.

    Parameters
    ----------
    name : str, default "root_mean_squared_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanSquaredError(), name)

    def result(self) -> float:
        """Return the root of the mean, or 0.0 before the first batch."""
        return math.sqrt(super().result())


class MeanAbsoluteError(LossMetric):
    """The mean of |t - p|, t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "mean_absolute_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanAbsoluteError(), name)


class MeanAbsolutePercentageError(LossMetric):
    """The mean of ``convlet.losses.MeanAbsolutePercentageError``.

    Parameters
    ----------
    name : str, default "mean_absolute_percentage_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanAbsolutePercentageError(), name)


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of ``convlet.losses.MeanSquaredLogarithmicError``.

    Parameters
    ----------
    name : str, default "mean_squared_logarithmic_error"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanSquaredLogarithmicError(), name)


class LogCoshError(LossMetric):
    """The mean of ln cosh(p - t), t being the targets and p the predictions.

    Parameters
    ----------
    name : str, default "logcosh"
        The metric's name.
    """

    def __init__(self, name: str | None = "logcosh") -> None:
        super().__init__(losses.LogCosh(), name)


class CosineSimilarity(LossMetric):
    """The mean cosine of the angle between targets and predictions over the last axis.

    1 where they are parallel: the loss of this name is minus that.

    Parameters
    ----------
    name : str, default "cosine_similarity"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.CosineSimilarity(), name)

    def result(self) -> float:
        """Return the mean, or 0.0 before the first batch."""
        return -super().result() or 0.0
