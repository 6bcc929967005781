"""Checks the arrays that a user hands over, and cuts them into batches.

The arrays are kept as they came, so that bytes stay bytes; a batch is converted when it is used.
"""

from __future__ import annotations

import mmap
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments
from convlet.layers.layer import Shape
from convlet.layers.structures import leaves
from convlet.losses import Loss, spread_weights
from convlet.losses.targets import as_numbers
from convlet.sources import in_order

if TYPE_CHECKING:
    from convlet.models.model import Model

_CHECKED_AT_ONCE = 1024  # samples; what is converted for a check should not double the memory


@dataclass(frozen=True)
class Batch:
    """Some samples, converted: images for each input; targets and their weights for each output.

    An output without a loss has neither, None. ``numbers`` says which samples of the data they are.
    """

    x: tuple[np.ndarray, ...]
    y: tuple[np.ndarray | None, ...] = ()
    weights: tuple[np.ndarray | None, ...] = ()
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x[0])


@dataclass(frozen=True)
class Mapped:
    """Which arrays lie in memory-mapped files: they are checked as they are read, batch by batch.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    inputs : tuple of (str or None)
        For each input, None or its name if it is to be checked.
    losses : tuple of (Loss or None)
        For each output, None or the loss if its targets are to be checked.
    shapes : tuple of tuple
        Shapes of the predictions.
    first : int
        Number in the file of the first sample.
    """

    owner: str
    inputs: tuple[str | None, ...]
    losses: tuple[Loss | None, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    first: int = 0

    def checked(self, batch: Batch, numbers: np.ndarray) -> Batch:
        """Return the batch of the samples of some numbers, its targets as the losses want them.

        Raises
        ------
        ValueError
            As `check_samples`.
        """
        numbers = self.first + numbers
        for name, x in zip(self.inputs, batch.x, strict=True):
            if name is not None:
                _check_finite(self.owner, name, x, x, numbers)
        who = f"{self.owner} (samples {', '.join(map(str, numbers[:3]))}, ...)"
        y = (
            of_output
            if loss is None
            else loss.check_targets(of_output, (len(batch), *shape[1:]), who)
            for of_output, loss, shape in zip(batch.y, self.losses, self.shapes, strict=True)
        )
        return replace(batch, y=tuple(y))


@dataclass(frozen=True)
class Samples:
    """Checked samples.

    Parameters
    ----------
    x : tuple of ndarray, shape (samples, ...)
        Numbers of any type, for each input.
    y : tuple of (ndarray or None), shape (samples, ...)
        For each output targets as its loss wants them; None if it has no loss.
    weights : tuple of (ndarray or None), shape (samples,) or that of the targets
        For each output; None stands for ones.
    dtype : str
        The float type that images are converted to.
    mapped : Mapped, optional
        What is still to be checked.
    """

    x: tuple[np.ndarray, ...]
    y: tuple[np.ndarray | None, ...]
    weights: tuple[np.ndarray | None, ...]
    dtype: str
    mapped: Mapped | None = None

    def __len__(self) -> int:
        return len(self.x[0])

    def __getitem__(self, rows: slice) -> Samples:
        """Return some of the samples, without a copy."""
        x = tuple(array[rows] for array in self.x)
        mapped = self.mapped and replace(self.mapped, first=self.mapped.first + (rows.start or 0))
        return Samples(x, _rows(self.y, rows), _rows(self.weights, rows), self.dtype, mapped)

    def batches(
        self,
        size: int,
        order: np.ndarray | None = None,
        start: int = 0,
    ) -> Generator[Batch, None, None]:
        """Yield batches of ``size`` samples, the last one smaller, in ``order`` if given.

        Each is prepared while the one before is in use. ``start`` is the number of the first one.
        """
        firsts = range(start * size, len(self), size)
        tasks = (partial(self._batch, slice(row, row + size), order) for row in firsts)
        if len(firsts) <= 1:
            return (task() for task in tasks)
        return in_order(tasks, workers=1, ahead=1)

    def whole(self) -> Batch:
        """Return all samples as one batch."""
        return self._batch(slice(0, len(self)), None)

    def _batch(self, places: slice, order: np.ndarray | None) -> Batch:
        rows: Any = places if order is None else order[places]
        x = tuple(in_float_type(array[rows], self.dtype) for array in self.x)
        weights = (
            np.ones(len(x[0]), self.dtype) if given is None else given.astype(self.dtype)
            for given in _rows(self.weights, rows)
        )
        numbers = np.arange(places.start, places.start + len(x[0])) if order is None else rows
        batch = Batch(x, _rows(self.y, rows), tuple(weights), numbers)
        return batch if self.mapped is None else self.mapped.checked(batch, numbers)


def _rows(arrays: Iterable[np.ndarray | None], rows: Any) -> tuple[np.ndarray | None, ...]:
    return tuple(None if array is None else array[rows] for array in arrays)


def is_mapped(array: np.ndarray) -> bool:
    """Return whether an array is, or is a part of, a memory-mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def in_float_type(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return ``x`` in a float type, contiguous and in the machine's byte order."""
    if x.dtype == dtype and x.flags.c_contiguous:
        return x
    with np.errstate(over="ignore"):  # a float64 too large for float32 is found by check_images
        return np.ascontiguousarray(x, dtype)


def by_name(owner: str, argument: str, value: Any, names: Sequence[str]) -> list[Any]:
    """Return what a list, a tuple or a dict holds for each name; for one name it may stand alone.

    Raises
    ------
    ValueError
        For another number of things, and for names that are missing or not known.
    """
    if isinstance(value, dict):
        unknown = [key for key in value if key not in names]
        missing = [name for name in names if name not in value]
        if unknown or missing:
            wrong = f"there is no {unknown[0]!r}" if unknown else f"{missing[0]!r} is missing"
            raise ValueError(f"{owner}: {argument} must be given for {_named(names)}; {wrong}")
        return [value[name] for name in names]
    if len(names) == 1:
        return [value]
    if not isinstance(value, (list, tuple)) or len(value) != len(names):
        what = f"one {type(value).__name__}"
        if isinstance(value, (list, tuple)):
            what = f"a {type(value).__name__} of {len(value)}"
        raise ValueError(
            f"{owner}: {argument} must be a list of {len(names)}, or a dict, for {_named(names)}, "
            f"got {what}"
        )
    return list(value)


def _named(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def check_inputs(owner: str, x: Any, model: Model) -> tuple[np.ndarray, ...]:
    """Return an array of samples that fit for each input of a model.

    Raises
    ------
    ValueError
        As `check_images` and `by_name`; if there are not as many samples of each.
    """
    if model.input_form is None and not isinstance(x, (dict, list)):
        return (check_images(owner, x, model.input_shape, model.dtype),)
    names, shapes = model.input_names, leaves(model.input_shape)
    given = _unwrapped(x, len(shapes[0])) if len(names) == 1 else x
    arrays = tuple(
        check_images(owner, value, shape, model.dtype, f"x[{name!r}]" if len(names) > 1 else "x")
        for name, value, shape in zip(names, by_name(owner, "x", given, names), shapes, strict=True)
    )
    counts = [len(array) for array in arrays]
    if len(set(counts)) > 1:
        raise ValueError(f"{owner}: all inputs must have as many samples, got {counts}")
    return arrays


def _unwrapped(value: Any, axes: int) -> Any:
    """Return the array of a list of one that has its batch axis already, as Keras takes it."""
    is_one = isinstance(value, list) and len(value) == 1 and isinstance(value[0], np.ndarray)
    return value[0] if is_one and value[0].ndim == axes else value


def check_images(
    owner: str, x: object, input_shape: Shape, dtype: str, name: str = "x"
) -> np.ndarray:
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
    name : str
        What the argument is called, for messages.

    Raises
    ------
    ValueError
        For anything but real numbers, another shape, no samples, and values that are not finite.
    """
    array = as_numbers(owner, name, x)
    _check_shape(owner, name, array.shape, input_shape)
    if len(array) == 0:
        raise ValueError(f"{owner}: {name} must hold at least one sample, got shape {array.shape}")
    if array.dtype.kind == "f" and not is_mapped(array):
        for start in range(0, len(array), _CHECKED_AT_ONCE):
            given = array[start : start + _CHECKED_AT_ONCE]
            numbers = np.arange(start, start + len(given))
            _check_finite(owner, name, given, in_float_type(given, dtype), numbers)
    return array


def fits(shape: Shape, input_shape: Shape) -> bool:
    """Return whether an array of a shape is a batch for a network, open sizes being None."""
    return len(shape) == len(input_shape) and all(
        wanted in (None, size) for size, wanted in zip(shape, input_shape, strict=True)
    )


def _check_shape(owner: str, name: str, shape: Shape, input_shape: Shape) -> None:
    if fits(shape, input_shape):
        return
    expected = input_shape[1:]
    wanted = ", ".join(["samples", *("any" if n is None else str(n) for n in expected)])
    message = f"{owner}: {name} must have shape ({wanted}), got {shape}"
    if shape == expected:
        message += f"; a single sample needs a batch axis: {name}[numpy.newaxis]"
    elif len(shape) + 1 == len(input_shape) and expected[-1] == 1:
        message += f"; add the channel axis with {name}[..., numpy.newaxis]"
    raise ValueError(message)


def _check_finite(
    owner: str, name: str, given: np.ndarray, x: np.ndarray, numbers: np.ndarray
) -> None:
    """Refuse samples of some numbers that, converted to ``x``, are not finite."""
    finite = np.isfinite(x)
    if not finite.all():
        index = np.unravel_index(np.argmin(finite), finite.shape)
        place = ", ".join(str(i) for i in (numbers[index[0]], *index[1:]))
        raise ValueError(
            f"{owner}: {name} must be finite numbers of {x.dtype}, {name}[{place}] is "
            f"{given[index]}"
        )


def check_predicted(owner: str, x: object, model: Model) -> Samples:
    """Return checked inputs alone, as samples without targets.

    Raises
    ------
    ValueError
        As `check_inputs`.
    """
    images = check_inputs(owner, x, model)
    return Samples(images, (), (), model.dtype, _mapped(owner, images, (), (), (), model))


def _mapped(
    owner: str,
    images: Sequence[np.ndarray],
    targets: Sequence[np.ndarray | None],
    losses: Sequence[Loss | None],
    shapes: Sequence[tuple[int, ...]],
    model: Model,
) -> Mapped | None:
    """Return what is to be checked later, None if nothing is."""
    names = model.input_names
    called = ["x"] if len(names) == 1 else [f"x[{name!r}]" for name in names]
    inputs = tuple(
        name if is_mapped(x) and x.dtype.kind == "f" else None
        for name, x in zip(called, images, strict=True)
    )
    later = tuple(
        loss if y is not None and is_mapped(y) else None
        for y, loss in zip(targets, losses, strict=True)
    )
    if not any((*inputs, *later)):
        return None
    return Mapped(owner, inputs, later, tuple(shapes))


def check_samples(owner: str, x: object, y: object, sample_weight: object, model: Model) -> Samples:
    """Return checked samples for a model that has been compiled.

    Raises
    ------
    ValueError
        As `check_images`; if targets or weights do not fit the predictions and the loss.
    """
    images = check_inputs(owner, x, model)
    if y is None:
        raise ValueError(f"{owner}: y must be given, one target for each sample of x")
    names, losses = model.output_names, model.compilation.losses
    shapes = model.prediction_shapes([array.shape for array in images])
    targets = _targets(owner, y, names, losses)
    given = _sample_weights(owner, sample_weight, names)
    checked: list[np.ndarray | None] = []
    weights: list[np.ndarray | None] = []
    for name, loss, target, weight, shape in zip(
        names, losses, targets, given, shapes, strict=True
    ):
        who = owner if len(names) == 1 else f"{owner} (output {name!r})"
        checked.append(None if loss is None else _check_targets(who, target, loss, shape))
        no_weights = loss is None or weight is None
        weights.append(None if no_weights else _check_weights(who, weight, shape, model.dtype))
    mapped = _mapped(owner, images, checked, losses, shapes, model)
    return Samples(images, tuple(checked), tuple(weights), model.dtype, mapped)


def _targets(owner: str, y: Any, names: Sequence[str], losses: Sequence[Loss | None]) -> list[Any]:
    """Return the targets for each output; those of an output without a loss may be left out."""
    if isinstance(y, dict):
        idle = {name: None for name, loss in zip(names, losses, strict=True) if loss is None}
        y = idle | y
    return by_name(owner, "y", y, names)


def _sample_weights(owner: str, sample_weight: Any, names: Sequence[str]) -> list[Any]:
    """Return the sample weights for each output; one array counts for all of them."""
    is_one = not isinstance(sample_weight, (list, tuple, dict))
    if len(names) > 1 and is_one:
        return [sample_weight] * len(names)
    return by_name(owner, "sample_weight", sample_weight, names)


def _check_targets(owner: str, y: object, loss: Loss, output_shape: tuple[int, ...]) -> np.ndarray:
    """Return the targets of one output, checked."""
    if y is None:
        raise ValueError(f"{owner}: y must be given, one target for each sample of x")
    targets = as_numbers(owner, "y", y)
    count = len(targets)
    if count != output_shape[0]:
        raise ValueError(
            f"{owner}: x and y must have as many samples, got {output_shape[0]} in x and "
            f"{count} in y"
        )
    if is_mapped(targets) and targets.size > count:  # not labels, which are few bytes
        loss.check_targets(targets[:1], (1, *output_shape[1:]), owner)
        return targets
    return loss.check_targets(y, output_shape, owner)


def _check_weights(
    owner: str, sample_weight: object, output_shape: tuple[int, ...], dtype: str
) -> np.ndarray:
    """Return the sample weights of one output, checked."""
    # a loss may have one value for each sample, so weights are not spread over positions here
    one_each = as_numbers(owner, "sample_weight", sample_weight).ndim == 1
    shape = output_shape[:1] if one_each else output_shape[:-1]
    weights = spread_weights(sample_weight, shape, np.dtype(dtype), owner)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        given = as_numbers(owner, "sample_weight", sample_weight)
        raise ValueError(
            f"{owner}: sample_weight must be from 0 to the largest number of {dtype}, "
            f"got {given.min()} to {given.max()}"
        )
    return weights


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
