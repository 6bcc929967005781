"""What callbacks share that watch a quantity: which way is better, and whether it has improved."""

from __future__ import annotations

import math
import re
from typing import Any

from convlet import arguments
from convlet.callbacks.callback import Callback, Logs

_MODES = ("auto", "min", "max")
# words in the names of Keras's losses and metrics
_LOWER = {"loss", "error", "mse", "mae", "mape", "msle", "crossentropy", "ce", "bce", "hinge"}
_HIGHER = {"acc", "accuracy", "auc", "precision", "recall", "io", "iou", "score", "similarity"}


class Monitor(Callback):
    """The base of callbacks that watch a quantity.

    Parameters
    ----------
    monitor : str
        Its name in the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" goes by the name.
    min_delta : float
        What counts as an improvement must be more than this.
    best : float, optional
        What the first value must improve on.

    Raises
    ------
    ValueError
        If an argument is not of its form, or the name does not say which way is better.
    """

    def __init__(
        self, monitor: str, mode: str, min_delta: float = 0.0, best: float | None = None
    ) -> None:
        self.owner = type(self).__name__
        if not isinstance(monitor, str):
            raise arguments.invalid(self.owner, "monitor", "a string", monitor)
        self.monitor = monitor
        self.mode = arguments.choice(self.owner, "mode", mode, _MODES)
        # Keras takes its absolute value, too
        self.min_delta = abs(arguments.real(self.owner, "min_delta", min_delta))
        if self.mode == "auto":
            self.mode = _mode_of(self.owner, monitor)
        worst = math.inf if self.mode == "min" else -math.inf
        self._first_best = worst if best is None else best
        self.best = self._first_best

    def current(self, logs: Logs | None) -> float:
        """Return the quantity's value.

        Raises
        ------
        ValueError
            If the logs do not hold it, or it is several numbers.
        """
        value: Any = (logs or {}).get(self.monitor)
        if getattr(value, "ndim", 0):
            raise ValueError(
                f"{self.owner}: {self.monitor!r} must be one number to be monitored, got an array "
                f"of shape {value.shape}"
            )
        if value is None or not hasattr(value, "__float__"):
            numbers = [name for name, v in (logs or {}).items() if hasattr(v, "__float__")]
            raise ValueError(
                f"{self.owner}: there is no {self.monitor!r} to monitor; there are "
                f"{', '.join(numbers) or 'none'}"
                + ("; val_ ones need validation data" if self.monitor.startswith("val_") else "")
            )
        return float(value)

    def improves(self, value: float, reference: float) -> bool:
        """Return whether a value is better than a reference, by more than ``min_delta``."""
        if self.mode == "min":
            return value + self.min_delta < reference
        return value - self.min_delta > reference


def _mode_of(owner: str, monitor: str) -> str:
    """Return "min" or "max", whichever the last word that is known in a quantity's name says."""
    for word in reversed(re.findall(r"[a-z0-9]+", monitor.lower())):
        if word in _LOWER | _HIGHER:
            return "max" if word in _HIGHER else "min"
    raise ValueError(
        f"{owner}: mode must be 'min' or 'max' for {monitor!r}, whose name does not tell which "
        "way is better, got 'auto'"
    )


def verbosity(owner: str, verbose: Any) -> int:
    """Return 0, to print nothing, or 1.

    Raises
    ------
    ValueError
        For anything else.
    """
    if verbose not in (0, 1):
        raise arguments.invalid(owner, "verbose", "0 or 1", verbose)
    return int(verbose)
