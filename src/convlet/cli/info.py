"""``convlet summary`` and ``convlet info``: what a file holds, what this installation is."""

from __future__ import annotations

import inspect
from typing import Any

import click

from convlet import load_model, optimizers, show_config
from convlet.cli.options import examples
from convlet.cli.report import counted, printable, size


@click.command(
    short_help="Show what a network is made of.",
    epilog=examples("convlet summary digits.safetensors"),
)
@click.argument("model", metavar="MODEL")
def summary(model: str) -> None:
    """Show the layers, the classes and the training so far of the network in MODEL."""
    loaded = load_model(model)
    loaded.summary(print_fn=lambda line: click.echo(printable(line)))
    for line in _details(loaded):
        click.echo(f" {printable(line)}")


def _details(model: Any) -> list[str]:
    """Return what the table of layers leaves out."""
    lines = []
    if model.class_names is not None:
        lines.append(f"Classes: {', '.join(model.class_names)}")
    made = model.preprocessing
    if made is not None:
        shape = size((made.height, made.width, made.channels))
        lines.append(f"Images: {shape}, values from {made.minimum:g} to {made.maximum:g}")
    if model.compiled:
        name, listed = type(model.optimizer).__name__, ", ".join(_settings(model.optimizer))
        losses = [loss.name for loss in model.compilation.losses if loss is not None]
        lines.append(f"Training: {name} ({listed}), loss {' + '.join(losses)}")
        epochs, steps = model.state.epochs, model.state.iterations
        lines.append(f"Trained so far: {counted(epochs, 'epoch')}, {counted(steps, 'step')}")
    return lines


def _settings(optimizer: Any) -> list[str]:
    """Return an optimizer's settings, without those that all have and nobody asked for."""
    signature = inspect.signature(optimizers.Optimizer.__init__)
    neutral = {name: parameter.default for name, parameter in signature.parameters.items()}
    return [
        f"{key} {value['class_name'] if isinstance(value, dict) else value}"
        for key, value in optimizer.get_config().items()
        if key != "name" and (key not in neutral or value != neutral[key])
    ]


@click.command(short_help="Show what this installation is.", epilog=examples("convlet info"))
def info() -> None:
    """Show the versions, the compiler and the processor: what a report of a problem should hold."""
    config = show_config()
    width = max(map(len, config))
    for key, value in config.items():
        click.echo(f"{key:<{width}}  {value}")
