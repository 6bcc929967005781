"""The table that `Model.summary` prints."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from convlet.layers.layer import Layer, Shape

if TYPE_CHECKING:
    from convlet.engine import Variable
    from convlet.models.model import Model

_WIDTH = 78
_COLUMNS_OF_GRAPH = 4


def _size(variables: list[Variable]) -> str:
    """Return how many numbers some variables hold, and how much memory that is."""
    count = sum(variable.size for variable in variables)
    bytes_each = {"float32": 4, "float64": 8}
    size = float(sum(variable.size * bytes_each[variable.dtype] for variable in variables))
    unit = "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:,.0f} B)" if unit == "B" else f"{count:,} ({size:,.2f} {unit})"


def _rows(model: Model) -> list[list[str]]:
    """Return a row for each layer; of a graph with what the layer is connected to."""
    rows = []
    for layer, shapes in zip(model.layers, model.layer_shapes(), strict=True):
        shape = "?" if shapes is None else "\n".join(map(str, shapes))
        rows.append([_title(layer), shape, _count(layer, shapes)])
        sources = model.sources(layer)
        if sources is not None:
            rows[-1].append("\n".join(sources) or "-")
    return rows


def _title(layer: Layer) -> str:
    return f"{layer.name} ({type(layer).__name__})"


def _count(layer: Layer, shapes: list[Shape] | None) -> str:
    return "not built" if shapes is None else f"{layer.count_params():,}"


def summary_lines(model: Model) -> list[str]:
    """Return the table's lines: each layer, its output's shape, its number of weights.

    For a graph also the layers that it reads, and which output of which call: ``conv[0][0]``.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Model: {model.name!r}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("Layer (type)", min_width=30)
    table.add_column("Output shape", min_width=22)
    table.add_column("Param #", justify="right", min_width=12)
    rows, width = _rows(model), _WIDTH
    if any(len(row) == _COLUMNS_OF_GRAPH for row in rows):
        table.add_column("Connected to", min_width=18)
        width += 22
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    if model.dtype == "float64":
        lines.append(" Computes in float64, by the reference executor: NumPy, formula by formula")
    return [
        *lines,
        f" Total params: {_size(model.weights)}",
        f" Trainable params: {_size(model.trainable_weights)}",
        f" Non-trainable params: {_size(model.non_trainable_weights)}",
    ]
