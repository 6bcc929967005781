"""The record of a training run."""

from __future__ import annotations

from typing import Any

from convlet.callbacks.callback import Callback, Logs


class History(Callback):
    """Keeps the loss and the metrics of every epoch; `fit` returns one.

    Attributes
    ----------
    epoch : list of int
        Numbers of the epochs that were finished, from 0.
    history : dict of str to list of float
        For each quantity, its value at the end of each of these epochs.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the epoch's values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        """Return the record."""
        return {"epoch": self.epoch, "history": self.history}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with a record."""
        self.epoch, self.history = list(state["epoch"]), dict(state["history"])
