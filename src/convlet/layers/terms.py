"""Regularizers and constraints of a layer's weights, and of its output, in one place.

A layer names its weights in ``regularized``, as Keras's arguments call them, and has the arguments
``<weight>_regularizer`` and ``<weight>_constraint`` then, and attributes of these names. All layers
but models and inputs have ``activity_regularizer``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convlet import constraints, regularizers

KINDS: Mapping[str, Any] = {"regularizer": regularizers, "constraint": constraints}


def term_names(layer: Any) -> list[str]:
    """Return the names of a layer's arguments, or of a layer class's."""
    of_output = ["activity_regularizer"] if layer.penalizes_output else []
    return [*(f"{weight}_{kind}" for weight in layer.regularized for kind in KINDS), *of_output]


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def read_term(owner: str, name: str, value: Any) -> Any:
    """Return what the argument ``name`` stands for: a Regularizer, a Constraint or None.

    Raises
    ------
    ValueError
        If it stands for none.
    """
    try:
        return KINDS[_kind(name)].get(value)
    except ValueError as error:
        raise ValueError(f"{owner}: {name}: {error}") from None


def written_terms(layer: Any) -> dict[str, Any]:
    """Return a layer's regularizers and constraints as JSON types, without those that are None."""
    chosen = {name: getattr(layer, name) for name in term_names(layer)}
    return {
        name: KINDS[_kind(name)].serialize(value)
        for name, value in chosen.items()
        if value is not None
    }
