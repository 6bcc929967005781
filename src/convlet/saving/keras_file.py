"""A model in one ``.keras`` file, as Keras 3 reads and writes it.

A zip archive of three members:

    config.json       classes and configurations, how the model was compiled
    metadata.json     Keras's version, and under ``convlet`` what only we know of a model
    model.weights.h5  the weights and the optimizer's state, see `keras_arrays`

Nothing in it is executed or imported, and no class is looked up but those of `keras_classes`. The
configuration is read first; the weights are opened when it says how many there may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convlet.preprocessing import Preprocessing
from convlet.saving import keras_classes, keras_config
from convlet.saving.archives import Archive, archive, open_archive
from convlet.saving.description import as_text, class_names, from_text, preprocessing_config
from convlet.saving.files import KERAS, errors_with_path, write_atomically
from convlet.saving.keras_arrays import KerasWeights, as_hdf5, h5py, most_bytes, open_hdf5
from convlet.saving.weights import (
    architecture,
    assign,
    check_unshared,
    check_weights,
    weights_of,
)

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_VERSION = "3.15.1"  # of Keras, whose form this is
_LONGEST_TEXT = 2**23  # bytes; ResNet-152's configuration has 0.4 MB
_OURS = "convlet"
_KEYS = {"class_names", "preprocessing", "training"}


# --- writing ---


def write_keras(model: Any, path: Path) -> None:
    """Write a model; see `Model.save`."""
    h5py()
    weights = weights_of(model)
    check_unshared(model)
    described = {
        **keras_config.described(model),
        "compile_config": keras_config.written_compilation(model),
    }
    optimizer = _optimizer_arrays(model) if model.compiled else None
    members = {
        _METADATA: as_text(model.owner, _metadata(model)).encode(),
        _CONFIG: as_text(model.owner, described).encode(),
        _WEIGHTS: as_hdf5(model, weights, optimizer),
    }
    write_atomically(path, archive(members))


def write_keras_weights(model: Any, path: Path) -> None:
    """Write a model's weights alone; see `Model.save_weights`."""
    write_atomically(path, as_hdf5(model, weights_of(model)))


def _metadata(model: Any) -> dict[str, Any]:
    """Return what stands beside the configuration; no date: equal models are equal files."""
    ours = {
        "class_names": class_names(model, model.class_names),
        "preprocessing": preprocessing_config(model),
        "training": model.state.get_config() if model.compiled else None,
    }
    return {"keras_version": _VERSION, _OURS: ours}


def _optimizer_arrays(model: Any) -> list[np.ndarray]:
    """Return steps, learning rate and slots: the first ones where nothing has been trained yet."""
    optimizer, weights = model.optimizer, model.named_weights()
    arrays = [np.asarray(model.state.iterations, np.int64)]
    if optimizer.schedule is None:
        arrays.append(np.asarray(optimizer.learning_rate, np.float32))
    for path, slot, first in _slots(model):
        arrays.append(model.state.known_slots(path, weights[path]).get(slot, first))
    if _has_product(model):
        product = optimizer.momentum_product(model.state.iterations)
        arrays.append(np.asarray(product, np.float32))
    return arrays


