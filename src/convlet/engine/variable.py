"""A variable: a named array that a layer owns, drawn when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convlet import arguments

Initializer = Callable[[tuple[int, ...], str, int], np.ndarray]


class Variable:
    """A weight of a layer.

    Its seed is taken when it is made and its value drawn when it is first read, so a network that
    is only looked at, or is about to be filled from a file, allocates nothing.

    Parameters
    ----------
    name : str
        Its name within its layer, such as ``"kernel"``.
    shape : tuple of int
    dtype : str
    initializer : callable
        ``initializer(shape, dtype, seed)`` returns the first value.
    seed : int
        Given to the initializer.
    trainable : bool
        Whether training may change it. A layer that is frozen sets ``frozen`` besides.
    regularizer : Regularizer, optional
        What it adds to the loss.
    constraint : Constraint, optional
        What it must be after every step of training.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        initializer: Initializer,
        seed: int,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.regularizer = regularizer
        self.constraint = constraint
        self.frozen = False
        self._may_train = trainable
        self._initializer = initializer
        self._seed = seed
        self._value: np.ndarray | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return self._may_train and not self.frozen

    @property
    def size(self) -> int:
        """Number of elements, as a Python integer that cannot overflow."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def value(self) -> np.ndarray:
        """The current array, which cannot be written into; `assign` replaces it."""
        if self._value is None:
            drawn = np.asarray(self._initializer(self.shape, self.dtype, self._seed))
            if drawn.shape != self.shape:
                raise ValueError(
                    f"the initializer of weight {self.name!r} must return shape {self.shape}, "
                    f"got {drawn.shape}"
                )
            self._value = self.converted(drawn)
        return self._value

    def converted(self, value: object) -> np.ndarray:
        """Return a copy of ``value`` as this variable would hold it.

        Raises
        ------
        ValueError
            If the shape differs, or the array does not hold real numbers that the variable can
            hold.
        """
        array = arguments.numbers(f"weight {self.name!r}", "its value", value)
        if array.shape != self.shape:
            raise ValueError(f"weight {self.name!r} has shape {self.shape}, got {array.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            copy = np.array(array, self.dtype, order="C")
        if array.dtype != copy.dtype and not np.isfinite(copy[np.isfinite(array)]).all():
            raise ValueError(f"weight {self.name!r}: {self.dtype} cannot hold numbers that large")
        copy.flags.writeable = False
        return copy

    def assign(self, value: object) -> None:
        """Replace the value by a copy of another.

        Raises
        ------
        ValueError
            See `converted`.
        """
        self._value = self.converted(value)

    def adopt(self, value: np.ndarray) -> None:
        """Replace the value by an array that nobody else will write into, without a copy.

        Raises
        ------
        ValueError
            See `converted`.
        """
        if type(value) is not np.ndarray or value.shape != self.shape or value.dtype != self.dtype:
            self.assign(value)
            return
        value = np.asarray(value, order="C")  # `ascontiguousarray` makes (1,) of ()
        value.flags.writeable = False
        self._value = value

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """Let NumPy functions take a variable for its value."""
        return np.array(self.value, dtype=dtype, copy=copy)  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"<Variable {self.name!r} shape={self.shape} dtype={self.dtype}>"
