"""A model's weights and an open file's arrays, held against each other before any array is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from convlet import layers

Header = dict[str, tuple[str, tuple[int, ...]]]
"""Types and shapes of arrays, by name."""


class ArrayFile(Protocol):
    """An open file whose arrays' types and shapes are known before they are read.

    Attributes
    ----------
    weights : dict of str to (dtype, shape)
        The weights that it holds, by their paths in the model.
    """

    weights: Header

    def read(self, name: str) -> np.ndarray:
        """Return one array."""


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Return a model's weights by their paths.

    Raises
    ------
    ValueError
        If it has not been built.
    """
    if not model.built:
        raise ValueError(
            f"{model.owner}: there is nothing to save before the input's shape is known; "
            "call build or fit first"
        )
    return {path: variable.value for path, variable in model.named_weights().items()}


def check_unshared(model: Any) -> None:
    """Raise a ValueError if a weight is used in two places: read again, it would be two weights."""
    paths: dict[int, str] = {}
    for path, variable in model.named_weights().items():
        first = paths.setdefault(id(variable), path)
        if first != path:
            raise ValueError(
                f"{model.owner}: {first!r} and {path!r} are one weight, and a file does not say "
                "so; save_weights can write it"
            )


def architecture(description: Any) -> Any:
    """Return the model that a file describes, its weights not drawn yet.

    Raises
    ------
    ValueError
        If it describes none.
    """
    try:
        model = layers.registry.get(description)
    except MemoryError:  # a layer of one's own may have tried what it does, to know its output
        raise ValueError("the model's description asks for more memory than there is") from None
    if not hasattr(model, "get_compile_config"):
        raise ValueError(f"the file holds a layer, {model.owner}, and not a model")
    if not model.built:
        raise ValueError("the model's description is damaged: it has no input shape")
    return model


def check_weights(model: Any, file: ArrayFile) -> None:
    """Raise a ValueError unless a file has just the weights that a model needs."""
    variables = model.named_weights()
    for path, variable in variables.items():
        if path not in file.weights:
            raise ValueError(f"there is no weight {path!r}; there are {some(file.weights)}")
        dtype, shape = file.weights[path]
        if shape != variable.shape:
            raise ValueError(f"weight {path!r} has shape {shape}, needed is {variable.shape}")
        if not dtype.startswith("float"):
            raise ValueError(f"weight {path!r} has type {dtype}, needed is a float type")
    unknown = set(file.weights).difference(variables)
    if unknown:
        raise ValueError(f"the model has no weights for {some(unknown)}")


def some(names: Iterable[str]) -> str:
    """Return the first names of many, for a message."""
    listed = sorted(names)
    return ", ".join(map(repr, listed[:5])) + (", ..." if len(listed) > 5 else "") or "none"


def assign(model: Any, file: ArrayFile) -> None:
    """Give all weights, which have been found right, their values, or none of them.

    Raises
    ------
    ValueError
        If a number is too large for the model's float type.
    """
    variables = model.named_weights()
    values = {path: _converted(path, variable, file) for path, variable in variables.items()}
    for path, variable in variables.items():
        variable.assign(values[path])


def _converted(path: str, variable: Any, file: ArrayFile) -> np.ndarray:
    """Return a weight as the variable will hold it."""
    array = file.read(path)
    try:
        return variable.converted(array)
    except ValueError:
        raise ValueError(
            f"weight {path!r} holds numbers that are too large for {variable.dtype}"
        ) from None
