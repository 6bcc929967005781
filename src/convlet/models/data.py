"""Checks the arrays that a user hands over, and cuts them into batches.

The arrays are kept as they came, so that bytes stay bytes; a batch is converted when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments
from convlet.layers.layer import Shape
from convlet.losses import spread_weights
from convlet.losses.targets import as_numbers

if TYPE_CHECKING:
    from convlet.models.model import Model

_CHECKED_AT_ONCE = 1024  # samples; what is converted for a check should not double the memory


@dataclass(frozen=True)
class Batch:
    """Some samples, converted: images, targets, and the weight of each target."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Samples:
    """Checked samples.

    Parameters
    ----------
    x : ndarray, shape (samples, ...)
        Numbers of any type.
    y : ndarray, shape (samples, ...)
        Targets as the loss wants them.
    weights : ndarray or None, shape (samples,) or that of the targets
        None stands for ones.
    dtype : str
        The float type that images are converted to.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    dtype: str

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> Samples:
        """Return some of the samples, without a copy."""
        weights = None if self.weights is None else self.weights[rows]
        return Samples(self.x[rows], self.y[rows], weights, self.dtype)

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Yield batches of ``size`` samples, the last one smaller, in ``order`` if given.

        Each is prepared while the one before is in use.
        """
        if len(self) <= size:
            return self._batches(size, order)
        return _one_ahead(self._batches(size, order))

    def _batches(self, size: int, order: np.ndarray | None) -> Iterator[Batch]:
        for start in range(0, len(self), size):
            rows: Any = slice(start, start + size)
            if order is not None:
                rows = order[rows]
            y = self.y[rows]
            weights = np.ones(len(y), self.dtype) if self.weights is None else self.weights[rows]
            yield Batch(in_float_type(self.x[rows], self.dtype), y, weights.astype(self.dtype))


def _one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the batches, each prepared in another thread while the one before is in use."""
    with ThreadPoolExecutor(1, "convlet-data") as worker:
        coming = worker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = worker.submit(next, batches, None)
            yield batch


def in_float_type(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return ``x`` in a float type, contiguous and in the machine's byte order."""
    if x.dtype == dtype and x.flags.c_contiguous:
        return x
    with np.errstate(over="ignore"):  # a float64 too large for float32 is found by check_images
        return np.ascontiguousarray(x, dtype)


def check_images(owner: str, x: object, input_shape: Shape, dtype: str) -> np.ndarray:
    """Return ``x`` as an array of samples that fit the network.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    x : array_like
    input_shape : tuple
        Shape that the network takes, the batch axis included, None for sizes left open.
    dtype : str
        The float type that samples will be converted to.

    Raises
    ------
    ValueError
        For anything but real numbers, another shape, no samples, and values that are not finite.
    """
    array = as_numbers(owner, "x", x)
    _check_shape(owner, array.shape, input_shape)
    if len(array) == 0:
        raise ValueError(f"{owner}: x must hold at least one sample, got shape {array.shape}")
    if array.dtype.kind == "f":
        _check_finite(owner, array, dtype)
    return array


def fits(shape: Shape, input_shape: Shape) -> bool:
    """Return whether an array of a shape is a batch for a network, open sizes being None."""
    return len(shape) == len(input_shape) and all(
        wanted in (None, size) for size, wanted in zip(shape, input_shape, strict=True)
    )


def _check_shape(owner: str, shape: Shape, input_shape: Shape) -> None:
    if fits(shape, input_shape):
        return
    expected = input_shape[1:]
    wanted = ", ".join(["samples", *("any" if n is None else str(n) for n in expected)])
    message = f"{owner}: x must have shape ({wanted}), got {shape}"
    if shape == expected:
        message += "; a single sample needs a batch axis: x[numpy.newaxis]"
    elif len(shape) + 1 == len(input_shape) and expected[-1] == 1:
        message += "; add the channel axis with x[..., numpy.newaxis]"
    raise ValueError(message)


