"""Optimizers: how weights follow their gradients. Keras's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convlet.optimizers import schedules
from convlet.optimizers.adam import Adam, Adamax, AdamW, Nadam
from convlet.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from convlet.optimizers.base import AVERAGE, Optimizer, Slots, Step, Weight
from convlet.optimizers.lion import Lion
from convlet.optimizers.sgd import SGD
from convlet.serialization import Registry, custom_object_scope

__all__ = [
    "AVERAGE",
    "NAMES",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "Slots",
    "Step",
    "Weight",
    "get",
    "schedules",
    "serialize",
]

# Keras's strings are the names in small letters: "adamw", "rmsprop"
_registry = Registry("optimizer", Optimizer, str.lower)
for _optimizer in (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, Nadam, Lion):
    _registry.register(_optimizer)

NAMES = _registry.names()
"""The strings that stand for optimizers."""


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Optimizer:
    """Return the optimizer that a name, a class, a dict or an optimizer stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    with custom_object_scope(custom_objects or {}):  # a schedule of one's own is made inside
        return _registry.get(identifier)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimizer as JSON types; ``get`` reads them."""
    return _registry.serialize(optimizer)
