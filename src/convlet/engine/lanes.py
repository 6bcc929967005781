"""How many images a block holds: an estimate of the work from shapes and batch size alone.

With 16 or 32 lanes vectors are images: all of them are used whatever the number of channels, but
the last block of a batch may be partly empty, and a block's activations may outgrow the cache.
With one lane the roles are swapped, vectors are channels: nothing is empty when there are few
images, but 20 channels fill only two thirds of two vectors, and every image reads all weights.

The constants below were found by measurement (docs/experiments.md). Nothing is measured at run
time, and the number of threads has no say, so equal batches give equal bits everywhere.
"""

from __future__ import annotations

import math

from convlet.engine.fusion import Step, fuse
from convlet.engine.program import Instruction, Program
from convlet.ops import TapTable

LANES = (1, 16, 32)
"""Numbers of images in a block. 64 was never ahead: its blocks outgrow the cache."""

_POOLS = ("max_pool", "average_pool")
_OPERATORS = ("conv", "dense", "local")
_KEPT_WEIGHTS = 1 << 16  # a kernel of so many weights stays in the cache between blocks

# Costs in units of one multiply-add of the best kernels.
_READ_WEIGHT = {True: 2.5, False: 10.0}  # that does not stay in the cache; one lane, and several
_TILE_ROWS = 64  # of a tile of weights that all positions of an image go through, with one lane
_CACHED_WEIGHTS = 1 << 18  # of a tile: 1 MB; larger ones come anew from memory
_UNCACHED = 1.7
_BEGIN_RUN = 6.0  # a run of neighbouring products, with one lane, as if it had so many more
_POOL_ELEMENT = 15.0  # of a pooling that is not fused
_BY_WINNERS = 0.45  # with several lanes
_DEPTHWISE = {True: 3.0, False: 10.0}  # nothing is summed over channels: two loads a multiply-add
_KERNEL_GRADIENT = {True: 1.05, False: 1.2}  # with one lane, and with several
_WIDE = 1.03  # 32 lanes instead of 16: the L1 cache holds less of a block
_ALONE = 1.15  # one block, which all threads share stage by stage

_THREADS = 2  # that blocks are assumed to be shared out among


def lanes_for(program: Program, images: int, width: int) -> int:
    """Return the best number of images in a block.

    Parameters
    ----------
    program : Program
    images : int
        The batch's size.
    width : int
        Floats in a register.
    """
    return min(LANES, key=lambda lanes: cost(program, images, lanes, width))


def cost(program: Program, images: int, lanes: int, width: int) -> float:
    """Return an estimate of the time of a run, in multiply-adds."""
    blocks = -(-images // lanes)
    in_turn = -(-blocks // _THREADS) if blocks > 1 else _ALONE / _THREADS
    return in_turn * sum(
        _cost_of_step(program, s, lanes, width) for s in fuse(program, lanes, width)
    )


def _cost_of_step(program: Program, step: Step, lanes: int, width: int) -> float:
    """Return the cost of a step for one block."""
    if step.kind.startswith(_POOLS) and len(step.operators) == 1:
        shapes = [program.buffers[n].shape for n in (*step.reads, *step.writes)]
        largest = max(shapes, key=math.prod)
        channels = -(-largest[-1] // width) * width if lanes == 1 else largest[-1]
        return _POOL_ELEMENT * lanes * math.prod(largest[:-1]) * channels
    share = _BY_WINNERS if step.by_winners else 1.0
    return share * sum(_cost_of(program, i, lanes, width) for i in step.instructions)


def _cost_of(program: Program, instruction: Instruction, lanes: int, width: int) -> float:
    """Return the cost of an instruction for one block."""
    operator = instruction.operator
    if operator.split("_")[0] not in _OPERATORS:
        return 0.0
    shapes = [program.buffers[n].shape for n in (*instruction.reads, *instruction.writes)]
    kernel = next(
        program.buffers[n].shape
        for n in (*instruction.reads, *instruction.writes)
        if not program.buffers[n].per_image
    )
    *_, channels, filters = kernel
    if operator.startswith("local"):
        channels //= instruction.attributes["table"].taps
    groups = instruction.attributes.get("groups", 1)
    work = float(lanes * _meetings(instruction, shapes[0]) * channels * filters)
    work *= _WIDE if lanes > 16 else 1.0
    if groups > 1 and channels * filters == groups:  # each channel by itself: no lane is empty
        return work * _DEPTHWISE[lanes == 1]
    if lanes == 1:
        is_transposed = operator == "conv_transpose" or operator.endswith("input_gradient")
        rows = channels if is_transposed else filters // groups
        work *= -(-rows // width) * width / rows
        if operator == "conv":
            run = channels * (kernel[-3] if groups == 1 else 1)
            work *= 1 + _BEGIN_RUN / run
        sums = math.prod(kernel) // rows * min(rows, _TILE_ROWS)
        if sums > _CACHED_WEIGHTS and not operator.endswith("kernel_gradient"):
            work *= _UNCACHED
    if operator.endswith("kernel_gradient"):
        return work * _KERNEL_GRADIENT[lanes == 1]
    weights = math.prod(kernel)
    return work + (_READ_WEIGHT[lanes == 1] * weights if weights > _KEPT_WEIGHTS else 0.0)


def _meetings(instruction: Instruction, shape: tuple[int, ...]) -> int:
    """Return how many times an output reads an input through a tap."""
    table: TapTable | None = instruction.attributes.get("table")
    if table is None:
        return math.prod(shape[:-1])
    return math.prod(
        sum(axis.meeting(tap)[0].stop - axis.meeting(tap)[0].start for tap in axis.meeting_taps)
        for axis in table.axes
    )
