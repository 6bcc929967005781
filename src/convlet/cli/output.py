"""The files that commands write: looked at before hours of training, not after."""

from __future__ import annotations

import os
from pathlib import Path

import click

from convlet.cli.network import SUFFIX

PLOT_SUFFIX = ".png"


def checked_path(out: str | None, data_name: str) -> Path:
    """Return the path to save to, by default named like the data, in the current folder.

    Raises
    ------
    click.BadParameter
        If nothing could be saved there.
    """
    path = Path(f"{data_name or 'model'}{SUFFIX}" if out is None else out)
    return _checked(path, SUFFIX, "'--out'")


def checked_plot(path: str) -> Path:
    """Return the path to draw a plot into.

    Raises
    ------
    click.BadParameter
        If nothing could be drawn there.
    """
    return _checked(Path(path), PLOT_SUFFIX, "'--plot'")


def _checked(path: Path, suffix: str, option: str) -> Path:
    problem = _problem(path, suffix)
    if problem is not None:
        raise click.BadParameter(f"{path}: {problem}.", param_hint=option)
    return path


def _problem(path: Path, suffix: str) -> str | None:
    folder = path.parent
    if path.suffix != suffix:
        return f"the name must end in {suffix}"
    if path.is_dir():
        return "this is a folder"
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"nothing may be written to the folder {folder}"
    if path.exists() and not os.access(path, os.W_OK):
        return "the file may not be changed"
    return None


def last_good(path: Path) -> Path:
    """Return where to save weights that are still good when training has failed."""
    return path.with_name(f"{path.stem}.last-good{SUFFIX}")
