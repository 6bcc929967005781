"""The reference executor: runs a program with the NumPy functions of `convlet.ops`, in order.

It is the specification that faster executors are held against, and works in any float type.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlet.engine.operators import OPERATORS
from convlet.engine.program import Program


def run(program: Program, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a program on a batch.

    Parameters
    ----------
    program : Program
    feeds : mapping of str to ndarray
        The buffers named in ``program.feeds``.

    Returns
    -------
    dict of str to ndarray
        The buffers named in ``program.results``.
    """
    buffers = {name: variable.value for name, variable in program.variables.items()}
    buffers.update(feeds)
    with np.errstate(over="ignore", invalid="ignore"):  # who asked looks at the loss
        _run(program, buffers)
    return {name: buffers[name] for name in program.results}


def _run(program: Program, buffers: dict[str, np.ndarray]) -> None:
    """Fill the buffers, instruction by instruction, and drop those that nobody reads any more."""
    for instruction, released in zip(program.instructions, program.releases, strict=True):
        operands = [buffers[name] for name in instruction.reads]
        result = OPERATORS[instruction.operator].function(*operands, **instruction.attributes)
        written = result if isinstance(result, tuple) else (result,)
        buffers.update(zip(instruction.writes, written, strict=True))
        for name in released:
            del buffers[name]
