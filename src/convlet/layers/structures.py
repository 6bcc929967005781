"""One thing, a list of things, or a dict of them: what models take and give.

Dicts go in the order of their sorted keys, as in Keras. A shape is a tuple, so a tuple is one
thing; where users hand over tensors or arrays, `as_lists` makes lists of tuples first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def as_lists(structure: Any) -> Any:
    """Return a structure whose tuple, if it is one, is a list."""
    return list(structure) if isinstance(structure, tuple) else structure


def leaves(structure: Any) -> list[Any]:
    """Return the things in a structure, in order."""
    if isinstance(structure, dict):
        return [structure[key] for key in sorted(structure)]
    return list(structure) if isinstance(structure, list) else [structure]


def packed(like: Any, things: Iterable[Any]) -> Any:
    """Return things in the form of a structure that has as many."""
    if isinstance(like, dict):
        return dict(zip(sorted(like), things, strict=True))
    if isinstance(like, list):
        return list(things)
    (thing,) = things
    return thing


def mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return a structure of what a function makes of each thing."""
    return packed(structure, map(function, leaves(structure)))
