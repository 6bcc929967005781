"""Layers with statistics of the data, found by `adapt` before training; Keras's Normalization."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from convlet import arguments, initializers
from convlet.engine import Buffer, Builder, Variable
from convlet.layers.layer import Layer, Shape
from convlet.layers.moments import Moments, batches_of
from convlet.layers.normalization import permuted, place_of

# The square of Keras's smallest standard deviation, 1e-7: added to the variance, it stands in for a
# maximum where a number never changes, and is nothing beside any other variance.
_EPSILON = 1e-14


class FittedLayer(Layer):
    """A layer whose weights `adapt` finds; training leaves them alone."""

    def adapt(self, data: Any) -> None:
        """Find the weights that go with some data; the layer is built first if need be.

        Parameters
        ----------
        data : ndarray, shape (samples, ...), or iterable of such arrays
            All samples, or one batch after another; of batches that are tuples, such as (x, y), the
            first counts. It is gone through once, in float64.

        Raises
        ------
        ValueError
            If it is neither, holds no samples or numbers that are not finite, or its shape is not
            the layer's; the layer is as it was then.
        """
        batches = batches_of(self.owner, data)
        first = next(batches, None)
        if first is None:
            raise ValueError(f"{self.owner}: adapt: data must hold at least one sample, got none")
        was_built = self.built
        try:
            self.ensure_built((None, *first.shape[1:]))
            found = self.found_in(itertools.chain([first], batches))
            values = {v: self._held_by(v, value) for v, value in found.items()}
        except BaseException:
            if not was_built:
                self.unbuild()
            raise
        for variable, value in values.items():
            variable.assign(value)

    def _held_by(self, variable: Variable, value: np.ndarray) -> np.ndarray:
        try:
            return variable.converted(value)
        except ValueError as error:
            raise ValueError(f"{self.owner}: adapt: {error}") from None

    def found_in(self, batches: Iterable[np.ndarray]) -> dict[Variable, np.ndarray]:
        """Return the weights' values for batches in float64."""
        raise NotImplementedError

    def moments_of(self, batches: Iterable[np.ndarray], numbers: int, products: bool) -> Moments:
        """Return the moments of the rows that `rows_of` makes of each batch."""
        moments = Moments(numbers, products)
        for batch in batches:
            self.compute_output_shape((None, *batch.shape[1:]))
            with np.errstate(over="ignore", invalid="ignore"):
                moments.add(self.rows_of(batch))
        if not np.isfinite(moments.scatter).all():
            raise ValueError(f"{self.owner}: adapt: data holds numbers too large for its variance")
        return moments

    def rows_of(self, batch: np.ndarray) -> np.ndarray:
        """Return a batch as rows of the numbers that have moments of their own."""
        raise NotImplementedError

    def constant(self, name: str, shape: tuple[int, ...], initializer: str) -> Variable:
        """Return a variable that is no weight."""
        return Variable(name, shape, self.dtype, initializers.get(initializer), 0, False)


