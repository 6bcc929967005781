"""Optimizers: how weights follow their gradients. Keras's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convlet.optimizers.base import Optimizer, Slots, Step, Weight
from convlet.optimizers.sgd import SGD
from convlet.serialization import Registry

__all__ = ["SGD", "Optimizer", "Slots", "Step", "Weight", "get", "serialize"]

_registry = Registry("optimizer", Optimizer)
_registry.register(SGD)


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Optimizer:
    """Return the optimizer that a name, a class, a dict or an optimizer stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    return _registry.get(identifier, custom_objects)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the optimizer as JSON types; ``get`` reads them."""
    return _registry.serialize(optimizer)
