"""What a program's time goes into, stage by stage, and how much this machine could do.

    stages = profile(model.program("train", (28, 28, 1)), feeds)
    max(stages, key=lambda stage: stage.seconds)

On the command line it is ``convlet bench --profile``.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convlet import _native, arguments, config
from convlet.engine import native
from convlet.engine.execute import executor_for
from convlet.engine.program import Program

PRODUCT_SIZE = 2048  # rows and columns of the matrices whose product is the peak
_PRODUCTS = 7
# what OpenBLAS, MKL and Apple's Accelerate listen to
_BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)


@dataclass(frozen=True)
class StageTime:
    """What a stage of a program takes.

    Parameters
    ----------
    name : str
        Layer and operators.
    seconds : float
        Its part of a run's time: what all threads spend in it, divided by their number.
    operations : float
        Floating point operations for the batch, two for each multiply-add of convolutions, dense
        layers and their gradients. Other stages, which are bound by memory, mostly count none.
    threads : int
        How many threads there are.
    """

    name: str
    seconds: float
    operations: float
    threads: int

    @property
    def rate(self) -> float:
        """Operations a second and thread."""
        return self.operations / (self.seconds * self.threads) if self.seconds > 0 else 0.0


def require_native(program: Program, feeds: Mapping[str, np.ndarray]) -> None:
    """Raise unless the native executor is who runs a program.

    Raises
    ------
    ValueError
        If the program computes in float64, or the executor is the reference.
    """
    if executor_for(program, feeds[program.inputs[0]].dtype.name) == "native":
        return
    because = (
        "this network computes in float64, which the reference executor runs"
        if config.executor() == "native"
        else "the executor is set to 'reference'"
    )
    raise ValueError(f"profile: only the native executor can be profiled; {because}")


def profile(program: Program, feeds: Mapping[str, np.ndarray], repeat: int = 20) -> list[StageTime]:
    """Return what each stage of a program takes, in the order in which they run.

    Parameters
    ----------
    program : Program
        For prediction, evaluation or training: ``model.program("train", image_shape)``.
    feeds : mapping of str to ndarray
        A batch, as `convlet.engine.run` takes it.
    repeat : int
        How often to run it, after one run that does not count; times are medians.

    Returns
    -------
    list of StageTime
        Python code of one's own is a stage, too, in which the other threads wait. What is missing
        from a run's time is waiting for each other and handing arrays over.

    Raises
    ------
    ValueError
        If not the native executor runs the program, or ``repeat`` is no positive integer.
    """
    repeat = arguments.integer("profile", "repeat", repeat)
    require_native(program, feeds)
    executable = native.executable(program, len(feeds[program.inputs[0]]))
    executable.run(feeds)
    threads = config.threads()
    executable.plan.set_profiling(True)
    try:
        runs = []
        for _ in range(repeat):
            executable.run(feeds)
            runs.append(executable.take_profile(threads))
    finally:
        executable.plan.set_profiling(False)
    return [
        StageTime(name, statistics.median(run[i][1] for run in runs), operations, threads)
        for i, (name, _, operations) in enumerate(runs[0])
    ]


def count_operations(program: Program, images: int) -> float:
    """Return how many floating point operations a run of the native executor takes.

    Parameters
    ----------
    program : Program
    images : int
        The batch's size.
    """
    stages = native.executable(program, images).plan.take_profile()
    return sum(operations for _, _, operations in stages)


@dataclass(frozen=True)
class Peak:
    """How fast NumPy multiplies two large matrices in float32.

    Parameters
    ----------
    rate : float
        Operations a second, two for each multiply-add.
    threads : int
        How many threads NumPy uses.
    processors : float
        How many processors it was given meanwhile: clearly fewer than threads on a busy machine,
        where times and peak tell little.
    """

    rate: float
    threads: int
    processors: float

    @property
    def rate_per_thread(self) -> float:
        """Operations a second and thread."""
        return self.rate / self.threads


def matrix_product_peak() -> Peak:
    """Measure the product of two 2048 x 2048 matrices with NumPy; the median of seven.

    NumPy does not say how many threads its BLAS takes: as many as there are processors for this
    process, unless the environment says otherwise.
    """
    generator = np.random.default_rng(0)
    a, b = generator.random((2, PRODUCT_SIZE, PRODUCT_SIZE), np.float32)
    out = a @ b
    times, used = [], time.process_time()
    for _ in range(_PRODUCTS):
        start = time.perf_counter()
        np.matmul(a, b, out)
        times.append(time.perf_counter() - start)
    processors = (time.process_time() - used) / sum(times)
    rate = 2 * PRODUCT_SIZE**3 / statistics.median(times)
    return Peak(rate, _blas_threads(), processors)


def _blas_threads() -> int:
    processors = _native.usable_processors()
    asked = (os.environ.get(name, "") for name in _BLAS_THREADS)
    return next((min(int(n), processors) for n in asked if n.isdecimal() and int(n)), processors)
