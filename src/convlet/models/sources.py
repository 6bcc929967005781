"""What `fit`, `evaluate` and `predict` draw their batches from: arrays, data sets, generators.

All three are a `Source`. What comes in batches, from a `PyDataset` or a generator, is checked batch
by batch, by the thread that fetches it.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import random
from convlet.models.class_weights import balanced_weights, with_class_weights
from convlet.models.data import Batch, Samples, split
from convlet.sources import PyDataset, in_order

if TYPE_CHECKING:
    from convlet.models.model import Model

_NUMBERS_OF_BATCH = 1 << 20


class Source(ABC):
    """What batches are drawn from.

    Attributes
    ----------
    first : Samples
        Checked samples like those to come.
    steps : int or None
        Batches in an epoch, None if only the end will tell.
    size, batch_size : int or None
        Samples, and samples in a batch; None for what comes in batches.
    """

    first: Samples
    steps: int | None
    size: int | None = None
    batch_size: int | None = None

    @abstractmethod
    def batches(
        self,
        epoch: int,
        seed: int | None,
        start: int = 0,
    ) -> Generator[Batch, None, None]:
        """Yield an epoch's batches from the one of number ``start`` on.

        Whoever does not take all of them closes the iterator. Where data comes in batches, the
        samples of batch b are numbered from b * 2^20 on.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        seed : int or None
            What the order follows from, together with the number of the pass through the data;
            None for the order in which the data is.
        start : int
        """

    @abstractmethod
    def once(self, steps: int | None) -> Source:
        """Return a source of one pass through the data, or of its first ``steps``.

        Raises
        ------
        ValueError
            If the data has no end and no steps are given.
        """

    @abstractmethod
    def weighted(self, model: Model, class_weight: Any) -> Source:
        """Return a source whose samples also have the weights of their classes."""

    def skip(self, steps: int) -> None:  # noqa: B027 - most have nothing to do
        """Leave out the batches of steps that an earlier process has made.

        Only a generator needs that: other sources know by numbers where they are.
        """


def _passes(first: int, stop: int, steps: int) -> Iterator[tuple[int, int, int]]:
    """Cut the steps ``first`` to ``stop`` of an endless run into passes of some steps each.

    Yields each pass's number, and its first step and the one after its last.
    """
    while first < stop:
        number, start = divmod(first, steps)
        end = min(steps, start + stop - first)
        yield number, start, end
        first += end - start


@dataclass(frozen=True)
class ArraySource(Source):
    """Samples in arrays, cut into batches.

    An epoch of ``steps_per_epoch`` begins where the one before ended.
    """

    owner: str
    first: Samples
    batch_size: int
    steps_per_epoch: int | None = None

    @property
    def size(self) -> int:  # type: ignore[override]
        """The number of samples."""
        return len(self.first)

    @property
    def steps_in_pass(self) -> int:
        """Batches until each sample has been seen once."""
        return -(-len(self.first) // self.batch_size)

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Batches in an epoch."""
        return self.steps_per_epoch or self.steps_in_pass

    def batches(
        self,
        epoch: int,
        seed: int | None,
        start: int = 0,
    ) -> Generator[Batch, None, None]:
        """Yield an epoch's batches; see `Source`."""
        begin, end = epoch * self.steps + start, (epoch + 1) * self.steps
        for number, first, stop in _passes(begin, end, self.steps_in_pass):
            order = None
            if seed is not None:
                order = random.generator(seed, number).permutation(len(self.first))
            with closing(self.first.batches(self.batch_size, order, first)) as batches:
                yield from islice(batches, stop - first)

    def once(self, steps: int | None) -> ArraySource:
        """Return a source of one pass; see `Source`."""
        return replace(self, steps_per_epoch=_at_most(self.owner, steps, self.steps_in_pass))

    def weighted(self, model: Model, class_weight: Any) -> ArraySource:
        """Return a source whose samples also have the weights of their classes."""
        (shape, *_) = model.prediction_shapes([x.shape for x in self.first.x])
        loss = model.compilation.losses[0]
        if isinstance(class_weight, str) and class_weight == "balanced":
            class_weight = balanced_weights(self.owner, self.first, shape, loss)
        samples = with_class_weights(self.owner, self.first, class_weight, shape, loss)
        return replace(self, first=samples)

    def split(self, fraction: float) -> tuple[ArraySource, ArraySource]:
        """Return sources of the first samples, and of the last ``fraction`` of them."""
        first, last = split(self.owner, self.first, fraction)
        return replace(self, first=first), replace(self, first=last)


@dataclass(frozen=True)
class _BatchSource(Source):
    """What comes in batches.

    Parameters
    ----------
    owner : str
    check : callable
        Takes what to call a batch, and the batch, and returns it as checked samples.
    first : Samples
    """

    owner: str
    check: Callable[[str, Any], Samples]
    first: Samples

    def checked(self, number: int, item: Any) -> Batch:
        """Return the batch of some number, checked."""
        batch = self.check(f"{self.owner} (batch {number})", item).whole()
        return replace(batch, numbers=number * _NUMBERS_OF_BATCH + np.arange(len(batch)))

    def weighted(self, model: Model, class_weight: Any) -> Source:
        """Return a source whose samples also have the weights of their classes."""
        if isinstance(class_weight, str):
            raise ValueError(
                f"{self.owner}: class_weight={class_weight!r} goes with arrays; for batches give a "
                "dict of class to weight"
            )
        return replace(
            self,
            check=partial(_checked_with_weights, self.check, model, class_weight),
            first=_with_weights(self.owner, self.first, model, class_weight),
        )


