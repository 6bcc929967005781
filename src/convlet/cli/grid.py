"""Which values `convlet search` tries: a coarse logarithmic grid, then finer ones around the best.

Lecture 001's rule of thumb: "try several log-spaced values and narrow the (logarithmic) grid search
to the region where you obtain the lowest validation error".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_DIGITS = 3  # significant ones; what is printed is what was tried


@dataclass(frozen=True)
class Trial:
    """A value that was tried.

    Parameters
    ----------
    value : float
    round : int
        From 1.
    error : float
        Share of the validation samples that were read wrong; NaN if the training diverged.
    loss : float
        Mean cross-entropy of the validation samples; NaN likewise.
    seconds : float
        What training took.
    """

    value: float
    round: int
    error: float
    loss: float
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the training ended with a loss that is not finite."""
        return math.isnan(self.error)


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial of the lowest error, of these the one of the lowest loss; None if none."""
    finished = [trial for trial in trials if not trial.diverged]
    return min(finished, key=lambda trial: (trial.error, trial.loss), default=None)


def coarse(low: float, high: float, points: int, whole: bool = False) -> list[float]:
    """Return values from ``low`` to ``high``, each the same multiple of the one before.

    Parameters
    ----------
    low, high : float
        Above 0.
    points : int
        How many, 2 or more.
    whole : bool
        Whether only integers will do; equal ones are left out.
    """
    return _distinct(np.geomspace(low, high, points), whole)


def finer(trials: Sequence[Trial], points: int, whole: bool = False) -> list[float]:
    """Return values between the best one and its neighbours among those tried; none twice.

    At an end of the range there is a neighbour on one side only. Empty if all diverged, or no other
    integers are left.
    """
    found = best(trials)
    if found is None:
        return []
    tried = sorted(trial.value for trial in trials)
    place = tried.index(found.value)
    low, high = tried[max(place - 1, 0)], tried[min(place + 1, len(tried) - 1)]
    between = _distinct(np.geomspace(low, high, points + 2)[1:-1], whole)
    return [value for value in between if value not in tried]


def is_at_an_end(trial: Trial, trials: Sequence[Trial]) -> bool:
    """Return whether no smaller, or no larger, value was tried."""
    values = [other.value for other in trials]
    return trial.value in (min(values), max(values))


def _distinct(values: np.ndarray, whole: bool) -> list[float]:
    """Return values as they are printed, in order, each once."""
    rounded = (float(f"{value:.{_DIGITS}g}") for value in values)
    return list(dict.fromkeys(max(1.0, round(v)) if whole else v for v in rounded))
