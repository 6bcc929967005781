"""A model in one `.safetensors` file.

The weights stand under their paths, what the optimizer remembers under ``optimizer state/`` (a
layer's name has no space), and the file's text is JSON without NaN and with sorted keys:

    format         1
    model          class name and configuration of the model
    compile        optimizer, loss and metrics, and the paths of undecayed weights if any; or null
    training       steps, epochs and the seed of the training so far; null if compile is
    class_names    list of strings, or null
    preprocessing  how an image becomes an input, or null

Nothing in a file is executed, and no class is looked up but convlet's own and those that the reader
hands over. The whole description is checked, and the architecture held against the arrays' names,
types and shapes, before a single array is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlet import arguments, layers
from convlet.preprocessing import Preprocessing
from convlet.saving.description import as_text, class_names, from_text, preprocessing_config
from convlet.saving.tensors import STATE, TensorFile, open_tensors, write_tensors
from convlet.saving.weights import (
    architecture,
    assign,
    check_unshared,
    check_weights,
    some,
    weights_of,
)
from convlet.serialization import custom_object_scope

FORMAT = 1
_KEYS = {"format", "model", "compile", "training", "class_names", "preprocessing"}
_UNDECAYED = "undecayed"
_COMPILE_KEYS = {"optimizer", "loss", "metrics", "weighted_metrics"}
_DAMAGED = "the model's description is damaged"


# --- writing ---


def write_model(model: Any, path: Path) -> None:
    """Write a model; see `Model.save`."""
    tensors = weights_of(model)
    check_unshared(model)
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
        for slot, initial in model.optimizer.all_slots(variable.value).items():
            if slot in known and np.shape(known[slot]) == initial.shape:
                arrays[f"{STATE}{path}/{slot}"] = known[slot]
    return arrays


def _description(model: Any) -> str:
    """Return what the file says about the model besides its arrays."""
    described = {
        "format": FORMAT,
        "model": layers.registry.serialize(model),
        "compile": _compile_config(model),
        "training": model.state.get_config() if model.compiled else None,
        "class_names": class_names(model, model.class_names),
        "preprocessing": preprocessing_config(model),
    }
    return as_text(model.owner, described)


def _compile_config(model: Any) -> dict[str, Any] | None:
    """Return how the model was compiled, and which weights were said not to decay."""
    config: dict[str, Any] | None = model.get_compile_config()
    if config is not None:
        told = {id(variable) for variable in model.optimizer.undecayed}
        paths = [path for path, v in model.named_weights().items() if id(v) in told]
        config |= {_UNDECAYED: paths} if paths else {}
    return config


# --- reading ---


def read_model(
    filepath: str | PathLike[str], custom_objects: Mapping[str, type] | None, compile: bool
) -> Any:
    """Return the model in a ``.safetensors`` file; see `load_model`."""
    own = _own_classes(custom_objects)
    with custom_object_scope(own), open_tensors(filepath) as file:
        described = _parse(file.text)
        model = architecture(described["model"])
        check_weights(model, file)
        model.class_names = class_names(model, described["class_names"])
        if described["preprocessing"] is not None:
            model.preprocessing = Preprocessing.from_config(described["preprocessing"])
        if compile and described["compile"] is not None:
            _compile(model, described)
        assign(model, file)
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


# --- the description ---


def _parse(text: str | None) -> dict[str, Any]:
    """Return the description of a file."""
    if text is None:
        raise ValueError("the file holds no model, perhaps weights alone; see load_weights")
    try:
        described = from_text(text)
    except ValueError as error:
        raise ValueError(f"{_DAMAGED}: {error}") from None
    version = described.get("format") if isinstance(described, dict) else None
    if type(version) is int and version > FORMAT:
        raise ValueError(f"the file has format {version}, this convlet reads up to {FORMAT}")
    if type(version) is not int or version != FORMAT or set(described) != _KEYS:
        raise ValueError(f"{_DAMAGED}: its keys are not those of a model")
    if (described["compile"] is None) != (described["training"] is None):
        raise ValueError(f"{_DAMAGED}: compile and training do not go together")
    return described


def _compile(model: Any, described: Mapping[str, Any]) -> None:
    config = described["compile"]
    optional = {"loss_weights", _UNDECAYED}
    if not isinstance(config, dict) or set(config) - optional != _COMPILE_KEYS:
        raise ValueError(f"{_DAMAGED}: compile is not of its form")
    paths, weights = config.pop(_UNDECAYED, []), model.named_weights()
    if not isinstance(paths, list) or any(
        not isinstance(path, str) or path not in weights for path in paths
    ):
        raise ValueError(f"{_DAMAGED}: {_UNDECAYED} are no weights of the model")
    model.compile(**config)
    model.optimizer.undecayed = [weights[path] for path in paths]
    model.state.restore_config(described["training"])


# --- the optimizer's arrays ---


def _restore_slots(model: Any, file: TensorFile) -> None:
    """Read what the optimizer remembers; nothing about weights that it has not met yet."""
    unread = {name for name in file.header if name.startswith(STATE)}
    for path, variable in model.named_weights().items():
        slots = model.optimizer.all_slots(variable.value)
        names = {slot: f"{STATE}{path}/{slot}" for slot in slots}
        if unread.isdisjoint(names.values()):
            continue
        for slot, initial in slots.items():
            _check_slot(names[slot], initial, file)
        model.state.slots[path] = {slot: file.read(name) for slot, name in names.items()}
        unread -= set(names.values())
    if unread:
        raise ValueError(f"the optimizer remembers nothing of the kind of {some(unread)}")


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