def _checked_with_weights(
    check: Callable[[str, Any], Samples],
    model: Model,
    class_weight: Mapping[int, float],
    owner: str,
    item: Any,
) -> Samples:
    return _with_weights(owner, check(owner, item), model, class_weight)


def _with_weights(
    owner: str, samples: Samples, model: Model, class_weight: Mapping[int, float]
) -> Samples:
    (shape, *_) = model.prediction_shapes([x.shape for x in samples.x])
    return with_class_weights(owner, samples, class_weight, shape, model.compilation.losses[0])


@dataclass(frozen=True)
class DatasetSource(_BatchSource):
    """The batches of a `PyDataset`, got by its workers.

    An epoch of ``steps_per_epoch`` begins where the one before ended.
    """

    dataset: Any
    steps_in_pass: int | None
    steps_per_epoch: int | None = None

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Batches in an epoch."""
        steps = self.steps_per_epoch or self.steps_in_pass
        if steps is None:
            raise self._without_end()
        return steps

    def once(self, steps: int | None) -> DatasetSource:
        """Return a source of one pass; see `Source`."""
        if self.steps_in_pass is not None:
            steps = _at_most(self.owner, steps, self.steps_in_pass)
        elif steps is None:
            raise self._without_end()
        return replace(self, steps_per_epoch=steps)

    def _without_end(self) -> ValueError:
        return ValueError(
            f"{self.owner}: the data set has no end, so the number of steps must be given"
        )

    def batches(
        self,
        epoch: int,
        seed: int | None,
        start: int = 0,
    ) -> Generator[Batch, None, None]:
        """Yield an epoch's batches; see `Source`."""
        begin, end = epoch * self.steps + start, (epoch + 1) * self.steps
        if self.steps_in_pass is None:
            yield from self._pass(epoch, range(begin, end))
            return
        for number, first, stop in _passes(begin, end, self.steps_in_pass):
            order = np.arange(self.steps_in_pass)
            if seed is not None:
                order = random.generator(seed, number).permutation(self.steps_in_pass)
            rows, ends = order[first:stop].tolist(), stop == len(order)
            yield from self._pass(number, rows, ends)

    def _pass(self, number: int, order: Any, ends: bool = True) -> Generator[Batch, None, None]:
        """Yield some batches of one pass through the data."""
        dataset = self.dataset
        if isinstance(dataset, PyDataset):
            dataset.epoch = number
        getattr(dataset, "on_epoch_begin", _nothing)()
        workers = max(1, getattr(dataset, "workers", 1))
        ahead = getattr(dataset, "max_queue_size", workers) if workers > 1 else 1
        tasks = (partial(self._batch, index) for index in order)
        with closing(in_order(tasks, workers, ahead)) as batches:
            yield from batches
        if ends:
            dataset.on_epoch_end()

    def _batch(self, index: int) -> Batch:
        return self.checked(index, self.dataset[index])


def _nothing() -> None:
    """Stand for a hook that a data set does not have."""


@dataclass(frozen=True)
class GeneratorSource(_BatchSource):
    """The batches of a generator, which goes on from epoch to epoch."""

    items: Iterator[tuple[int, Any]]
    steps: int | None

    def once(self, steps: int | None) -> GeneratorSource:
        """Return a source of one pass; see `Source`."""
        return replace(self, steps=steps)

    def batches(
        self,
        epoch: int,
        seed: int | None,
        start: int = 0,
    ) -> Generator[Batch, None, None]:
        """Yield an epoch's batches; see `Source`. A generator is where it is, so no order."""
        limit = None if self.steps is None else self.steps - start
        items = islice(self.items, limit)
        with closing(in_order(repeat(partial(self._next, items)), 1, 1)) as batches:
            for batch in batches:
                if batch is None:
                    break
                yield batch

    def skip(self, steps: int) -> None:
        """Draw the batches of some steps, and leave them; see `Source`."""
        for _ in islice(self.items, steps):
            pass

    def _next(self, items: Iterator[tuple[int, Any]]) -> Batch | None:
        item = next(items, None)
        return None if item is None else self.checked(*item)


def _at_most(owner: str, steps: int | None, in_pass: int) -> int:
    """Return how many steps to make of those in a pass; warn if more were asked for."""
    if steps is not None and steps > in_pass:
        warn_of_the_end(owner, steps, in_pass)
    return in_pass if steps is None else min(steps, in_pass)


def warn_of_the_end(owner: str, wanted: int | None, got: int) -> None:
    """Warn that data has come to its end, as Keras does."""
    expected = "" if wanted is None else f" of {wanted}"
    warnings.warn(f"{owner}: the data ended after {got}{expected} batches", stacklevel=2)