class Normalization(FittedLayer):
    """Brings inputs to mean 0 and variance 1, by the statistics of the data that `adapt` is given.

    (x - mean) / sqrt(variance); where the variance is 0, what is divided by is 1e-7.

    Parameters
    ----------
    axis : int, sequence of int or None
        The axes, the batch's counted as 0, along which each place has statistics of its own; None
        for one mean and one variance of all numbers.
    mean, variance : float or array_like, optional
        The statistics, both or none, broadcast to the kept axes. With them there is nothing to
        adapt, and there are no weights.
    invert : bool
        Whether to do the opposite: x * sqrt(variance) + mean.
    **kwargs
        ``name``, ``trainable``, ``dtype``, ``input_shape`` of `Layer`.

    Raises
    ------
    ValueError
        If an argument is not of its form; when it meets its input, if there are no such axes, or
        their sizes are unknown, not those of the statistics, or not those that it was built for.

    Notes
    -----
    Before `adapt` the mean is 0 and the variance 1. The variance is the biased one, as Keras's.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        is_none = axis is None or (isinstance(axis, (list, tuple)) and not axis)
        requirement = "an integer, a list of integers or None"
        self.axis = None if is_none else arguments.axes(self.owner, axis, requirement)
        self.mean = self._read_statistic("mean", mean)
        self.variance = self._read_statistic("variance", variance)
        self.invert = arguments.boolean(self.owner, "invert", invert)
        if np.shape(self.mean) != np.shape(self.variance) or (
            (self.mean is None) != (self.variance is None)
        ):
            raise ValueError(
                f"{self.owner}: mean and variance must be given both, in one shape, or left out, "
                f"got mean={mean!r} and variance={variance!r}"
            )
        if np.min(self.variance or 0) < 0:
            raise arguments.invalid(self.owner, "variance", "of at least 0", variance)

    def _read_statistic(self, name: str, value: Any) -> Any:
        """Return a number or nested lists of numbers, as JSON has them."""
        if value is None:
            return None
        array = arguments.numbers(self.owner, name, value).astype(np.float64)
        if array.size == 0 or not np.isfinite(array).all():
            raise arguments.invalid(self.owner, name, "finite numbers", value)
        return array.tolist()

    def _places(self, input_shape: Shape) -> list[int]:
        """Return the kept axes in order, the batch's counted as 0."""
        if len(input_shape) < 2:
            raise ValueError(
                f"{self.owner}: the input must have an axis beside the batch's, got {input_shape}"
            )
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        places = sorted(place_of(self.owner, a, input_shape) for a in axes if a is not None)
        if len(set(places)) < len(places):
            raise arguments.invalid(self.owner, "axis", "axes that differ", self.axis)
        return places

    def _statistics_shape(self, input_shape: Shape) -> tuple[int, ...]:
        """Return the shape of mean and variance, checked."""
        shape = tuple(
            n for n in (input_shape[p] for p in self._places(input_shape)) if n is not None
        )
        if self.built and shape != self.adapt_mean.shape:
            raise ValueError(
                f"{self.owner}: the input must have {self.adapt_mean.shape} numbers along axis "
                f"{self.axis}, for which the statistics were made, got {shape}"
            )
        return shape

    def build(self, input_shape: Shape) -> None:
        """Make mean and variance: weights, unless they were given."""
        shape = self._statistics_shape(input_shape)
        self._ones = self.constant("ones", shape, "ones")
        self._zeros = self.constant("zeros", shape, "zeros")
        if self.mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", False, "mean")
            self.adapt_variance = self.add_weight(shape, "ones", False, "variance")
            return
        self.adapt_mean = self.constant("mean", shape, "zeros")
        self.adapt_variance = self.constant("variance", shape, "ones")
        for variable, value in ((self.adapt_mean, self.mean), (self.adapt_variance, self.variance)):
            try:
                variable.assign(np.broadcast_to(value, shape))
            except ValueError:
                raise ValueError(
                    f"{self.owner}: {variable.name} must be one number or have the shape of the "
                    f"input along axis {self.axis}, {shape}, got shape {np.shape(value)}"
                ) from None

    def adapt(self, data: Any) -> None:
        """Find mean and variance of some data; see `FittedLayer.adapt`.

        Raises
        ------
        ValueError
            As there; if mean and variance were given.
        """
        if self.mean is not None:
            raise ValueError(
                f"{self.owner}: adapt: there is nothing to find, since mean and variance were given"
            )
        super().adapt(data)

    def found_in(self, batches: Iterable[np.ndarray]) -> dict[Variable, np.ndarray]:
        """Return mean and variance."""
        shape = self.adapt_mean.shape
        moments = self.moments_of(batches, math.prod(shape), False)
        variance = moments.scatter / moments.count
        return {
            self.adapt_mean: moments.mean.reshape(shape),
            self.adapt_variance: variance.reshape(shape),
        }

    def rows_of(self, batch: np.ndarray) -> np.ndarray:
        """Return rows of the numbers along the kept axes."""
        places = self._places(batch.shape)
        kept = np.moveaxis(batch, places, range(-len(places), 0)) if places else batch
        return kept.reshape(-1, math.prod(batch.shape[place] for place in places))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        self._statistics_shape(input_shape)
        return input_shape

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append a normalization by channel, the kept axes having been made the channels'."""
        places = [place - 1 for place in self._places((None, *x.shape))] or [len(x.shape) - 1]
        order = [axis for axis in range(len(x.shape)) if axis not in places] + places
        moved = permuted(builder, x, order, self.owner)
        numbers = math.prod(x.shape[place] for place in places)
        shape = (math.prod(x.shape) // numbers, numbers) if len(places) > 1 else moved.shape
        y = reshaped(builder, moved, shape)
        mean, variance, one, zero = (
            _spread(builder, variable, numbers)
            for variable in (self.adapt_mean, self.adapt_variance, self._ones, self._zeros)
        )
        if self.invert:  # x / sqrt(variance) * variance + mean
            statistics = (zero, variance, variance, mean)
        else:  # the mean goes first, by itself: all digits count where the variance is small
            y = builder.apply("normalize", y, mean, one, one, zero, shape=shape, epsilon=0.0)
            statistics = (zero, variance, one, zero)
        y = builder.apply("normalize", y, *statistics, shape=shape, epsilon=_EPSILON)
        y = reshaped(builder, y, moved.shape)
        return permuted(builder, y, np.argsort(order).tolist(), self.owner)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "mean": self.mean,
            "variance": self.variance,
            "invert": self.invert,
        }


def reshaped(builder: Builder, x: Buffer, shape: tuple[int, ...]) -> Buffer:
    """Append what gives a buffer another shape, nothing if it has it."""
    if x.shape == shape:
        return x
    return builder.apply("reshape", x, shape=shape, input_shape=x.shape, output_shape=shape)


def _spread(builder: Builder, variable: Variable, numbers: int) -> Buffer:
    """Return the buffer of a variable's numbers in a row, the only one as often as needed."""
    if variable.shape == (numbers,):
        return builder.parameter(variable)
    places = np.arange(numbers) if variable.shape else np.zeros(numbers, int)
    return builder.tied(variable, places)
