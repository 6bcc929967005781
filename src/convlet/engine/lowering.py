"""From a program to the stages of the C++ core: one method for each kind of step.

A `Lowering` writes a plan (native/plan.hpp) for one number of images. It decides which buffers a
block needs for itself and which are shared between phases, cuts the steps into phases, and
keeps the list of *slots*: arrays of ours that stages read and write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlet import _native, arguments
from convlet.engine.fourier import Tile, slots
from convlet.engine.fusion import Step, fuse
from convlet.engine.placement import aligned, heirs, place
from convlet.engine.program import Instruction, Program
from convlet.engine.tables import native_identity, native_moves, native_table, winner_type
from convlet.ops import TapTable
from convlet.ops.activations import ELEMENTWISE

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
_TRANSPOSED = ("conv_input_gradient", "conv_transpose", "dense_input_gradient")
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
        self._packed: dict[str, int] = {}
        self._block_sums: dict[str, int] = {}
        self._coefficients: dict[str, int] = {}
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

    def _size(self, name: str) -> int:
        return math.prod(self.program.buffers[name].shape)

    def _grid(self, name: str) -> tuple[int, int]:
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
        size = self._size(name) * itemsize * self._lanes
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

    def _buffer(self, name: str) -> int:
        return self._buffers[self.root(name)]

    def _operands(self, instruction: Instruction) -> Any:
        """Return the buffers that an instruction reads and writes, as a list."""
        return [self._buffer(name) for name in (*instruction.reads, *instruction.writes)]

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
                self._write_statistics(group[-1])
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
                buffer, size = self._buffers[name], self._size(name)
                label = f"{name}: to blocks"
                repeats = is_input or any(name in i.writes for i in self.program.forward)
                _native.load_images(self.plan, label, self.slot(name), buffer, size, repeats)

    def _hand_out(self, step: Step) -> None:
        """Bring what a step wrote to where Python or the caller wants it."""
        for name in sorted({self.root(name) for name in step.writes} & self._wanted):
            buffer, size = self._buffers[name], self._size(name)
            _native.store_images(self.plan, f"{name}: to images", buffer, self.slot(name), size)

    def _write_step(self, step: Step) -> None:
        _WRITERS[step.kind](self, step)

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
        if step.kind in _TRANSPOSED:
            return self._pack(first, "pack kernel transposed", _native.pack_kernel, True)
        return None

    def _pack(self, instruction: Instruction, name: str, stage: Any, *transposed: bool) -> int:
        table, shape = self._window(instruction)
        name, kernel = f"{instruction.layer}: {name}", self.slot(instruction.reads[1])
        memory: int = stage(self.plan, name, kernel, table, shape, *transposed)
        self._packed[instruction.writes[0]] = memory
        return memory

    def _transform_kernel(self, instruction: Instruction, tile: Tile) -> int:
        table, shape = self._window(instruction)
        is_transposed = instruction.operator in _TRANSPOSED
        name = f"{instruction.layer}: transform kernel" + (" transposed" if is_transposed else "")
        kernel = self.slot(instruction.reads[1])
        numbers = slots(tile) * self._size(instruction.reads[1])
        what = "the kernel's transform, for algorithm 'fft'"
        arguments.bytes_fit_memory(instruction.layer, what, 4 * numbers)
        memory = _native.fourier_kernel(self.plan, name, kernel, table, tile, shape, is_transposed)
        self._packed[instruction.writes[0]] = memory
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
                self._coefficients[step.writes[0]] = self._coefficients_of(step.instructions[0])

    def _coefficients_of(self, instruction: Instruction) -> int:
        name, epsilon = f"{instruction.layer}: coefficients", instruction.attributes["epsilon"]
        if instruction.operator == "batch_normalize_gradient":
            _, x, *statistics = instruction.reads
            operands: Any = [*map(self.slot, statistics), epsilon, *self._grid(x)]
            return _native.batch_normalize_gradient_coefficients(self.plan, name, *operands)
        x, *statistics = instruction.reads
        slots = [self.slot(n) for n in statistics]
        if instruction.operator == "normalize_gradient":
            slots = [-1, *slots, -1]
        operands = [*slots, epsilon, self._grid(x)[1]]
        return _native.normalization_coefficients(self.plan, name, *operands)

    def _clear_gradients(self) -> None:
        for step in self._last_steps:
            name = self.root(step.writes[0])
            if name not in self._gradients:
                size, slot = self._size(name), self.slot(name)
                number = self.plan.add_gradient(size, slot, False)
                self._gradients[name] = _Gradient(True, number)
                _native.clear(self.plan, f"{name}: clear", slot, size)

    def _gradient(self, name: str) -> int:
        """Return the number of the sum that a gradient goes into."""
        name = self.root(name)
        if name not in self._gradients:
            number = self.plan.add_gradient(self._size(name), self.slot(name), True)
            self._gradients[name] = _Gradient(False, number)
        return self._gradients[name].id

    def _window(self, instruction: Instruction) -> tuple[Any, tuple[int, int, int, int]]:
        """Return the native table of a convolution, and (taps, groups, channels, rows)."""
        kernel = next(
            name
            for name in (*instruction.reads, *instruction.writes)
            if not self.program.buffers[name].per_image
        )
        *window, channels, rows = self.program.buffers[kernel].shape
        if "table" not in instruction.attributes:
            positions, _ = self._grid(instruction.reads[0])
            return native_identity(positions), (1, 1, channels, rows)
        table = native_table(instruction.attributes["table"])
        if instruction.operator.startswith("local"):
            taps = instruction.attributes["table"].taps
            return table, (taps, 1, channels // taps, rows)
        groups = instruction.attributes["groups"]
        return table, (math.prod(window), groups, channels, rows // groups)

    # --- one method for each kind of step ---

    def _input_gradient(self, step: Step) -> None:
        if not step.by_winners:
            self._convolution(step)
            return
        spread, gradient = step.instructions
        delta, winner = spread.reads
        table, shape = self._window(gradient)
        x_delta = gradient.writes[0]
        _native.winner_input_gradient(
            self.plan,
            step.name,
            table,
            native_table(spread.attributes["table"]),
            shape,
            self._packed[x_delta],
            self._buffer(delta),
            self._buffer(winner),
            self._buffer(x_delta),
        )

    def _convolution(self, step: Step) -> None:
        first, last = step.instructions[0], step.instructions[-1]
        transposed = first.operator in _TRANSPOSED
        fused = self._fused(step)
        table, shape = self._window(first)
        operands = (
            shape,
            transposed,
            self._packed[first.writes[0]],
            self._buffer(first.reads[0]),
            self._buffer(last.writes[0]),
        )
        if step.tile is not None:
            name = f"{step.name} {_by_fourier(step.tile)}"
            _native.fourier_convolution(self.plan, name, table, step.tile, *operands, **fused)
        else:
            _native.convolution(self.plan, step.name, table, *operands, **fused)

    def _fused(self, step: Step) -> dict[str, Any]:
        """Return what a stage is told of the instructions behind its first."""
        fused: dict[str, Any] = {}
        for instruction in step.instructions[1:]:
            if instruction.operator == "add_bias":
                fused["bias"] = self.slot(instruction.reads[1])
            elif instruction.operator == "add":
                made = {name for i in step.instructions for name in i.writes}
                (other,) = set(instruction.reads) - made
                fused["residual"] = self._buffer(other)
            elif instruction.operator == "max_pool":
                fused["pool"] = native_table(instruction.attributes["table"])
                fused["winner"] = self._buffer(instruction.writes[1])
            else:
                fused["activation"], fused["parameters"] = _activation(instruction)
        return fused

    def _local(self, step: Step) -> None:
        """Locally connected layers and their input gradients."""
        (instruction,) = step.instructions
        x, kernel = instruction.reads
        is_gradient = instruction.operator.endswith("gradient")
        stage = _native.local_input_gradient if is_gradient else _native.local_convolution
        stage(
            self.plan,
            step.name,
            *self._window(instruction),
            self.slot(kernel),
            self._buffer(x),
            self._buffer(instruction.writes[0]),
        )

    def _kernel_gradient(self, step: Step) -> None:
        last = step.instructions[-1]
        x, delta = last.reads
        fused: dict[str, Any] = {}
        if len(step.instructions) == 2:
            spread = step.instructions[0]
            delta, winner = spread.reads
            fused = {
                "unpool": native_table(spread.attributes["table"]),
                "winner": self._buffer(winner),
            }
        table, shape = self._window(last)
        if step.tile is not None:
            _native.fourier_kernel_gradient(
                self.plan,
                f"{step.name} {_by_fourier(step.tile)}",
                table,
                step.tile,
                shape,
                self._buffer(x),
                self._buffer(delta),
                self._gradient(last.writes[0]),
            )
            return
        if step.by_winners:
            _native.winner_kernel_gradient(
                self.plan,
                step.name,
                table,
                fused["unpool"],
                shape,
                self._buffer(x),
                self._buffer(delta),
                fused["winner"],
                self._gradient(last.writes[0]),
            )
            return
        _native.kernel_gradient(
            self.plan,
            step.name,
            table,
            shape,
            self._buffer(x),
            self._buffer(delta),
            self._gradient(last.writes[0]),
            step.whole_batch,
            step.kind.startswith("local"),
            **fused,
        )

    def _bias_gradient(self, step: Step) -> None:
        (instruction,) = step.instructions
        delta = instruction.reads[0]
        _native.bias_gradient(
            self.plan,
            step.name,
            self._buffer(delta),
            self._gradient(instruction.writes[0]),
            *self._grid(delta),
        )

    def _pooling(self, step: Step) -> None:
        """Poolings that draw nothing, and the gradients of all."""
        (instruction,) = step.instructions
        table: TapTable = instruction.attributes["table"]
        channels = self._grid(instruction.reads[0])[1]
        operands = self._operands(instruction)
        if instruction.operator == "max_pool":
            operands.append(winner_type(table).itemsize)
        by_winners = instruction.operator in ("max_pool_gradient", "stochastic_pool_gradient")
        if by_winners:
            operands.insert(2, winner_type(table).itemsize)
        if instruction.operator.startswith("log_sum_exp"):
            operands.append(instruction.attributes["sharpness"])
        stage = _native.max_pool_gradient if by_winners else getattr(_native, instruction.operator)
        stage(self.plan, step.name, native_table(table), channels, *operands)

    def _stochastic_pool(self, step: Step) -> None:
        (instruction,) = step.instructions
        x, random = instruction.reads
        y, winner = (self._buffer(name) for name in instruction.writes)
        table: TapTable = instruction.attributes["table"]
        _native.stochastic_pool(
            self.plan,
            step.name,
            native_table(table),
            self._grid(x)[1],
            self._buffer(x),
            self.slot(random),
            y,
            winner,
            winner_type(table).itemsize,
            instruction.attributes["layer"],
        )

    def _activation(self, step: Step) -> None:
        """Activations and their gradients."""
        (instruction,) = step.instructions
        operands = self._operands(instruction)
        is_gradient = instruction.operator == "activation_gradient"
        stage = _native.activation_gradient if is_gradient else _native.activation
        operands.append(self._size(instruction.reads[0]))
        stage(self.plan, step.name, *_activation(instruction), *operands)

    def _softmax(self, step: Step) -> None:
        """Softmax, its logarithm, and their gradients."""
        (instruction,) = step.instructions
        operands = self._operands(instruction)
        is_gradient = instruction.operator.endswith("gradient")
        stage = _native.softmax_gradient if is_gradient else _native.softmax
        logarithm = instruction.operator.startswith("log")
        operands += self._grid(instruction.reads[0])
        stage(self.plan, step.name, logarithm, *operands)

    def _loss(self, step: Step) -> None:
        first = step.instructions[0]
        prediction, targets, weights = first.reads
        function = first.attributes["function"]
        deltas = [self._buffer(i.writes[0]) for i in step.instructions[1:]]
        _native.loss(
            self.plan,
            step.name,
            _native.Loss[function.formula],
            getattr(function, "from_logits", False),
            getattr(function, "label_smoothing", 0.0),
            self._buffer(prediction),
            self.slot(targets),
            self.slot(weights),
            self.slot(first.writes[0]),
            deltas[0] if deltas else -1,
            *self._grid(prediction),
        )

    def _add_bias(self, step: Step) -> None:
        (instruction,) = step.instructions
        x, bias = instruction.reads
        y = instruction.writes[0]
        _native.add_bias(
            self.plan, step.name, self._buffer(x), self.slot(bias), self._buffer(y), *self._grid(x)
        )

    def _add(self, step: Step) -> None:
        (instruction,) = step.instructions
        operands = self._operands(instruction)
        operands.append(self._size(instruction.reads[0]))
        _native.add(self.plan, step.name, *operands)

    def _multiply(self, step: Step) -> None:
        (instruction,) = step.instructions
        operands = self._operands(instruction)
        operands.append(self._size(instruction.reads[0]))
        _native.multiply(self.plan, step.name, *operands)

    def _extremum(self, step: Step) -> None:
        """Maximum and minimum, and their gradients."""
        (instruction,) = step.instructions
        is_gradient = instruction.operator.endswith("gradient")
        stage = _native.extremum_gradient if is_gradient else _native.extremum
        sign = 1.0 if instruction.operator.startswith("maximum") else -1.0
        operands = self._operands(instruction)
        operands.append(self._size(instruction.reads[0]))
        stage(self.plan, step.name, sign, *operands)

    def _concatenate(self, step: Step) -> None:
        """Copy runs of each array to their places side by side, or back."""
        (instruction,) = step.instructions
        is_gradient = instruction.operator == "concatenate_gradient"
        parts = instruction.writes if is_gradient else instruction.reads
        (whole,) = instruction.reads if is_gradient else instruction.writes
        axis, sizes = instruction.attributes["axis"], instruction.attributes["sizes"]
        shape = self.program.buffers[whole].shape
        runs, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        begin = 0
        for part, size in zip(parts, sizes, strict=True):
            length = size * inner
            alone = (self._buffer(part), 0, length)
            beside = (self._buffer(whole), begin, sum(sizes) * inner)
            source, target = (beside, alone) if is_gradient else (alone, beside)
            _native.copy_runs(self.plan, step.name, *source, *target, runs, length)
            begin += length

    def _take(self, step: Step) -> None:
        (instruction,) = step.instructions
        is_gradient = instruction.operator == "take_gradient"
        moves = native_moves(instruction.attributes["table"], is_gradient)
        fill = 0.0 if is_gradient else instruction.attributes["fill"]
        _native.take(self.plan, step.name, moves, fill, *self._operands(instruction))

    def _rescale(self, step: Step) -> None:
        (instruction,) = step.instructions
        x, y = instruction.reads[0], instruction.writes[0]
        positions, channels = self._grid(x)
        scale = np.broadcast_to(instruction.attributes["scale"], channels).tolist()
        offset = np.broadcast_to(instruction.attributes["offset"], channels).tolist()
        if instruction.operator == "rescale_gradient":
            offset = [0.0] * channels
        x_buffer, y_buffer = self._buffer(x), self._buffer(y)
        _native.rescale(self.plan, step.name, x_buffer, y_buffer, scale, offset, positions)

    def _scale(self, step: Step) -> None:
        (instruction,) = step.instructions
        x, gamma = instruction.reads
        y = self._buffer(instruction.writes[0])
        _native.scale(self.plan, step.name, self._buffer(x), self.slot(gamma), y, *self._grid(x))

    def _scale_gradient(self, step: Step) -> None:
        (instruction,) = step.instructions
        x, delta = (self._buffer(name) for name in instruction.reads)
        gradient, grid = self._gradient(instruction.writes[0]), self._grid(instruction.reads[0])
        _native.scale_gradient(self.plan, step.name, x, delta, gradient, *grid)

    def _statistics(self, step: Step) -> None:
        """Write sums over each block; `_write_statistics` puts them together."""
        (instruction,) = step.instructions
        positions, channels = self._grid(instruction.reads[0])
        if instruction.operator == "channel_moments":
            x = self._buffer(instruction.reads[0])
            sums = _native.block_moments(self.plan, step.name, x, positions, channels)
        else:
            delta, x = (self._buffer(name) for name in instruction.reads[:2])
            mean = self.slot(instruction.reads[2])
            sums = _native.block_gradient_sums(
                self.plan, step.name, delta, x, mean, positions, channels
            )
        self._block_sums[instruction.writes[0]] = sums

    def _write_statistics(self, step: Step) -> None:
        (instruction,) = step.instructions
        name, sums = f"{step.name}: sum of blocks", self._block_sums[instruction.writes[0]]
        first, second = map(self.slot, instruction.writes)
        positions, channels = self._grid(instruction.reads[0])
        if instruction.operator == "channel_moments":
            _native.channel_moments(self.plan, name, sums, first, second, positions, channels)
            return
        variance, epsilon = self.slot(instruction.reads[3]), instruction.attributes["epsilon"]
        _native.normalization_sums(
            self.plan, name, sums, variance, first, second, epsilon, channels
        )

    def _normalize(self, step: Step) -> None:
        """Write a normalization, or its gradient where the statistics are given."""
        x, (y,) = step.instructions[0].reads[0], step.writes
        _native.normalize(
            self.plan,
            step.name,
            self._coefficients[y],
            self._buffer(x),
            self._buffer(y),
            *self._grid(x),
            **self._fused(step),
        )

    def _batch_normalize_gradient(self, step: Step) -> None:
        (instruction,) = step.instructions
        delta, x, x_delta = *instruction.reads[:2], instruction.writes[0]
        _native.batch_normalize_gradient(
            self.plan,
            step.name,
            self._coefficients[x_delta],
            self._buffer(delta),
            self._buffer(x),
            self._buffer(x_delta),
            *self._grid(x),
        )

    def _standardize(self, step: Step) -> None:
        """Write a normalization by sets of an image's numbers, or its gradient."""
        (instruction,) = step.instructions
        chosen = instruction.attributes
        operands: Any = [*chosen["sets"], chosen["epsilon"], *self._operands(instruction)]
        getattr(_native, instruction.operator)(self.plan, step.name, *operands)

    def _response_normalization(self, step: Step) -> None:
        """Write a normalization by neighbouring channels, or its gradient."""
        (instruction,) = step.instructions
        chosen, grid = instruction.attributes, self._grid(instruction.reads[0])
        radius = min(chosen["depth_radius"], grid[1])  # 64 bits hold it
        operands: Any = [radius, *(chosen[name] for name in ("bias", "alpha", "beta"))]
        operands += [*self._operands(instruction), *grid]
        getattr(_native, instruction.operator)(self.plan, step.name, *operands)

    def _random(self, step: Step) -> None:
        """Write dropout or noise."""
        (instruction,) = step.instructions
        x, random = instruction.reads
        chosen, by_channel = instruction.attributes, instruction.operator == "spatial_dropout"
        operands: Any = [self._buffer(x), self._buffer(instruction.writes[0]), self.slot(random)]
        operands += self._grid(x) if by_channel else [self._size(x)]
        operands += [chosen.get("rate", chosen.get("stddev")), chosen["layer"]]
        getattr(_native, instruction.operator)(self.plan, step.name, *operands)


