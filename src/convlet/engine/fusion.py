"""Which instructions the C++ core carries out in one go.

A convolution or a dense layer adds the bias, takes the maximum of each pooling window or adds what
goes past it, and applies the activation before it writes anything; a normalization does the same
without bias and windows. A loss computes its gradient at once. Going back, a convolution's gradient
adds that of a shortcut past it. The gradient of a max pooling is not spread out over its windows:
the convolution before it looks up the winners, or spreads out only as much as its kernel gradient
needs at a time. Fusing changes no formula, only what is written to memory, and which zeros are
added.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from convlet.engine.costs import kernel_shape
from convlet.engine.program import Instruction, Program
from convlet.engine.transforms import Tile, tile_for
from convlet.ops import TapTable

# A kernel with so many times more weights than its layer has activations for one image: the
# gradient is summed over the whole batch at once, without partial sums of the kernel's size.
_MANY_WEIGHTS = 16

_MOST_TAPS = 255  # of a window whose winning tap fits a byte

# What a multiply-add of vectors costs that start anywhere in a line of the cache, compared with
# those of the other kernels (measured on Zen 4), and how large an image may grow by its padding.
_UNALIGNED = 1.7
_MOST_PADDING = 2

_BEHIND_NORMALIZATION = (("add",), ("activation", "activation_of_input"))
_BEHIND_CONVOLUTION = (("add_bias",), ("max_pool", "add"), ("activation", "activation_of_input"))
"""What may be done before anything is written, in this order; each may be missing."""


@dataclass(frozen=True)
class Step:
    """Instructions that are carried out in one go.

    Parameters
    ----------
    instructions : tuple of Instruction
        In the order in which the program has them.
    whole_batch : bool
        Whether it must wait until all images have come so far.
    by_winners : bool
        Whether a gradient is summed over the winners of a max pooling alone.
    tile : Tile or None
        Of a convolution in transformed tiles.
    """

    instructions: tuple[Instruction, ...]
    whole_batch: bool = False
    by_winners: bool = False
    tile: Tile | None = None

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators, in order."""
        return tuple(instruction.operator for instruction in self.instructions)

    @property
    def kind(self) -> str:
        """The operator that the others are fused with."""
        first, last = self.operators[0], self.operators[-1]
        return last if first == "max_pool_gradient" else first

    @property
    def inner(self) -> set[str]:
        """Buffers that are written and read within the step alone."""
        if self.operators == ("loss", "loss_gradient"):
            return set()
        return {i.writes[0] for i in self.instructions[:-1]}

    @property
    def reads(self) -> tuple[str, ...]:
        """Buffers that must be there before."""
        names = [name for i in self.instructions for name in i.reads]
        written = {name for i in self.instructions for name in i.writes}
        return tuple(name for name in dict.fromkeys(names) if name not in written)

    @property
    def writes(self) -> tuple[str, ...]:
        """Buffers that are there afterwards."""
        return tuple(name for i in self.instructions for name in i.writes if name not in self.inner)

    @property
    def name(self) -> str:
        """Layer and operators, for profiles."""
        return f"{self.instructions[-1].layer}: {' + '.join(self.operators)}"


def fuse(program: Program, images: int, lanes: int, width: int) -> list[Step]:
    """Return the steps of a program, in order.

    Parameters
    ----------
    program : Program
    images : int
        The batch's size.
    lanes : int
        Images in a block. With one of them, no gradient goes by the winners of a pooling.
    width : int
        Floats in a register.
    """
    return list(_Fusion(program, images, lanes, width).steps())


