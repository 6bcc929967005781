"""What instructions cost the C++ core, estimated from shapes alone, for `lanes` and `transforms`.

The unit is a multiply-add of the best kernels. The constants were found by measurement
(docs/experiments.md); nothing is measured at run time.
"""

from __future__ import annotations

import math

from convlet.engine.program import Instruction, Program
from convlet.ops import TapTable

_OPERATORS = ("conv", "dense", "local_conv")  # and their gradients
_KEPT_WEIGHTS = 1 << 16  # a kernel of so many weights stays in the cache between blocks

# Costs in units of one multiply-add of the best kernels.
_READ_WEIGHT = {True: 2.5, False: 10.0}  # that does not stay in the cache; one lane, and several
_TILE_ROWS = 64  # of a tile of weights that all positions of an image go through, with one lane
_CACHED_WEIGHTS = 1 << 18  # of a tile: 1 MB; larger ones come anew from memory
_UNCACHED = 1.7
_ONE_VECTOR = 1.2  # of rows, with one lane: six sums at once are few
_BEGIN_RUN = 6.0  # a run of neighbouring products, with one lane, as if it had so many more
_DEPTHWISE = {True: 3.0, False: 10.0}  # nothing is summed over channels
_KERNEL_GRADIENT = {True: 1.05, False: 1.2}  # with one lane, and with several
_WIDE = 1.03  # 32 lanes instead of 16: the L1 cache holds less of a block


def kernel_shape(program: Program, instruction: Instruction) -> tuple[int, ...]:
    """Return the shape of the kernel that a convolution reads, or whose gradient it writes."""
    names = (*instruction.reads, *instruction.writes)
    return next(b.shape for b in map(program.buffers.__getitem__, names) if not b.per_image)


def direct_cost(program: Program, instruction: Instruction, lanes: int, width: int) -> float:
    """Return the cost of an instruction for one block of images, carried out directly."""
    operator = instruction.operator
    if not operator.startswith(_OPERATORS):
        return 0.0
    shapes = [program.buffers[n].shape for n in (*instruction.reads, *instruction.writes)]
    kernel = kernel_shape(program, instruction)
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
        if rows <= width and not operator.endswith("kernel_gradient"):
            work *= _ONE_VECTOR
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
