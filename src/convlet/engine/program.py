"""A program: a list of instructions over named buffers, forward and then backward.

It says what is computed for a batch and in which order, not how: an executor runs it. Nothing in it
depends on the batch size, only on the shape of one image.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from convlet.engine.operators import OPERATORS
from convlet.engine.variable import Variable


@dataclass(frozen=True)
class Buffer:
    """An array that instructions read and write.

    Parameters
    ----------
    name : str
    shape : tuple of int
        Without the batch axis, if there is one.
    per_image : bool
        Whether the array has one row for each image of the batch. Weights and their gradients have
        not.
    """

    name: str
    shape: tuple[int, ...]
    per_image: bool = True


@dataclass(frozen=True)
class Instruction:
    """One application of an operator.

    Parameters
    ----------
    operator : str
        A key of `convlet.engine.operators.OPERATORS`.
    reads, writes : tuple of str
        Names of buffers, in the order of the operator's operands.
    attributes : mapping
        What is known before any image: tap tables, groups, rates.
    layer : str
        The layer that asked for it, for messages and profiles.
    """

    operator: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    layer: str = ""

    @property
    def whole_batch(self) -> bool:
        """Whether it needs all images at once; blocks of images then wait for each other.

        A loss of one's own may look at the whole batch; convlet's take each image by itself.
        """
        if not OPERATORS[self.operator].whole_batch:
            return False
        # a loss whose formula the engine knows; a subclass may compute something else
        function = self.attributes.get("function")
        return vars(type(function)).get("formula") is None

    def __str__(self) -> str:
        return f"{', '.join(self.writes)} = {self.operator}({', '.join(self.reads)})"


@dataclass(frozen=True)
class Program:
    """What to compute for a batch.

    Parameters
    ----------
    forward, backward : tuple of Instruction
        ``backward`` is empty unless the program is for training.
    buffers : mapping of str to Buffer
        Every buffer by its name.
    feeds : tuple of str
        Buffers that the caller fills at each run: images, targets, sample weights, random key.
    variables : mapping of str to Variable
        Buffers that hold the value of a variable.
    gradients : mapping of str to str
        For each trainable variable's buffer, the buffer of its gradient.
    outputs : tuple of str
        The predictions.
    losses : tuple of (str or None)
        For each output, what each target adds to its loss, which is their sum; None where there is
        none, as in a program for prediction.
    updates : mapping of str to str
        For each variable's buffer that a training step replaces without a gradient, such as a
        moving average, the buffer of its next value.
    penalties : tuple of str
        What layers' outputs add to the loss.
    """

    forward: tuple[Instruction, ...]
    backward: tuple[Instruction, ...]
    buffers: Mapping[str, Buffer]
    feeds: tuple[str, ...]
    variables: Mapping[str, Variable]
    gradients: Mapping[str, str]
    outputs: tuple[str, ...]
    losses: tuple[str | None, ...]
    updates: Mapping[str, str] = field(default_factory=dict)
    penalties: tuple[str, ...] = ()

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """Forward, then backward."""
        return self.forward + self.backward

    @property
    def output(self) -> str:
        """The prediction of a network with one output."""
        (output,) = self.outputs
        return output

    @property
    def loss(self) -> str | None:
        """The loss of a network with one output."""
        (loss,) = self.losses
        return loss

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The feeds that are images."""
        return tuple(n for n in self.feeds if n not in self.scoring and self.buffers[n].per_image)

    @cached_property
    def scoring(self) -> frozenset[str]:
        """What losses alone read and write: targets, sample weights, values."""
        losses = [i for i in self.forward if i.operator == "loss"]
        return frozenset(name for i in losses for name in (*i.reads[1:], *i.writes))

    @cached_property
    def loss_feeds(self) -> tuple[tuple[str, ...] | None, ...]:
        """For each output the feeds of its targets and of its weights, None if it has no loss."""
        reads = {i.writes[0]: i.reads[1:] for i in self.forward if i.operator == "loss"}
        return tuple(None if loss is None else reads[loss] for loss in self.losses)

    @cached_property
    def results(self) -> frozenset[str]:
        """Buffers that outlive a run."""
        losses = (loss for loss in self.losses if loss is not None)
        new = (*self.gradients.values(), *self.updates.values())
        return frozenset((*self.outputs, *losses, *self.penalties, *new))

    @cached_property
    def releases(self) -> tuple[tuple[str, ...], ...]:
        """For each instruction, the buffers that nobody reads after it."""
        last_use: dict[str, int] = {}
        for number, instruction in enumerate(self.instructions):
            for name in (*instruction.reads, *instruction.writes):
                last_use[name] = number
        released: list[list[str]] = [[] for _ in self.instructions]
        for name, number in last_use.items():
            if name not in self.results:
                released[number].append(name)
        return tuple(map(tuple, released))

    @cached_property
    def is_float32(self) -> bool:
        """Whether all variables are float32."""
        return all(variable.dtype == "float32" for variable in self.variables.values())

    @cached_property
    def executables(self) -> dict[Any, Any]:
        """What executors keep for this program, such as plans for batches of some size."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs, also one for another process: it makes its plans itself."""
        return {name: value for name, value in vars(self).items() if name != "executables"}

    @property
    def phases(self) -> list[tuple[Instruction, ...]]:
        """The instructions cut where one needs the whole batch.

        Within a phase, blocks of images are independent of each other: a thread may take a block
        through all of it.
        """
        groups = itertools.groupby(self.instructions, key=lambda i: i.whole_batch)
        return [
            phase
            for whole_batch, run in groups
            for phase in ([(i,) for i in run] if whole_batch else [tuple(run)])
        ]

    def __str__(self) -> str:
        lines = []
        for number, phase in enumerate(self.phases):
            lines.append(f"phase {number}{' (whole batch)' if phase[0].whole_batch else ''}")
            for instruction in phase:
                shapes = ", ".join(str(self.buffers[name].shape) for name in instruction.writes)
                lines.append(f"  {instruction}  {shapes}")
        return "\n".join(lines)
