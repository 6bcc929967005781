"""Writes down the forward instructions of a network while its layers are walked through once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convlet.engine.operators import OPERATORS
from convlet.engine.program import Buffer, Instruction
from convlet.engine.variable import Variable


class Builder:
    """What a layer writes its instructions into.

    Parameters
    ----------
    training : bool
        Whether the program is for training; a layer such as dropout does nothing otherwise.
    scoring : bool
        Whether losses are wanted, and what layers add to them.
    """

    def __init__(self, training: bool = False, scoring: bool = False) -> None:
        self.training = training
        self.scoring = scoring
        self.penalties: list[str] = []
        self.instructions: list[Instruction] = []
        self.buffers: dict[str, Buffer] = {}
        self.feeds: list[str] = []
        self.variables: dict[str, Variable] = {}
        self.updates: dict[str, str] = {}
        self._scope: tuple[str, ...] = ()

    @property
    def layer(self) -> str:
        """Path of the layer that is being walked through, such as ``"conv2d_1"``."""
        return "/".join(self._scope)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name what is written inside after the layer ``name``."""
        outer = self._scope
        self._scope = (*outer, name)
        try:
            yield
        finally:
            self._scope = outer

    @contextmanager
    def as_if(self, training: bool | None) -> Iterator[None]:
        """Let layers inside do what they do in training, or what they do otherwise; None: as is."""
        outer = self.training
        self.training = outer if training is None else training
        try:
            yield
        finally:
            self.training = outer

    def _buffer(self, name: str, shape: tuple[int, ...], per_image: bool = True) -> Buffer:
        unique, number = name, 1
        while unique in self.buffers:
            unique, number = f"{name}_{number}", number + 1
        self.buffers[unique] = Buffer(unique, shape, per_image)
        return self.buffers[unique]

    def feed(self, name: str, shape: tuple[int, ...], per_image: bool = True) -> Buffer:
        """Return a buffer that the caller fills at each run; asking again gives the same one."""
        if name in self.feeds:
            return self.buffers[name]
        self.feeds.append(name)
        return self._buffer(name, shape, per_image)

    def random(self) -> Buffer:
        """Return the buffer of the run's random key: its seed and the number of the step."""
        return self.feed("random", (2,), per_image=False)

    def parameter(self, variable: Variable) -> Buffer:
        """Return the buffer that holds a variable; asking again gives the same one."""
        for name, known in self.variables.items():
            if known is variable:
                return self.buffers[name]
        buffer = self._buffer(f"{self.layer}/{variable.name}", variable.shape, per_image=False)
        self.variables[buffer.name] = variable
        return buffer

    def latest(self, variable: Variable) -> Buffer:
        """Return the buffer of what `update` gave a variable last, or else of its value."""
        buffer = self.parameter(variable)
        return self.buffers[self.updates.get(buffer.name, buffer.name)]

    def update(self, variable: Variable, value: Buffer) -> None:
        """Let a training step replace a variable's value by what a buffer then holds."""
        self.updates[self.parameter(variable).name] = value.name

    def penalize(self, x: Buffer, regularizer: Any) -> None:
        """Let a buffer's penalty, divided by the number of images, be added to the loss."""
        value = self.apply("penalty", x, shape=(), per_image=False, regularizer=regularizer)
        self.penalties.append(value.name)

    def tied(self, variable: Variable, index: np.ndarray) -> Buffer:
        """Return the buffer of a kernel that is laid out from a variable; see `convlet.ops.tie`."""
        weights = self.parameter(variable)
        return self.apply(
            "tie",
            weights,
            shape=index.shape,
            per_image=False,
            index=index,
            weights_shape=variable.shape,
        )

    def apply(
        self,
        operator: str,
        *reads: Buffer,
        shape: tuple[int, ...],
        per_image: bool = True,
        **attributes: Any,
    ) -> Buffer:
        """Append an instruction and return the buffer that it writes first; see `apply_all`."""
        return self.apply_all(operator, *reads, shape=shape, per_image=per_image, **attributes)[0]

    def apply_all(
        self,
        operator: str,
        *reads: Buffer,
        shape: tuple[int, ...],
        per_image: bool = True,
        **attributes: Any,
    ) -> tuple[Buffer, ...]:
        """Append an instruction and return the buffers that it writes.

        Parameters
        ----------
        operator : str
            A key of `OPERATORS`.
        reads : Buffer
            Its operands.
        shape : tuple of int
            Shape of what it writes, without the batch axis.
        per_image : bool
            Whether it writes something for each image; not, if it reads weights alone.
        attributes
            Given to the operator as they are.
        """
        names = OPERATORS[operator].writes.split()
        writes = [
            self._buffer(
                f"{self.layer}/{operator}" + ("" if n == 0 else f".{name}"), shape, per_image
            )
            for n, name in enumerate(names)
        ]
        self.instructions.append(
            Instruction(
                operator,
                tuple(buffer.name for buffer in reads),
                tuple(buffer.name for buffer in writes),
                attributes,
                self.layer,
            )
        )
        return tuple(writes)
