"""Models saved while they train."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any

from convlet import arguments
from convlet.callbacks.backup import save_freq_of
from convlet.callbacks.callback import Logs
from convlet.callbacks.monitor import Monitor, verbosity

_MODELS = (".safetensors", ".keras")
_WEIGHTS = (".safetensors", ".npz", ".weights.h5")


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, each epoch or each so many steps.

    Parameters
    ----------
    filepath : path
        What `Model.save`, or `Model.save_weights`, takes. It may have ``{epoch}`` in it, counted
        from 1, ``{batch}`` if steps count, and what is in the logs, each with a format as in
        ``"{epoch:02d}-{val_loss:.2f}.safetensors"``. Folders are made if need be.
    monitor : str
        Name of the quantity in the logs by which the best model is told.
    verbose : {0, 1}
        Whether to say what is saved.
    save_best_only : bool
        Whether to save only when the quantity is better than ever before.
    save_weights_only : bool
        Whether to save weights alone.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" goes by the name.
    save_freq : "epoch" or int
        Whether to save after each epoch, or after so many steps, where the logs hold the means of
        the epoch so far.
    initial_value_threshold : float, optional
        What the first model must improve on to be saved, if only the best is.

    Raises
    ------
    ValueError
        If an argument is not of its form, and in training if the logs lack what is asked for.
    """

    def __init__(
        self,
        filepath: str | PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        owner = "ModelCheckpoint"
        self.save_best_only = arguments.boolean(owner, "save_best_only", save_best_only)
        self.save_weights_only = arguments.boolean(owner, "save_weights_only", save_weights_only)
        if initial_value_threshold is not None:
            initial_value_threshold = arguments.real(
                owner, "initial_value_threshold", initial_value_threshold
            )
        if not save_best_only and mode == "auto":
            mode = "min"  # nothing is compared, so the name need not tell
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        suffixes = _WEIGHTS if save_weights_only else _MODELS
        if not self.filepath.endswith(suffixes):
            requirement = f"a path that ends in {' or '.join(suffixes)}"
            raise arguments.invalid(owner, "filepath", requirement, self.filepath)
        self.verbose = verbosity(owner, verbose)
        self.save_freq = save_freq_of(owner, save_freq)
        self._epoch = self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Know the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if enough steps have been made since the last time."""
        self._steps += 1
        if self.save_freq != "epoch" and self._steps >= self.save_freq:
            self._steps = 0
            self._save(self._epoch, {"batch": batch + 1} | (logs or {}), logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, unless it is steps that count."""
        if self.save_freq == "epoch":
            self._save(epoch, logs or {}, logs)

    def _save(self, epoch: int, named: dict[str, Any], logs: Logs | None) -> None:
        if self.save_best_only:
            current = self.current(logs)
            if not self.improves(current, self.best):
                return
            self.best = current
        path = self._path(epoch, named)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved in {path}")

    def _path(self, epoch: int, named: dict[str, Any]) -> Path:
        named = {"epoch": epoch + 1} | named
        try:
            return Path(self.filepath.format(**named))
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{self.owner}: filepath must have fields out of {', '.join(named)}, got "
                f"{self.filepath!r} ({type(error).__name__}: {error})"
            ) from None

    def get_state(self) -> dict[str, Any]:
        """Return the best value so far, and the steps since the last time."""
        return {"best": self.best, "steps": self._steps}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.best, self._steps = state["best"], state["steps"]
