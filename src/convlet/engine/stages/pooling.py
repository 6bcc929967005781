"""Poolings, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from convlet import _native
from convlet.engine.fusion import Step
from convlet.engine.tables import native_table, winner_type
from convlet.ops import TapTable

if TYPE_CHECKING:
    from convlet.engine.lowering import Lowering


def pooling(lowering: Lowering, step: Step) -> None:
    """Poolings that draw nothing, and the gradients of all."""
    (instruction,) = step.instructions
    table: TapTable = instruction.attributes["table"]
    channels = lowering.grid(instruction.reads[0])[1]
    operands = lowering.operands(instruction)
    if instruction.operator == "max_pool":
        operands.append(winner_type(table).itemsize)
    by_winners = instruction.operator in ("max_pool_gradient", "stochastic_pool_gradient")
    if by_winners:
        operands.insert(2, winner_type(table).itemsize)
    if instruction.operator.startswith("log_sum_exp"):
        operands.append(instruction.attributes["sharpness"])
    stage = _native.max_pool_gradient if by_winners else getattr(_native, instruction.operator)
    stage(lowering.plan, step.name, native_table(table), channels, *operands)


def stochastic_pool(lowering: Lowering, step: Step) -> None:
    """Write a pooling that draws one number of each window."""
    (instruction,) = step.instructions
    x, random = instruction.reads
    y, winner = (lowering.buffer(name) for name in instruction.writes)
    table: TapTable = instruction.attributes["table"]
    _native.stochastic_pool(
        lowering.plan,
        step.name,
        native_table(table),
        lowering.grid(x)[1],
        lowering.buffer(x),
        lowering.slot(random),
        y,
        winner,
        winner_type(table).itemsize,
        instruction.attributes["layer"],
    )


WRITERS: dict[str, Callable[[Lowering, Step], None]] = {
    "max_pool": pooling,
    "max_pool_gradient": pooling,
    "average_pool": pooling,
    "average_pool_gradient": pooling,
    "sum_pool": pooling,
    "sum_pool_gradient": pooling,
    "l2_pool": pooling,
    "l2_pool_gradient": pooling,
    "log_sum_exp_pool": pooling,
    "log_sum_exp_pool_gradient": pooling,
    "stochastic_pool": stochastic_pool,
    "stochastic_pool_gradient": pooling,
    "stochastic_pool_mean": pooling,
    "stochastic_pool_mean_gradient": pooling,
}
