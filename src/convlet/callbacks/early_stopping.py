"""The end of training when it no longer helps."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import arguments
from convlet.callbacks.callback import Logs
from convlet.callbacks.monitor import Monitor, verbosity


class EarlyStopping(Monitor):
    """Stops training when a quantity has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        Name of the quantity in the logs.
    min_delta : float
        What counts as an improvement must be more than this.
    patience : int
        Training stops after so many epochs without an improvement.
    verbose : {0, 1}
        Whether to say so.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" goes by the name.
    baseline : float, optional
        Epochs count as being without improvement until the quantity is better than this.
    restore_best_weights : bool
        Whether, in the end, the model gets the weights of its best epoch.
    start_from_epoch : int
        Number of the first epoch, from 0, that is looked at.

    Raises
    ------
    ValueError
        If an argument is not of its form, and in training if there is no such quantity.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = arguments.integer(self.owner, "patience", patience, 0)
        self.verbose = verbosity(self.owner, verbose)
        if baseline is not None:
            baseline = arguments.real(self.owner, "baseline", baseline)
        self.baseline = baseline
        self.restore_best_weights = arguments.boolean(
            self.owner, "restore_best_weights", restore_best_weights
        )
        self.start_from_epoch = arguments.integer(
            self.owner, "start_from_epoch", start_from_epoch, 0
        )
        self._begin()

    def _begin(self) -> None:
        self.best = self._first_best
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the quantity, and stop training if it has not improved for too long."""
        current = self.current(logs)
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        has_improved = self.improves(current, self.best)
        if has_improved:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        if self.restore_best_weights and (has_improved or self.best_weights is None):
            # weights are never written into, so keeping them is no copy
            self.best_weights = [variable.value for variable in self.model.weights]
            self.best_epoch = epoch
        if not has_improved and self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give the model its best weights back, if that was asked for."""
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"The weights are those of epoch {self.best_epoch + 1}, the best")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        """Return the best value so far, its epoch and weights, and how long that is ago."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "stopped_epoch": self.stopped_epoch,
            "wait": self.wait,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.best_weights = state["best_weights"]
        self.stopped_epoch, self.wait = state["stopped_epoch"], state["wait"]
