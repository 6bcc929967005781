"""Batches in which rare classes are as frequent as others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.sources.py_dataset import PyDataset

_OWNER = "BalancedSampler"


class BalancedSampler(PyDataset):
    """Batches of arrays that hold each class in an equal, or a given, share.

    The samples of a class are drawn without repetition until all of them have been drawn, and then
    anew: those of rare classes come several times in an epoch, those of frequent ones not all. What
    is drawn follows from ``seed`` and ``epoch`` alone. In any beginning of an epoch each class of
    equal shares is drawn as often as the others, give or take one.

    Parameters
    ----------
    x : ndarray, shape (samples, ...)
        May be memory-mapped.
    y : array_like, shape (samples,) or (samples, 1)
        Labels; with ``labels`` targets of any shape (samples, ...), as the loss wants them.
    batch_size : int
    shares : mapping of int to float, optional
        For each label its share, above 0; they are divided by their sum. Equal by default.
    seed : int, optional
        Drawn if left out.
    labels : array_like of int, shape (samples,) or (samples, 1), optional
        The classes to balance, where ``y`` is something else: one-hot, a mask, ``x`` itself.

    Raises
    ------
    ValueError
        If an argument is not of its form, or a share is missing or for no label.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: Any,
        batch_size: int = 32,
        shares: Mapping[int, float] | None = None,
        seed: int | None = None,
        labels: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.x = x if isinstance(x, np.ndarray) else arguments.numbers(_OWNER, "x", x)
        name, given = ("y", y) if labels is None else ("labels", labels)
        self.labels = _labels(name, given, self.x.shape)
        self.y = self.labels if labels is None else _targets(y, len(self.x))
        self.batch_size = arguments.integer(_OWNER, "batch_size", batch_size)
        self.seed = (
            random.next_seed() if seed is None else arguments.integer(_OWNER, "seed", seed, 0)
        )
        self._classes, numbers = np.unique(self.labels, return_inverse=True)
        self._members = [np.flatnonzero(numbers == c) for c in range(len(self._classes))]
        self._plan = _plan(_shares(shares, self._classes), len(self) * self.batch_size)
        self._drawn: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = range(len(self))[index] * self.batch_size
        rows = self._rows(self.epoch)[start : start + self.batch_size]
        return self.x[rows], self.y[rows]

    def _rows(self, epoch: int) -> np.ndarray:
        """Return the samples of an epoch, in order."""
        drawn = self._drawn  # one look: another thread may replace it
        if drawn is None or drawn[0] != epoch:
            drawn = self._drawn = (epoch, self._draw(epoch))
        return drawn[1]

    def _draw(self, epoch: int) -> np.ndarray:
        rows = np.empty(len(self._plan), np.int64)
        for number, members in enumerate(self._members):
            places = np.flatnonzero(self._plan == number)
            draws = random.generator(self.seed, epoch, number)
            rounds = -(-len(places) // len(members))
            whole = [members[draws.permutation(len(members))] for _ in range(rounds)]
            rows[places] = np.concatenate([*whole, members[:0]])[: len(places)]
        return rows


def _labels(name: str, given: Any, x_shape: tuple[int, ...]) -> np.ndarray:
    labels = arguments.numbers(_OWNER, name, given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not x_shape or labels.ndim != 1 or len(labels) != x_shape[0] or len(labels) == 0:
        raise ValueError(
            f"{_OWNER}: {name} must hold one label for each sample of x, got shapes {labels.shape} "
            f"and {x_shape}" + ("; other targets need labels beside them" if name == "y" else "")
        )
    if not (labels == np.floor(labels)).all() or labels.min() < 0:
        raise ValueError(
            f"{_OWNER}: {name} must hold whole numbers from 0, got {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64)


def _targets(y: Any, samples: int) -> np.ndarray:
    targets = y if isinstance(y, np.ndarray) else arguments.numbers(_OWNER, "y", y)
    if targets.shape[:1] != (samples,):
        raise ValueError(
            f"{_OWNER}: y must hold a target for each of the {samples} samples of x, got shape "
            f"{targets.shape}"
        )
    return targets


def _shares(given: Any, classes: np.ndarray) -> np.ndarray:
    """Return the classes' shares, of sum 1."""
    if given is None:
        return np.full(len(classes), 1 / len(classes))
    if not isinstance(given, Mapping) or set(given) != set(classes.tolist()):
        named = ", ".join(map(str, classes.tolist()))
        raise arguments.invalid(_OWNER, "shares", f"a dict with a share for each of {named}", given)
    shares = [
        arguments.real(_OWNER, f"shares[{c}]", given[c], float(np.finfo(np.float32).tiny), 1e30)
        for c in classes.tolist()
    ]
    return np.array(shares) / sum(shares)


def _plan(shares: np.ndarray, count: int) -> np.ndarray:
    """Return which class each of ``count`` places holds, each class spread evenly.

    The k-th sample of a class of share s is due at (k + 1/2) / s; places go by what is due first.
    """
    due, of_class = [], []
    for number, share in enumerate(shares):
        wanted = int(np.ceil(share * count)) + 1
        due.append((np.arange(wanted) + 0.5) / share)
        of_class.append(np.full(wanted, number))
    return np.concatenate(of_class)[np.argsort(np.concatenate(due), kind="stable")][:count]
