"""Which instructions the C++ core carries out in one go.

A convolution or a dense layer adds the bias, takes the maximum of each pooling window and applies
the activation before it writes anything. A loss computes its gradient at once. Going back, the
gradient of a max pooling is spread out only as far as the kernel gradient before it needs at a
time. Fusing changes no formula, only what is written to memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from convlet.engine.program import Instruction, Program
from convlet.ops import TapTable

# A kernel with so many times more weights than its layer has activations for one image: the
# gradient is summed over the whole batch at once, without partial sums of the kernel's size.
_MANY_WEIGHTS = 16

_MOST_TAPS = 255  # of a window whose winning tap fits a byte


@dataclass(frozen=True)
class Step:
    """Instructions that are carried out in one go.

    Parameters
    ----------
    instructions : tuple of Instruction
        In the order in which the program has them.
    whole_batch : bool
        Whether it must wait until all images have come so far.
    """

    instructions: tuple[Instruction, ...]
    whole_batch: bool = False

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators, in order."""
        return tuple(instruction.operator for instruction in self.instructions)

    @property
    def kind(self) -> str:
        """The operator that the others are fused with."""
        last = self.operators[-1]
        return last if last.endswith("kernel_gradient") else self.operators[0]

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


def fuse(program: Program, pools: bool) -> list[Step]:
    """Return the steps of a program, in order.

    Parameters
    ----------
    program : Program
    pools : bool
        Whether poolings may be fused with convolutions.
    """
    return list(_Fusion(program, pools).steps())


def sums_over_batch(program: Program, instruction: Instruction) -> bool:
    """Return whether a kernel gradient is summed over the whole batch at once."""
    x, delta = (math.prod(program.buffers[name].shape) for name in instruction.reads)
    return math.prod(program.buffers[instruction.writes[0]].shape) > _MANY_WEIGHTS * (x + delta)


class _Fusion:
    def __init__(self, program: Program, pools: bool) -> None:
        self._program = program
        self._pools = pools
        self._readers = Counter(name for i in program.instructions for name in i.reads)
        self._readers.update(program.results)
        self._only_reader = {
            name: i for i in program.instructions for name in i.reads if self._readers[name] == 1
        }
        self._spread_late = self._gradients_spread_late() if pools else {}

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
        if operator in ("conv", "dense"):
            return Step(tuple(self._chain(instruction)))
        if operator == "loss" and not instruction.whole_batch:
            return Step((instruction, *self._gradient_of_loss(instruction)))
        if operator == "max_pool_gradient" and instruction.writes[0] in self._spread_late:
            return None
        if operator == "bias_gradient":
            spread = self._spread_late.get(instruction.reads[0])
            if spread is not None:  # the sum is the same before it is spread out
                instruction = replace(instruction, reads=(spread.reads[0],))
        if operator in ("conv_kernel_gradient", "dense_kernel_gradient"):
            spread = self._spread_late.get(instruction.reads[1])
            if spread is not None:
                return Step((spread, instruction))
            return Step((instruction,), sums_over_batch(self._program, instruction))
        return Step((instruction,), instruction.whole_batch)

    def _chain(self, instruction: Instruction) -> Iterator[Instruction]:
        """Yield a convolution and what may be done before anything is written."""
        yield instruction
        for operators in (("add_bias",), ("max_pool",), ("activation", "activation_of_input")):
            following = self._only_reader.get(instruction.writes[0])
            if following is None or following.operator not in operators:
                continue
            if following.operator == "max_pool" and not self._is_apart(following):
                return
            yield following
            instruction = following

    def _is_apart(self, pool: Instruction) -> bool:
        """Return whether a pooling's windows do not overlap, and are neither large nor empty."""
        table: TapTable = pool.attributes["table"]
        apart = all(axis.stride >= axis.extent or axis.outputs == 1 for axis in table.axes)
        if not (self._pools and apart and table.taps <= _MOST_TAPS):
            return False
        return bool(table.counts().all())  # a window of padding alone has no winner

    def _gradient_of_loss(self, loss: Instruction) -> list[Instruction]:
        return [
            i
            for i in self._program.backward
            if i.operator == "loss_gradient" and i.reads[-1] == loss.writes[0]
        ]

    def _gradients_spread_late(self) -> dict[str, Instruction]:
        """Return the poolings' gradients that only a kernel gradient and a bias gradient read."""
        late = {}
        for pool in self._program.backward:
            if pool.operator != "max_pool_gradient" or not self._is_apart(pool):
                continue
            readers = [i for i in self._program.instructions if pool.writes[0] in i.reads]
            kernels = [i for i in readers if i.operator == "conv_kernel_gradient"]
            others = {i.operator for i in readers} - {"conv_kernel_gradient", "bias_gradient"}
            is_read_twice = len(kernels) != 1 or bool(others)
            if not is_read_twice and not sums_over_batch(self._program, kernels[0]):
                late[pool.writes[0]] = pool
        return late