def _check_finite(owner: str, x: np.ndarray, dtype: str) -> None:
    for start in range(0, len(x), _CHECKED_AT_ONCE):
        chunk = in_float_type(x[start : start + _CHECKED_AT_ONCE], dtype)
        finite = np.isfinite(chunk)
        if not finite.all():
            index = np.unravel_index(np.argmin(finite), finite.shape)
            place = ", ".join(str(i) for i in (start + index[0], *index[1:]))
            value = x[start : start + _CHECKED_AT_ONCE][index]
            raise ValueError(f"{owner}: x must be finite numbers of {dtype}, x[{place}] is {value}")


def check_samples(owner: str, x: object, y: object, sample_weight: object, model: Model) -> Samples:
    """Return checked samples for a model that has been compiled.

    Raises
    ------
    ValueError
        As `check_images`; if targets or weights do not fit the predictions and the loss.
    """
    images = check_images(owner, x, model.input_shape, model.dtype)
    if y is None:
        raise ValueError(f"{owner}: y must be given, one target for each sample of x")
    count = len(as_numbers(owner, "y", y))
    if count != len(images):
        raise ValueError(
            f"{owner}: x and y must have as many samples, got {len(images)} in x and {count} in y"
        )
    output_shape = model.prediction_shape(images.shape)
    targets = model.loss.check_targets(y, output_shape, owner)
    weights = None
    if sample_weight is not None:
        # a loss may have one value for each sample, so weights are not spread over positions here
        one_each = as_numbers(owner, "sample_weight", sample_weight).ndim == 1
        shape = images.shape[:1] if one_each else output_shape[:-1]
        weights = spread_weights(sample_weight, shape, np.dtype(model.dtype), owner)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            given = as_numbers(owner, "sample_weight", sample_weight)
            raise ValueError(
                f"{owner}: sample_weight must be from 0 to the largest number of {model.dtype}, "
                f"got {given.min()} to {given.max()}"
            )
    return Samples(images, targets, weights, model.dtype)


def with_class_weights(
    owner: str,
    samples: Samples,
    class_weight: Mapping[int, float],
    output_shape: tuple[Any, ...],
) -> Samples:
    """Return samples whose weights are multiplied by those of their classes.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    samples : Samples
        Their targets are labels, one-hot, or one number for two classes.
    class_weight : mapping of int to float
        Classes that are not named have weight 1.
    output_shape : tuple
        Shape of the predictions.

    Raises
    ------
    ValueError
        If targets are not classes, or a class or its weight is not of its form.
    """
    if not isinstance(class_weight, Mapping):
        raise arguments.invalid(owner, "class_weight", "a dict of class to weight", class_weight)
    labels, outputs = samples.y, output_shape[-1]
    if labels.ndim == len(output_shape):
        labels = labels[..., 0] if outputs == 1 else labels.argmax(axis=-1)
    if (labels < 0).any() or (labels != np.floor(labels)).any():
        raise ValueError(
            f"{owner}: class_weight goes with targets that are classes, whole numbers from 0, "
            f"got targets from {labels.min()} to {labels.max()}"
        )
    weights = np.ones(labels.shape, samples.dtype)
    largest = float(np.finfo(samples.dtype).max)
    for label, weight in class_weight.items():
        number = arguments.integer(owner, "class_weight's classes", label, 0)
        if number >= max(outputs, 2):
            raise arguments.invalid(
                owner, "class_weight's classes", f"from 0 to {max(outputs, 2) - 1}", label
            )
        weight = arguments.real(owner, f"class_weight[{number}]", weight, 0, largest)
        weights[labels == number] = weight
    if samples.weights is not None:
        of_sample = samples.weights
        missing = (1,) * (weights.ndim - of_sample.ndim)
        weights = of_sample.reshape(of_sample.shape + missing) * weights
    return replace(samples, weights=weights)


def split(owner: str, samples: Samples, fraction: float) -> tuple[Samples, Samples]:
    """Return the first part of the samples, and the last ``fraction`` of them, for validation.

    Raises
    ------
    ValueError
        Unless the fraction is in [0, 1) and leaves samples on both sides.
    """
    fraction = arguments.real(owner, "validation_split", fraction, 0, below=1)
    first = int(len(samples) * (1 - fraction))
    if first == 0 or first == len(samples):
        raise ValueError(
            f"{owner}: validation_split must leave samples on both sides, "
            f"got {fraction} of {len(samples)} samples"
        )
    return samples[:first], samples[first:]
