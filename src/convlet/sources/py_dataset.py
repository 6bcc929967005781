"""Batches by their number: Keras's ``PyDataset``."""

from __future__ import annotations

from typing import Any

from convlet import arguments


class PyDataset:
    """The base of data sets that give batch ``index`` when it is asked for.

    A subclass defines ``__len__``, the number of batches, and ``__getitem__``, which returns one:
    ``(x, y)``, ``(x, y, sample_weight)``, or ``x`` alone for `predict`. `fit`, `evaluate` and
    `predict` take it in place of arrays. ``num_batches`` may be overridden to return None for a
    data set without an end.

    Parameters
    ----------
    workers : int
        Threads that get batches. The batches and their order do not depend on it, as long as
        ``__getitem__`` depends on ``index`` and ``epoch`` alone; with more than 1 it is called by
        several threads at once.
    use_multiprocessing : bool
        Only False: workers are threads. NumPy, Pillow and soundfile let others run meanwhile.
    max_queue_size : int
        Batches that are kept ready, or in the making, ahead of their turn if there are several
        workers; a single one is one batch ahead.

    Attributes
    ----------
    epoch : int
        Number of the pass through the data, from 0, set before each. Random orders and
        augmentation that follow from it can be repeated: ``convlet.random.generator(seed, epoch)``.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    workers = 1  # for subclasses that do not call this class's __init__
    max_queue_size = 10
    epoch = 0

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        owner = type(self).__name__
        self.workers = arguments.integer(owner, "workers", workers, 0)
        self.max_queue_size = arguments.integer(owner, "max_queue_size", max_queue_size)
        if use_multiprocessing is not False:
            requirement = "False; workers are threads"
            raise arguments.invalid(owner, "use_multiprocessing", requirement, use_multiprocessing)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    @property
    def num_batches(self) -> int | None:
        """Number of batches; None if there is no end to them."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Before each pass through the data."""

    def on_epoch_end(self) -> None:
        """After each pass through the data that was not broken off."""


Sequence = PyDataset


def is_py_dataset(x: object) -> bool:
    """Return whether ``x`` is a `PyDataset`, ours or one that has the same methods."""
    methods = ("__len__", "__getitem__", "on_epoch_end")
    return isinstance(x, PyDataset) or all(hasattr(x, name) for name in methods)
