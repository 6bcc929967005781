"""Normalizations, and the statistics that they go by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convlet import _native
from convlet.engine.fusion import Step
from convlet.engine.program import Instruction
from convlet.engine.stages.fused import fused

if TYPE_CHECKING:
    from convlet.engine.lowering import Lowering


def coefficients_of(lowering: Lowering, instruction: Instruction) -> int:
    """Write what finds a normalization's coefficients; return the memory that holds them."""
    name, epsilon = f"{instruction.layer}: coefficients", instruction.attributes["epsilon"]
    if instruction.operator == "batch_normalize_gradient":
        _, x, *statistics = instruction.reads
        operands: Any = [*map(lowering.slot, statistics), epsilon, *lowering.grid(x)]
        return _native.batch_normalize_gradient_coefficients(lowering.plan, name, *operands)
    x, *statistics = instruction.reads
    slots = [lowering.slot(n) for n in statistics]
    if instruction.operator == "normalize_gradient":
        slots = [-1, *slots, -1]
    operands = [*slots, epsilon, lowering.grid(x)[1]]
    return _native.normalization_coefficients(lowering.plan, name, *operands)


def statistics(lowering: Lowering, step: Step) -> None:
    """Write sums over each block; `_write_statistics` puts them together."""
    (instruction,) = step.instructions
    positions, channels = lowering.grid(instruction.reads[0])
    if instruction.operator == "channel_moments":
        x = lowering.buffer(instruction.reads[0])
        sums = _native.block_moments(lowering.plan, step.name, x, positions, channels)
    else:
        delta, x = (lowering.buffer(name) for name in instruction.reads[:2])
        mean = lowering.slot(instruction.reads[2])
        sums = _native.block_gradient_sums(
            lowering.plan, step.name, delta, x, mean, positions, channels
        )
    lowering.block_sums[instruction.writes[0]] = sums


def write_statistics(lowering: Lowering, step: Step) -> None:
    """Write what puts the sums of blocks together."""
    (instruction,) = step.instructions
    name, sums = f"{step.name}: sum of blocks", lowering.block_sums[instruction.writes[0]]
    first, second = map(lowering.slot, instruction.writes)
    positions, channels = lowering.grid(instruction.reads[0])
    if instruction.operator == "channel_moments":
        _native.channel_moments(lowering.plan, name, sums, first, second, positions, channels)
        return
    variance, epsilon = lowering.slot(instruction.reads[3]), instruction.attributes["epsilon"]
    _native.normalization_sums(
        lowering.plan, name, sums, variance, first, second, epsilon, channels
    )


def normalize(lowering: Lowering, step: Step) -> None:
    """Write a normalization, or its gradient where the statistics are given."""
    x, (y,) = step.instructions[0].reads[0], step.writes
    _native.normalize(
        lowering.plan,
        step.name,
        lowering.coefficients[y],
        lowering.buffer(x),
        lowering.buffer(y),
        *lowering.grid(x),
        **fused(lowering, step),
    )


def batch_normalize_gradient(lowering: Lowering, step: Step) -> None:
    """Write the gradient of a normalization by the batch's own statistics."""
    (instruction,) = step.instructions
    delta, x, x_delta = *instruction.reads[:2], instruction.writes[0]
    _native.batch_normalize_gradient(
        lowering.plan,
        step.name,
        lowering.coefficients[x_delta],
        lowering.buffer(delta),
        lowering.buffer(x),
        lowering.buffer(x_delta),
        *lowering.grid(x),
    )


def standardize(lowering: Lowering, step: Step) -> None:
    """Write a normalization by sets of an image's numbers, or its gradient."""
    (instruction,) = step.instructions
    chosen = instruction.attributes
    operands: Any = [*chosen["sets"], chosen["epsilon"], *lowering.operands(instruction)]
    getattr(_native, instruction.operator)(lowering.plan, step.name, *operands)


def response_normalization(lowering: Lowering, step: Step) -> None:
    """Write a normalization by neighbouring channels, or its gradient."""
    (instruction,) = step.instructions
    chosen, grid = instruction.attributes, lowering.grid(instruction.reads[0])
    radius = min(chosen["depth_radius"], grid[1])  # 64 bits hold it
    operands: Any = [radius, *(chosen[name] for name in ("bias", "alpha", "beta"))]
    operands += [*lowering.operands(instruction), *grid]
    getattr(_native, instruction.operator)(lowering.plan, step.name, *operands)


WRITERS: dict[str, Callable[[Lowering, Step], None]] = {
    "channel_moments": statistics,
    "normalization_sums": statistics,
    "normalize": normalize,
    "normalize_gradient": normalize,
    "batch_normalize": normalize,
    "batch_normalize_gradient": batch_normalize_gradient,
    "standardize": standardize,
    "standardize_gradient": standardize,
    "local_response_normalization": response_normalization,
    "local_response_normalization_gradient": response_normalization,
}
