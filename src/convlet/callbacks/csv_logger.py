"""The record of a training run as a table in a text file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from convlet import arguments
from convlet.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes a line for each epoch: its number, from 0, and the logs in the order of their names.

    The names are those of the first epoch, and those of validation also if it begins later, as with
    ``validation_freq``; what an epoch lacks is "NA". A run that is resumed (see `BackupAndRestore`)
    goes on in the same file, from where it then was.

    Parameters
    ----------
    filename : path
        The file.
    separator : str
        One character between the columns.
    append : bool
        Whether to go on behind what is in the file, instead of replacing it.

    Raises
    ------
    ValueError
        If an argument is not of its form.
    """

    def __init__(
        self, filename: str | PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename = Path(filename)
        if not isinstance(separator, str) or len(separator) != 1 or separator in '\r\n"':
            raise arguments.invalid("CSVLogger", "separator", "one character", separator)
        self.separator = separator
        self.append = arguments.boolean("CSVLogger", "append", append)
        self._file: TextIO | None = None
        self._position = 0  # where the next row goes
        self._keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file; what is in it stays until the first row."""
        self.close()
        self._file = self.filename.open("a", newline="", encoding="utf-8")
        self._position = os.fstat(self._file.fileno()).st_size if self.append else 0
        self._keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's row."""
        import csv  # here, and not with every import of convlet

        assert self._file is not None  # opened when training began
        logs = logs or {}
        if self._keys is None:
            self._keys = sorted(self._names(logs))
            self._file.truncate(self._position)
        rows = csv.writer(self._file, delimiter=self.separator)
        if self._position == 0:
            rows.writerow(["epoch", *self._keys])
        rows.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self._keys)])
        self._file.flush()
        self._position = os.fstat(self._file.fileno()).st_size

    def _names(self, logs: Logs) -> set[str]:
        """Return the names in the first epoch's logs, and those that validation will have."""
        if not (self.params or {}).get("do_validation"):
            return set(logs)
        return set(logs).union(f"val_{name}" for name in self.model.metrics_names)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def get_state(self) -> dict[str, Any]:
        """Return how far the file goes, and its columns; what is in it is on the disk then."""
        if self._file is not None:
            os.fsync(self._file.fileno())
        return {"position": self._position, "keys": self._keys}

    def set_state(self, state: dict[str, Any]) -> None:
        """Cut off what was written after `get_state`.

        Raises
        ------
        ValueError
            If the file has become shorter.
        """
        assert self._file is not None  # opened when training began
        size, self._position = os.fstat(self._file.fileno()).st_size, state["position"]
        self._keys = state["keys"]
        if size < self._position:
            raise ValueError(
                f"CSVLogger: {self.filename} must hold the {self._position} bytes that it had when "
                f"the checkpoint was written, got {size}"
            )
        if self._keys is not None:
            self._file.truncate(self._position)


def _cell(value: Any) -> Any:
    """Return what stands in a cell: several numbers as a list, as Keras writes them."""
    is_list = isinstance(value, Iterable) and not isinstance(value, str)
    if is_list and getattr(value, "ndim", 1) > 0:
        return f'"[{", ".join(map(str, value))}]"'
    return value
