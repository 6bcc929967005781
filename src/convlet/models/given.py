"""Data as a user hands it over to `fit`, `evaluate` and `predict`: arrays or what gives batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from convlet import arguments
from convlet.models.data import Samples, check_predicted, check_samples
from convlet.models.sources import ArraySource, DatasetSource, GeneratorSource
from convlet.sources import PyDataset, is_py_dataset

if TYPE_CHECKING:
    from convlet.models.model import Model

_DEFAULT_BATCH_SIZE = 32
_OF_ARRAYS = ("__array__", "__getitem__")


@dataclass(frozen=True)
class Given:
    """Data as it was handed over, before the model has been built for it.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    x, y, sample_weight : object
        ``x`` is a data set or an iterator if ``is_batches``.
    batch_size : int
        For arrays.
    first_x : object
        Inputs to build the model for.
    first_item : object
        The first batch, if ``is_batches``.
    """

    owner: str
    x: Any
    y: Any
    sample_weight: Any
    batch_size: int
    first_x: Any
    first_item: Any = None
    is_batches: bool = False

    def source(self, model: Model, steps: int | None = None, *, targets: bool = True) -> Any:
        """Return the checked source.

        Raises
        ------
        ValueError
            As `check_samples`.
        """
        if not self.is_batches:
            if targets:
                samples = check_samples(self.owner, self.x, self.y, self.sample_weight, model)
            else:
                samples = check_predicted(self.owner, self.x, model)
            return ArraySource(self.owner, samples, self.batch_size, steps)
        check = partial(_check, model, targets)
        first = check(f"{self.owner} (batch 0)", self.first_item)
        if not is_py_dataset(self.x):
            items = enumerate(chain([self.first_item], self.x))
            return GeneratorSource(self.owner, check, first, items, steps)
        return DatasetSource(self.owner, check, first, self.x, _num_batches(self.x), steps)


def given(
    owner: str, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None
) -> Given:
    """Return data of any kind as it was handed over, with its first batch looked at.

    Raises
    ------
    ValueError
        If batches come with targets, weights or a batch size of their own, or there are none; if
        ``x`` can be gone through and is neither an array nor an iterator.
    """
    is_dataset = is_py_dataset(x)
    if not is_dataset and not hasattr(x, "__next__"):
        if hasattr(x, "__iter__") and not any(map(partial(hasattr, x), _OF_ARRAYS)):
            raise ValueError(
                f"{owner}: x must be arrays, a PyDataset or an iterator of batches, got a "
                f"{type(x).__name__}; iter(x) is an iterator"
            )
        size = _DEFAULT_BATCH_SIZE
        if batch_size is not None:
            size = arguments.integer(owner, "batch_size", batch_size)
        return Given(owner, x, y, sample_weight, size, x)
    named = {"y": y, "sample_weight": sample_weight, "batch_size": batch_size}
    for name, value in named.items():
        if value is not None:
            raise ValueError(
                f"{owner}: {name} must be left out where x, a {type(x).__name__}, gives batches"
            )
    if is_dataset:
        if _num_batches(x) == 0:
            raise _no_batches(owner, x)
        if isinstance(x, PyDataset):
            x.epoch = 0
        item = x[0]
    else:
        item = next(x, None)
        if item is None:
            raise _no_batches(owner, x)
    first_x, _, _ = _unpacked(f"{owner} (batch 0)", item)
    return Given(owner, x, None, None, _DEFAULT_BATCH_SIZE, first_x, item, True)


def _no_batches(owner: str, x: Any) -> ValueError:
    return ValueError(f"{owner}: x, a {type(x).__name__}, must give at least one batch, got none")


def _num_batches(dataset: Any) -> int | None:
    return dataset.num_batches if hasattr(dataset, "num_batches") else len(dataset)


def _unpacked(owner: str, item: Any) -> tuple[Any, Any, Any]:
    """Return a batch's inputs, targets and weights; what is no tuple or list is inputs alone."""
    if not isinstance(item, (tuple, list)):
        return item, None, None
    if len(item) not in (1, 2, 3):
        raise ValueError(
            f"{owner}: a batch must be x, (x, y) or (x, y, sample_weight), "
            f"got a {type(item).__name__} of {len(item)}"
        )
    x, y, sample_weight = (*item, None, None)[:3]
    return x, y, sample_weight


def _check(model: Model, targets: bool, owner: str, item: Any) -> Samples:
    """Return a batch as checked samples."""
    x, y, sample_weight = _unpacked(owner, item)
    if targets:
        return check_samples(owner, x, y, sample_weight, model)
    return check_predicted(owner, x, model)
