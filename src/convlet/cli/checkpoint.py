"""The checkpoint that `convlet train --resume` keeps beside its output file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from convlet.callbacks import BackupAndRestore
from convlet.cli.report import counted, printable
from convlet.models.resume import place_in

_STEPS_BETWEEN = 100  # checkpoints: seconds or minutes of training, not a whole long epoch


@dataclass(frozen=True)
class Resumption:
    """What keeps the checkpoint, and where one that is there goes on.

    Attributes
    ----------
    backup : BackupAndRestore
    epoch, step : int
        From 0; both are 0 if the run begins.
    seed : int or None
        What the run began with, None if it begins now.
    """

    backup: BackupAndRestore
    epoch: int = 0
    step: int = 0
    seed: int | None = None

    def announce(self) -> None:
        """Print where training goes on, if it does."""
        if not self.backup.path.exists():
            return
        place = f"after {counted(self.epoch, 'epoch')}"
        if self.step:
            place = f"in epoch {self.epoch + 1}, after {counted(self.step, 'step')}"
        click.echo(f"Resuming: {place}, from {printable(str(self.backup.path))}")


def open_checkpoint(out: Path, model: str | None, seed: int | None) -> Resumption:
    """Return what keeps a checkpoint beside an output file, and where it goes on.

    Parameters
    ----------
    out : Path
        Where the network will be saved.
    model : str or None
        The file or the name of the network that training begins with.
    seed : int or None
        What the user has given.

    Raises
    ------
    click.UsageError
        If the output file is the one that training begins with, or the seed is another than then.
    OSError, ValueError
        If the checkpoint may not be read, or is damaged.
    """
    if model is not None and Path(model).resolve() == out.resolve():
        raise click.UsageError(f"--resume begins from {model} again, so --out must be another file")
    folder = out.with_name(f"{out.stem}.checkpoint")
    backup = BackupAndRestore(folder, _STEPS_BETWEEN, delete_checkpoint=False)
    if not backup.path.exists():
        return Resumption(backup)
    epoch, step, seed_then = place_in(backup.path)
    if seed is not None and seed != seed_then:
        raise click.UsageError(
            f"--seed: {backup.path} was begun with the seed {seed_then}, got {seed}; leave it out, "
            "or delete the file to begin anew"
        )
    return Resumption(backup, epoch, step, seed_then)
