"""Penalties, which training adds to the loss: Keras's names, arguments and values.

A layer takes one for each of its weights, ``kernel_regularizer="l2"``, and one for its output,
``activity_regularizer``, whose penalty is divided by the number of samples in the batch. The
reported loss holds all penalties but those of frozen weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from convlet import arguments
from convlet.serialization import Configurable, Registry

_LEAST_MEAN = 1e-7  # Keras's epsilon
_SHORTEST = 1e-6  # vectors shorter than that are divided by it: Keras's root of 1e-12


class Regularizer(Configurable):
    """The base of all regularizers; one's own defines ``call`` and ``gradient``.

    What is said of weights goes for activations, too, whose first axis is the samples'.

    One that penalizes the square of the weights' sum::

        class Sum(Regularizer):
            def call(self, x):
                return x.sum() ** 2

            def gradient(self, x):
                return np.full_like(x, 2 * x.sum())
    """

    def __call__(self, x: object) -> float:
        """Return the penalty for an array of weights.

        Raises
        ------
        ValueError
            If ``x`` holds no numbers, has not the axes that are asked for, or the penalty is no
            single number.
        """
        (weights,) = arguments.floats(type(self).__name__, x=x)
        self.check_shape("x", weights.shape)
        with np.errstate(over="ignore", invalid="ignore"):  # training looks at the loss
            penalty = np.asarray(self.call(weights))
        if penalty.size != 1 or penalty.dtype.kind not in "iuf":
            raise ValueError(
                f"{type(self).__name__}: call must return one number, got {penalty.dtype} of shape "
                f"{penalty.shape}"
            )
        return float(penalty.reshape(()))

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if weights of a shape cannot be penalized; here all can.

        Parameters
        ----------
        owner : str
            Who asks, for messages.
        """

    def call(self, x: np.ndarray) -> Any:
        """Return the penalty for weights in float32 or float64, one number."""
        raise NotImplementedError(f"{type(self).__name__} must define call")

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the penalty's derivative by each weight, in the weights' shape."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient")

    def checked_gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient in the weights' float type.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = np.asarray(self.gradient(x))
            if gradient.shape != x.shape:
                raise ValueError(
                    f"{type(self).__name__}: gradient must return the weights' shape {x.shape}, "
                    f"got {gradient.shape}"
                )
            return gradient.astype(x.dtype, copy=False)


class L1L2(Regularizer):
    """Both penalties: l1 Σ|w| + l2 Σw².

    As a string, ``"l1_l2"`` stands for both factors of 0.01.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        The factors, at least 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = arguments.real("L1L2", "l1", l1, 0)
        self.l2 = arguments.real("L1L2", "l2", l2, 0)

    def call(self, x: np.ndarray) -> float:
        """Return l1 Σ|w| + l2 Σw²."""
        return _sum_of_magnitudes(self.l1, x) + _sum_of_squares(self.l2, x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return l1 sign(w) + 2 l2 w."""
        return x.dtype.type(self.l1) * np.sign(x) + x.dtype.type(2 * self.l2) * x


class L1(Regularizer):
    """The sum of magnitudes: l1 Σ|w|. It drives weights to exactly 0.

    Parameters
    ----------
    l1 : float, default 0.01
        The factor, at least 0.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = arguments.real("L1", "l1", l1, 0)

    def call(self, x: np.ndarray) -> float:
        """Return l1 Σ|w|."""
        return _sum_of_magnitudes(self.l1, x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return l1 sign(w), 0 where w is."""
        return x.dtype.type(self.l1) * np.sign(x)


class L2(Regularizer):
    """The sum of squares: l2 Σw², without the 1/2 that some texts have.

    Parameters
    ----------
    l2 : float, default 0.01
        The factor, at least 0.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = arguments.real("L2", "l2", l2, 0)

    def call(self, x: np.ndarray) -> float:
        """Return l2 Σw²."""
        return _sum_of_squares(self.l2, x)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return 2 l2 w."""
        return x.dtype.type(2 * self.l2) * x


def _sum_of_magnitudes(factor: float, x: np.ndarray) -> float:
    return factor * float(np.abs(x).sum()) if factor else 0.0


def _sum_of_squares(factor: float, x: np.ndarray) -> float:
    return factor * float(np.vdot(x, x)) if factor else 0.0


