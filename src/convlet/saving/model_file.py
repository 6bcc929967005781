"""A model in one `.safetensors` file.

The weights stand under their paths, what the optimizer remembers under ``optimizer state/`` (a
layer's name has no space), and the file's text is JSON without NaN and with sorted keys:

    format         1
    model          class name and configuration of the model
    compile        optimizer, loss and metrics, or null
    training       steps, epochs and the seed of the training so far; null if compile is
    class_names    list of strings, or null
    preprocessing  how an image becomes an input, or null

Nothing in a file is executed, and no class is looked up but convlet's own and those that the reader
hands over. The whole description is checked, and the architecture held against the arrays' names,
types and shapes, before a single array is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from convlet import arguments, layers
from convlet.layers.structures import leaves
from convlet.preprocessing import Preprocessing
from convlet.saving.tensors import TensorFile, checked_path, open_tensors, write_tensors
from convlet.serialization import custom_object_scope

FORMAT = 1
_STATE = "optimizer state/"
_KEYS = {"format", "model", "compile", "training", "class_names", "preprocessing"}
_COMPILE_KEYS = {"optimizer", "loss", "metrics", "weighted_metrics"}
_DAMAGED = "the model's description is damaged"

# A model inside a model adds 3 levels, and both are walked through recursively: Python stands 1000
# calls.
_MAX_DEPTH = 100


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
    _check_unshared(model)
    text = _description(model)
    if model.compiled:
        tensors |= _slots_of(model)
    write_tensors(path, tensors, text)


def _slots_of(model: Any) -> dict[str, np.ndarray]:
    """Return what the optimizer remembers by its name in the file.

    Only what the optimizer, as it is set now, would ask for: a momentum may have been set to 0, or
    a layer replaced by another, since.
    """
    arrays = {}
    for path, variable in model.named_weights().items():
        known = model.state.known_slots(path, variable)
        for slot, initial in model.optimizer.slots(variable.value).items():
            if slot in known and np.shape(known[slot]) == initial.shape:
                arrays[f"{_STATE}{path}/{slot}"] = known[slot]
    return arrays


def _check_unshared(model: Any) -> None:
    """Raise a ValueError if a weight is used in two places: read again, it would be two weights."""
    paths: dict[int, str] = {}
    for path, variable in model.named_weights().items():
        first = paths.setdefault(id(variable), path)
        if first != path:
            raise ValueError(
                f"{model.owner}: {first!r} and {path!r} are one weight, and a file does not say "
                "so; save_weights can write it"
            )


def _description(model: Any) -> str:
    """Return what the file says about the model besides its arrays."""
    described = {
        "format": FORMAT,
        "model": layers.registry.serialize(model),
        "compile": model.get_compile_config(),
        "training": model.state.get_config() if model.compiled else None,
        "class_names": _class_names(model, model.class_names),
        "preprocessing": _preprocessing_config(model),
    }
    try:
        text = json.dumps(described, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{model.owner}: get_config of every layer, loss and metric must return JSON types "
            f"and finite numbers: {error}"
        ) from None
    if _depth(described) > _MAX_DEPTH:
        raise ValueError(
            f"{model.owner}: models inside models are nested too deep for a file, more than "
            f"{_MAX_DEPTH} levels of JSON"
        )
    return text


def _preprocessing_config(model: Any) -> dict[str, Any] | None:
    value = model.preprocessing
    if value is None:
        return None
    if not isinstance(value, Preprocessing):
        raise arguments.invalid(model.owner, "preprocessing", "a Preprocessing or None", value)
    return value.to_config()


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
        One's own layers, losses, metrics, optimizers and initializers by their class names.
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
    arguments.boolean("load_model", "compile", compile)
    own = _own_classes(custom_objects)
    with custom_object_scope(own), open_tensors(filepath) as file:
        described = _parse(file.text)
        model = _architecture(described["model"])
        _check_arrays(model.named_weights(), file)
        model.class_names = _class_names(model, described["class_names"])
        if described["preprocessing"] is not None:
            model.preprocessing = Preprocessing.from_config(described["preprocessing"])
        if compile and described["compile"] is not None:
            _compile(model, described)
        _assign(model.named_weights(), file)
        if model.compiled:
            _restore_slots(model, file)
        return model


def _own_classes(custom_objects: Any) -> Mapping[str, type]:
    if custom_objects is None:
        return {}
    if not isinstance(custom_objects, Mapping):
        requirement = "a dict of class names and classes"
        raise arguments.invalid("load_model", "custom_objects", requirement, custom_objects)
    return custom_objects


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


# --- the description ---


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


def _parse(text: str | None) -> dict[str, Any]:
    """Return the description of a file."""
    if text is None:
        raise ValueError("the file holds no model, perhaps weights alone; see load_weights")
    try:
        described = json.loads(
            text,
            parse_float=_finite,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_DAMAGED}: {error}") from None
    if _depth(described) > _MAX_DEPTH:
        raise ValueError(f"{_DAMAGED}: it is nested more than {_MAX_DEPTH} levels deep")
    version = described.get("format") if isinstance(described, dict) else None
    if type(version) is int and version > FORMAT:
        raise ValueError(f"the file has format {version}, this convlet reads up to {FORMAT}")
    if type(version) is not int or version != FORMAT or set(described) != _KEYS:
        raise ValueError(f"{_DAMAGED}: its keys are not those of a model")
    if (described["compile"] is None) != (described["training"] is None):
        raise ValueError(f"{_DAMAGED}: compile and training do not go together")
    return described


def _architecture(description: Any) -> Any:
    try:
        model = layers.registry.get(description)
    except MemoryError:  # a layer of one's own may have tried what it does, to know its output
        raise ValueError("the model's description asks for more memory than there is") from None
    if not hasattr(model, "get_compile_config"):
        raise ValueError(f"the file holds a layer, {model.owner}, and not a model")
    if not model.built:
        raise ValueError(f"{_DAMAGED}: it has no input shape")
    return model


def _compile(model: Any, described: Mapping[str, Any]) -> None:
    config = described["compile"]
    if not isinstance(config, dict) or set(config) - {"loss_weights"} != _COMPILE_KEYS:
        raise ValueError(f"{_DAMAGED}: compile is not of its form")
    model.compile(**config)
    model.state.restore_config(described["training"])


def _class_names(model: Any, value: Any) -> list[str] | None:
    """Return the class names of a model about to be saved, or of a file, as a list."""
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


# --- the arrays ---


def _check_arrays(variables: Mapping[str, Any], file: TensorFile) -> None:
    """Raise a ValueError unless the file has just the arrays that the variables need."""
    found = {name for name in file.header if not name.startswith(_STATE)}
    for path, variable in variables.items():
        if path not in found:
            raise ValueError(f"there is no weight {path!r}; there are {_some(found)}")
        dtype, shape = file.header[path]
        if shape != variable.shape:
            raise ValueError(f"weight {path!r} has shape {shape}, needed is {variable.shape}")
        if not dtype.startswith("float"):
            raise ValueError(f"weight {path!r} has type {dtype}, needed is a float type")
    unknown = found - set(variables)
    if unknown:
        raise ValueError(f"the model has no weights for {_some(unknown)}")


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:5])) + (", ..." if len(listed) > 5 else "") or "none"


def _assign(variables: Mapping[str, Any], file: TensorFile) -> None:
    """Give all variables their values, or none of them."""
    values = {path: _converted(path, variable, file) for path, variable in variables.items()}
    for path, variable in variables.items():
        variable.assign(values[path])


def _converted(path: str, variable: Any, file: TensorFile) -> np.ndarray:
    """Return a weight, whose shape and type have been found right, as the variable will hold it."""
    try:
        return variable.converted(file.read(path))
    except ValueError:
        raise ValueError(
            f"weight {path!r} holds numbers that are too large for {variable.dtype}"
        ) from None


def _restore_slots(model: Any, file: TensorFile) -> None:
    """Read what the optimizer remembers; nothing about weights that it has not met yet."""
    unread = {name for name in file.header if name.startswith(_STATE)}
    for path, variable in model.named_weights().items():
        slots = model.optimizer.slots(variable.value)
        names = {slot: f"{_STATE}{path}/{slot}" for slot in slots}
        if unread.isdisjoint(names.values()):
            continue
        for slot, initial in slots.items():
            _check_slot(names[slot], initial, file)
        model.state.slots[path] = {slot: file.read(name) for slot, name in names.items()}
        unread -= set(names.values())
    if unread:
        raise ValueError(f"the optimizer remembers nothing of the kind of {_some(unread)}")


def _check_slot(name: str, initial: np.ndarray, file: TensorFile) -> None:
    """Raise a ValueError unless the file has an array like the one that an optimizer begins with.

    How many bits its numbers have is left open: an optimizer of one's own may compute with more.
    """
    if name not in file.header:
        raise ValueError(f"there is no {name!r}, which the optimizer needs")
    dtype, shape = file.header[name]
    if np.dtype(dtype).kind != initial.dtype.kind or shape != initial.shape:
        raise ValueError(
            f"{name!r} has type {dtype} and shape {shape}, "
            f"needed are {initial.dtype} and {initial.shape}"
        )
