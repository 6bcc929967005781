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

from convlet.engine.costs import direct_cost
from convlet.engine.fusion import Step, fuse
from convlet.engine.program import Program
from convlet.engine.transforms import transform_cost

LANES = (1, 16, 32)
"""Numbers of images in a block. 64 was never ahead: its blocks outgrow the cache."""

_POOLS = ("max_pool", "average_pool")
_POOL_ELEMENT = 15.0  # of a pooling that is not fused
_BY_WINNERS = 0.45  # with several lanes
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
        _cost_of_step(program, s, images, lanes, width) for s in fuse(program, images, lanes, width)
    )


def _cost_of_step(program: Program, step: Step, images: int, lanes: int, width: int) -> float:
    """Return the cost of a step for one block."""
    if step.kind.startswith(_POOLS) and len(step.operators) == 1:
        shapes = [program.buffers[n].shape for n in (*step.reads, *step.writes)]
        largest = max(shapes, key=math.prod)
        channels = -(-largest[-1] // width) * width if lanes == 1 else largest[-1]
        return _POOL_ELEMENT * lanes * math.prod(largest[:-1]) * channels
    if step.tile is not None:
        return transform_cost(program, step.instructions[0], step.tile, images, lanes, width)
    share = _BY_WINNERS if step.by_winners else 1.0
    return share * sum(direct_cost(program, i, lanes, width) for i in step.instructions)
