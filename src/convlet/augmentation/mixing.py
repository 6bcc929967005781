"""Augmentations that mix samples, and their targets with them.

A sample's partner is another one of its batch: that with the next larger random number, the first
after the last. So the mixing depends on which samples make a batch, and on nothing else.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from convlet import arguments
from convlet.augmentation.base import Augmentation, Draws, Samples
from convlet.augmentation.values import boxes_in

_POINTS = 4097  # of the table of a distribution function
_LEAST_ALPHA, _LARGEST_ALPHA = 0.01, 100.0


class _Mixing(Augmentation):
    """An augmentation that mixes pairs, by a share λ drawn from Beta(α, α)."""

    mixes = True

    def __init__(self, alpha: float, seed: int | None) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.alpha = arguments.real(owner, "alpha", alpha, _LEAST_ALPHA, _LARGEST_ALPHA)

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Beta(α, α)'s distribution function F on [0, 1/2], and where it has these values.

        With x = t^(1/α) for α < 1 the density by t, (1 - x)^(α - 1) / α, has no pole at 0.
        """
        power = min(self.alpha, 1.0)
        t = np.linspace(0, 0.5**power, _POINTS)
        x = t ** (1 / power)
        density = (1 - x) ** (self.alpha - 1) * (x ** (self.alpha - 1) if self.alpha > 1 else 1)
        steps = (density[1:] + density[:-1]) / 2
        total = np.concatenate([[0.0], np.cumsum(steps)])
        return total / (2 * total[-1]), t

    def shares(self, uniform: np.ndarray) -> np.ndarray:
        """Return F⁻¹ of numbers in (0, 1)."""
        values, t = self._table
        below = np.interp(np.minimum(uniform, 1 - uniform), values, t) ** (1 / min(self.alpha, 1.0))
        return np.where(uniform < 0.5, below, 1 - below)

    def _targets(self, samples: Samples) -> np.ndarray:
        """Return the targets as numbers that can be mixed."""
        owner = type(self).__name__
        if samples.y is None:
            raise ValueError(f"{owner}: y must be given, as it is mixed like the samples")
        if samples.y.ndim < 2:
            raise ValueError(
                f"{owner}: y must be one-hot, of shape (samples, classes), got shape "
                f"{samples.y.shape}; utils.to_categorical makes it of labels"
            )
        return samples.y.astype(np.float32)


def _partners(draws: Draws) -> np.ndarray:
    """Return the number in the batch of each sample's partner."""
    order = np.argsort(draws.uniform[:, 0], kind="stable")
    partners = np.empty_like(order)
    partners[order] = np.roll(order, -1)
    return partners


def _mixed(x: np.ndarray, partners: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return λ x + (1 - λ) x of the partner."""
    share = shares.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))
    return share * x + (1 - share) * x[partners]


class MixUp(_Mixing):
    """Mixes each sample and its target with another: λ a + (1 - λ) b.

    Parameters
    ----------
    alpha : float, default 0.2
        λ is drawn from the distribution Beta(α, α); from 0.01 to 100.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets samples, if targets are missing or are no
        one-hot ones.

    Notes
    -----
    Source: Zhang et al., *mixup: beyond empirical risk minimization*, 2017.
    """

    rank = None

    def __init__(self, alpha: float = 0.2, seed: int | None = None) -> None:
        super().__init__(alpha, seed)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch, mixed with itself."""
        targets = self._targets(samples)
        partners, shares = _partners(draws), self.shares(draws.uniform[:, 1])
        x, y = (_mixed(array, partners, shares) for array in (samples.x, targets))
        return Samples(x, y, samples.numbers)


class CutMix(_Mixing):
    """Puts a rectangle of another image into each; targets are mixed as areas are.

    The rectangle has the image's aspect and the part 1 - λ of its area, to whole pixels.

    Parameters
    ----------
    alpha : float, default 1.0
        λ is drawn from the distribution Beta(α, α); from 0.01 to 100.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        As `MixUp`; if the samples are no images.

    Notes
    -----
    Source: Yun et al., *CutMix: regularization strategy to train strong classifiers with
    localizable features*, 2019, with the rectangle inside the image, as Keras has it. Keras draws
    α, too, from a range that it calls ``factor``.
    """

    def __init__(self, alpha: float = 1.0, seed: int | None = None) -> None:
        super().__init__(alpha, seed)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch with parts of itself put in."""
        targets = self._targets(samples)
        partners = _partners(draws)
        sides = np.sqrt(1 - self.shares(draws.uniform[:, 1]))
        rows, columns = samples.x.shape[1:3]
        boxes = boxes_in((rows, columns), np.stack([sides, sides], axis=1), draws.uniform[:, 2:4])
        x = samples.x.copy()
        for n, (first_row, last_row, first, last) in enumerate(boxes.tolist()):
            box = slice(first_row, last_row), slice(first, last)
            x[n][box] = samples.x[partners[n]][box]
        areas = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        y = _mixed(targets, partners, 1 - areas / (rows * columns))
        return Samples(x, y, samples.numbers)