def pays_by_winners(pool: TapTable, convolution: Instruction, channels: int, width: int) -> bool:
    """Return whether gradients of a convolution are best summed over the winners of a pooling.

    Of each window only one output has a delta, so there are as many times fewer multiply-adds as
    a window has outputs. But their vectors run along lines of the kernel and not over images: a
    line of 15 floats fills one of 16 lanes, a line of 5 wastes most of it.

    Parameters
    ----------
    pool : TapTable
        Of the pooling behind the convolution; its windows do not overlap.
    convolution : Instruction
        Either gradient of the convolution.
    channels : int
        That the convolution reads.
    width : int
        Floats in a register.
    """
    table: TapTable = convolution.attributes["table"]
    *_, last = table.axes
    is_in_lines = last.dilation == 1 and all(axis.begin >= 0 for axis in table.axes)
    if convolution.attributes["groups"] != 1 or not is_in_lines:
        return False
    padded = math.prod(
        max(a.begin + a.size, (a.outputs - 1) * a.stride + a.extent) for a in table.axes
    )
    if padded > _MOST_PADDING * math.prod(table.input_shape) or padded * channels >= 1 << 31:
        return False
    line = last.taps * channels
    vectors = math.prod(a.taps for a in table.axes[:-1]) * -(-line // width)
    outputs = math.prod(table.output_shape) / math.prod(pool.output_shape)  # of a window
    return outputs * table.taps * channels > _UNALIGNED * vectors * width


def sums_over_batch(program: Program, instruction: Instruction) -> bool:
    """Return whether a kernel gradient is summed over the whole batch at once."""
    x, delta = (math.prod(program.buffers[name].shape) for name in instruction.reads)
    return math.prod(program.buffers[instruction.writes[0]].shape) > _MANY_WEIGHTS * (x + delta)


class _Fusion:
    def __init__(self, program: Program, images: int, lanes: int, width: int) -> None:
        self._program = program
        self._width = width
        self._tiles = {
            i.writes[0]: tile_for(program, i, images, lanes, width) for i in program.instructions
        }
        self._readers = Counter(name for i in program.instructions for name in i.reads)
        self._readers.update(program.results)
        self._only_reader = {
            name: i for i in program.instructions for name in i.reads if self._readers[name] == 1
        }
        self._spread_late = self._gradients_spread_late() if lanes > 1 else {}

    def steps(self) -> Iterator[Step]:
        done: set[str] = set()
        for instruction in self._program.instructions:
            if instruction.writes[0] in done:
                continue
            step = self._step(instruction)
            if step is not None:
                done.update(i.writes[0] for i in step.instructions)
                yield step

    def _step(self, instruction: Instruction) -> Step | None:
        operator = instruction.operator
        if operator in ("conv", "conv_transpose", "dense"):
            return Step(tuple(self._chain(instruction)), tile=self._tiles[instruction.writes[0]])
        if operator in ("batch_normalize", "normalize"):
            return Step(tuple(self._chain(instruction, _BEHIND_NORMALIZATION)))
        if operator == "loss" and not instruction.whole_batch:
            return Step((instruction, *self._gradient_of_loss(instruction)))
        if operator == "max_pool_gradient" and instruction.writes[0] in self._spread_late:
            return None
        if operator == "bias_gradient":
            spread = self._spread_late.get(instruction.reads[0])
            if spread is not None:  # the sum is the same before it is spread out
                instruction = replace(instruction, reads=(spread.reads[0],))
        if operator in ("conv_input_gradient", "conv_kernel_gradient", "dense_kernel_gradient"):
            delta = instruction.reads[0 if operator == "conv_input_gradient" else 1]
            spread = self._spread_late.get(delta)
            if spread is not None:
                return Step((spread, instruction), by_winners=self._pays(spread, instruction))
        tile = self._tiles[instruction.writes[0]]
        if operator == "conv_input_gradient":
            return Step(tuple(self._chain(instruction, (("add",),))), tile=tile)
        if tile is not None:
            return Step((instruction,), tile=tile)
        if operator == "local_conv_kernel_gradient":
            return Step((instruction,), True)
        if operator in ("conv_kernel_gradient", "dense_kernel_gradient"):
            return Step((instruction,), sums_over_batch(self._program, instruction))
        return Step((instruction,), instruction.whole_batch)

    def _chain(
        self,
        instruction: Instruction,
        behind: Sequence[Sequence[str]] = _BEHIND_CONVOLUTION,
    ) -> Iterator[Instruction]:
        """Yield an instruction and what may be done before anything is written."""
        first = instruction
        yield first
        for operators in behind:
            following = self._only_reader.get(instruction.writes[0])
            if following is None or following.operator not in operators:
                continue
            if following.operator == "max_pool" and not self._pools_at_once(first, following):
                return
            if following.operator == "add" and not self._adds_at_once(first, following):
                return
            yield following
            instruction = following

    def _pools_at_once(self, convolution: Instruction, pool: Instruction) -> bool:
        """Return whether a convolution can take the maxima of the windows behind it."""
        in_tiles = self._tiles[convolution.writes[0]] is not None
        return not in_tiles and self._is_apart(pool) and not self._is_depthwise(convolution)

    def _adds_at_once(self, convolution: Instruction, add: Instruction) -> bool:
        """Return whether the other term of a sum is there before the convolution.

        Or before the normalization, or the gradient.
        """
        if self._is_depthwise(convolution) or not self._program.buffers[add.writes[0]].per_image:
            return False
        before = itertools.takewhile(lambda i: i is not convolution, self._program.instructions)
        known = {name for i in before for name in i.writes} | set(self._program.feeds)
        return len(known.intersection(add.reads)) == 1

    def _is_depthwise(self, convolution: Instruction) -> bool:
        """Return whether each channel is convolved by itself, with one filter."""
        groups = convolution.attributes.get("groups", 1)
        kernel = kernel_shape(self._program, convolution)
        return groups > 1 and math.prod(kernel[-2:]) == groups

    def _is_apart(self, pool: Instruction) -> bool:
        """Return whether windows do not overlap, and are neither large nor empty nor alone."""
        table: TapTable = pool.attributes["table"]
        apart = all(axis.stride >= axis.extent or axis.outputs == 1 for axis in table.axes)
        if not apart or table.taps > _MOST_TAPS or math.prod(table.input_shape) == 1:
            return False
        return bool(table.counts().all())  # a window of padding alone has no winner

    def _gradient_of_loss(self, loss: Instruction) -> list[Instruction]:
        return [
            i
            for i in self._program.backward
            if i.operator == "loss_gradient" and i.reads[-1] == loss.writes[0]
        ]

    def _pays(self, pool: Instruction, gradient: Instruction) -> bool:
        """Return whether a gradient is best summed over the winners of a pooling."""
        kernel = kernel_shape(self._program, gradient)
        return pays_by_winners(pool.attributes["table"], gradient, kernel[-2], self._width)

    def _gradients_spread_late(self) -> dict[str, Instruction]:
        """Return the poolings' gradients that no step needs spread out in memory.

        They are read by the gradients of one convolution: by its bias; by its kernel; and by its
        input, if both are summed over the winners.
        """
        late = {}
        for pool in self._program.backward:
            if pool.operator != "max_pool_gradient" or not self._is_apart(pool):
                continue
            readers = [i for i in self._program.instructions if pool.writes[0] in i.reads]
            operators = sorted(i.operator for i in readers if i.operator != "bias_gradient")
            kernels = [i for i in readers if i.operator == "conv_kernel_gradient"]
            if len(kernels) != 1 or kernels[0].reads[1] != pool.writes[0]:
                continue
            if sums_over_batch(self._program, kernels[0]) or self._is_depthwise(kernels[0]):
                continue
            asked_for = kernels[0].attributes.get("algorithm") in ("fft", "winograd")
            if self._pays(pool, kernels[0]) and not asked_for:
                # as fast as by Fourier transform in large batches, faster in small ones
                self._tiles.update((i.writes[0], None) for i in readers)
            elif any(self._tiles[i.writes[0]] for i in readers):
                continue
            both = ["conv_input_gradient", "conv_kernel_gradient"]
            if operators == both[1:] or (operators == both and self._pays(pool, kernels[0])):
                late[pool.writes[0]] = pool
        return late
