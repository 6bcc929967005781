"""From a program to a plan of the C++ core: phases, memory, and what packs kernels.

A `Lowering` writes a plan (native/plan.hpp) for one number of images. It decides which buffers a
block needs for itself and which are shared between phases, cuts the steps into phases, and
keeps the list of *slots*: arrays of ours that stages read and write.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convlet import _native, arguments
from convlet.engine.fusion import Step, fuse
from convlet.engine.placement import aligned, heirs, place
from convlet.engine.program import Instruction, Program
from convlet.engine.stages import WRITERS
from convlet.engine.stages.convolution import TRANSPOSED
from convlet.engine.stages.normalization import coefficients_of, write_statistics
from convlet.engine.tables import native_identity, native_table, winner_type
from convlet.engine.transforms import Tile

# Stages that read each number once, where they write it, and may therefore write over what they
# read.
_IN_PLACE = (
    "activation",
    "activation_of_input",
    "activation_gradient",
    "add",
    "add_bias",
    "batch_normalize",
    "batch_normalize_gradient",
    "dropout",
    "maximum",
    "minimum",
    "multiply",
    "gaussian_noise",
    "normalize",
    "normalize_gradient",
    "rescale",
    "rescale_gradient",
    "scale",
    "softmax",
    "softmax_gradient",
    "spatial_dropout",
    "log_softmax",
    "log_softmax_gradient",
)
_BEHIND_BLOCKS = 512  # bytes that kernels may read behind the last block: PADDING of plan.cpp
_PAST_THE_END = 256  # bytes that kernels may read behind a buffer of a single image
_ON_WEIGHTS = ("tie", "tie_gradient", "fold_normalization", "moving_average")
# Statistics of the whole batch, which what comes behind them waits for.
_STATISTICS = ("channel_moments", "normalization_sums")
# Those that multiply by a coefficient of each channel.
_NORMALIZATIONS = (
    "normalize",
    "normalize_gradient",
    "batch_normalize",
    "batch_normalize_gradient",
)
_RESHAPES = ("reshape", "reshape_gradient")
_PYTHON = (
    "python",
    "python_gradient",
    "loss",
    "loss_gradient",
    "penalty",
    "penalty_gradient",
)


@dataclass
class Segment:
    """Phases of a plan that run without Python.

    Parameters
    ----------
    first_phase, last_phase : int
    python : Step or None
        What Python does afterwards.
    stages_before_python : int
        How many stages the plan has up to there, for profiles.
    """

    first_phase: int
    last_phase: int
    python: Step | None = None
    stages_before_python: int = 0


@dataclass
class _Gradient:
    """A sum that kernel gradients or bias gradients add to."""

    whole_batch: bool
    id: int


class Lowering:
    """Writes the plan of a program.

    Parameters
    ----------
    program : Program
    images : int
        The batch's size.
    lanes : int
        Images in a block; 1 swaps the roles of images and channels.
    instruction_set : str

    Attributes
    ----------
    plan : _native.Plan
    slots : dict of str to int
        The place of each array that `_native.Plan.run` is given.
    before, after : list of Instruction
        What is done with weights alone, in Python, before the plan runs and after it.
    segments : list of Segment
        The phases, and what Python does between them. Phase 0 packs the kernels.
    """

    def __init__(self, program: Program, images: int, lanes: int, instruction_set: str) -> None:
        self.program = program
        self.plan = _native.Plan(instruction_set, images, lanes)
        self.slots: dict[str, int] = {}
        self.before: list[Instruction] = []
        self.after: list[Instruction] = []
        self.segments: list[Segment] = []
        self._added_afterwards: set[str] = set()
        self._lanes = lanes
        self._alias: dict[str, str] = {}
        self._buffers: dict[str, int] = {}
        self.packed: dict[str, int] = {}
        self.block_sums: dict[str, int] = {}
        self.coefficients: dict[str, int] = {}
        self._gradients: dict[str, _Gradient] = {}
        self._made_by_python: set[str] = set()
        self._fetched: set[str] = set()
        self._winner_bytes = {
            i.writes[1]: winner_type(i.attributes["table"]).itemsize
            for i in program.forward
            if i.operator in ("max_pool", "stochastic_pool")
        }
        width = _native.register_width(instruction_set)
        steps = fuse(program, images, lanes, width)
        groups, self._last_steps = self._cut(self._computing(steps))
        self._make_buffers(groups)
        self._wanted = self._wanted_as_images(groups)
        self._write(groups)

    # --- names ---

    def root(self, name: str) -> str:
        """Return the buffer whose memory ``name`` is: reshaping costs nothing."""
        while name in self._alias:
            name = self._alias[name]
        return name

    def _computing(self, steps: list[Step]) -> list[Step]:
        """Return the steps that compute; note new names of old buffers, and what Python makes."""
        rest = []
        for step in steps:
            first = step.instructions[0]
            is_sum_of_gradients = (
                first.operator == "add" and not self.program.buffers[first.writes[0]].per_image
            )
            is_sum_of_made = is_sum_of_gradients and self._added_afterwards.intersection(
                first.reads
            )
            if first.operator in ("tie", "fold_normalization"):
                self.before.append(first)
            elif first.operator in ("tie_gradient", "moving_average") or is_sum_of_made:
                self.after.append(first)
                self._added_afterwards.add(first.writes[0])
            elif first.operator in _RESHAPES:
                self._alias[first.writes[0]] = first.reads[0]
            elif is_sum_of_gradients and not self._made_by_python.intersection(first.reads):
                # a variable that is used twice: both gradients go into one sum
                self._alias[first.reads[0]] = self._alias[first.reads[1]] = first.writes[0]
            else:
                if is_sum_of_gradients or (first.operator in _PYTHON and first.whole_batch):
                    self._made_by_python.update(step.writes)
                elif first.operator == "normalization_sums":
                    self._added_afterwards.update(first.writes)
                rest.append(step)
        return rest

    def slot(self, name: str) -> int:
        """Return the place of an array of ours."""
        return self.slots.setdefault(name, len(self.slots))

    def size(self, name: str) -> int:
        """Return how many numbers a buffer holds, of an image or in all."""
        return math.prod(self.program.buffers[name].shape)

    def grid(self, name: str) -> tuple[int, int]:
        """Return the numbers of positions and of channels of a buffer."""
        shape = self.program.buffers[name].shape
        return math.prod(shape[:-1]), (shape[-1] if shape else 1)

    # --- phases ---

    def _is_python(self, group: Sequence[Step]) -> bool:
        """Return whether a group is a step of Python's."""
        return bool(group) and group[0].writes[0] in self._made_by_python

    def _cut(self, steps: list[Step]) -> tuple[list[list[Step]], list[Step]]:
        """Return the steps in groups that run without Python or are one step of Python's.

        A group ends behind statistics of the batch. And those that sum over the whole batch, which
        come last: they are gradients of weights, which nobody in the program reads.
        """
        groups: list[list[Step]] = [[]]
        last: list[Step] = []
        # a kernel that is used twice has one sum, which is taken in one way
        summed_by_blocks = {self.root(s.writes[0]) for s in steps if not s.whole_batch}
        for step in steps:
            if self._is_python([step]):
                groups += [[step], []]
            elif step.kind in _STATISTICS:
                groups[-1].append(step)
                groups.append([])
            elif step.whole_batch and self.root(step.writes[0]) not in summed_by_blocks:
                last.append(step)
            else:
                groups[-1].append(replace(step, whole_batch=False))
        return groups, last

    # --- memory ---

    def _make_buffers(self, groups: list[list[Step]]) -> None:
        """Make the buffers that stages need: shared ones, and those that a block has to itself."""
        where: dict[str, set[int]] = {}
        uses = [self._uses(group) for group in [*groups, self._last_steps]]
        for number, of_group in enumerate(uses):
            for name in (name for step in of_group for names in step for name in names):
                if self._is_in_blocks(name):
                    where.setdefault(name, set()).add(number)
        shared = {name for name, numbers in where.items() if len(numbers) > 1}
        shared |= {self.root(n) for s in self._last_steps for n in s.reads} & set(where)
        self._place_shared(uses, shared, self._in_place([s for g in groups for s in g]))
        for group in groups:
            if group and not self._is_python(group):
                self._place(group, shared)

    def _is_in_blocks(self, name: str) -> bool:
        buffer = self.program.buffers[name]
        return buffer.per_image and name not in self.program.scoring

    def _bytes(self, name: str) -> int:
        """Return the bytes that a buffer takes for a block."""
        itemsize = self._winner_bytes.get(name, 4)
        size = self.size(name) * itemsize * self._lanes
        return size + (_PAST_THE_END if self._lanes == 1 else 0)

    def _uses(self, group: Sequence[Step]) -> list[tuple[list[str], list[str]]]:
        """Return the buffers that each step of a group reads and writes."""
        return [
            ([self.root(n) for n in step.reads], [self.root(n) for n in step.writes])
            for step in group
        ]

    def _in_place(self, steps: Sequence[Step]) -> dict[str, str]:
        """Return for some buffers the one that the step that writes them may write over."""
        return {
            self.root(step.writes[0]): self.root(step.reads[0])
            for step in steps
            if step.operators[0] in _IN_PLACE
            and (len(step.operators) == 1 or step.kind in _NORMALIZATIONS)
        }

    def _place_shared(
        self,
        groups: Sequence[Sequence[tuple[list[str], list[str]]]],
        shared: set[str],
        in_place: dict[str, str],
    ) -> None:
        """Place the buffers that keep all blocks from phase to phase."""
        sizes = {name: self._bytes(name) for name in sorted(shared)}
        old = heirs(groups, sizes, in_place)
        uses = [
            ([n for reads, _ in group for n in reads], [n for _, writes in group for n in writes])
            for group in groups
        ]
        of_all = {n: aligned(s) * self.plan.blocks + _BEHIND_BLOCKS for n, s in sizes.items()}
        for name, offset in place(uses, of_all, old).items():
            self._buffers[name] = self.plan.add_buffer(sizes[name], True, offset)

    def _place(self, group: Sequence[Step], shared: set[str]) -> None:
        uses = self._uses(group)
        names = {n for reads, writes in uses for n in (*reads, *writes)}
        sizes = {n: self._bytes(n) for n in names if self._is_in_blocks(n) and n not in shared}
        for name, offset in place(uses, sizes, self._in_place(group)).items():
            self._buffers[name] = self.plan.add_buffer(sizes[name], False, offset)

    def buffer(self, name: str) -> int:
        """Return the plan's number of a buffer."""
        return self._buffers[self.root(name)]

    def operands(self, instruction: Instruction) -> Any:
        """Return the buffers that an instruction reads and writes, as a list."""
        return [self.buffer(name) for name in (*instruction.reads, *instruction.writes)]

    # --- writing the plan ---

    def _wanted_as_images(self, groups: list[list[Step]]) -> set[str]:
        """Return the buffers that Python reads, and the outputs, unless Python made them."""
        names = {name for group in groups if self._is_python(group) for name in group[0].reads}
        wanted = {self.root(name) for name in (*names, *self.program.outputs)}
        wanted -= self._made_by_python | set(self.program.inputs)
        return {name for name in wanted if self._is_in_blocks(name)}

    def _write(self, groups: list[list[Step]]) -> None:
        self.plan.begin_phase(True)
        all_steps = [step for group in groups for step in group]
        ahead = self._packed_ahead(groups)
        packed = self._pack_kernels(ahead[0])
        self._make_coefficients(all_steps)
        self._clear_gradients()
        phase = 1
        for number, group in enumerate(groups):
            if number > 0 and number in ahead:
                for kernel in packed:
                    self.plan.release_memory(kernel)
                packed = self._pack_kernels(ahead[number])
            if self._is_python(group):
                self.segments[-1].python = group[0]
                self.segments[-1].stages_before_python = len(self.plan.take_profile())
                continue
            if not self.segments or self.segments[-1].python is not None:
                self.segments.append(Segment(phase, phase))
            self.plan.begin_phase(False)
            if number == len(groups) - 1:
                self._fetch_for(self._last_steps)
            for step in group:
                self._fetch_for([step])
                self._write_step(step)
                self._hand_out(step)
            self._fetched.clear()
            phase += 1
            if group and group[-1].kind in _STATISTICS:
                self.plan.begin_phase(True)
                write_statistics(self, group[-1])
                self._make_coefficients(all_steps, group[-1])
                phase += 1
            self.segments[-1].last_phase = phase
        self.plan.begin_phase(True)
        for step in self._last_steps:
            self._write_step(step)
        for name, gradient in self._gradients.items():
            if not gradient.whole_batch:
                _native.add_up(self.plan, f"{name}: sum of shards", gradient.id)
        self.segments[-1].last_phase = phase + 1

    def _fetch_for(self, steps: Sequence[Step]) -> None:
        """Bring what the caller or Python gives into blocks, once in a phase."""
        for name in (self.root(name) for step in steps for name in step.reads):
            is_input = name in self.program.inputs
            comes_from_outside = is_input or name in self._made_by_python
            if comes_from_outside and name in self._buffers and name not in self._fetched:
                self._fetched.add(name)
                buffer, size = self._buffers[name], self.size(name)
                label = f"{name}: to blocks"
                repeats = is_input or any(name in i.writes for i in self.program.forward)
                _native.load_images(self.plan, label, self.slot(name), buffer, size, repeats)

    def _hand_out(self, step: Step) -> None:
        """Bring what a step wrote to where Python or the caller wants it."""
        for name in sorted({self.root(name) for name in step.writes} & self._wanted):
            buffer, size = self._buffers[name], self.size(name)
            _native.store_images(self.plan, f"{name}: to images", buffer, self.slot(name), size)

    def _write_step(self, step: Step) -> None:
        WRITERS[step.kind](self, step)

    # --- weights and their gradients ---

    def _packed_ahead(self, groups: Sequence[Sequence[Step]]) -> dict[int, list[Step]]:
        """Return for some groups the steps whose kernels are packed before the group begins.

        In training kernels are new in each step, and are packed in the last phase before they are
        needed that is done together, so that they share their memory: of ResNet-50 laid out twice,
        200 MB become 30. Otherwise all are packed first, and kept from run to run.
        """
        ahead: dict[int, list[Step]] = {}
        first = 0
        for number, group in enumerate(groups):
            ahead.setdefault(first, []).extend(group)
            if self.program.backward and group and group[-1].kind in _STATISTICS:
                first = number + 1
        return ahead

    def _pack_kernels(self, steps: Sequence[Step]) -> list[int]:
        """Write what packs the kernels of some steps; return the memories that hold them."""
        return [memory for step in steps if (memory := self._pack_kernel(step)) is not None]

    def _pack_kernel(self, step: Step) -> int | None:
        """Write what packs a step's kernel, if it reads one that is packed."""
        first, last = step.instructions[0], step.instructions[-1]
        if step.tile is not None and step.kind != "conv_kernel_gradient":
            return self._transform_kernel(first, step.tile)
        if step.kind in ("conv", "dense"):
            return self._pack(first, "pack kernel", _native.pack_kernel, False)
        if step.kind.endswith("input_gradient") and step.by_winners:
            return self._pack(last, "pack kernel by lines", _native.pack_lines)
        if step.kind in TRANSPOSED:
            return self._pack(first, "pack kernel transposed", _native.pack_kernel, True)
        return None

    def _pack(self, instruction: Instruction, name: str, stage: Any, *transposed: bool) -> int:
        table, shape = self.window(instruction)
        name, kernel = f"{instruction.layer}: {name}", self.slot(instruction.reads[1])
        memory: int = stage(self.plan, name, kernel, table, shape, *transposed)
        self.packed[instruction.writes[0]] = memory
        return memory

    def _transform_kernel(self, instruction: Instruction, tile: Tile) -> int:
        table, shape = self.window(instruction)
        is_transposed = instruction.operator in TRANSPOSED
        name = f"{instruction.layer}: transform kernel" + (" transposed" if is_transposed else "")
        kernel = self.slot(instruction.reads[1])
        numbers = tile.slots * self.size(instruction.reads[1])
        way = "fft" if tile.is_fourier else "winograd"
        what = f"the kernel's transform, for algorithm {way!r}"
        arguments.bytes_fit_memory(instruction.layer, what, 4 * numbers)
        memory = _native.transformed_kernel(
            self.plan, name, kernel, table, tile, shape, is_transposed
        )
        self.packed[instruction.writes[0]] = memory
        return memory

    def _make_coefficients(self, steps: Sequence[Step], statistics: Step | None = None) -> None:
        """Find what channels are multiplied by, as soon as there is what it depends on.

        That is with the kernels, or behind statistics of the batch.
        """
        made_by = {name: s for s in steps if s.kind in _STATISTICS for name in s.writes}
        for step in steps:
            if step.kind not in _NORMALIZATIONS:
                continue
            makers = [made_by[name] for name in step.reads if name in made_by]
            if (makers[-1] if makers else None) is statistics:
                self.coefficients[step.writes[0]] = coefficients_of(self, step.instructions[0])

    def _clear_gradients(self) -> None:
        for step in self._last_steps:
            name = self.root(step.writes[0])
            if name not in self._gradients:
                size, slot = self.size(name), self.slot(name)
                number = self.plan.add_gradient(size, slot, False)
                self._gradients[name] = _Gradient(True, number)
                _native.clear(self.plan, f"{name}: clear", slot, size)

    def gradient(self, name: str) -> int:
        """Return the number of the sum that a gradient goes into."""
        name = self.root(name)
        if name not in self._gradients:
            number = self.plan.add_gradient(self.size(name), self.slot(name), True)
            self._gradients[name] = _Gradient(False, number)
        return self._gradients[name].id

    def window(self, instruction: Instruction) -> tuple[Any, tuple[int, int, int, int]]:
        """Return the native table of a convolution, and (taps, groups, channels, rows)."""
        kernel = next(
            name
            for name in (*instruction.reads, *instruction.writes)
            if not self.program.buffers[name].per_image
        )
        *window, channels, rows = self.program.buffers[kernel].shape
        if "table" not in instruction.attributes:
            positions, _ = self.grid(instruction.reads[0])
            return native_identity(positions), (1, 1, channels, rows)
        table = native_table(instruction.attributes["table"])
        if instruction.operator.startswith("local"):
            taps = instruction.attributes["table"].taps
            return table, (taps, 1, channels // taps, rows)
        groups = instruction.attributes["groups"]
        return table, (math.prod(window), groups, channels, rows // groups)
