"""What all augmentations share: the key of their draws, their checks, the run through a pipeline.

Every random number is a function of seed, epoch, the sample's number in the data set, and the
operation, so a sample's distortion depends neither on its batch nor on the number of threads, and
is the same after a resume. Geometric operations that follow each other are multiplied into one
warp, so that pixels are interpolated once.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.augmentation.execution import Border, Draw, Field, normals, parameter_words, warp
from convlet.serialization import Configurable

Range = tuple[float, float]
Shape = tuple[int, ...]

_LONGEST = 1 << 22  # along an axis; places are kept to the pixel in float32
_LARGEST = 1 << 31  # numbers in an image
_MASK_63 = (1 << 63) - 1

INTERPOLATIONS = ("bilinear", "nearest")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_RANKS = {1: "(samples, steps, channels)", 2: "(samples, rows, columns, channels)"}


def factor_range(
    owner: str, name: str, value: Any, least: float, most: float, below: float | None = None
) -> Range:
    """Return the two ends of a range in [least, most].

    Parameters
    ----------
    below : float, optional
        What a single number f stands for begins here; at -f by default.

    Raises
    ------
    ValueError
        Unless ``value`` is a number of that range, or two of them.
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        first, last = (arguments.real(owner, name, item, least, most) for item in value)
        return min(first, last), max(first, last)
    if isinstance(value, (tuple, list)):
        raise arguments.invalid(owner, name, "a number or a tuple of two", value)
    size = abs(arguments.real(owner, name, value, least, most))
    return (-size if below is None else below), size


