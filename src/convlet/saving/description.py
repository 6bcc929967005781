"""What a file says about a model in JSON, read without trust.

JSON here is without NaN, without a key that stands twice, and not nested without end.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from convlet import arguments
from convlet.layers.structures import leaves
from convlet.preprocessing import Preprocessing

# A model inside a model adds 3 or 4 levels, and both are walked through recursively: Python stands
# 1000 calls.
MAX_DEPTH = 100


def as_text(owner: str, described: Any) -> str:
    """Return JSON types as text, the same for equal ones.

    Raises
    ------
    ValueError
        If there is anything else in them, or they are nested too deep to be read again.
    """
    try:
        text = json.dumps(described, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{owner}: get_config of every layer, loss and metric must return JSON types and "
            f"finite numbers: {error}"
        ) from None
    if _depth(described) > MAX_DEPTH:
        raise ValueError(
            f"{owner}: models inside models are nested too deep for a file, more than "
            f"{MAX_DEPTH} levels of JSON"
        )
    return text


def from_text(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError
        If it is none, holds a number that is not finite, or is nested too deep.
    """
    try:
        described = json.loads(
            text,
            parse_float=_finite,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if _depth(described) > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    return described


def class_names(model: Any, value: Any) -> list[str] | None:
    """Return the class names of a model about to be saved, or of a file, as a list.

    Raises
    ------
    ValueError
        If they are no list of strings, or not as many as the model has outputs.
    """
    if value is None:
        return None
    names = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise arguments.invalid(model.owner, "class_names", "a list of strings", value)
    for *_, outputs in leaves(model.output_shape):
        if outputs is not None and outputs > 1 and len(names) != outputs:
            raise ValueError(
                f"{model.owner}: there are {len(names)} class names for {outputs} outputs"
            )
    return list(names)


def preprocessing_config(model: Any) -> dict[str, Any] | None:
    """Return a model's preprocessing as JSON types.

    Raises
    ------
    ValueError
        If it is no `Preprocessing`.
    """
    value = model.preprocessing
    if value is None:
        return None
    if not isinstance(value, Preprocessing):
        raise arguments.invalid(model.owner, "preprocessing", "a Preprocessing or None", value)
    return value.to_config()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"it holds {digits:.20}, which is no finite number")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; which of two equal keys counts would depend on the reader."""
    keys: dict[str, Any] = {}
    for name, value in pairs:
        if name in keys:
            raise ValueError(f"the key {name!r} stands twice")
        keys[name] = value
    return keys


def _depth(value: Any) -> int:
    """Return how many levels of containers stand inside each other, found without recursion."""
    depth, level = 0, [value]
    while level := [node for node in level if isinstance(node, (list, tuple, dict))]:
        depth += 1
        level = [x for node in level for x in (node.values() if isinstance(node, dict) else node)]
    return depth
