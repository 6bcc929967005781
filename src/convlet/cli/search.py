"""``convlet search``: find a learning rate, or a batch size, by trying."""

from __future__ import annotations

import io
import secrets
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.table import Table

from convlet import NonFiniteLossError, applications, optimizers
from convlet.cli import grid, network, output
from convlet.cli.data import first_samples, open_data
from convlet.cli.grid import Trial
from convlet.cli.options import INTERRUPTED, SEEDS, FiniteRange, examples, lines
from convlet.cli.report import console, counted, duration, size
from convlet.datasets import DataSet
from convlet.saving.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from convlet.estimators import ConvletClassifier

_RANGES = {"learning_rate": (1e-4, 1.0), "batch_size": (8.0, 512.0)}
_WHOLE = ("batch_size",)  # integers


@dataclass(frozen=True)
class _Search:
    """What is tried on what: one parameter of an estimator."""

    estimator: ConvletClassifier
    parameter: str
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]


@click.command(
    short_help="Find a learning rate by trying.",
    epilog=lines("Networks:", *applications.BY_NAME)
    + "\n\n"
    + examples(
        "convlet search digits",
        "convlet search mnist --limit 5000 --epochs 1 --plot rates.png",
        "convlet search digits --param batch_size --low 4 --high 256",
    ),
)
@click.argument("source", metavar="DATA")
@click.option(
    "--model",
    type=click.Choice(list(applications.BY_NAME)),
    metavar="NAME",
    help="Network to train, by its name (see below). By default what suits the samples' size.",
)
@click.option(
    "--param",
    type=click.Choice(list(_RANGES)),
    default="learning_rate",
    show_default=True,
    help="What to look for.",
)
@click.option(
    "--low",
    type=FiniteRange(0, min_open=True),
    help="Least value; by default 0.0001, of batch sizes 8.",
)
@click.option(
    "--high",
    type=FiniteRange(0, min_open=True),
    help="Largest value; by default 1, of batch sizes 512.",
)
@click.option(
    "--points", type=click.IntRange(2), default=5, show_default=True, help="Values in a round."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Grids: the coarse one, then finer ones around the best value.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=2, show_default=True, help="Epochs of each trial."
)
@click.option(
    "--validation-split",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the samples to judge on, drawn from those to train on.",
)
@click.option(
    "--seed", type=click.IntRange(0), help="Number that all random draws of a trial follow from."
)
@click.option("--limit", type=click.IntRange(1), help="Use only the first so many samples.")
@click.option("--plot", metavar="FILE", help="Draw the errors into this .png file, too.")
def search(
    source: str,
    model: str | None,
    param: str,
    low: float | None,
    high: float | None,
    points: int,
    rounds: int,
    epochs: int,
    validation_split: float,
    seed: int | None,
    limit: int | None,
    plot: str | None,
) -> None:
    """Try values of the learning rate on DATA, and say which is best.

    DATA is what convlet train takes. A coarse grid of values, each the same multiple of the one
    before, then finer grids around the value with the lowest error. Each value trains a new network
    for a few epochs, with the same seed, and is judged on validation samples that it has not seen.
    The test part is not touched.

    Ctrl-C ends the search and shows what has been found.
    """
    low, high = _range(param, low, high)
    path = None if plot is None else _checked_plot(plot)
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    data = open_data(source, sample_axes=network.axes_for(model))
    made, recipe = _prepare(data, model, param, epochs, seed, limit, validation_split)
    first = grid.coarse(low, high, points, param in _WHOLE)
    click.echo(
        f"Data:     {data.name}, {counted(len(made.train[0]), 'sample')} of "
        f"{size(data.x_train.shape[1:])} to train on, {len(made.validation[0]):,} to judge on\n"
        f"Network:  {recipe}, seed {seed}\n"
        f"Search:   {param} from {low:g} to {high:g}, {counted(rounds, 'round')} of {points}, "
        f"{counted(epochs, 'epoch')} each"
    )
    trials: list[Trial] = []
    try:
        _try_all(made, first, points, rounds, trials)
    except KeyboardInterrupt:
        if not trials:
            raise  # nothing was found
        click.echo(f"\nInterrupted after {counted(len(trials), 'trial')}", err=True)
        _conclude(trials, param, source, recipe, path)
        raise click.exceptions.Exit(INTERRUPTED) from None
    _conclude(trials, param, source, recipe, path)


def _range(param: str, low: float | None, high: float | None) -> tuple[float, float]:
    default = _RANGES[param]
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if low >= high:
        raise click.BadParameter(
            f"{low:g} is not below {high:g}, the largest value.", param_hint="'--low'"
        )
    if param in _WHOLE and low < 1:
        raise click.BadParameter(f"{low:g} is less than 1 sample.", param_hint="'--low'")
    return low, high


def _checked_plot(plot: str) -> Path:
    """Return the file to draw into, once that is seen to be possible."""
    path = output.checked_plot(plot)
    try:
        import matplotlib  # noqa: F401 - needed hours later
    except ImportError as error:
        raise ImportError('--plot needs matplotlib: pip install "convlet[plot]"') from error
    return path