def value_range_of(owner: str, value: Any) -> Range:
    """Return the ends of the range of the samples' values, the first one less.

    Raises
    ------
    ValueError
        For anything but two such numbers.
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise arguments.invalid(owner, "value_range", "a tuple of two numbers", value)
    low, high = (arguments.real(owner, "value_range", item) for item in value)
    if not low < high:
        raise arguments.invalid(owner, "value_range", "a smaller and a larger number", value)
    return low, high


@dataclass(frozen=True)
class Samples:
    """A batch: float32 samples, their targets if known, and their numbers in the data set."""

    x: np.ndarray
    y: np.ndarray | None
    numbers: np.ndarray


@dataclass(frozen=True)
class Draws:
    """What an operation draws for a batch.

    Attributes
    ----------
    uniform : ndarray, shape (n, 8)
        Numbers in (0, 1).
    draw : tuple of 3 int
        The key of a displacement field.
    numbers : ndarray of uint32, shape (n,)
        The samples' numbers in the data set.
    """

    uniform: np.ndarray
    draw: Draw
    numbers: np.ndarray

    @property
    def noise(self) -> Draw:
        """The key of `normal`, so that its numbers are not those of ``uniform`` again."""
        seed, epoch, number = self.draw
        return seed, epoch, zlib.crc32(f"{number} noise".encode())

    def normal(self, shape: Shape = ()) -> np.ndarray:
        """Return standard normal numbers, float32 of shape (n, *shape); the same at each call."""
        return normals(self.numbers, shape, self.noise)

    def between(self, column: int, ends: Range) -> np.ndarray:
        """Return the numbers of a column as numbers of a range."""
        return ends[0] + (ends[1] - ends[0]) * self.uniform[:, column]


class Augmentation(Configurable):
    """An operation that distorts samples at random; the base of all of them.

    One's own gives `apply`: it gets the batch, whose samples are ``x``, and what is drawn for each
    sample, ``draws.uniform`` and ``draws.normal(shape)``, and returns
    ``dataclasses.replace(samples, x=...)``.

    Attributes
    ----------
    rank : int or None
        The samples' number of axes besides channels; None for any.
    mixes : bool
        Whether targets are changed, too.
    by_sample : bool
        Whether what becomes of a sample depends on itself and its number alone, not on the others
        of its batch: then `Model.fit` distorts several small batches in one go.
    """

    rank: int | None = 2
    mixes = False
    by_sample = False

    def __init__(self, seed: int | None = None) -> None:
        owner = type(self).__name__
        self.seed = None if seed is None else arguments.integer(owner, "seed", seed, 0)

    def __call__(
        self,
        x: Any,
        y: Any = None,
        *,
        seed: int | None = None,
        epoch: int = 0,
        indices: Any = None,
    ) -> Any:
        """Return distorted copies of samples.

        Parameters
        ----------
        x : array_like, shape (samples, rows, columns, channels) or (samples, steps, channels)
            Numbers of any type.
        y : array_like, shape (samples, ...), optional
            Targets, for what mixes them.
        seed : int, optional
            Key of all draws; a new one by default.
        epoch : int
            Another number gives other distortions.
        indices : array_like of int, shape (samples,), optional
            The samples' numbers in the data set; 0, 1, 2, ... by default.

        Returns
        -------
        ndarray of float32, or a tuple of two
            With ``y`` also the targets.

        Raises
        ------
        ValueError
            If an argument is not of its form.
        """
        owner = type(self).__name__
        if seed is None:
            seed = random.next_seed()
        seed = arguments.integer(owner, "seed", seed, 0) & _MASK_63
        epoch = arguments.integer(owner, "epoch", epoch, 0) & 0xFFFFFFFF
        samples = self.run(_checked(owner, x, y, indices), seed, epoch)
        return samples.x if y is None else (samples.x, samples.y)

    def run(self, samples: Samples, seed: int, epoch: int) -> Samples:
        """Return a checked batch after all steps."""
        self.output_shape(samples.x.shape[1:])
        steps = self.steps()
        numbers = [_number(place, step) for place, step in enumerate(steps)]
        words = parameter_words(seed, epoch, numbers, samples.numbers)
        uniform = (words + 0.5) * 2.0**-32
        columns = zip(steps, numbers, uniform, strict=True)
        drawn = [
            (step, Draws(u, (seed, epoch, number), samples.numbers)) for step, number, u in columns
        ]
        with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: infinite
            for group in _groups(drawn):
                is_warp = isinstance(group[0][0], Geometric)
                samples = _warped(samples, group) if is_warp else _applied(samples, *group[0])
        return samples

    def steps(self) -> list[Augmentation]:
        """Return the operations that this one consists of."""
        return [self]

    def apply(self, samples: Samples, draws: Draws) -> Samples:
        """Return the batch after this step."""
        raise NotImplementedError(f"{type(self).__name__}: an augmentation has apply")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of a sample after this, for one of a shape.

        Raises
        ------
        ValueError
            If this is not for such samples.
        """
        owner = type(self).__name__
        rank = len(shape) - 1
        if rank != self.rank and (self.rank is not None or rank not in _RANKS):
            wanted = " or ".join(_RANKS.values()) if self.rank is None else _RANKS[self.rank]
            raise ValueError(f"{owner}: x must have shape {wanted}, got samples of shape {shape}")
        if max(shape) > _LONGEST or math.prod(shape) >= _LARGEST:
            raise ValueError(
                f"{owner}: samples must have at most {_LONGEST} points along an axis and fewer "
                f"than {_LARGEST} numbers, got shape {shape}"
            )
        return shape


class Geometric(Augmentation):
    """An operation that moves pixels: by a matrix for each image, or by a displacement field."""

    displaces = False
    by_sample = True

    def border(self) -> Border | None:
        """Return how places beyond the border are read; None if it does not matter."""
        return None

    def matrices(self, draws: Draws, shape: Shape) -> np.ndarray:
        """Return where pixels come from, shape (n, 2, 3), for images of (rows, columns)."""
        raise NotImplementedError(f"{type(self).__name__}: a geometric augmentation has matrices")

    def field(self, draws: Draws, linear: np.ndarray) -> Field:
        """Return the displacement field, B being a multiple of ``linear``, shape (n, 2, 2)."""
        raise NotImplementedError(f"{type(self).__name__}: what displaces pixels has a field")


_Drawn = tuple[Augmentation, Draws]


def matrices_of(count: int, rows: Sequence[Any]) -> np.ndarray:
    """Return matrices of shape (n, 2, 3) from two rows of three numbers or arrays of n."""
    result = np.empty((count, 2, 3))
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            result[:, i, j] = entry
    return result


