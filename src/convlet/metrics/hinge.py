"""Hinge losses as metrics: what the losses of the same names compute, averaged over samples."""

from __future__ import annotations

from convlet import losses
from convlet.metrics.base import LossMetric


class Hinge(LossMetric):
    """The mean of ``convlet.losses.Hinge``.

    Parameters
    ----------
    name : str, default "hinge"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.Hinge(), name)


class SquaredHinge(LossMetric):
    """The mean of ``convlet.losses.SquaredHinge``.

    Parameters
    ----------
    name : str, default "squared_hinge"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.SquaredHinge(), name)


class CategoricalHinge(LossMetric):
    """The mean of ``convlet.losses.CategoricalHinge``.

    Parameters
    ----------
    name : str, default "categorical_hinge"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.CategoricalHinge(), name)
