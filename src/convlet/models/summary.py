"""The table that `Model.summary` prints."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

from convlet.inspection import ReceptiveField
from convlet.inspection.costs import multiply_adds_by_layer
from convlet.inspection.receptive_field import receptive_fields
from convlet.layers.layer import Layer, Shape
from convlet.layers.structures import leaves

if TYPE_CHECKING:
    from convlet.engine import Variable
    from convlet.models.model import Model

_WIDTH = 100
_COLUMNS_OF_GRAPH = 6


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


def _rows(model: Model, counts: Counter[str] | None) -> list[list[str]]:
    """Return a row for each layer; of a graph with what the layer is connected to."""
    rows = []
    fields = receptive_fields(model) if model.built else {}
    for layer, shapes in zip(model.layers, model.layer_shapes(), strict=True):
        shape = "?" if shapes is None else "\n".join(map(str, shapes))
        products = "?" if counts is None else f"{counts[layer.name]:,}"
        field = _field(fields.get(layer.name))
        rows.append([_title(layer), shape, _count(layer, shapes), products, field])
        sources = model.sources(layer)
        if sources is not None:
            names = [f" {source.removesuffix('[0][0]')}" for source in sources]
            rows[-1].append("\n".join(names) or " -")
    return rows


def _multiply_adds(model: Model) -> Counter[str] | None:
    """Return the multiply-adds of each layer, None where sizes are left open."""
    if not model.built or None in [n for shape in leaves(model.input_shape) for n in shape[1:]]:
        return None
    return multiply_adds_by_layer(model)


def _field(field: ReceptiveField | None) -> str:
    """Return size and stride, one number for an axis or for all that are alike."""
    if field is None:
        return "-"
    if not any(field.stride):
        return "all"
    size, stride = (
        str(numbers[0]) if len(set(numbers)) == 1 else "x".join(map(str, numbers))
        for numbers in field
    )
    return f"{size}, {stride}"


def _title(layer: Layer) -> str:
    return f"{layer.name} ({type(layer).__name__})"


def _count(layer: Layer, shapes: list[Shape] | None) -> str:
    return "not built" if shapes is None else f"{layer.count_params():,}"


def summary_lines(model: Model) -> list[str]:
    """Return the table's lines: each layer, its output, weights, multiply-adds, receptive field.

    A receptive field is its size and its stride. Of a graph's layers the table also has the layers
    that they read; ``conv[1][0]`` is the first output of the second call.
    """
    counts = _multiply_adds(model)
    lines = _table(model, _rows(model, counts))
    if model.dtype == "float64":
        lines.append(" Computes in float64, by the reference executor: NumPy, formula by formula")
    if counts is not None:
        lines.append(f" Multiply-adds: {sum(counts.values()):,} an image")
    return [
        *lines,
        f" Total params: {_size(model.weights)}",
        f" Trainable params: {_size(model.trainable_weights)}",
        f" Non-trainable params: {_size(model.non_trainable_weights)}",
    ]


def _table(model: Model, rows: list[list[str]]) -> list[str]:
    """Return the rows under a title and names of columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    is_graph = any(len(row) == _COLUMNS_OF_GRAPH for row in rows)
    table = Table(
        title=f"Model: {model.name!r}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0 if is_graph else 1),
    )
    table.add_column("Layer (type)", min_width=20 if is_graph else 30, overflow="fold")
    table.add_column("Output shape", min_width=20, no_wrap=is_graph)
    for title in ("Param #", "Multiply-\nadds", "Field,\nstride"):
        table.add_column(title, justify="right", no_wrap=True)
    if is_graph:
        table.add_column(" Connected to", overflow="fold")
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=_WIDTH, highlight=False, markup=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
