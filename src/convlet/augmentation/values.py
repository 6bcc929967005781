"""Augmentations that change values where they are: brightness, contrast, noise, erased parts."""

from __future__ import annotations

import numpy as np

from convlet import arguments
from convlet.augmentation.base import (
    Augmentation,
    Draws,
    Range,
    Samples,
    factor_range,
    value_range_of,
)
from convlet.augmentation.execution import erased

_LOUDEST = 120.0  # decibels, a factor of a million
_LARGEST_STDDEV = 1e30  # its normal numbers are finite in float32


def _per_sample(values: np.ndarray, samples: Samples) -> np.ndarray:
    """Return a number for each sample in a shape that multiplies them."""
    return values.astype(np.float32).reshape(-1, *(1,) * (samples.x.ndim - 1))


def boxes_in(shape: tuple[int, ...], sides: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return boxes inside images: first row, last row, first column, last column.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the images.
    sides : ndarray, shape (n, 2)
        Height and width as parts of the image's.
    places : ndarray, shape (n, 2)
        Where the box is in the room that is left, from 0 to 1.

    Returns
    -------
    ndarray of int32, shape (n, 4)
        Pixels whose number along each axis is from the first to before the last one.
    """
    whole = np.array(shape[:2])
    first = places * (whole - sides * whole)
    ends = np.ceil(np.stack([first, first + sides * whole], axis=-1))
    return np.ascontiguousarray(ends.reshape(-1, 4), np.int32)


class RandomBrightness(Augmentation):
    """Adds a random number to all of a sample.

    Parameters
    ----------
    factor : float or tuple of 2 float
        Range of the number as a part of ``value_range``, in [-1, 1]; f stands for (-f, f).
    value_range : tuple of 2 float, default (0, 255)
        Least and largest value; results are cut to it.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    rank = None
    by_sample = True

    def __init__(
        self, factor: float | Range, value_range: Range = (0, 255), seed: int | None = None
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.factor = factor_range(owner, "factor", factor, -1, 1)
        self.value_range = value_range_of(owner, value_range)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch, brighter or darker."""
        low, high = self.value_range
        more = _per_sample(draws.between(0, self.factor) * (high - low), samples)
        return Samples(np.clip(samples.x + more, low, high), samples.y, samples.numbers)


class RandomContrast(Augmentation):
    """Moves a sample's values away from the mean of their channel, or towards it.

    x becomes (x - mean) c + mean.

    Parameters
    ----------
    factor : float or tuple of 2 float
        (lower, upper) in [0, 1]: c is from 1 - lower to 1 + upper; f stands for (f, f).
    value_range : tuple of 2 float, default (0, 255)
        Least and largest value; results are cut to it.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    rank = None
    by_sample = True

    def __init__(
        self, factor: float | Range, value_range: Range = (0, 255), seed: int | None = None
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        pair = factor if isinstance(factor, (tuple, list)) else (factor, factor)
        if len(pair) != 2:
            raise arguments.invalid(owner, "factor", "a number or a tuple of two", factor)
        lower, upper = (arguments.real(owner, "factor", item, 0, 1) for item in pair)
        self.factor = (lower, upper)
        self.value_range = value_range_of(owner, value_range)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch with another contrast."""
        x = samples.x
        lower, upper = self.factor
        contrast = _per_sample(draws.between(0, (1 - lower, 1 + upper)), samples)
        mean = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
        return Samples(
            np.clip((x - mean) * contrast + mean, *self.value_range), samples.y, samples.numbers
        )


class RandomGain(Augmentation):
    """Makes sounds louder or softer.

    Parameters
    ----------
    decibels : float or tuple of 2 float
        Range of the gain g, in [-120, 120]; f stands for (-f, f). Values are multiplied by
        10^(g / 20): 6 dB double them.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    rank = None
    by_sample = True

    def __init__(self, decibels: float | Range, seed: int | None = None) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.decibels = factor_range(owner, "decibels", decibels, -_LOUDEST, _LOUDEST)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch, louder or softer."""
        gain = _per_sample(10 ** (draws.between(0, self.decibels) / 20), samples)
        return Samples(samples.x * gain, samples.y, samples.numbers)


class GaussianNoise(Augmentation):
    """Adds a normal number of mean 0 to each value.

    `convlet.layers.GaussianNoise` does the same inside a network.

    Parameters
    ----------
    stddev : float or tuple of 2 float
        Standard deviation, from 0 to 1e30; of two, the range that each sample's is drawn from.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    rank = None
    by_sample = True

    def __init__(self, stddev: float | Range, seed: int | None = None) -> None:
        super().__init__(seed)
        ends = stddev if isinstance(stddev, (tuple, list)) else (stddev, stddev)
        self.stddev = factor_range(type(self).__name__, "stddev", ends, 0, _LARGEST_STDDEV)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch with noise."""
        stddevs = _per_sample(draws.between(0, self.stddev), samples)
        x = samples.x + stddevs * draws.normal(samples.x.shape[1:])
        return Samples(x, samples.y, samples.numbers)


class RandomErasing(Augmentation):
    """Fills a random rectangle of an image.

    Parameters
    ----------
    factor : float or tuple of 2 float, default 1.0
        Range of the probability that something is erased, in [0, 1]; f stands for (0, f).
    scale : float or tuple of 2 float, default (0.02, 0.33)
        Range of the square of the rectangle's height and width as parts of the image's, each drawn
        by itself, in [0, 1]; f stands for (0, f).
    fill_value : float, optional
        What the rectangle is filled with; by default normal numbers times the upper end of
        ``value_range``.
    value_range : tuple of 2 float, default (0, 255)
        Least and largest value; what is filled in is cut to it.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets samples, if these are no images.

    Notes
    -----
    Source: Zhong et al., *Random erasing data augmentation*, 2017.
    """

    by_sample = True

    def __init__(
        self,
        factor: float | Range = 1.0,
        scale: float | Range = (0.02, 0.33),
        fill_value: float | None = None,
        value_range: Range = (0, 255),
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.factor = factor_range(owner, "factor", factor, 0, 1, below=0.0)
        self.scale = factor_range(owner, "scale", scale, 0, 1, below=0.0)
        self.value_range = value_range_of(owner, value_range)
        low, high = self.value_range
        self.fill_value: float | None = None
        if fill_value is not None:
            self.fill_value = min(max(arguments.real(owner, "fill_value", fill_value), low), high)

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch with parts erased."""
        happens = draws.uniform[:, 0] < draws.between(1, self.factor)
        scales = np.stack([draws.between(2, self.scale), draws.between(3, self.scale)], axis=1)
        boxes = boxes_in(samples.x.shape[1:3], np.sqrt(scales), draws.uniform[:, 4:6])
        boxes[~happens] = 0
        filling = self.fill_value, self.value_range
        x = erased(samples.x, samples.numbers, boxes, draws.noise, *filling)
        return Samples(x, samples.y, samples.numbers)
