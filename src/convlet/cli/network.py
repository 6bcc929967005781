"""The network that a command works with: a new one by its name, or one from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convlet import applications, load_model, optimizers
from convlet.cli.data import IMAGE_AXES, SERIES_AXES, count_classes
from convlet.cli.report import size
from convlet.datasets import DataSet

SUFFIX = ".safetensors"
SUFFIXES = (SUFFIX, ".keras")  # of the files that are read
FILE = f"{' or '.join(SUFFIXES)} file"
_LOSS = "sparse_categorical_crossentropy"
_SMALL = 28  # pixels; images with less along an axis go to the small network
_SHORT = 1024  # steps; series with less are no waveforms
_TAKEN = {
    IMAGE_AXES: "images, samples of shape rows x columns or rows x columns x channels",
    SERIES_AXES: "series, samples of shape steps or steps x channels",
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained unless options say otherwise: by gradient descent with momentum.

    Another optimizer has its own learning rate.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 0.01
    momentum: float = 0.9


_RECIPES = {
    # Reads 98.6 to 99.4 % of the digits' test images right, whichever of the seeds 0 to 9.
    "small-lenet": Recipe(epochs=30, learning_rate=0.02),
    # Reads 97.7 % of the spoken digits' test part right after 87 s of processor time (seed 0).
    "small-m5": Recipe(epochs=20, learning_rate=0.02),
}


def recipe_for(model: Any) -> Recipe:
    """Return how a network is trained by default; its name tells, also after loading."""
    return _RECIPES.get(model.name, Recipe())


def axes_for(name: str | None) -> int:
    """Return how many axes a network's samples have, channels included; images' for None."""
    return SERIES_AXES if name in applications.SERIES else IMAGE_AXES


def architecture(name: str | None, data: DataSet) -> Callable[[tuple[int, ...], int], Any]:
    """Return what makes a network for a data set's samples: a function of shape and classes.

    Parameters
    ----------
    name : str or None
        A key of `convlet.applications.BY_NAME`; by default what suits the samples' size.
    data : DataSet

    Raises
    ------
    ValueError
        If the network is not for such samples; when called, if they are too small for it.
    """
    shape = data.x_train.shape[1:]
    name = _default_for(data) if name is None else name
    if len(shape) != axes_for(name):
        raise ValueError(
            f"{data.name}: {name} takes {_TAKEN[axes_for(name)]}; here samples have shape "
            f"{size(shape)}"
        )
    scale = _scale(data)

    def build(shape: tuple[int, ...], classes: int) -> Any:
        try:
            return applications.BY_NAME[name](shape, classes, scale)
        except ValueError as error:
            raise ValueError(
                f"{name} cannot take samples of shape {size(shape)}: {error}"
            ) from None

    return build


def _default_for(data: DataSet) -> str:
    """Return the name of a network that suits a data set's samples."""
    shape = data.x_train.shape[1:]
    if len(shape) == IMAGE_AXES:
        return "small-lenet" if min(shape[:2]) < _SMALL else "lenet-20-50-500"
    if len(shape) == SERIES_AXES:
        return "series-fcn" if shape[0] < _SHORT else "small-m5"
    raise ValueError(
        f"{data.name}: the networks known by name take {' or '.join(_TAKEN.values())}; here "
        f"samples have shape {size(shape)}"
    )


def new(
    name: str | None,
    data: DataSet,
    learning_rate: float | None,
    momentum: float | None,
    optimizer: str | None = None,
) -> Any:
    """Return a compiled network for a data set.

    Parameters
    ----------
    name : str or None
        As for `architecture`.
    data : DataSet
    learning_rate, momentum : float or None
        In place of those of the network's recipe, or of the optimizer.
    optimizer : str, optional
        One of `convlet.optimizers.NAMES`, in place of that of the network's recipe.

    Raises
    ------
    ValueError
        If the network is not for such samples, or the optimizer has no momentum.
    """
    build = architecture(name, data)
    model = build(data.x_train.shape[1:], count_classes(data))
    _compile(model, optimizer)
    override(model, learning_rate, momentum)
    return model


def _scale(data: DataSet) -> float | None:
    """Return what brings bytes to values up to 1; other numbers are left as they are."""
    if data.preprocessing is None or data.x_train.dtype.kind == "f":
        return None
    return 1.0 / data.preprocessing.maximum


def _compile(model: Any, optimizer: str | None = None) -> None:
    recipe = recipe_for(model)
    chosen: Any = optimizer
    if optimizer in (None, "sgd"):
        chosen = optimizers.SGD(recipe.learning_rate, recipe.momentum)
    model.compile(chosen, _LOSS, ["accuracy"])


def load_single(path: str) -> Any:
    """Return a network with one input and one output, from a file.

    Raises
    ------
    ValueError
        If the file is damaged, or holds another kind of network.
    OSError
        If it may not be read.
    """
    model = load_model(path)
    if model.input_form is not None or model.output_form is not None:
        inputs, outputs = len(model.input_names), len(model.output_names)
        raise ValueError(
            f"{path}: the command takes networks of one input and one output by themselves, got "
            f"{inputs} and {outputs}"
        )
    return model


def load(path: str) -> Any:
    """Return a compiled network that tells classes apart, from a file.

    Raises
    ------
    ValueError
        If the file is damaged, or holds another kind of network.
    OSError
        If it may not be read.
    """
    model = load_single(path)
    shape = model.output_shape
    if len(shape) != 2 or shape[1] is None or shape[1] < 2:
        raise ValueError(
            f"{path}: the network's output has shape {size(shape[1:])}; needed is one number for "
            "each of at least two classes"
        )
    if not model.compiled:
        _compile(model)
    return model


def override(model: Any, learning_rate: float | None, momentum: float | None) -> None:
    """Change the settings of a network's optimizer that are given.

    Raises
    ------
    ValueError
        If the optimizer has no momentum, or its learning rate follows a schedule.
    """
    optimizer = model.optimizer
    if learning_rate is not None:
        if optimizer.schedule is not None:
            raise ValueError(
                "--learning-rate: the network's learning rate follows a schedule, "
                f"{optimizer.schedule.name}"
            )
        optimizer.learning_rate = learning_rate
    if momentum is None:
        return
    if not hasattr(optimizer, "momentum"):
        raise ValueError(f"--momentum: the network's optimizer, {optimizer.name}, has none")
    optimizer.momentum = momentum
