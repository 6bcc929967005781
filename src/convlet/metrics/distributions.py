"""Losses of distributions as metrics: what those of the same names compute, averaged."""

from __future__ import annotations

from convlet import losses
from convlet.metrics.base import LossMetric


class KLDivergence(LossMetric):
    """The mean of ``convlet.losses.KLDivergence``.

    Parameters
    ----------
    name : str, default "kl_divergence"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.KLDivergence(), name)


class Poisson(LossMetric):
    """The mean of ``convlet.losses.Poisson``.

    Parameters
    ----------
    name : str, default "poisson"
        The metric's name.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.Poisson(), name)
