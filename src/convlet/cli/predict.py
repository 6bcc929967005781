"""``convlet predict``: what a network sees in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from convlet.cli import network
from convlet.cli.data import class_name, load_samples
from convlet.cli.options import examples
from convlet.cli.report import printable, reason

_TOLERANCE = 1e-3  # by which the sum of probabilities may be off


@dataclass(frozen=True)
class _Answer:
    """What the network says of one sample: its likeliest classes, best first."""

    file: str
    sample: int | None  # number within a file of several
    labels: list[int]
    names: list[str]
    values: list[float]
    are_probabilities: bool

    def line(self) -> str:
        """Return the answer for people."""
        where = self.file if self.sample is None else f"{self.file}[{self.sample}]"
        style = "{:.1%}" if self.are_probabilities else "{:.4g}"
        pairs = zip(self.names, self.values, strict=True)
        parts = [where, *(f"{name} {style.format(value)}" for name, value in pairs)]
        return printable("  ".join(parts))

    def json(self) -> str:
        """Return the answer for programs."""
        kind = "probability" if self.are_probabilities else "score"
        classes = [
            {"class": name, "label": label, kind: value}
            for name, label, value in zip(self.names, self.labels, self.values, strict=True)
        ]
        return json.dumps({"file": self.file, "sample": self.sample or 0, "classes": classes})


@click.command(
    short_help="Say what a network sees in images or arrays.",
    epilog=examples(
        "convlet predict digits.safetensors seven.png",
        "convlet predict digits.safetensors *.png --top 3",
        "convlet predict digits.safetensors samples.npy --json",
    ),
)
@click.argument("model", metavar="MODEL")
@click.argument("files", metavar="FILES...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=1, help="How many classes to name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def predict(model: str, files: tuple[str, ...], top: int, as_json: bool) -> None:
    """Say what the network in MODEL sees in FILES: a line for each sample.

    FILES are images (PNG, JPEG, GIF, BMP, PPM, TIFF, WebP), which are brought to the size and the
    range of values that the network was trained on, WAV files, cut off or filled up with silence to
    the length that it takes, or .npy arrays of one or more samples, taken as they are. Light stays
    light: digits must be light on dark, as they are in digits and in MNIST. Sounds must have the
    sampling rate of those that the network was trained on: it does not carry it.

    A file that cannot be read is reported, and the exit code is 1 at the end.
    """
    loaded = network.load(model)
    has_failed = False
    for file in files:
        try:
            answers = list(_answers(loaded, file, top))
        except (ValueError, ImportError, OSError, MemoryError) as error:
            click.echo(f"Error: {reason(error)}", err=True)
            has_failed = True
            continue
        for answer in answers:
            click.echo(answer.json() if as_json else answer.line())
    if has_failed:
        raise click.exceptions.Exit(1)


def _answers(model: Any, file: str, top: int) -> Iterator[_Answer]:
    """Yield what the network says of each sample in a file."""
    batch = load_samples(file, model)
    try:
        outputs = model.predict(batch, verbose=0)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if not np.isfinite(outputs).all():
        raise ValueError(f"{file}: the network's output is no finite number")
    are_probabilities = bool(
        (outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=_TOLERANCE)
    )
    for number, values in enumerate(outputs):
        labels = np.argsort(-values, kind="stable")[:top].tolist()
        yield _Answer(
            file=file,
            sample=number if len(batch) > 1 else None,
            labels=labels,
            names=[class_name(model, label) for label in labels],
            values=values[labels].tolist(),
            are_probabilities=are_probabilities,
        )
