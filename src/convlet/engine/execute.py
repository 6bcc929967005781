"""Runs programs: chooses the executor.

The native executor runs programs in float32; those in float64, which are for checking, are run by
the reference, and so is everything if `convlet.config.set_executor` says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlet import config
from convlet.engine import native, reference
from convlet.engine.program import Program


def executor_for(program: Program, dtype: str) -> str:
    """Return who runs a program on images of a float type, ``"native"`` or ``"reference"``."""
    is_float32 = dtype == "float32" and program.is_float32
    return config.executor() if is_float32 else "reference"


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
    for name in program.inputs:
        if feeds[name].dtype != np.float32:
            return reference.run(program, feeds)
    if executor_for(program, "float32") == "native":
        images = feeds[program.inputs[0]]
        return native.executable(program, len(images)).run(feeds)
    return reference.run(program, feeds)
