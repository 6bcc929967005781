"""What a stage is told of the instructions that are carried out with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlet import _native
from convlet.engine.fusion import Step
from convlet.engine.program import Instruction
from convlet.engine.tables import native_table
from convlet.ops.activations import ELEMENTWISE

if TYPE_CHECKING:
    from convlet.engine.lowering import Lowering


def fused(lowering: Lowering, step: Step) -> dict[str, Any]:
    """Return what a stage is told of the instructions behind its first."""
    fused: dict[str, Any] = {}
    for instruction in step.instructions[1:]:
        if instruction.operator == "add_bias":
            fused["bias"] = lowering.slot(instruction.reads[1])
        elif instruction.operator == "add":
            made = {name for i in step.instructions for name in i.writes}
            (other,) = set(instruction.reads) - made
            fused["residual"] = lowering.buffer(other)
        elif instruction.operator == "max_pool":
            fused["pool"] = native_table(instruction.attributes["table"])
            fused["winner"] = lowering.buffer(instruction.writes[1])
        else:
            fused["activation"], fused["parameters"] = activation_of(instruction)
    return fused


def activation_of(instruction: Instruction) -> tuple[Any, list[float]]:
    """Return the core's name of an activation function, and what the layer chose for it."""
    name, chosen = instruction.attributes["function"], instruction.attributes
    defaults = ELEMENTWISE[name].parameters
    return _native.Activation[name], [chosen.get(p, default) for p, default in defaults.items()]