def _slots(model: Any) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what the optimizer remembers of trainable weights, in Keras's order.

    That is the weight's path, the slot's name and its first value.
    """
    weights = {p: v for p, v in model.named_weights().items() if v.trainable}
    firsts = {path: model.optimizer.all_slots(v.value) for path, v in weights.items()}
    for group in (("average",), *keras_classes.SLOTS[type(model.optimizer).__name__]):
        for path, slots in firsts.items():
            yield from ((path, name, slots[name]) for name in group if name in slots)


def _has_product(model: Any) -> bool:
    return type(model.optimizer).__name__ in keras_classes.MOMENTUM_PRODUCT


# --- reading ---


def read_keras(filepath: str | PathLike[str], compile: bool) -> Any:
    """Return the model in a ``.keras`` file; see `load_model`."""
    with errors_with_path(filepath) as path, open_archive(path) as file:
        file.check_names((_CONFIG, _METADATA, _WEIGHTS))
        ours = _read_metadata(file)
        described = _parsed(file, _CONFIG)
        model = architecture(keras_config.ModelReader().read(described))
        with _open_weights(file, model) as weights:
            check_weights(model, weights)
            _take_ours(model, ours)
            config = described.get("compile_config")
            if compile and config:
                _compile(model, config)
            assign(model, weights)
            if model.compiled:
                _restore(model, weights, ours.get("training"))
        return model


def read_keras_weights(model: Any, filepath: str | PathLike[str]) -> None:
    """Read a model's weights from a ``.weights.h5`` or a ``.keras`` file."""
    with errors_with_path(filepath) as path:
        if path.name.endswith(KERAS):
            with open_archive(path) as file, _open_weights(file, model) as weights:
                check_weights(model, weights)
                assign(model, weights)
            return
        size, most = path.stat().st_size, most_bytes(model)
        if size > most:
            raise ValueError(f"the file has {size} bytes, the model's weights need at most {most}")
        with open_hdf5(path.read_bytes(), model) as weights:
            check_weights(model, weights)
            assign(model, weights)


@contextmanager
def _open_weights(file: Archive, model: Any) -> Iterator[KerasWeights]:
    h5py()
    with open_hdf5(file.read(_WEIGHTS, most_bytes(model)), model) as weights:
        yield weights


def _parsed(file: Archive, name: str) -> dict[str, Any]:
    text = file.read(name, _LONGEST_TEXT)
    try:
        described = from_text(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(described, dict):
        raise ValueError(f"{name}: it must hold a dict, got {described!r:.60}")
    return described


def _read_metadata(file: Archive) -> dict[str, Any]:
    """Return what we wrote ourselves, {} for a file of Keras's own."""
    if _METADATA not in file.sizes:
        return {}
    metadata = _parsed(file, _METADATA)
    version = metadata.get("keras_version")
    if isinstance(version, str) and not version.startswith("3."):
        raise ValueError(
            f"the file is of Keras {version:.20}, and Keras 3's are read; open it there and save it"
        )
    ours = metadata.get(_OURS, {})
    if not isinstance(ours, dict) or (ours and set(ours) != _KEYS):
        raise ValueError(f"{_METADATA}: {_OURS} must be a dict of {', '.join(sorted(_KEYS))}")
    return ours


def _take_ours(model: Any, ours: dict[str, Any]) -> None:
    model.class_names = class_names(model, ours.get("class_names"))
    if ours.get("preprocessing") is not None:
        model.preprocessing = Preprocessing.from_config(ours["preprocessing"])


def _compile(model: Any, config: Any) -> None:
    try:
        model.compile(**keras_config.compilation(config))
    except ValueError as error:
        raise ValueError(f"{error}; compile=False leaves out how the model was trained") from None


def _restore(model: Any, weights: KerasWeights, training: Any) -> None:
    """Give a compiled model the optimizer's state, and what we wrote of its training."""
    optimizer, slots = model.optimizer, list(_slots(model))
    scalars: list[tuple[int, ...]] = [()] if optimizer.schedule else [(), ()]
    behind: list[tuple[int, ...]] = [()] if _has_product(model) else []
    shapes = [*scalars, *(first.shape for *_, first in slots), *behind]
    found = weights.read_optimizer(len(scalars), shapes)
    known = {"epochs": 0, "seed": None} if training is None else training
    if not isinstance(known, dict):
        raise ValueError(f"{_METADATA}: training must be a dict, got {known!r:.60}")
    model.state.restore_config({**known, "iterations": int(found[0])})
    # the file has it as float32 alone; what we wrote ourselves is in the configuration in full
    if not optimizer.schedule and np.float32(optimizer.learning_rate) != np.float32(found[1]):
        optimizer.learning_rate = float(found[1])
    for (path, name, _), array in zip(slots, found[len(scalars) :], strict=False):
        model.state.slots.setdefault(path, {})[name] = array
