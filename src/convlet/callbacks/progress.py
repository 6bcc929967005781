"""What a person sees while a network trains: a bar on a terminal, and a line an epoch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from convlet.callbacks.callback import Callback, Logs

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def _values(logs: Logs | None) -> str:
    numbers = {name: value for name, value in (logs or {}).items() if hasattr(value, "__float__")}
    return "  ".join(f"{name} {_shown(value)}" for name, value in numbers.items())


def _shown(value: Any) -> str:
    """Return a number with four digits; several in brackets, as metrics by class have them."""
    if getattr(value, "ndim", 0):
        return f"[{' '.join(_shown(item) for item in value)}]"
    return f"{float(value):.4g}"


def _bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("<"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[values]}", markup=False),
        console=console,
        transient=True,  # a narrow terminal cuts the bar; the line that stays is whole
    )


class ProgressBar(Callback):
    """Shows how far training, evaluation or prediction is.

    Each epoch and each evaluation leaves a line, prediction nothing.

    Parameters
    ----------
    bars : bool
        Whether to draw bars meanwhile; they need a terminal.
    console : rich.console.Console, optional
        Where to print; standard output by default.
    """

    def __init__(self, bars: bool = True, console: Console | None = None) -> None:
        from rich.console import Console

        # a line is a line, also where a pipe has no width
        self._console = console or Console(
            highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._bars = bars and self._console.is_terminal
        self._progress: Progress | None = None
        self._task: Any = None
        self._training = False
        self._started = 0.0

    def _start(self, description: str) -> None:
        self._started = time.perf_counter()
        assert self.params is not None  # set before anything begins
        if self._bars:
            self._progress = _bar(self._console)
            self._progress.start()
            self._task = self._progress.add_task(description, total=self.params["steps"], values="")

    def _advance(self, batch: int, logs: Logs | None) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=batch + 1, values=_values(logs))

    def _finish(self, line: str, logs: Logs | None) -> None:
        self._stop()
        if line:
            seconds = time.perf_counter() - self._started
            self._console.print(f"{line}  {seconds:.1f} s  {_values(logs)}")

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Know that what follows is training."""
        self._training = True

    def close(self) -> None:
        """Give the terminal back if an interruption left a bar open."""
        self._training = False
        self._stop()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the epoch's bar."""
        self._start(self._epoch(epoch))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar on."""
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the epoch's line in place of its bar."""
        self._finish(self._epoch(epoch), logs)

    def _epoch(self, epoch: int) -> str:
        epochs = self.params["epochs"] if self.params else "?"
        return f"Epoch {epoch + 1}/{epochs}"

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Open a bar, unless this is the validation of an epoch."""
        if not self._training:
            self._start("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar on."""
        if not self._training:
            self._advance(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Print a line in place of the bar."""
        if not self._training:
            self._finish("Evaluate", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Open a bar."""
        self._start("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar on."""
        self._advance(batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Close the bar."""
        self._finish("", None)
