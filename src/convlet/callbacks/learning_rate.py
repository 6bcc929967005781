"""Learning rates that change while a network trains."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from convlet import arguments
from convlet.callbacks.callback import Callback, Logs
from convlet.callbacks.monitor import Monitor, verbosity


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch, and adds it to the logs.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)`` or ``schedule(epoch)`` returns the epoch's rate; epochs
        are counted from 0, and the rate is the one of before.
    verbose : {0, 1}
        Whether to print it.

    Raises
    ------
    ValueError
        If an argument is not of its form, or what ``schedule`` returns is no rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise arguments.invalid("LearningRateScheduler", "schedule", "a function", schedule)
        self.schedule = schedule
        self.verbose = verbosity("LearningRateScheduler", verbose)
        try:
            inspect.signature(schedule).bind(0, 0.0)
            self._takes_rate = True
        except TypeError:
            self._takes_rate = False
        except ValueError:  # a function without a signature
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the epoch's rate."""
        optimizer = self.model.optimizer
        given = (epoch, float(optimizer.learning_rate)) if self._takes_rate else (epoch,)
        rate = self.schedule(*given)
        owner = "LearningRateScheduler"
        optimizer.learning_rate = arguments.real(owner, "what schedule returns", rate, 0.0)
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by a factor when a quantity has not improved for some epochs.

    The rate that an epoch had is added to the logs.

    Parameters
    ----------
    monitor : str
        Name of the quantity in the logs.
    factor : float
        Below 1.
    patience : int
        So many epochs without an improvement bring the rate down.
    verbose : {0, 1}
        Whether to say so.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" goes by the name.
    min_delta : float
        What counts as an improvement must be more than this.
    cooldown : int
        For so many epochs thereafter no epoch counts as one without an improvement.
    min_lr : float
        The rate does not go below this.

    Raises
    ------
    ValueError
        If an argument is not of its form, and in training if there is no such quantity.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = arguments.real(self.owner, "factor", factor, 0.0, below=1.0)
        self.patience = arguments.integer(self.owner, "patience", patience, 0)
        self.verbose = verbosity(self.owner, verbose)
        self.cooldown = arguments.integer(self.owner, "cooldown", cooldown, 0)
        self.min_lr = arguments.real(self.owner, "min_lr", min_lr, 0.0)
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin anew."""
        self.best = self._first_best
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the quantity, and lower the rate if it has not improved for too long."""
        current = self.current(logs)
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best, self.wait = current, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        if before <= self.min_lr:
            return
        optimizer.learning_rate = max(before * self.factor, self.min_lr)
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is now {optimizer.learning_rate:g}")
        self.cooldown_counter, self.wait = self.cooldown, 0

    def get_state(self) -> dict[str, Any]:
        """Return the best value so far, and how long that and the last reduction are ago."""
        return {
            "best": self.best,
            "cooldown_counter": self.cooldown_counter,
            "wait": self.wait,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self.best, self.wait = state["best"], state["wait"]
        self.cooldown_counter = state["cooldown_counter"]
