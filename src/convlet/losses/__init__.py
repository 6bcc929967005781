"""Losses: what training lowers. Keras's names, arguments and semantics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convlet.losses.base import Loss
from convlet.losses.binary_crossentropy import BinaryCrossentropy
from convlet.losses.categorical_crossentropy import (
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from convlet.losses.custom import CustomLoss
from convlet.losses.distributions import KLDivergence, Poisson
from convlet.losses.errors import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
)
from convlet.losses.focal_crossentropy import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
)
from convlet.losses.hinge import CategoricalHinge, Hinge, SquaredHinge
from convlet.losses.mean_squared_error import MeanSquaredError
from convlet.losses.overlap import Dice, Tversky
from convlet.losses.targets import spread_weights
from convlet.serialization import Configurable, Registry

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "CustomLoss",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "get",
    "serialize",
    "spread_weights",
]

_registry = Registry("loss", Loss)
_registry.register(MeanSquaredError, "mse", "MSE")
_registry.register(BinaryCrossentropy, "bce", "BCE")
_registry.register(CategoricalCrossentropy)
_registry.register(SparseCategoricalCrossentropy)
_registry.register(BinaryFocalCrossentropy)
_registry.register(CategoricalFocalCrossentropy)
_registry.register(KLDivergence, "kld", "KLD")
_registry.register(Poisson)
_registry.register(MeanAbsoluteError, "mae", "MAE")
_registry.register(MeanAbsolutePercentageError, "mape", "MAPE")
_registry.register(MeanSquaredLogarithmicError, "msle", "MSLE")
_registry.register(Huber)
_registry.register(LogCosh, "logcosh")
_registry.register(CosineSimilarity)
_registry.register(Hinge)
_registry.register(SquaredHinge)
_registry.register(CategoricalHinge)
_registry.register(Dice)
_registry.register(Tversky)


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Loss:
    """Return the loss that a name, a class, a dict or a loss stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    if callable(identifier) and not isinstance(identifier, (type, Configurable)):
        raise ValueError(
            "loss: a function needs its gradient, too: CustomLoss(value, gradient), or a subclass "
            "of Loss"
        )
    return _registry.get(identifier, custom_objects)


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the loss as JSON types; ``get`` reads them."""
    return _registry.serialize(loss)
