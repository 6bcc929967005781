"""Which file is which: by the end of its name.

What reads and writes zip archives is imported when it is needed: that takes 15 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Any

from convlet import arguments
from convlet.saving import model_file, tensors
from convlet.saving.files import KERAS, KERAS_WEIGHTS, NPZ, checked_path
from convlet.saving.onnx import load_onnx
from convlet.saving.onnx.requirement import SUFFIX as ONNX_SUFFIX
from convlet.saving.weights import assign, check_weights, weights_of

_MODELS = (tensors.SUFFIX, KERAS)
_WEIGHTS = (tensors.SUFFIX, NPZ, KERAS_WEIGHTS)


def save_model(model: Any, filepath: str | PathLike[str], overwrite: bool) -> None:
    """Write a model; see `Model.save`."""
    path = checked_path(filepath, _MODELS, overwrite)
    if path.suffix == KERAS:
        from convlet.saving import keras_file

        keras_file.write_keras(model, path)
    else:
        model_file.write_model(model, path)


def load_model(
    filepath: str | PathLike[str],
    custom_objects: Mapping[str, type] | None = None,
    compile: bool = True,
) -> Any:
    """Return the model in a file written by `Model.save`, by Keras 3, or in an ONNX file.

    Of an ONNX file the operators that convolutional networks are made of are read, as layers that
    can be trained; see `convlet.saving.onnx`. The model takes and gives images with their channels
    last, whatever the file's layout.

    Parameters
    ----------
    filepath : path
        A ``.safetensors`` file; a ``.keras`` file, for which h5py must be installed; or an
        ``.onnx`` file, for which onnx must be, and which knows no compilation and no classes.
    custom_objects : mapping of str to type, optional
        One's own layers, losses, metrics, optimizers and initializers by their class names. A
        ``.keras`` file may hold Keras's own classes only.
    compile : bool
        Whether to compile the model as it was, with the optimizer's state.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ImportError
        If it needs a library that is not installed.
    ValueError
        If the file is damaged, is no model, or names a class or an operator that is not known.
    """
    arguments.boolean("load_model", "compile", compile)
    if Path(filepath).suffix == KERAS:
        from convlet.saving import keras_file

        return keras_file.read_keras(filepath, compile)
    if Path(filepath).suffix == ONNX_SUFFIX:
        return load_onnx(Path(filepath))
    return model_file.read_model(filepath, custom_objects, compile)


def save_weights(model: Any, filepath: str | PathLike[str], overwrite: bool) -> None:
    """Write a model's weights; see `Model.save_weights`."""
    path = checked_path(filepath, _WEIGHTS, overwrite)
    if path.name.endswith(KERAS_WEIGHTS):
        from convlet.saving import keras_file

        keras_file.write_keras_weights(model, path)
    elif path.suffix == NPZ:
        from convlet.saving import npz_weights

        npz_weights.write_npz(path, weights_of(model))
    else:
        tensors.write_tensors(path, weights_of(model))


def load_weights(model: Any, filepath: str | PathLike[str]) -> None:
    """Read a model's weights; see `Model.load_weights`."""
    if not model.built:
        raise ValueError(
            f"{model.owner}: weights cannot be loaded before the input's shape is known; "
            "call build first"
        )
    path = Path(filepath)
    if path.name.endswith((KERAS, KERAS_WEIGHTS)):
        from convlet.saving import keras_file

        keras_file.read_keras_weights(model, path)
        return
    with _open_weights(path, model) as file:
        check_weights(model, file)
        assign(model, file)


def _open_weights(path: Path, model: Any) -> AbstractContextManager[Any]:
    """Open a file of arrays under their paths."""
    if path.suffix != NPZ:
        return tensors.open_tensors(path)
    from convlet.saving import npz_weights

    return npz_weights.open_npz(path, model)
