"""An ONNX graph that is being written: nodes, constants, and buffers in two layouts.

convlet keeps channels last, most ONNX operators want them behind the batch. A buffer stands in the
graph in the layout in which it was made; a ``Transpose`` makes the other one where it is asked for,
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlet.engine import Instruction, Program

LAST, FIRST = "channels last", "channels first"


def axis_of(layout: str, axis: int, rank: int) -> int:
    """Return the place in an ONNX array of an image's axis, the image having ``rank`` axes."""
    if layout == LAST:
        return axis + 1
    return 1 if axis == rank - 1 else axis + 2


@dataclass(frozen=True)
class Node:
    """A node: an operator's name, what it reads, the one thing that it writes, its attributes."""

    operator: str
    reads: tuple[str, ...]
    write: str
    attributes: Mapping[str, Any]


class Writer:
    """The nodes of a program's forward pass.

    Parameters
    ----------
    program : Program
        For prediction.
    weights : mapping of str to ndarray
        The value of each buffer that does not depend on images.

    Attributes
    ----------
    nodes : list of Node
        In the order in which they can be run.
    constants : dict of str to ndarray
    """

    def __init__(self, program: Program, weights: Mapping[str, np.ndarray]) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._program = program
        self._weights = weights
        self._names: dict[str, dict[str, str]] = {}
        self._known_constants: dict[Any, str] = {}
        self._scope = ""
        self._made = 0

    # --- what stands in the graph ---

    def begin(self, instruction: Instruction) -> None:
        """Name what is made from here on after what an instruction writes."""
        self._scope, self._made = instruction.writes[0], 0

    def shape(self, buffer: str) -> tuple[int, ...]:
        """Return the shape of one image in a buffer."""
        return self._program.buffers[buffer].shape

    def put(self, buffer: str, name: str, layout: str) -> None:
        """Say what a buffer is called in the graph, in a layout."""
        self._names[buffer] = {layout: name}

    def layout(self, buffer: str) -> str:
        """Return the layout in which a buffer was made."""
        return next(iter(self._names[buffer]))

    def read(self, buffer: str, layout: str) -> str:
        """Return a buffer's name in a layout; a ``Transpose`` makes it if it is not there yet."""
        names = self._names[buffer]
        if layout not in names:
            rank = len(self.shape(buffer))
            if rank < 2:
                return next(iter(names.values()))
            order = [0, *range(2, rank + 1), 1] if layout == LAST else [0, rank, *range(1, rank)]
            names[layout] = self.node("Transpose", next(iter(names.values())), perm=order)
        return names[layout]

    def call(self, buffer: str, name: str) -> None:
        """Let a buffer have a name of one's own in the graph, channels last."""
        self.nodes.append(Node("Identity", (self.read(buffer, LAST),), name, {}))

    # --- nodes and constants ---

    def node(self, operator: str, *reads: str, **attributes: Any) -> str:
        """Append a node and return the name of what it writes."""
        name = f"{self._scope}.{self._made}" if self._made else self._scope
        self._made += 1
        self.nodes.append(Node(operator, reads, name, attributes))
        return name

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """Return the name of a constant; equal ones are one."""
        array = np.array(value, dtype, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._known_constants:
            name = f"constant/{len(self._known_constants)}"
            self._known_constants[key] = name
            self.constants[name] = array
        return self._known_constants[key]

    def integers(self, *values: int) -> str:
        """Return the name of a list of integers: axes, shapes, places."""
        return self.constant(values, "int64")

    def weight(self, buffer: str) -> np.ndarray:
        """Return the value of a buffer that does not depend on images."""
        return self._weights[buffer]

    def per_channel(self, value: Any, layout: str, rank: int) -> str:
        """Return a constant that is a number, or one for each channel, as it is spread in a layout.

        ``rank`` is that of an image.
        """
        array = np.asarray(value, np.float32)
        if layout == FIRST and array.ndim and rank > 1:
            array = array.reshape(-1, *(1,) * (rank - 1))
        return self.constant(array)

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        """Append a ``Reshape`` of every image."""
        return self.node("Reshape", name, self.integers(-1, *shape))
