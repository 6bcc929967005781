"""What the commands print: errors as sentences, numbers for people, tables."""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

_CLASSES_SHOWN = 20  # a larger confusion matrix fits on no screen
_NO_LIMIT = 100_000  # columns
_HEADING_WIDTH = 5  # above longer class names, columns have numbers


def printable(text: str) -> str:
    """Return text on one line, with what a terminal would obey shown instead: names from files."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """Return an error as one sentence."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return printable(named)
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ")
    return printable(str(error)) or type(error).__name__


def warn(message: str) -> None:
    """Print a warning on standard error."""
    click.echo(f"Warning: {printable(message)}", err=True)


def size(shape: Sequence[int | None]) -> str:
    """Return a shape as people write it: 28 x 28 x 1."""
    return " x ".join("any" if n is None else str(n) for n in shape)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 epoch, 2 epochs."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """Return a time span: 0.5 s, 12.3 s, 4 min 12 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def console() -> Console:
    """Return a console for standard output that prints text as it is, without colour in a pipe."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_confusion(matrix: np.ndarray, class_names: Sequence[str] | None) -> None:
    """Print which classes were taken for which, unless there are too many."""
    classes = len(matrix)
    if classes > _CLASSES_SHOWN:
        return
    names = [printable(name) for name in class_names or map(str, range(classes))]
    table = _confusion_table(matrix, names)
    screen = console()
    # A table squeezed into a narrow window hides digits; one too wide is only ugly.
    without_limit = screen.options.update(width=_NO_LIMIT)
    screen.width = max(screen.width, screen.measure(table, options=without_limit).maximum)
    click.echo("\nConfusion matrix: a row for each right class, a column for each predicted one\n")
    screen.print(table, crop=False)


def _confusion_table(matrix: np.ndarray, names: Sequence[str]) -> Table:
    are_long = max(map(len, names)) > _HEADING_WIDTH
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 2))
    table.add_column("", no_wrap=True)
    for number, name in enumerate(names):
        table.add_column(str(number) if are_long else name, justify="right", no_wrap=True)
    for row, name in enumerate(names):
        cells = [_cell(count, row == column) for column, count in enumerate(matrix[row])]
        table.add_row(f"{row} {name}" if are_long else name, *cells)
    return table


def _cell(count: int, is_right: bool) -> str:
    """Return a count, or a dot for no error, so that errors catch the eye."""
    return str(count) if count or is_right else "."
