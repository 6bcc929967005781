"""What weights must be after every step of training: Keras's names, arguments and values.

A layer takes one for each of its weights, ``kernel_constraint=MaxNorm(3)``. Norms are those of the
vectors along ``axis``: 0 for a dense layer's kernel, whose columns are what each unit reads, and
``(0, 1, 2)`` for the kernel of a `Conv2D`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlet import arguments
from convlet.serialization import Configurable, Registry

_EPSILON = 1e-7  # Keras's: what is divided by is never 0


class Constraint(Configurable):
    """The base of all constraints; one's own defines ``call``."""

    def __call__(self, w: object) -> np.ndarray:
        """Return the nearest weights that are allowed, in a new array.

        Raises
        ------
        ValueError
            If ``w`` holds no numbers, or has not the axes that are asked for.
        """
        (weights,) = arguments.floats(type(self).__name__, w=w)
        self.check_shape("w", weights.shape)
        return self.applied(weights)

    def applied(self, w: np.ndarray) -> np.ndarray:
        """Return what ``call`` makes of weights, in their float type.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        allowed = np.asarray(self.call(w))
        if allowed.shape != w.shape:
            raise ValueError(
                f"{type(self).__name__}: call must return the weights' shape {w.shape}, "
                f"got {allowed.shape}"
            )
        return np.array(allowed, w.dtype)

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if weights of a shape cannot be constrained; here all can.

        Parameters
        ----------
        owner : str
            Who asks, for messages.
        """

    def call(self, w: np.ndarray) -> np.ndarray:
        """Return the nearest weights that are allowed, for weights in float32 or float64."""
        raise NotImplementedError(f"{type(self).__name__} must define call")


class NonNeg(Constraint):
    """No weight below 0."""

    def call(self, w: np.ndarray) -> np.ndarray:
        """Return the weights with 0 for negative ones."""
        return np.maximum(w, 0)


class NormConstraint(Constraint):
    """The base of the constraints on the norms of vectors, which define ``desired``.

    Parameters
    ----------
    axis : int or sequence of int, default 0
        The axes over which squares are summed.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = arguments.axes(type(self).__name__, axis)

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless the weights have the axes."""
        rank = len(shape)
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        places = {axis % rank for axis in axes if -rank <= axis < rank}
        if len(places) < len(axes):
            raise ValueError(
                f"{owner}: {type(self).__name__}: axis must be axes of the weights that differ, "
                f"got {self.axis} and weights of shape {shape}"
            )

    def desired(self, norms: np.ndarray) -> np.ndarray:
        """Return what the norms are to be."""
        raise NotImplementedError(f"{type(self).__name__} must define desired")

    def call(self, w: np.ndarray) -> np.ndarray:
        """Return the weights times desired / (1e-7 + norm)."""
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        norms = np.sqrt((w.astype(np.float64) ** 2).sum(axis=axes, keepdims=True))
        return w * (self.desired(norms) / (_EPSILON + norms))


class MaxNorm(NormConstraint):
    """No vector longer than ``max_value``.

    Parameters
    ----------
    max_value : float, default 2
        At least 0.
    axis : int or sequence of int, default 0
        The axes over which squares are summed.

    Raises
    ------
    ValueError
        If an argument is not of its form; for weights that have no such axes.

    Notes
    -----
    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*,
    2014.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = arguments.real("MaxNorm", "max_value", max_value, 0)

    def desired(self, norms: np.ndarray) -> np.ndarray:
        """Return the norms, at most ``max_value``."""
        return np.minimum(norms, self.max_value)


class UnitNorm(NormConstraint):
    """Every vector of length 1.

    Parameters
    ----------
    axis : int or sequence of int, default 0
        The axes over which squares are summed.
    """

    def desired(self, norms: np.ndarray) -> np.ndarray:
        """Return ones."""
        return np.ones_like(norms)


class MinMaxNorm(NormConstraint):
    """Every vector's length between two numbers, at once or little by little.

    Parameters
    ----------
    min_value, max_value : float, default 0.0 and 1.0
        At least 0, and at least ``min_value``.
    rate : float, default 1.0
        Which part of the way a step goes, from 0 to 1.
    axis : int or sequence of int, default 0
        The axes over which squares are summed.

    Raises
    ------
    ValueError
        If an argument is not of its form; for weights that have no such axes.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = arguments.real("MinMaxNorm", "min_value", min_value, 0)
        self.max_value = arguments.real("MinMaxNorm", "max_value", max_value, self.min_value)
        self.rate = arguments.real("MinMaxNorm", "rate", rate, 0, 1)

    def desired(self, norms: np.ndarray) -> np.ndarray:
        """Return rate * clip(norm, min_value, max_value) + (1 - rate) * norm."""
        clipped = np.clip(norms, self.min_value, self.max_value)
        return self.rate * clipped + (1 - self.rate) * norms


# Keras's second names
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_registry = Registry("constraint", Constraint)
for _class in (MaxNorm, MinMaxNorm, NonNeg, UnitNorm):
    _registry.register(_class)


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Constraint | None:
    """Return the constraint that a name, a class, a dict or a constraint stands for; None as is.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    return None if identifier is None else _registry.get(identifier, custom_objects)


def serialize(constraint: Constraint) -> dict[str, Any]:
    """Return the constraint as JSON types; ``get`` reads them."""
    return _registry.serialize(constraint)
