"""Geometric augmentations of images: where each pixel of the new image comes from.

Places are (row, column), counted from the first pixel's centre; an image's own centre is at
((rows - 1) / 2, (columns - 1) / 2). Those that follow each other in a `Pipeline` and treat the
border alike are one warp, with one interpolation; what is beyond the border is asked for once, of
the first image.
"""

from __future__ import annotations

import math

import numpy as np

from convlet import arguments
from convlet.augmentation.base import (
    FILL_MODES,
    INTERPOLATIONS,
    Draws,
    Geometric,
    Range,
    Shape,
    factor_range,
    matrices_of,
)
from convlet.augmentation.execution import Border, Field
from convlet.ops.warp import gaussian_taps

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")
_WIDEST = 1000.0  # pixels; a field smoothed by more is a translation


class Bordered(Geometric):
    """A geometric operation that reads between pixels and beyond the border."""

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.fill_mode = arguments.choice(owner, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = arguments.choice(owner, "interpolation", interpolation, INTERPOLATIONS)
        largest = float(np.finfo(np.float32).max)
        self.fill_value = arguments.real(owner, "fill_value", fill_value, -largest, largest)

    def border(self) -> Border:
        """Return the arguments that say how places are read."""
        return Border(self.interpolation, self.fill_mode, self.fill_value)


def _centre(shape: Shape) -> tuple[float, float]:
    return (shape[0] - 1) / 2, (shape[1] - 1) / 2


class RandomTranslation(Bordered):
    """Shifts images by a random part of their size.

    Parameters
    ----------
    height_factor, width_factor : float or tuple of 2 float
        Range of the shift as a part of the height or the width, in [-1, 1]; f stands for (-f, f).
        Positive shifts go down and to the right.
    fill_mode : {"constant", "nearest", "reflect", "wrap"}, default "reflect"
        What comes in from beyond the border: ``kkkk|abcd|kkkk`` with k = ``fill_value``,
        ``aaaa|abcd|dddd``, ``dcba|abcd|dcba``, ``abcd|abcd|abcd``.
    interpolation : {"bilinear", "nearest"}, default "bilinear"
        Whether a value lies between the four pixels around its place or is the nearest one's.
    seed : int, optional
        Tells apart the draws of equal operations.
    fill_value : float, default 0.0
        The constant beyond the border.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets samples, if these are no images.
    """

    def __init__(
        self,
        height_factor: float | Range,
        width_factor: float | Range,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        owner = type(self).__name__
        self.height_factor = factor_range(owner, "height_factor", height_factor, -1, 1)
        self.width_factor = factor_range(owner, "width_factor", width_factor, -1, 1)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return p - shift."""
        down = shape[0] * draws.between(0, self.height_factor)
        right = shape[1] * draws.between(1, self.width_factor)
        return matrices_of(len(down), ((1, 0, -down), (0, 1, -right)))


class RandomRotation(Bordered):
    """Turns images about their centre by a random angle.

    Parameters
    ----------
    factor : float or tuple of 2 float
        Range of the angle in full turns, in [-1, 1]; f stands for (-f, f). Positive ones are
        counter-clockwise.
    fill_mode, interpolation, seed, fill_value
        As those of `RandomTranslation`.

    Raises
    ------
    ValueError
        As `RandomTranslation`.
    """

    def __init__(
        self,
        factor: float | Range,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        self.factor = factor_range(type(self).__name__, "factor", factor, -1, 1)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return c + R (p - c), R turning clockwise: rows count downwards."""
        angle = 2 * math.pi * draws.between(0, self.factor)
        cos, sin = np.cos(angle), np.sin(angle)
        y, x = _centre(shape)
        rows = (cos, sin, y - cos * y - sin * x), (-sin, cos, x + sin * y - cos * x)
        return matrices_of(len(angle), rows)


class RandomZoom(Bordered):
    """Zooms into images, or out of them, about their centre.

    Parameters
    ----------
    height_factor : float or tuple of 2 float
        Range of the zoom, in [-1, 1]; f stands for (-f, f). At 0.2 an image shows 20 % more along
        this axis (out), at -0.2 20 % less (in).
    width_factor : float or tuple of 2 float, optional
        The same for the width; by default that of the height, so that images keep their aspect.
    fill_mode, interpolation, seed, fill_value
        As those of `RandomTranslation`.

    Raises
    ------
    ValueError
        As `RandomTranslation`.
    """

    def __init__(
        self,
        height_factor: float | Range,
        width_factor: float | Range | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        owner = type(self).__name__
        self.height_factor = factor_range(owner, "height_factor", height_factor, -1, 1)
        self.width_factor = (
            None
            if width_factor is None
            else factor_range(owner, "width_factor", width_factor, -1, 1)
        )

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return c + (1 + z) (p - c)."""
        down = draws.between(0, self.height_factor)
        right = down if self.width_factor is None else draws.between(1, self.width_factor)
        y, x = _centre(shape)
        return matrices_of(len(down), ((1 + down, 0, -down * y), (0, 1 + right, -right * x)))


class RandomShear(Bordered):
    """Shears images: lines shift along themselves, the further from the first the more.

    Parameters
    ----------
    x_factor, y_factor : float or tuple of 2 float, default 0.0
        Range of a row's shift to the side for each row, and of a column's for each column, in
        [0, 1]; f stands for (0, f). A random sign is common to both.
    interpolation, fill_mode, fill_value, seed
        As those of `RandomTranslation`.

    Raises
    ------
    ValueError
        As `RandomTranslation`.
    """

    def __init__(
        self,
        x_factor: float | Range = 0.0,
        y_factor: float | Range = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        owner = type(self).__name__
        self.x_factor = factor_range(owner, "x_factor", x_factor, 0, 1, below=0.0)
        self.y_factor = factor_range(owner, "y_factor", y_factor, 0, 1, below=0.0)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return p + (s_y column, s_x row)."""
        sign = np.where(draws.uniform[:, 2] > 0.5, -1.0, 1.0)
        x, y = sign * draws.between(0, self.x_factor), sign * draws.between(1, self.y_factor)
        return matrices_of(len(x), ((1, y, 0), (x, 1, 0)))


class RandomFlip(Geometric):
    """Mirrors each image with probability 1/2.

    Parameters
    ----------
    mode : {"horizontal", "vertical", "horizontal_and_vertical"}
        Left to right, top to bottom, or each of them by itself; the last by default.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        As `RandomTranslation`.
    """

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None) -> None:
        super().__init__(seed)
        self.mode = arguments.choice(type(self).__name__, "mode", mode, _MODES)

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return size - 1 - p along the axes that are turned round."""
        turned = draws.uniform[:, :2] < 0.5
        down, right = turned[:, 0] & ("vertical" in self.mode), turned[:, 1]
        right = right & ("horizontal" in self.mode)
        rows = (
            (np.where(down, -1, 1), 0, down * (shape[0] - 1)),
            (0, np.where(right, -1, 1), right * (shape[1] - 1)),
        )
        return matrices_of(len(turned), rows)


class RandomCrop(Geometric):
    """Cuts a part of a given size out of each image, at a random place.

    Parameters
    ----------
    height, width : int
        Of the part; images must be as large at least.
    seed : int, optional
        Tells apart the draws of equal operations.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets images, if these are smaller.
    """

    def __init__(self, height: int, width: int, seed: int | None = None) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.height = arguments.integer(owner, "height", height)
        self.width = arguments.integer(owner, "width", width)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (height, width, channels)."""
        shape = super().output_shape(shape)
        if shape[0] < self.height or shape[1] < self.width:
            raise ValueError(
                f"RandomCrop: images must be at least {self.height} x {self.width}, "
                f"got {shape[0]} x {shape[1]}"
            )
        return self.height, self.width, *shape[2:]

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return p + the part's first place."""
        room = np.array([shape[0] - self.height + 1, shape[1] - self.width + 1])
        first = np.minimum(np.floor(draws.uniform[:, :2] * room), room - 1)
        return matrices_of(len(first), ((1, 0, first[:, 0]), (0, 1, first[:, 1])))


class RandomElasticTransform(Bordered):
    """Displaces each pixel a little, neighbours alike, as handwriting varies.

    A displacement along each axis is drawn for each pixel, uniform from -1 to 1, smoothed by a
    Gaussian of standard deviation σ (cut at 3σ; what is beyond the image counts as 0) and
    multiplied by α. Standard deviations of the displacements are about 0.16 α / σ pixels, less
    within σ of the border.

    Parameters
    ----------
    alpha : float, default 34.0
        α in pixels, 0 or above.
    sigma : float, default 4.0
        σ in pixels, above 0 and at most 1000.
    interpolation, fill_mode, fill_value, seed
        As those of `RandomTranslation`.

    Raises
    ------
    ValueError
        As `RandomTranslation`.

    Notes
    -----
    Source: Simard, Steinkraus and Platt, *Best practices for convolutional neural networks applied
    to visual document analysis*, 2003; the defaults are their values for MNIST. Keras's layer of
    this name has other parameters, ``factor`` and ``scale``. In one warp with others the field is
    drawn for the pixels of the last image.
    """

    displaces = True

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value)
        owner = type(self).__name__
        self.alpha = arguments.real(owner, "alpha", alpha, 0, 1e6)
        self.sigma = arguments.real(owner, "sigma", sigma, 0, _WIDEST)
        if self.sigma == 0:
            raise arguments.invalid(owner, "sigma", "above 0", sigma)

    def field(self, draws: Draws, linear: np.ndarray) -> Field:
        """Return smoothed noise, times α."""
        return Field(draws.draw, gaussian_taps(self.sigma), self.alpha * linear)
