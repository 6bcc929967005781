"""A training run that is killed and started again ends as if nothing had happened."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from convlet import arguments
from convlet.callbacks.callback import Callback, Logs

Save = Callable[[Path, int, int, Logs], None]
"""Writes a checkpoint: where to, the epoch and the step to go on with, the epoch's logs."""


class BackupAndRestore(Callback):
    """Keeps a checkpoint while `fit` runs, and goes on from it when the script is started again.

    The same script then ends with the same bits as one that was never stopped, wherever it was
    stopped and however often: weights, optimizer, random draws, order of the data, learning rate,
    scores, `History` and the other callbacks. Callbacks and metrics of one's own take part with
    ``get_state`` and ``set_state``; random draws from NumPy's own generators do not. One thing is
    not kept: the weights of the step before, which training falls back to if the very first loss
    after going on is not finite.

    The checkpoint is the file ``checkpoint.safetensors`` in the folder. A new one takes its place
    once it is whole, so a full disk or a power cut leaves the one before. If the data, the model or
    an argument of `fit` other than ``epochs`` and ``verbose`` is another one, `fit` says so and
    changes nothing. Each call of `fit` in a script needs a folder of its own.

    Parameters
    ----------
    backup_dir : path
        The folder; it is made if need be.
    save_freq : "epoch" or int
        Whether to write after each epoch, or after so many steps.
    delete_checkpoint : bool
        Whether to delete the checkpoint when training is done.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    is_last = True  # a checkpoint holds what the others have made of the same step

    def __init__(
        self,
        backup_dir: str | PathLike[str],
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        self.path = Path(backup_dir) / "checkpoint.safetensors"
        self.save_freq = save_freq_of("BackupAndRestore", save_freq)
        self.delete_checkpoint = arguments.boolean(
            "BackupAndRestore", "delete_checkpoint", delete_checkpoint
        )
        self._save: Save | None = None
        self._epoch = self._steps = 0

    def connect(self, save: Save) -> None:
        """Take what writes a checkpoint of the run that is about to begin; called by `fit`.

        Raises
        ------
        OSError
            If there can be no such folder.
        """
        self._save, self._steps = save, 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left_behind in self.path.parent.glob(".convlet-*.tmp"):  # by a kill while writing
            left_behind.unlink()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Know the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write a checkpoint, if enough steps have been made since the last."""
        self._steps += 1
        if self.save_freq != "epoch" and self._steps >= self.save_freq:
            self._write(self._epoch, batch + 1, {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a checkpoint, unless it is steps that count."""
        if self.save_freq == "epoch":
            self._write(epoch + 1, 0, logs or {})

    def _write(self, epoch: int, step: int, logs: Logs) -> None:
        assert self._save is not None  # fit has connected it
        self._save(self.path, epoch, step, logs)
        self._steps = 0

    def discard(self) -> None:
        """Delete the checkpoint, and its folder unless there is something else in it."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def save_freq_of(owner: str, value: Any) -> Any:
    """Return how often to save: the word "epoch", or a number of steps.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(value, str) and value == "epoch":
        return value
    try:
        return arguments.integer(owner, "save_freq", value)
    except ValueError:
        requirement = "'epoch' or an integer of at least 1"
        raise arguments.invalid(owner, "save_freq", requirement, value) from None
