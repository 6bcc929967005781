"""Augmentations of sounds: a warp along the only axis.

`RandomGain` and `GaussianNoise` are for sounds, too.
"""

from __future__ import annotations

import numpy as np

from convlet.augmentation.base import Draws, Range, Shape, factor_range, matrices_of
from convlet.augmentation.geometry import Bordered


class RandomShift(Bordered):
    """Shifts sounds by a random part of their length.

    Parameters
    ----------
    factor : float or tuple of 2 float
        Range of the shift as a part of the length, in [-1, 1]; f stands for (-f, f). Positive ones
        delay.
    fill_mode, interpolation, seed, fill_value
        As those of `RandomTranslation`, but silence comes in by default.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets samples, if these are no sounds.
    """

    rank = 1

    def __init__(
        self,
        factor: float | Range,
        fill_mode: str = "constant",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        self.factor = factor_range(type(self).__name__, "factor", factor, -1, 1)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return p - shift, of a single row."""
        later = shape[1] * draws.between(0, self.factor)
        return matrices_of(len(later), ((1, 0, 0), (0, 1, -later)))


class RandomStretch(Bordered):
    """Plays sounds faster or slower about their middle; pitch changes with speed.

    Parameters
    ----------
    factor : float or tuple of 2 float
        Range of the change of speed, in [-1, 1]; f stands for (-f, f). At 0.2 a sound is 20 %
        faster and higher.
    fill_mode, interpolation, seed, fill_value
        As those of `RandomTranslation`, but silence comes in by default.

    Raises
    ------
    ValueError
        As `RandomShift`.
    """

    rank = 1

    def __init__(
        self,
        factor: float | Range,
        fill_mode: str = "constant",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        self.factor = factor_range(type(self).__name__, "factor", factor, -1, 1)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return c + (1 + s) (p - c), of a single row."""
        faster = draws.between(0, self.factor)
        rows = (1, 0, 0), (0, 1 + faster, -faster * (shape[1] - 1) / 2)
        return matrices_of(len(faster), rows)
