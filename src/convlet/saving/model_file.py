"""A model in one `.safetensors` file.

The weights stand under their paths, what the optimizer remembers under ``optimizer state/`` (a
layer's name has no space), and the file's text is JSON without NaN and with sorted keys:

    format         1
    model          class name and configuration of the model
    compile        optimizer, loss and metrics, or null
    training       steps, epochs and the seed of the training so far, or null
    class_names    list of strings, or null
    preprocessing  how an image becomes an input, or null

Nothing in a file is executed, and no class is looked up but convlet's own and those that the reader
hands over. The architecture is checked against the arrays' names, types and shapes before a single
array is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from convlet import layers
from convlet.preprocessing import Preprocessing
from convlet.saving.tensors import TensorFile, checked_path, open_tensors, write_tensors
from convlet.serialization import custom_object_scope

FORMAT = 1
_STATE = "optimizer state"
_KEYS = {"format", "model", "compile", "training", "class_names", "preprocessing"}


# --- writing ---


def _weights_of(model: Any) -> dict[str, np.ndarray]:
    if not model.built:
        raise ValueError(
            f"{model.owner}: there is nothing to save before the input's shape is known; "
            "call build or fit first"
        )
    return {path: variable.value for path, variable in model.named_weights().items()}


def save_weights(model: Any, filepath: str | PathLike[str], overwrite: bool) -> None:
    """Write a model's weights; see `Model.save_weights`."""
    path = checked_path(filepath, overwrite)
    write_tensors(path, _weights_of(model))


def save_model(model: Any, filepath: str | PathLike[str], overwrite: bool) -> None:
    """Write a model; see `Model.save`."""
    path = checked_path(filepath, overwrite)
    tensors = _weights_of(model)
    if model.compiled:
        for weight, slots in model.state.slots.items():
            tensors |= {f"{_STATE}/{weight}/{name}": slot for name, slot in slots.items()}
    preprocessing = model.preprocessing
    described = {
        "format": FORMAT,
        "model": layers.registry.serialize(model),
        "compile": model.get_compile_config(),
        "training": model.state.get_config() if model.compiled else None,
        "class_names": None if model.class_names is None else list(model.class_names),
        "preprocessing": None if preprocessing is None else preprocessing.to_config(),
    }
    try:
        text = json.dumps(described, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{model.owner}: get_config of every layer, loss and metric must return JSON types "
            f"and finite numbers: {error}"
        ) from None
    write_tensors(path, tensors, text)


# --- reading ---


def load_model(
    filepath: str | PathLike[str],
    custom_objects: Mapping[str, type] | None = None,
    compile: bool = True,
) -> Any:
    """Return the model in a file written by `Model.save`.

    Parameters
    ----------
    filepath : path
        A ``.safetensors`` file.
    custom_objects : mapping of str to type, optional
        One's own layers, losses and metrics by their class names.
    compile : bool
        Whether to compile the model as it was, with the optimizer's state.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ValueError
        If the file is damaged, is no model, or names a class that is not known.
    """
    with custom_object_scope(custom_objects or {}), open_tensors(filepath) as file:
        described = _parse(file.text)
        model = _architecture(described["model"])
        _check_arrays(model.named_weights(), file)
        _assign(model.named_weights(), file)
        if compile and described["compile"] is not None:
            _compile(model, described, file)
        model.class_names = _class_names(described["class_names"], model.output_shape[-1])
        if described["preprocessing"] is not None:
            model.preprocessing = Preprocessing.from_config(described["preprocessing"])
        return model


def load_weights(model: Any, filepath: str | PathLike[str]) -> None:
    """Read a model's weights; see `Model.load_weights`."""
    if not model.built:
        raise ValueError(
            f"{model.owner}: weights cannot be loaded before the input's shape is known; "
            "call build first"
        )
    with open_tensors(filepath) as file:
        _check_arrays(model.named_weights(), file)
        _assign(model.named_weights(), file)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"the description holds {name}")


def _parse(text: str | None) -> dict[str, Any]:
    """Return the description of a file."""
    if text is None:
        raise ValueError("the file holds no model, perhaps weights alone; see load_weights")
    try:
        described = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the model's description is damaged: {error}") from None
    version = described.get("format") if isinstance(described, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"the file has format {version}, this convlet reads up to {FORMAT}")
    if version != FORMAT or set(described) != _KEYS:
        raise ValueError("the model's description is damaged: its keys are not those of a model")
    return described


def _architecture(description: Any) -> Any:
    model = layers.registry.get(description)
    if not hasattr(model, "get_compile_config"):
        raise ValueError(f"the file holds a layer, {model.owner}, and not a model")
    if not model.built:
        raise ValueError("the model's description is damaged: it has no input shape")
    return model


def _check_arrays(variables: Mapping[str, Any], file: TensorFile) -> None:
    """Raise a ValueError unless the file has just the arrays that the variables need."""
    found = {name for name in file.header if not name.startswith(f"{_STATE}/")}
    for path, variable in variables.items():
        if path not in found:
            raise ValueError(f"there is no weight {path!r}; there are {_some(found)}")
        dtype, shape = file.header[path]
        if shape != variable.shape:
            raise ValueError(f"weight {path!r} has shape {shape}, needed is {variable.shape}")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"weight {path!r} has type {dtype}, needed is a float type")
    unknown = found - set(variables)
    if unknown:
        raise ValueError(f"the model has no weights for {_some(unknown)}")


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:5])) + (", ..." if len(listed) > 5 else "") or "none"


def _assign(variables: Mapping[str, Any], file: TensorFile) -> None:
    values = {path: file.read(path) for path in variables}
    for path, variable in variables.items():
        variable.assign(values[path])


def _compile(model: Any, described: Mapping[str, Any], file: TensorFile) -> None:
    config = described["compile"]
    if not isinstance(config, dict) or set(config) != {
        "optimizer",
        "loss",
        "metrics",
        "weighted_metrics",
    }:
        raise ValueError("the model's description is damaged: compile is not of its form")
    model.compile(**config)
    model.state.restore_config(described["training"])
    variables = model.named_weights()
    for name, (dtype, shape) in file.header.items():
        if not name.startswith(f"{_STATE}/"):
            continue
        path, _, slot = name.removeprefix(f"{_STATE}/").rpartition("/")
        variable = variables.get(path)
        expected = {} if variable is None else model.optimizer.slots(variable.value)
        if slot not in expected or (dtype, shape) != (expected[slot].dtype, expected[slot].shape):
            raise ValueError(f"the optimizer has no state for array {name!r} of shape {shape}")
        model.state.slots.setdefault(path, {})[slot] = file.read(name)
    for path, slots in model.state.slots.items():
        missing = set(model.optimizer.slots(variables[path].value)) - set(slots)
        if missing:
            raise ValueError(f"the optimizer's state for {path!r} lacks {_some(missing)}")


def _class_names(value: Any, outputs: int | None) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("the model's description is damaged: class_names must be strings")
    if outputs is not None and outputs > 1 and len(value) != outputs:
        raise ValueError(f"there are {len(value)} class names for {outputs} outputs")
    return value
