"""What treats numbers by themselves, moves them, or ends a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import _native
from convlet.engine.fusion import Step
from convlet.engine.stages.fused import activation_of
from convlet.engine.tables import native_moves

if TYPE_CHECKING:
    from convlet.engine.lowering import Lowering


def activation(lowering: Lowering, step: Step) -> None:
    """Activations and their gradients."""
    (instruction,) = step.instructions
    operands = lowering.operands(instruction)
    is_gradient = instruction.operator == "activation_gradient"
    stage = _native.activation_gradient if is_gradient else _native.activation
    operands.append(lowering.size(instruction.reads[0]))
    stage(lowering.plan, step.name, *activation_of(instruction), *operands)


def softmax(lowering: Lowering, step: Step) -> None:
    """Softmax, its logarithm, and their gradients."""
    (instruction,) = step.instructions
    operands = lowering.operands(instruction)
    is_gradient = instruction.operator.endswith("gradient")
    stage = _native.softmax_gradient if is_gradient else _native.softmax
    logarithm = instruction.operator.startswith("log")
    operands += lowering.grid(instruction.reads[0])
    stage(lowering.plan, step.name, logarithm, *operands)


def loss(lowering: Lowering, step: Step) -> None:
    """Write a loss, and its gradient if that is asked for."""
    first = step.instructions[0]
    prediction, targets, weights = first.reads
    function = first.attributes["function"]
    deltas = [lowering.buffer(i.writes[0]) for i in step.instructions[1:]]
    _native.loss(
        lowering.plan,
        step.name,
        _native.Loss[function.formula],
        getattr(function, "from_logits", False),
        getattr(function, "label_smoothing", 0.0),
        lowering.buffer(prediction),
        lowering.slot(targets),
        lowering.slot(weights),
        lowering.slot(first.writes[0]),
        deltas[0] if deltas else -1,
        *lowering.grid(prediction),
    )


def add_bias(lowering: Lowering, step: Step) -> None:
    """Write the sum with a bias."""
    (instruction,) = step.instructions
    x, bias = instruction.reads
    y = instruction.writes[0]
    _native.add_bias(
        lowering.plan,
        step.name,
        lowering.buffer(x),
        lowering.slot(bias),
        lowering.buffer(y),
        *lowering.grid(x),
    )


def add(lowering: Lowering, step: Step) -> None:
    """Write the sum of two arrays."""
    (instruction,) = step.instructions
    operands = lowering.operands(instruction)
    operands.append(lowering.size(instruction.reads[0]))
    _native.add(lowering.plan, step.name, *operands)


def multiply(lowering: Lowering, step: Step) -> None:
    """Write the product of two arrays."""
    (instruction,) = step.instructions
    operands = lowering.operands(instruction)
    operands.append(lowering.size(instruction.reads[0]))
    _native.multiply(lowering.plan, step.name, *operands)


def extremum(lowering: Lowering, step: Step) -> None:
    """Maximum and minimum, and their gradients."""
    (instruction,) = step.instructions
    is_gradient = instruction.operator.endswith("gradient")
    stage = _native.extremum_gradient if is_gradient else _native.extremum
    sign = 1.0 if instruction.operator.startswith("maximum") else -1.0
    operands = lowering.operands(instruction)
    operands.append(lowering.size(instruction.reads[0]))
    stage(lowering.plan, step.name, sign, *operands)


def concatenate(lowering: Lowering, step: Step) -> None:
    """Copy runs of each array to their places side by side, or back."""
    (instruction,) = step.instructions
    is_gradient = instruction.operator == "concatenate_gradient"
    parts = instruction.writes if is_gradient else instruction.reads
    (whole,) = instruction.reads if is_gradient else instruction.writes
    axis, sizes = instruction.attributes["axis"], instruction.attributes["sizes"]
    shape = lowering.program.buffers[whole].shape
    runs, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    begin = 0
    for part, size in zip(parts, sizes, strict=True):
        length = size * inner
        alone = (lowering.buffer(part), 0, length)
        beside = (lowering.buffer(whole), begin, sum(sizes) * inner)
        source, target = (beside, alone) if is_gradient else (alone, beside)
        _native.copy_runs(lowering.plan, step.name, *source, *target, runs, length)
        begin += length


def take(lowering: Lowering, step: Step) -> None:
    """Write a move of numbers to other places, or back."""
    (instruction,) = step.instructions
    is_gradient = instruction.operator == "take_gradient"
    moves = native_moves(instruction.attributes["table"], is_gradient)
    fill = 0.0 if is_gradient else instruction.attributes["fill"]
    _native.take(lowering.plan, step.name, moves, fill, *lowering.operands(instruction))


def rescale(lowering: Lowering, step: Step) -> None:
    """Write a product and a sum with numbers that are given, or its gradient."""
    (instruction,) = step.instructions
    x, y = instruction.reads[0], instruction.writes[0]
    positions, channels = lowering.grid(x)
    scale = np.broadcast_to(instruction.attributes["scale"], channels).tolist()
    offset = np.broadcast_to(instruction.attributes["offset"], channels).tolist()
    if instruction.operator == "rescale_gradient":
        offset = [0.0] * channels
    x_buffer, y_buffer = lowering.buffer(x), lowering.buffer(y)
    _native.rescale(lowering.plan, step.name, x_buffer, y_buffer, scale, offset, positions)


def scale(lowering: Lowering, step: Step) -> None:
    """Write the product with a coefficient of each channel."""
    (instruction,) = step.instructions
    x, gamma = instruction.reads
    y = lowering.buffer(instruction.writes[0])
    _native.scale(
        lowering.plan, step.name, lowering.buffer(x), lowering.slot(gamma), y, *lowering.grid(x)
    )


def scale_gradient(lowering: Lowering, step: Step) -> None:
    """Write the gradient by the coefficients of channels."""
    (instruction,) = step.instructions
    x, delta = (lowering.buffer(name) for name in instruction.reads)
    gradient, grid = lowering.gradient(instruction.writes[0]), lowering.grid(instruction.reads[0])
    _native.scale_gradient(lowering.plan, step.name, x, delta, gradient, *grid)


def random(lowering: Lowering, step: Step) -> None:
    """Write dropout or noise."""
    (instruction,) = step.instructions
    x, random = instruction.reads
    chosen, by_channel = instruction.attributes, instruction.operator == "spatial_dropout"
    operands: Any = [
        lowering.buffer(x),
        lowering.buffer(instruction.writes[0]),
        lowering.slot(random),
    ]
    operands += lowering.grid(x) if by_channel else [lowering.size(x)]
    operands += [chosen.get("rate", chosen.get("stddev")), chosen["layer"]]
    getattr(_native, instruction.operator)(lowering.plan, step.name, *operands)


WRITERS: dict[str, Callable[[Lowering, Step], None]] = {
    "add_bias": add_bias,
    "activation": activation,
    "activation_of_input": activation,
    "activation_gradient": activation,
    "softmax": softmax,
    "softmax_gradient": softmax,
    "log_softmax": softmax,
    "log_softmax_gradient": softmax,
    "loss": loss,
    "add": add,
    "multiply": multiply,
    "maximum": extremum,
    "maximum_gradient": extremum,
    "minimum": extremum,
    "minimum_gradient": extremum,
    "concatenate": concatenate,
    "concatenate_gradient": concatenate,
    "take": take,
    "take_gradient": take,
    "rescale": rescale,
    "rescale_gradient": rescale,
    "scale": scale,
    "scale_gradient": scale_gradient,
    "dropout": random,
    "spatial_dropout": random,
    "gaussian_noise": random,
}