def _checked(owner: str, x: Any, y: Any, indices: Any) -> Samples:
    """Return what a user handed over as a batch."""
    array = arguments.numbers(owner, "x", x)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"{owner}: x must have shape {' or '.join(_RANKS.values())} and hold something, "
            f"got shape {array.shape}"
        )
    count = len(array)
    numbers = np.arange(count) if indices is None else arguments.numbers(owner, "indices", indices)
    if numbers.dtype.kind not in "iu" or numbers.shape != (count,) or int(numbers.min()) < 0:
        raise ValueError(
            f"{owner}: indices must be {count} integers of at least 0, one for each sample, "
            f"got {numbers.dtype} of shape {numbers.shape}"
        )
    targets = None if y is None else arguments.numbers(owner, "y", y)
    if targets is not None and (targets.ndim == 0 or len(targets) != count):
        raise ValueError(
            f"{owner}: x and y must have as many samples, got {count} and shape {targets.shape}"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite
        return Samples(np.ascontiguousarray(array, np.float32), targets, numbers_of(numbers))


def numbers_of(indices: np.ndarray) -> np.ndarray:
    """Return the samples' numbers as words of 32 bits."""
    return (indices.astype(np.uint64) & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def _number(place: int, step: Augmentation) -> int:
    """Return the number of 32 bits that tells an operation's draws from others'."""
    return zlib.crc32(f"{place} {type(step).__name__} {step.seed}".encode())


def _groups(drawn: list[_Drawn]) -> Iterator[list[_Drawn]]:
    """Yield the steps one by one; geometric ones of one border and one field at most together."""
    group: list[_Drawn] = []
    border: Border | None = None
    displaces = False
    for step, draws in drawn:
        if not isinstance(step, Geometric):
            if group:
                yield group
            yield [(step, draws)]
            group = []
            continue
        own = step.border()
        clashes = border is not None and own is not None and own != border
        if group and (clashes or (displaces and step.displaces)):
            yield group
            group = []
        if not group:
            border, displaces = None, False
        group.append((step, draws))
        border, displaces = own or border, displaces or step.displaces
    if group:
        yield group


def _applied(samples: Samples, step: Augmentation, draws: Draws) -> Samples:
    """Return a batch after a step of one's own or of ours, seen to be what the next one takes."""
    after = step.apply(samples, draws)
    owner = f"{type(step).__name__}: apply must return"
    if not isinstance(after, Samples):
        raise ValueError(f"{owner} the samples, dataclasses.replace(samples, x=...), got {after!r}")
    shape = (len(samples.x), *step.output_shape(samples.x.shape[1:]))
    if np.shape(after.x) != shape:
        raise ValueError(f"{owner} x of shape {shape}, got {np.shape(after.x)}")
    before, now = (getattr(part.y, "shape", None) for part in (samples, after))
    if now != before:
        raise ValueError(f"{owner} y of shape {before}, got {now}")
    x = np.ascontiguousarray(after.x, np.float32)
    return after if x is after.x else replace(after, x=x)


def _warped(samples: Samples, group: list[tuple[Any, Draws]]) -> Samples:
    """Return a batch after geometric steps, all in one warp.

    A step's images are read through those before it: q = M₁(M₂(... p)), and a field in between
    adds the linear part of what stands before it times d(p).
    """
    x = samples.x
    is_sound = x.ndim == 3
    if is_sound:
        x = x[:, None]
    shape: Shape = x.shape[1:]
    count = len(x)
    whole = matrices_of(count, ((1, 0, 0), (0, 1, 0)))
    field, border = None, Border()
    for step, draws in group:
        border = step.border() or border
        if step.displaces:
            field = step.field(draws, whole[:, :, :2])
            continue
        shift = whole[:, :, 2]
        whole = whole[:, :, :2] @ step.matrices(draws, shape[:2])
        whole[:, :, 2] += shift
        if not is_sound:
            shape = step.output_shape(shape)
    y = warp(x, samples.numbers, whole, field, (shape[0], shape[1]), border)
    return Samples(y[:, 0] if is_sound else y, samples.y, samples.numbers)
