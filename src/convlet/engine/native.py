"""The native executor: runs a program in the C++ core, in float32, on all threads.

A program is lowered to a plan once for each number of images (`convlet.engine.lowering`), and the
plan is kept. Between the plan's phases, Python code (losses and layers of one's own) is called on
ordinary arrays.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping

import numpy as np

from convlet import _native, config
from convlet.engine.lanes import lanes_for
from convlet.engine.lowering import Lowering, Segment
from convlet.engine.operators import OPERATORS
from convlet.engine.program import Instruction, Program

_PLANS_KEPT = 8  # batch sizes of a program, the last ones used
_plans_lock = threading.Lock()

Arrays = dict[str, np.ndarray]


def _references(kept: Arrays, name: str) -> int:
    array = kept[name]
    return sys.getrefcount(array)


# Those that counting makes and the dictionary's: how many that is depends on Python's version.
_REFERENCES_OF_OUR_OWN = _references({"": np.empty(0)}, "")


class NativeProgram:
    """A program's plan for one number of images.

    Parameters
    ----------
    program : Program
        Its numbers are float32.
    images : int
    instruction_set : str
    lanes : int, optional
        Images in a block, for experiments.
    """

    def __init__(
        self, program: Program, images: int, instruction_set: str, lanes: int | None = None
    ) -> None:
        self._program = program
        self._images = images
        lanes = lanes or lanes_for(program, images, _native.register_width(instruction_set))
        lowering = Lowering(program, images, lanes, instruction_set)
        self.plan = lowering.plan
        self._before, self._after = lowering.before, lowering.after
        self._segments: list[Segment] = lowering.segments
        self._slots = lowering.slots
        self._losses = [  # those that the core computes itself
            i for i in program.forward if i.operator == "loss" and i.writes[0] in self._slots
        ]
        self._root = lowering.root
        self._packed: list[np.ndarray] = []
        self._tied: Arrays = {}  # kernels and biases made from the packed variables
        self._kept: Arrays = {}  # outputs of the last run
        self._lock = threading.Lock()
        self._python_seconds: dict[int, float] = {}  # of the last run, by segment

    def run(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        """Run the program on a batch; see `convlet.engine.run`."""
        arrays: Arrays = {name: v.value for name, v in self._program.variables.items()}
        variables = list(arrays.values())
        arrays.update(self._converted(feeds))
        with self._lock:
            for name in self._slots:
                if name not in arrays and name in self._program.buffers:
                    arrays[name] = self._array(name)
            first_phase = self._first_phase(variables)
            if first_phase == 0:
                self._tied = _carried_out(self._before, arrays)
            arrays.update(self._tied)
            for number, segment in enumerate(self._segments):
                first = first_phase if number == 0 else segment.first_phase
                self._run_phases(first, segment.last_phase, arrays)
                if segment.python is not None:
                    start = time.perf_counter()
                    self._run_python(segment, feeds, arrays)
                    self._python_seconds[number] = time.perf_counter() - start
            # training packs each time, and holding a step's weights would take their memory
            self._packed = [] if self._program.backward else variables
        arrays.update(_carried_out(self._after, arrays))
        return {name: self._shaped(name, arrays) for name in self._program.results}

    def take_profile(self, threads: int) -> list[tuple[str, float, float]]:
        """Return each stage's name, seconds and operations since the last call, Python's included.

        Seconds are those of the plan's stages, summed over threads, by the number of threads, and
        those of the last run of Python's. The plan counts while it is told to.
        """
        stages = [
            (name, seconds / threads, operations)
            for name, seconds, operations in self.plan.take_profile()
        ]
        for number in sorted(self._python_seconds, reverse=True):
            segment = self._segments[number]
            assert segment.python is not None
            entry = (f"{segment.python.name} (Python)", self._python_seconds[number], 0.0)
            stages.insert(segment.stages_before_python, entry)
        return stages

    def _first_phase(self, variables: list[np.ndarray]) -> int:
        """Return 0 if kernels must be packed, 1 if they are the same arrays as last time.

        Arrays of variables are never written into, so the same array is the same kernel. In
        training, phase 0 also clears gradients.
        """
        is_training = bool(self._program.backward)
        unchanged = len(variables) == len(self._packed) and all(
            a is b for a, b in zip(variables, self._packed, strict=True)
        )
        return 1 if unchanged and not is_training else 0

    def _array(self, name: str) -> np.ndarray:
        """Return an array to be written into: the last run's, if nobody else holds it.

        Fresh memory comes from the system page by page: 100 MB of outputs took 20 to 100 ms. Of
        gradients it is given back, since it would be held through the forward pass.
        """
        if name in self._kept and _references(self._kept, name) == _REFERENCES_OF_OUR_OWN:
            return self._kept[name]
        array = np.empty(self._shape(name), np.float32)
        if self._program.buffers[name].per_image:
            self._kept[name] = array
        return array

    def _shape(self, name: str) -> tuple[int, ...]:
        buffer = self._program.buffers[name]
        return (self._images, *buffer.shape) if buffer.per_image else buffer.shape

    def _converted(self, feeds: Mapping[str, np.ndarray]) -> Arrays:
        """Return the feeds as the stages read them."""
        arrays = dict(feeds)
        for name in self._program.inputs:
            arrays[name] = _ready(feeds[name])
        for loss in self._losses:
            _, of_targets, of_weights = loss.reads
            shape = self._program.buffers[loss.writes[0]].shape
            weights = np.asarray(feeds[of_weights], np.float32)
            weights = weights.reshape(weights.shape + (1,) * (1 + len(shape) - weights.ndim))
            arrays[of_weights] = _ready(np.broadcast_to(weights, (self._images, *shape)))
            is_labels = feeds[of_targets].ndim == 1 + len(shape)
            kind = np.int32 if is_labels else np.float32
            arrays[of_targets] = _ready(feeds[of_targets], kind)
        return arrays

    def _run_phases(self, first: int, last: int, arrays: Arrays) -> None:
        slots = [arrays.get(name) for name in self._slots]
        self.plan.run(first, last, slots, config.threads())

    def _run_python(
        self, segment: Segment, feeds: Mapping[str, np.ndarray], arrays: Arrays
    ) -> None:
        """Call a step's Python code on images in the usual order."""
        assert segment.python is not None
        (instruction,) = segment.python.instructions
        operands = [
            feeds[name] if name in feeds else self._shaped(name, arrays)
            for name in instruction.reads
        ]
        result = OPERATORS[instruction.operator].function(*operands, **instruction.attributes)
        written = result if isinstance(result, tuple) else (result,)
        for name, array in zip(instruction.writes, written, strict=True):
            arrays[name] = _ready(array)

    def _shaped(self, name: str, arrays: Arrays) -> np.ndarray:
        """Return an array in the shape that the program gives it under this name."""
        if name in arrays:
            return arrays[name]
        buffer = self._program.buffers[name]
        array = arrays[self._root(name)]
        return array.reshape(-1, *buffer.shape) if buffer.per_image else array


def _carried_out(instructions: list[Instruction], arrays: Arrays) -> Arrays:
    """Return what instructions on weights alone write."""
    results: Arrays = {}
    for instruction in instructions:
        operands = [results[n] if n in results else arrays[n] for n in instruction.reads]
        written = OPERATORS[instruction.operator].function(*operands, **instruction.attributes)
        arrays_written = written if isinstance(written, tuple) else (written,)
        results.update(zip(instruction.writes, map(_ready, arrays_written), strict=True))
    return results


def _ready(array: np.ndarray, dtype: type = np.float32) -> np.ndarray:
    """Return an array as the C++ core reads it: side by side, at addresses that suit its type."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, dtype, ("C", "A"))


def executable(program: Program, images: int) -> NativeProgram:
    """Return the program's plan for a number of images, made now or before."""
    key = (images, config.instruction_set())
    with _plans_lock:
        plans = program.executables
        plan = plans.pop(key, None) or NativeProgram(program, *key)
        plans[key] = plan
        if len(plans) > _PLANS_KEPT:
            del plans[next(iter(plans))]
    return plan
