"""Going on with a run of `fit` that was stopped, as if it never had been.

A checkpoint holds whatever later steps depend on: weights, the optimizer's slots and settings, the
counters and seeds that all random draws and the order of the data follow from, the epoch's scores
so far, what the callbacks remember, and the place within the epoch. It also holds the marks of the
script that wrote it, so that another script does not go on with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments, layers, optimizers, random, saving
from convlet import augmentation as augmentations
from convlet.augmentation import Augmentation
from convlet.callbacks import BackupAndRestore, Callback
from convlet.models.data import Samples
from convlet.models.scores import Scores
from convlet.models.sources import Source
from convlet.saving.description import as_text

if TYPE_CHECKING:
    from convlet.models.model import Model

_SAMPLES_READ = 256  # by which data is told from other data; all of it may take a minute to read
_KEYS = {
    "script",
    "epoch",
    "step",
    "stop_training",
    "logs",
    "training",
    "weights",
    "slots",
    "optimizer",
    "random",
    "scores",
    "callbacks",
}


def only_backup(callbacks: Sequence[Callback]) -> BackupAndRestore | None:
    """Return the callback that keeps checkpoints, if there is one.

    Raises
    ------
    ValueError
        If there is more than one.
    """
    found = [callback for callback in callbacks if isinstance(callback, BackupAndRestore)]
    if len(found) > 1:
        raise ValueError(f"fit: callbacks must hold at most one BackupAndRestore, got {len(found)}")
    return found[0] if found else None


def place_in(path: Path) -> tuple[int, int, int | None]:
    """Return the epoch and the step, from 0, that a checkpoint goes on with, and its random seed.

    The seed is what `convlet.utils.set_random_seed` was given, or None if it never was.

    Raises
    ------
    OSError, ValueError
        See `saving.read_checkpoint`.
    """
    content = _read(path)
    return content["epoch"], content["step"], content["random"].get("seed")


def _read(path: Path) -> dict[str, Any]:
    content = saving.read_checkpoint(path)
    parts = [content.get("random"), content.get("training")]
    if set(content) != _KEYS or not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{path}: the file holds no checkpoint of fit")
    seed, steps = content["random"].get("seed"), content["training"].get("iterations")
    numbers = {"epoch": content["epoch"], "step": content["step"], "iterations": steps}
    numbers["seed"] = seed or 0
    for name, value in numbers.items():
        arguments.integer(str(path), name, value, 0)
    return content


class Script:
    """A run of `fit` as a script asks for it: what a checkpoint is written from and restored to.

    Parameters
    ----------
    model : Model
    source, validation : Source
        What it is trained on, and, or None, validated on.
    shuffle : bool
    augmentation : Augmentation or None
    scores : Scores
        Those of training.
    callbacks : sequence of Callback
    """

    def __init__(
        self,
        model: Model,
        source: Source,
        validation: Source | None,
        shuffle: bool,
        augmentation: Augmentation | None,
        scores: Scores,
        callbacks: Sequence[Callback],
    ) -> None:
        self.model, self.scores = model, scores
        self.callbacks = [c for c in callbacks if type(c).get_state is not Callback.get_state]
        self.marks: dict[str, Any] = {
            "samples to train on": source.size,
            "samples to validate on": 0 if validation is None else validation.size,
            "batch size": source.batch_size,
            "steps in an epoch": source.steps,
            "shuffle": shuffle,
            "steps made before fit": model.state.iterations,
            "architecture": _digest(lambda: layers.registry.serialize(model))
            or {path: list(weight.shape) for path, weight in model.named_weights().items()},
            "optimizer, loss or metrics": _digest(model.get_compile_config)
            or model.compilation.score_names,
            "data": _data_mark(source.first),
            "data to validate on": 0 if validation is None else _data_mark(validation.first),
            "augmentation": None
            if augmentation is None
            else _digest(lambda: augmentations.serialize(augmentation)),
            "callbacks": [type(callback).__name__ for callback in self.callbacks],
        }

    def connect(self, backup: BackupAndRestore) -> Checkpoint | None:
        """Let a callback write checkpoints of this run; return the one that is there, or None.

        Raises
        ------
        OSError
            If it may not be read.
        ValueError
            If it is damaged, or another script's.
        """
        backup.connect(self.save)
        if not backup.path.exists():
            return None
        content = _read(backup.path)
        self._check_marks(content["script"], backup.path)
        return Checkpoint(self, content, backup.path)

    def _check_marks(self, found: Any, path: Path) -> None:
        """Raise a ValueError unless a checkpoint has this script's marks."""
        for name, mark in self.marks.items():
            there = found.get(name) if isinstance(found, dict) else None
            if there != mark:
                is_telling = isinstance(mark, int | list) and not name.startswith("data")
                values = f": {there} then, {mark} now" if is_telling else ""
                raise ValueError(
                    f"{path}: the checkpoint was written by a script with other {name}{values}; "
                    "undo the change to go on, or delete the file to begin anew"
                )

    def save(self, path: Path, epoch: int, step: int, logs: dict[str, Any]) -> None:
        """Write a checkpoint from which training goes on with a step of an epoch, from 0.

        Raises
        ------
        OSError
            If it cannot be written; the one before is still there then.
        ValueError
            If a callback remembers what no file holds.
        """
        model = self.model
        weights = model.named_weights()
        content = {
            "script": self.marks,
            "epoch": epoch,
            "step": step,
            "stop_training": model.stop_training,
            "logs": logs,
            "training": model.state.get_config(),
            "weights": {path: variable.value for path, variable in weights.items()},
            "slots": {
                path: model.state.known_slots(path, variable) for path, variable in weights.items()
            },
            "optimizer": optimizers.serialize(model.optimizer)["config"],
            "random": random.get_state(),
            "scores": self.scores.get_state() if step else {},
            "callbacks": [callback.get_state() for callback in self.callbacks],
        }
        saving.write_checkpoint(path, content)


