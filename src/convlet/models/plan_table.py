"""What `Model.plan` prints: what the C++ core will do with a batch, phase by phase."""

from __future__ import annotations

import io
from itertools import groupby
from typing import TYPE_CHECKING

from convlet.engine import executor_for
from convlet.engine.native import executable
from convlet.layers.structures import leaves

if TYPE_CHECKING:
    from convlet.models.model import Model

_WIDTH = 160  # the longest names fit; the table is as wide as it needs
_MEGABYTE = 1e6


def plan_lines(model: Model, mode: str, images: int) -> list[str]:
    """Return the lines: phases, what is done in one go, operations, and memory.

    Parameters
    ----------
    model : Model
        Its inputs have known sizes.
    mode : {"predict", "evaluate", "train"}
    images : int
        The batch's size.
    """
    given = model.input_shape
    known = [given] if isinstance(given, tuple) else leaves(given)
    shapes = [tuple(size for size in shape[1:] if size is not None) for shape in known]
    program = model.program(mode, *shapes)
    title = f"{model.name!r}, {mode}, {images} images"
    if executor_for(program, model.dtype) == "reference":
        return [f"{title}: the reference executor, one instruction after the other", str(program)]
    plan = executable(program, images).plan
    lines = [
        f"{title}: {plan.blocks} blocks of up to {plan.lanes}, in {plan.shards} shards, "
        f"{plan.instruction_set}"
    ]
    lines += _table(plan.stages())
    shared, own, kept = (size / _MEGABYTE for size in plan.memory())
    return [
        *lines,
        f" Memory: {shared:,.2f} MB for what phases leave each other, {own:,.2f} MB for each "
        "thread,",
        f"         {kept:,.2f} MB for kernels laid out anew and sums of gradients",
    ]


def _table(stages: list[tuple[int, bool, str, float]]) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Phase", no_wrap=True)
    table.add_column("Stage", min_width=50, no_wrap=True)
    table.add_column("MFLOP", justify="right", no_wrap=True)
    for (phase, together), group in groupby(stages, key=lambda stage: stage[:2]):
        how = "the whole batch" if together else "block by block"
        for number, (_, _, name, operations) in enumerate(group):
            first = f"{phase}, {how}" if number == 0 else ""
            table.add_row(first, name, f"{operations / 1e6:,.2f}" if operations else "")
    text = io.StringIO()
    Console(file=text, width=_WIDTH, color_system=None).print(table, markup=False)
    return [line.rstrip() for line in text.getvalue().splitlines()]
