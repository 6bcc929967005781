"""``convlet export``: a network as a file for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from convlet import load_model
from convlet.cli.options import examples


@click.command(
    short_help="Write a network as an ONNX file.",
    epilog=examples("convlet export digits.safetensors digits.onnx"),
)
@click.argument("model", metavar="MODEL")
@click.argument("file", metavar="FILE")
def export(model: str, file: str) -> None:
    """Write the network in MODEL as an ONNX file, for onnxruntime and other tools.

    MODEL is a .safetensors or a .keras file. FILE ends in .onnx; if it exists it is replaced. It is
    written once onnxruntime has computed from it what convlet computes.
    """
    load_model(model).export(file)
    click.echo(f"Exported to {file} ({Path(file).stat().st_size / 1024:,.0f} KB)")
