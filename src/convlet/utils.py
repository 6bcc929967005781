"""What people look for here: data sets, seeds, one-hot targets, what this installation is."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from convlet import _native, arguments, config
from convlet.random import set_random_seed
from convlet.serialization import custom_object_scope
from convlet.sources import (
    BalancedSampler,
    PyDataset,
    Sequence,
    audio_dataset_from_directory,
    image_dataset_from_directory,
    one_hot,
)

__all__ = [
    "BalancedSampler",
    "PyDataset",
    "Sequence",
    "audio_dataset_from_directory",
    "custom_object_scope",
    "image_dataset_from_directory",
    "set_random_seed",
    "show_config",
    "to_categorical",
]

_EXECUTORS = {"native": "native (C++)", "reference": "reference (NumPy)"}


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return one-hot targets for class labels.

    Parameters
    ----------
    x : array_like of int, shape (...)
        Labels from 0; a last axis of size 1 is dropped, as in Keras.
    num_classes : int, optional
        By default the largest label plus one.

    Returns
    -------
    ndarray of float32, shape (..., num_classes)

    Raises
    ------
    ValueError
        If a label is no integer, or not from 0 to ``num_classes - 1``; if the targets do not fit
        into memory.
    """
    labels = np.asarray(x)
    if labels.dtype.kind not in "iu" or labels.size == 0:
        raise ValueError(
            f"to_categorical: x must hold at least one integer label, got dtype {labels.dtype} "
            f"and shape {labels.shape}"
        )
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    highest = int(labels.max())
    classes = (
        highest + 1
        if num_classes is None
        else arguments.integer("to_categorical", "num_classes", num_classes)
    )
    if labels.min() < 0 or highest >= classes:
        raise ValueError(
            f"to_categorical: labels must be from 0 to {classes - 1}, "
            f"got {labels.min()} to {highest}"
        )
    return one_hot("to_categorical", labels, classes)


def show_config() -> dict[str, str]:
    """Return what this installation is and runs on: versions, compiler, processor, settings."""
    import platform

    return {
        "convlet": _native.version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(len(os.sched_getaffinity(0)))
        if hasattr(os, "sched_getaffinity")
        else str(os.cpu_count()),
        "instruction sets": ", ".join(_native.available_instruction_sets()),
        "compiler": _native.compiler,
        "executor": _EXECUTORS[config.executor()],
        "instruction set in use": config.instruction_set(),
        "threads": str(config.threads()),
    }
