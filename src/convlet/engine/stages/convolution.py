"""Convolutions, dense and locally connected layers, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convlet import _native
from convlet.engine.fusion import Step
from convlet.engine.stages.fused import fused
from convlet.engine.tables import native_table

if TYPE_CHECKING:
    from convlet.engine.lowering import Lowering

TRANSPOSED = ("conv_input_gradient", "conv_transpose", "dense_input_gradient")
"""Those that read the kernel with channels and rows in each other's place."""


def convolution(lowering: Lowering, step: Step) -> None:
    """Write a convolution, a dense layer, or a gradient by the input of one."""
    first, last = step.instructions[0], step.instructions[-1]
    transposed = first.operator in TRANSPOSED
    told = fused(lowering, step)
    table, shape = lowering.window(first)
    operands = (
        shape,
        transposed,
        lowering.packed[first.writes[0]],
        lowering.buffer(first.reads[0]),
        lowering.buffer(last.writes[0]),
    )
    if step.tile is not None:
        name = f"{step.name} ({step.tile.name})"
        _native.transformed_convolution(lowering.plan, name, table, step.tile, *operands, **told)
    else:
        _native.convolution(lowering.plan, step.name, table, *operands, **told)


def input_gradient(lowering: Lowering, step: Step) -> None:
    """Write the gradient by a convolution's input, by the winners of a pooling or not."""
    if not step.by_winners:
        convolution(lowering, step)
        return
    spread, gradient = step.instructions
    delta, winner = spread.reads
    table, shape = lowering.window(gradient)
    x_delta = gradient.writes[0]
    _native.winner_input_gradient(
        lowering.plan,
        step.name,
        table,
        native_table(spread.attributes["table"]),
        shape,
        lowering.packed[x_delta],
        lowering.buffer(delta),
        lowering.buffer(winner),
        lowering.buffer(x_delta),
    )


def local(lowering: Lowering, step: Step) -> None:
    """Locally connected layers and their input gradients."""
    (instruction,) = step.instructions
    x, kernel = instruction.reads
    is_gradient = instruction.operator.endswith("gradient")
    stage = _native.local_input_gradient if is_gradient else _native.local_convolution
    stage(
        lowering.plan,
        step.name,
        *lowering.window(instruction),
        lowering.slot(kernel),
        lowering.buffer(x),
        lowering.buffer(instruction.writes[0]),
    )


def kernel_gradient(lowering: Lowering, step: Step) -> None:
    """Write the gradient by a kernel."""
    last = step.instructions[-1]
    x, delta = last.reads
    fused: dict[str, Any] = {}
    if len(step.instructions) == 2:
        spread = step.instructions[0]
        delta, winner = spread.reads
        fused = {
            "unpool": native_table(spread.attributes["table"]),
            "winner": lowering.buffer(winner),
        }
    table, shape = lowering.window(last)
    if step.tile is not None:
        _native.transformed_kernel_gradient(
            lowering.plan,
            f"{step.name} ({step.tile.name})",
            table,
            step.tile,
            shape,
            lowering.buffer(x),
            lowering.buffer(delta),
            lowering.gradient(last.writes[0]),
        )
        return
    if step.by_winners:
        _native.winner_kernel_gradient(
            lowering.plan,
            step.name,
            table,
            fused["unpool"],
            shape,
            lowering.buffer(x),
            lowering.buffer(delta),
            fused["winner"],
            lowering.gradient(last.writes[0]),
        )
        return
    _native.kernel_gradient(
        lowering.plan,
        step.name,
        table,
        shape,
        lowering.buffer(x),
        lowering.buffer(delta),
        lowering.gradient(last.writes[0]),
        step.whole_batch,
        step.kind.startswith("local"),
        **fused,
    )


def bias_gradient(lowering: Lowering, step: Step) -> None:
    """Write the gradient by a bias."""
    (instruction,) = step.instructions
    delta = instruction.reads[0]
    _native.bias_gradient(
        lowering.plan,
        step.name,
        lowering.buffer(delta),
        lowering.gradient(instruction.writes[0]),
        *lowering.grid(delta),
    )


WRITERS: dict[str, Callable[[Lowering, Step], None]] = {
    "conv": convolution,
    "conv_transpose": convolution,
    "dense": convolution,
    "conv_input_gradient": input_gradient,
    "dense_input_gradient": convolution,
    "conv_kernel_gradient": kernel_gradient,
    "dense_kernel_gradient": kernel_gradient,
    "local_conv": local,
    "local_conv_input_gradient": local,
    "local_conv_kernel_gradient": kernel_gradient,
    "bias_gradient": bias_gradient,
}
