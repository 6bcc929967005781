"""The record of a training run for TensorBoard."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from convlet import arguments
from convlet.callbacks.callback import Callback, Logs
from convlet.callbacks.event_file import EventFile, histogram, is_name, scalar

_VALIDATION = "val_"
_FOLDERS = ("train", "validation")


class TensorBoard(Callback):
    """Writes what ``tensorboard --logdir logs`` shows, without needing TensorBoard.

    Training goes to the folder ``train`` and validation to ``validation``, under the names that
    Keras gives: "epoch_loss", "epoch_learning_rate", "batch_loss". A run that is resumed (see
    `BackupAndRestore`) goes on in the same files, from where they then were.

    Parameters
    ----------
    log_dir : path
        The folder; it is made if need be.
    histogram_freq : int
        After how many epochs to write how the weights are spread; 0 for never.
    update_freq : "epoch", "batch" or int
        Whether to write after each epoch alone, or besides after each step, or so many of them.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] = "logs",
        histogram_freq: int = 0,
        *,
        update_freq: str | int = "epoch",
    ) -> None:
        owner = "TensorBoard"
        self.log_dir = Path(log_dir)
        self.histogram_freq = arguments.integer(owner, "histogram_freq", histogram_freq, 0)
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch":
            try:
                arguments.integer(owner, "update_freq", self.update_freq)
            except ValueError:
                requirement = "'epoch', 'batch' or an integer of at least 1"
                raise arguments.invalid(owner, "update_freq", requirement, update_freq) from None
        self._files: dict[str, EventFile] = {}

    def _write(self, folder: str, step: int, values: list[bytes]) -> None:
        if folder not in self._files:
            self._files[folder] = EventFile(self.log_dir / folder)
        self._files[folder].write(step, values)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin new files."""
        self.close()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the means of the epoch so far, if steps count."""
        steps = self.model.state.iterations
        if self.update_freq != "epoch" and steps % int(self.update_freq) == 0:
            self._write("train", steps, _scalars("batch_", logs or {}))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's values and, if it is time, the weights' histograms."""
        logs = logs or {}
        of_training = {name: v for name, v in logs.items() if not name.startswith(_VALIDATION)}
        of_training["learning_rate"] = self.model.optimizer.learning_rate
        self._write("train", epoch, _scalars("epoch_", of_training))
        of_validation = {
            name.removeprefix(_VALIDATION): v
            for name, v in logs.items()
            if name.startswith(_VALIDATION)
        }
        if of_validation:
            self._write("validation", epoch, _scalars("epoch_", of_validation))
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for path, variable in self.model.named_weights().items():
                self._write("train", epoch, [histogram(f"{path}/histogram", variable.value)])

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def get_state(self) -> dict[str, Any]:
        """Return the files' names, and how long they are."""
        return {
            folder: {"name": file.name, "position": file.position()}
            for folder, file in self._files.items()
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on in files, what was written after `get_state` cut off.

        Raises
        ------
        ValueError
            If a file has become shorter, or the state names one that is none of these.
        """
        self.close()
        for folder, file in state.items():
            if folder not in _FOLDERS or not is_name(file["name"]):
                raise ValueError(f"TensorBoard: {folder!r}, {file['name']!r} is no event file")
        for folder, file in state.items():
            self._files[folder] = EventFile(self.log_dir / folder, **file)


def _scalars(prefix: str, logs: Logs) -> list[bytes]:
    """Return the numbers in the logs; several of one name, as by class, are numbered."""
    scalars = []
    for name, value in logs.items():
        if getattr(value, "ndim", 0):
            numbered = enumerate(value.ravel().tolist())
            scalars += [scalar(f"{prefix}{name}_{number}", item) for number, item in numbered]
        elif hasattr(value, "__float__"):
            scalars.append(scalar(prefix + name, float(value)))
    return scalars