class OrthogonalRegularizer(Regularizer):
    """The mean magnitude of the cosines between the rows of a matrix, or its columns.

    factor / (n (n - 1)) Σ_{i≠j} |u_i · u_j|, u being the n rows (or columns) brought to length 1.

    Parameters
    ----------
    factor : float, default 0.01
        At least 0.
    mode : {"rows", "columns"}
        Which of them are to become orthogonal.

    Raises
    ------
    ValueError
        If an argument is not of its form; for weights that are no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        owner = "OrthogonalRegularizer"
        self.factor = arguments.real(owner, "factor", factor, 0)
        self.mode = arguments.choice(owner, "mode", mode, ("rows", "columns"))

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless the shape is a matrix's."""
        if len(shape) != 2:
            raise ValueError(
                f"{owner}: OrthogonalRegularizer needs weights of 2 axes, got shape {shape}"
            )

    def _directions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows at length 1, their lengths as divided by, and the products of pairs."""
        rows = x if self.mode == "rows" else x.T
        lengths = np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), x.dtype.type(_SHORTEST))
        directions = rows / lengths
        products = directions @ directions.T
        np.fill_diagonal(products, 0)
        return directions, lengths, products

    def _share(self, vectors: int) -> float:
        return self.factor / max(vectors * (vectors - 1), 1)

    def call(self, x: np.ndarray) -> float:
        """Return the penalty, 0 for a single row."""
        _, _, products = self._directions(x)
        return self._share(len(products)) * float(np.abs(products).sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return (g - (g · u) u) / |w| for each row w.

        g = 2 factor / (n (n - 1)) Σ_j sign(u · u_j) u_j is the derivative by the direction u. What
        is shorter than 1e-6 is not brought to length 1, and the part along it stays.
        """
        directions, lengths, products = self._directions(x)
        g = x.dtype.type(2 * self._share(len(products))) * (np.sign(products) @ directions)
        along = (g * directions).sum(axis=1, keepdims=True) * directions
        rows = (g - np.where(lengths > _SHORTEST, along, 0)) / lengths
        return rows if self.mode == "rows" else rows.T


class KLSparsity(Regularizer):
    """Lets each unit be active as rarely as wished: the penalty of a sparse autoencoder.

    As the ``activity_regularizer`` of a layer with a sigmoid it adds, for each batch,

        weight Σ_j KL(ρ || ρ_j),    KL = ρ log(ρ / ρ_j) + (1 - ρ) log((1 - ρ) / (1 - ρ_j)),

    ρ_j being the mean activation of unit j over the batch, and over the positions of a grid. Called
    by itself it gives n times as much, n the length of the first axis, by which layers divide.

    Parameters
    ----------
    target : float, default 0.05
        ρ, between 0 and 1.
    weight : float, default 1.0
        At least 0.

    Notes
    -----
    Keras has no such regularizer. Means are taken to lie between 1e-7 and 1 - 1e-7. Source: A. Ng,
    *Sparse autoencoder*, CS294A lecture notes, 2011; lecture 001, "sparse autoencoder".
    """

    def __init__(self, target: float = 0.05, weight: float = 1.0) -> None:
        self.target = arguments.real("KLSparsity", "target", target, 0, below=1)
        if self.target == 0:
            raise arguments.invalid("KLSparsity", "target", "a number between 0 and 1", target)
        self.weight = arguments.real("KLSparsity", "weight", weight, 0)

    def check_shape(self, owner: str, shape: tuple[int, ...]) -> None:
        """Raise a ValueError unless there is an axis of samples and one of units."""
        if len(shape) < 2:
            raise ValueError(f"{owner}: KLSparsity needs at least 2 axes, got shape {shape}")

    def _means(self, x: np.ndarray) -> np.ndarray:
        means = x.reshape(-1, x.shape[-1]).mean(axis=0, dtype=np.float64)
        return np.clip(means, _LEAST_MEAN, 1 - _LEAST_MEAN)

    def call(self, x: np.ndarray) -> float:
        """Return n times the weighted sum of divergences."""
        ρ, means = self.target, self._means(x)
        divergence = ρ * np.log(ρ / means) + (1 - ρ) * np.log((1 - ρ) / (1 - means))
        return len(x) * self.weight * float(divergence.sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return n times weight (-ρ / ρ_j + (1 - ρ) / (1 - ρ_j)), shared out."""
        ρ, means = self.target, self._means(x)
        by_means = (1 - ρ) / (1 - means) - ρ / means
        share = len(x) * self.weight * x.shape[-1] / x.size
        return np.broadcast_to(share * by_means, x.shape)


# Keras's second names
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_registry = Registry("regularizer", Regularizer)
for _class in (KLSparsity, L1, L2, L1L2, OrthogonalRegularizer):
    _registry.register(_class)


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Regularizer | None:
    """Return the regularizer that a name, a class, a dict or a regularizer stands for; None as is.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``; for a function, which has no gradient.
    """
    if identifier is None:
        return None
    if identifier == "l1_l2":
        return L1L2(0.01, 0.01)
    if callable(identifier) and not isinstance(identifier, (type, Configurable)):
        raise ValueError(
            "regularizer: a function needs its gradient, too: a subclass of Regularizer"
        )
    return _registry.get(identifier, custom_objects)


def serialize(regularizer: Regularizer) -> dict[str, Any]:
    """Return the regularizer as JSON types; ``get`` reads them."""
    return _registry.serialize(regularizer)