def _by_fourier(tile: Tile) -> str:
    """Return what a stage's name says of a convolution by the Fourier transform."""
    return f"(FFT, tiles of {' x '.join(map(str, tile))})"


def _activation(instruction: Instruction) -> tuple[Any, list[float]]:
    """Return the core's name of an activation function, and what the layer chose for it."""
    name, chosen = instruction.attributes["function"], instruction.attributes
    defaults = ELEMENTWISE[name].parameters
    return _native.Activation[name], [chosen.get(p, default) for p, default in defaults.items()]


_WRITERS: dict[str, Callable[[Lowering, Step], None]] = {
    "conv": Lowering._convolution,
    "conv_transpose": Lowering._convolution,
    "dense": Lowering._convolution,
    "conv_input_gradient": Lowering._input_gradient,
    "dense_input_gradient": Lowering._convolution,
    "conv_kernel_gradient": Lowering._kernel_gradient,
    "dense_kernel_gradient": Lowering._kernel_gradient,
    "local_conv": Lowering._local,
    "local_conv_input_gradient": Lowering._local,
    "local_conv_kernel_gradient": Lowering._kernel_gradient,
    "bias_gradient": Lowering._bias_gradient,
    "add_bias": Lowering._add_bias,
    "max_pool": Lowering._pooling,
    "max_pool_gradient": Lowering._pooling,
    "average_pool": Lowering._pooling,
    "average_pool_gradient": Lowering._pooling,
    "sum_pool": Lowering._pooling,
    "sum_pool_gradient": Lowering._pooling,
    "l2_pool": Lowering._pooling,
    "l2_pool_gradient": Lowering._pooling,
    "log_sum_exp_pool": Lowering._pooling,
    "log_sum_exp_pool_gradient": Lowering._pooling,
    "stochastic_pool": Lowering._stochastic_pool,
    "stochastic_pool_gradient": Lowering._pooling,
    "stochastic_pool_mean": Lowering._pooling,
    "stochastic_pool_mean_gradient": Lowering._pooling,
    "activation": Lowering._activation,
    "activation_of_input": Lowering._activation,
    "activation_gradient": Lowering._activation,
    "softmax": Lowering._softmax,
    "softmax_gradient": Lowering._softmax,
    "log_softmax": Lowering._softmax,
    "log_softmax_gradient": Lowering._softmax,
    "loss": Lowering._loss,
    "add": Lowering._add,
    "multiply": Lowering._multiply,
    "maximum": Lowering._extremum,
    "maximum_gradient": Lowering._extremum,
    "minimum": Lowering._extremum,
    "minimum_gradient": Lowering._extremum,
    "concatenate": Lowering._concatenate,
    "concatenate_gradient": Lowering._concatenate,
    "take": Lowering._take,
    "take_gradient": Lowering._take,
    "rescale": Lowering._rescale,
    "rescale_gradient": Lowering._rescale,
    "scale": Lowering._scale,
    "scale_gradient": Lowering._scale_gradient,
    "channel_moments": Lowering._statistics,
    "normalization_sums": Lowering._statistics,
    "normalize": Lowering._normalize,
    "normalize_gradient": Lowering._normalize,
    "batch_normalize": Lowering._normalize,
    "batch_normalize_gradient": Lowering._batch_normalize_gradient,
    "standardize": Lowering._standardize,
    "standardize_gradient": Lowering._standardize,
    "local_response_normalization": Lowering._response_normalization,
    "local_response_normalization_gradient": Lowering._response_normalization,
    "dropout": Lowering._random,
    "spatial_dropout": Lowering._random,
    "gaussian_noise": Lowering._random,
}
"""Who writes the stages of a step; tests check that no operator is missing."""