def _prepare(
    data: DataSet,
    model: str | None,
    param: str,
    epochs: int,
    seed: int,
    limit: int | None,
    validation_split: float,
) -> tuple[_Search, str]:
    """Return what is searched, and the network's name."""
    from convlet.estimators import ConvletClassifier

    some = first_samples(data, limit)
    build = network.architecture(model, data)
    shown = network.new(model, data, None, None)  # refuses what will not do; draws no weights
    recipe = network.recipe_for(shown)
    estimator = ConvletClassifier(
        build,
        optimizer=optimizers.SGD(recipe.learning_rate, recipe.momentum),
        epochs=epochs,
        batch_size=recipe.batch_size,
        seed=seed,
    )
    (x_train, x_val), (y_train, y_val) = _split(some, validation_split, seed)
    return _Search(estimator, param, (x_train, y_train), (x_val, y_val)), shown.name


def _split(data: DataSet, share: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return samples and labels, each for training and for validation, with classes shared out."""
    from sklearn.model_selection import train_test_split

    x, y = data.x_train, data.y_train
    judged = round(share * len(y))
    if not 1 <= judged < len(y):
        raise ValueError(
            f"{data.name}: --validation-split must leave samples on both sides, got {share:g} of "
            f"{counted(len(y), 'sample')}"
        )
    _, counts = np.unique(y, return_counts=True)
    can_share_out = counts.min() > 1 and min(judged, len(y) - judged) >= len(counts)
    stratify = y if can_share_out else None
    parts = train_test_split(x, y, test_size=judged, random_state=seed % 2**32, stratify=stratify)
    return parts[:2], parts[2:]


def _try_all(
    made: _Search, first: list[float], points: int, rounds: int, trials: list[Trial]
) -> None:
    """Try the values of one round after the other, adding each to ``trials``."""
    whole = made.parameter in _WHOLE
    for number in range(1, rounds + 1):
        values = first if number == 1 else grid.finer(trials, points, whole)
        if not values:
            return
        click.echo(f"\nRound {number}, {made.parameter} {values[0]:g} to {values[-1]:g}")
        for value in values:
            trials.append(_try(made, int(value) if whole else value, number))
            click.echo(f"  {_words(trials[-1])}")


def _try(made: _Search, value: float, number: int) -> Trial:
    """Train a new network with a value, and judge it on the validation samples."""
    from sklearn.base import clone
    from sklearn.metrics import log_loss

    estimator = clone(made.estimator).set_params(**{made.parameter: value})
    x, y = made.validation
    start = time.perf_counter()
    try:
        estimator.fit(*made.train)
    except NonFiniteLossError:
        return Trial(value, number, np.nan, np.nan, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    probabilities = estimator.predict_proba(x).astype(np.float64)
    predicted = estimator.classes_[probabilities.argmax(axis=1)]
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 leaves 1e-7
    known = np.isin(y, estimator.classes_)  # the others' loss would be infinite
    loss = log_loss(y[known], probabilities[known], labels=estimator.classes_)
    return Trial(value, number, float(np.mean(predicted != y)), float(loss), seconds)


def _words(trial: Trial) -> str:
    if trial.diverged:
        return f"{trial.value:<9g} diverged after {duration(trial.seconds)}"
    return (
        f"{trial.value:<9g} error {100 * trial.error:6.2f} %  loss {trial.loss:.4f}  "
        f"{duration(trial.seconds)}"
    )


def _conclude(
    trials: Sequence[Trial], param: str, source: str, name: str, path: Path | None
) -> None:
    """Print the table and how to go on, and draw the plot."""
    found = grid.best(trials)
    click.echo("")
    console().print(_table(trials, found, param))
    if path is not None:
        write_atomically(path, _plot(trials, found, param))
        click.echo(f"\nDrawn into {path}")
    if found is None:
        raise click.ClickException(f"{param}: every value diverged; try smaller ones, with --high")
    click.echo(f"\nBest: {param} {found.value:g}, validation error {100 * found.error:.2f} %")
    if len(trials) > 1 and grid.is_at_an_end(found, trials):
        click.echo("This is an end of the range; --low and --high widen it.")
    option = param.replace("_", "-")
    click.echo(
        f"\nTrain with it:\n  convlet train {shlex.quote(source)} --model {name} "
        f"--{option} {found.value:g}"
    )


def _table(trials: Sequence[Trial], found: Trial | None, param: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in (param, "error", "loss", "round", ""):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for trial in sorted(trials, key=lambda trial: trial.value):
        judged = (f"{100 * trial.error:.2f} %", f"{trial.loss:.4f}")
        error, loss = ("diverged", "") if trial.diverged else judged
        mark = "best" if trial is found else ""
        table.add_row(f"{trial.value:g}", error, loss, str(trial.round), mark)
    return table


def _plot(trials: Sequence[Trial], found: Trial | None, param: str) -> bytes:
    """Return a drawing of the errors over the values, as a PNG file's bytes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlabel(param)
    axes.set_ylabel("validation error, %")
    axes.grid(True, alpha=0.3)
    _draw(axes, trials)
    if found is not None:
        axes.set_title(f"best: {found.value:g}, {100 * found.error:.2f} %")
    axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()


def _draw(axes: Axes, trials: Sequence[Trial]) -> None:
    ordered = sorted(trials, key=lambda trial: trial.value)
    line = [(trial.value, 100 * trial.error) for trial in ordered if not trial.diverged]
    axes.plot(*np.array(line).reshape(-1, 2).T, color="0.7", zorder=1)
    for number in sorted({trial.round for trial in trials}):
        points: Any = [t for t in ordered if t.round == number and not t.diverged]
        errors = [100 * trial.error for trial in points]
        axes.scatter([trial.value for trial in points], errors, label=f"round {number}", zorder=2)
    diverged = [trial.value for trial in ordered if trial.diverged]
    if diverged:
        axes.scatter(diverged, [100.0] * len(diverged), marker="x", color="red", label="diverged")
