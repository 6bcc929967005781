"""``convlet evaluate``: how good a network is."""

from __future__ import annotations

from typing import Any

import click

from convlet.callbacks import ProgressBar
from convlet.cli import network
from convlet.cli.data import give_names, open_data, targets_for
from convlet.cli.options import examples
from convlet.cli.report import console, counted, print_confusion
from convlet.datasets import DataSet
from convlet.metrics import confusion_matrix


@click.command(
    short_help="Show how good a network is.",
    epilog=examples(
        "convlet evaluate digits.safetensors digits",
        "convlet evaluate mnist.safetensors mnist/",
    ),
)
@click.argument("model", metavar="MODEL")
@click.argument("source", metavar="DATA")
def evaluate(model: str, source: str) -> None:
    """Show the loss, the metrics and the errors of the network in MODEL on the test part of DATA.

    MODEL is a .safetensors or a .keras file. DATA is what convlet train takes: digits or another
    name, a folder of images or of WAV files, which are brought to the size that the network takes,
    a folder with the four files of MNIST, or a .npz file; all of its samples are taken if it has no
    test part.
    """
    loaded = network.load(model)
    data = open_data(source, loaded)
    give_names(loaded, data)
    print_scores(loaded, data)


def print_scores(model: Any, data: DataSet) -> None:
    """Print loss, metrics, errors and confusion matrix for a data set's test part, or for all."""
    x, y = data.x_test, data.y_test
    title = "Test"
    if x is None or y is None:
        x, y = data.x_train, data.y_train
        title = f"{data.name} has no test part. All of it"
    screen = console()
    bar = [ProgressBar(console=screen)] if screen.is_terminal else []
    scores = model.evaluate(x, targets_for(model, y), verbose=0, callbacks=bar, return_dict=True)
    predicted = model.predict(x, verbose=0, callbacks=bar).argmax(axis=-1)
    errors = int((predicted != y).sum())
    rows = {name: f"{value:.4f}" for name, value in scores.items()}
    rows["error rate"] = f"{100 * errors / len(y):.2f} % ({errors:,} of {len(y):,})"
    width = max(map(len, rows))
    click.echo(f"\n{title}, {counted(len(y), 'sample')}:")
    for name, value in rows.items():
        click.echo(f"  {name:<{width}}  {value}")
    print_confusion(confusion_matrix(y, predicted, model.output_shape[-1]), model.class_names)