class Checkpoint:
    """A checkpoint that this script has written in an earlier process.

    Attributes
    ----------
    epoch, step : int
        Where to go on, from 0; the step is 0 between epochs.
    steps_made : int
        In this run, up to there.
    """

    def __init__(self, script: Script, content: dict[str, Any], path: Path) -> None:
        self._script, self._content, self._path = script, content, path
        self.epoch: int = content["epoch"]
        self.step: int = content["step"]
        before: int = script.marks["steps made before fit"]
        self.steps_made: int = content["training"]["iterations"] - before

    def restore(self) -> dict[str, Any]:
        """Put everything as it was when the checkpoint was written; return the last epoch's logs.

        Called once: what the checkpoint held is let go of.

        Raises
        ------
        ValueError
            If what it holds does not fit.
        """
        try:
            self._restore()
        except (TypeError, LookupError, AttributeError) as error:
            raise ValueError(
                f"{self._path}: the checkpoint does not fit the script: {error!r}"
            ) from error
        logs, self._content = self._content["logs"], {}
        return logs

    def _restore(self) -> None:
        script, content = self._script, self._content
        model = script.model
        weights = model.named_weights()
        values = {path: v.converted(content["weights"][path]) for path, v in weights.items()}
        for path, variable in weights.items():
            variable.adopt(values[path])
        model.state.resume(content["training"], content["slots"])
        settings = optimizers.serialize(model.optimizer)["config"]
        for name, value in content["optimizer"].items():
            if settings[name] != value:  # a callback has changed it since the script began
                setattr(model.optimizer, name, value)
        random.set_state(content["random"])
        if self.step:
            script.scores.set_state(content["scores"])
        for callback, state in zip(script.callbacks, content["callbacks"], strict=True):
            callback.set_state(state)
        model.stop_training = bool(content["stop_training"])


def _digest(description: Callable[[], Any]) -> str | None:
    """Return a digest of what can be written in a file, None for functions and the like."""
    try:
        text = as_text("fit", description())
    except ValueError:
        return None
    import hashlib  # here: it takes 4 ms

    return hashlib.sha256(text.encode()).hexdigest()


def _data_mark(samples: Samples) -> int:
    """Return a number that tells samples from others: a checksum of some of them."""
    rows = np.unique(np.linspace(0, len(samples) - 1, _SAMPLES_READ).astype(int))
    mark = 0
    for array in (*samples.x, *samples.y, *samples.weights):
        if array is not None:
            mark = zlib.crc32(f"{array.dtype.str} {array.shape}".encode(), mark)
            mark = zlib.crc32(
                np.ascontiguousarray(array[rows]).reshape(-1).view(np.uint8).data, mark
            )
    return mark
