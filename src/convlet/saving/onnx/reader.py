"""What a graph of ONNX nodes becomes: values that are tensors of our layers, and where axes went.

ONNX has images as (batch, channels, grid...), our layers as (batch, grid..., channels). No number
is moved for that: a `Value` knows which of our axes each of its ONNX axes is. A ``Transpose`` in
the file changes that alone, and a flattened image remembers its grid, by which the kernel behind it
is put into our order once, here. Only where an operator needs an order that is not there does a
`Permute` layer make it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlet import layers
from convlet.layers import KerasTensor
from convlet.saving.onnx.graph_file import FileGraph, FileNode

_MOST_NUMBERS = 1024  # of a constant that nodes work out: they are shapes

Order = tuple[int, ...]
Sizes = tuple[int | None, ...]


def channels_first(rank: int) -> Order:
    """Return the order of an image whose channels stand first in ONNX, and last here."""
    return (rank - 1, *range(rank - 1))


@dataclass(frozen=True)
class Value:
    """A value of the graph that depends on the images.

    Parameters
    ----------
    tensor : KerasTensor
    order : tuple of int
        For each axis of an ONNX image, which of ours it is.
    grid : tuple of int, optional
        Of a flattened image: its shape before, channels last. In ONNX its numbers stand channel by
        channel.
    """

    tensor: KerasTensor
    order: Order
    grid: tuple[int, ...] | None = None

    @property
    def shape(self) -> Sizes:
        """Sizes of an image in ONNX's order."""
        sizes = self.tensor.shape[1:]
        return tuple(sizes[axis] for axis in self.order)

    @property
    def rank(self) -> int:
        """Number of an image's axes."""
        return len(self.order)

    @property
    def channels(self) -> int | None:
        """Number of channels, our last axis."""
        return self.tensor.shape[-1]

    def places(self) -> np.ndarray:
        """Return for each number of a flattened image in ONNX where it stands here."""
        assert self.grid is not None
        return np.moveaxis(np.arange(prod(self.grid)).reshape(self.grid), -1, 0).ravel()


class Reader:
    """The values of a graph, as far as its nodes have been read.

    Parameters
    ----------
    graph : FileGraph

    Attributes
    ----------
    opset : int
        The version of the graph's operators.
    """

    def __init__(self, graph: FileGraph) -> None:
        self.opset = graph.opset
        self._constants = dict(graph.constants)
        self._values: dict[str, Value] = {}
        self._readers = Counter(name for node in graph.nodes for name in node.reads)
        self._readers.update(graph.outputs)
        self._absorbed: set[str] = set()
        self._behind: dict[str, list[FileNode]] = {}
        for node in graph.nodes:
            for name in node.reads:
                self._behind.setdefault(name, []).append(node)

    # --- values ---

    def is_known(self, name: str) -> bool:
        """Return whether a name stands for a constant."""
        return name in self._constants

    def constant(self, node: FileNode, number: int, what: str) -> np.ndarray | None:
        """Return the constant that a node reads in some place, None if it is left out.

        Raises
        ------
        ValueError
            If it is no constant.
        """
        name = node.reads[number] if number < len(node.reads) else ""
        if not name:
            return None
        if name not in self._constants:
            raise ValueError(f"{node.owner}: {what} must be a constant")
        return self._constants[name]

    def needed(self, node: FileNode, number: int, what: str) -> np.ndarray:
        """Return the constant that a node must read in some place."""
        value = self.constant(node, number, what)
        if value is None:
            raise ValueError(f"{node.owner}: {what} is missing")
        return value

    def integers(self, node: FileNode, number: int, what: str) -> list[int] | None:
        """Return the constant integers that a node reads in some place, None if left out."""
        array = self.constant(node, number, what)
        if array is not None and (array.dtype.kind != "i" or array.ndim > 1):
            raise ValueError(f"{node.owner}: {what} must be a list of integers")
        return None if array is None else array.ravel().tolist()

    def value(self, node: FileNode, number: int = 0) -> Value:
        """Return what a node reads in some place, which must depend on the images."""
        name = node.reads[number] if number < len(node.reads) else ""
        if name not in self._values:
            raise ValueError(f"{node.owner}: input {number} must depend on the images")
        return self._values[name]

    def check_small(self, node: FileNode, size: int) -> None:
        """Raise a ValueError if a node makes a constant larger than shapes are.

        Each of many nodes could double it.
        """
        if size > _MOST_NUMBERS:
            raise ValueError(
                f"{node.owner}: constants of at most {_MOST_NUMBERS} numbers are worked out, and "
                f"this one has {size}"
            )

    def keep(self, node: FileNode, constant: np.ndarray) -> None:
        """Let a node write a constant."""
        self._constants[node.writes[0]] = constant

    def put(self, node: FileNode, value: Value) -> None:
        """Let a node write a value.

        Raises
        ------
        ValueError
            If somebody reads another thing that it writes.
        """
        for name in node.writes[1:]:
            if name and self._readers[name]:
                raise ValueError(f"{node.owner}: only its first output is known, not {name!r}")
        self._values[node.writes[0]] = value

    def give(self, name: str, value: Value) -> None:
        """Give a value to a name: an input."""
        self._values[name] = value

    def output(self, name: str) -> Value:
        """Return the value of one of the graph's outputs."""
        if name not in self._values:
            raise ValueError(f"output {name!r} does not depend on the images")
        return self._values[name]

    # --- a bias that stands in a node of its own ---

    def bias_behind(self, node: FileNode) -> np.ndarray | None:
        """Return the constant that alone is added to what a node writes; its node is then done."""
        (written, *_) = node.writes
        if self._readers[written] != 1 or not self._behind.get(written):
            return None
        (adding,) = self._behind[written]
        others = [name for name in adding.reads if name != written]
        if adding.operator != "Add" or len(others) != 1:
            return None
        return self._constants.get(others[0])

    def absorb(self, node: FileNode) -> None:
        """Note that the addition behind a node has been done with it."""
        self._absorbed.add(node.writes[0])

    def is_absorbed(self, node: FileNode) -> bool:
        """Return whether an addition has been done already."""
        return node.operator == "Add" and not self._absorbed.isdisjoint(node.reads)

    def pass_on(self, node: FileNode) -> None:
        """Let a node write what it reads."""
        (source,) = (name for name in node.reads if name in self._values)
        self.put(node, self._values[source])

    # --- orders ---

    def arranged(self, value: Value, order: Order) -> Value:
        """Return a value whose ONNX axes are these of ours; a `Permute` makes it if need be."""
        value = self.unflattened(value)
        if value.order == order:
            return value
        dims = [0] * value.rank
        for ours, wanted in zip(value.order, order, strict=True):
            dims[wanted] = ours + 1
        return Value(layers.Permute(tuple(dims))(value.tensor), order)

    def with_channels_last(self, value: Value) -> Value:
        """Return a value whose channels, ONNX's first axis, are our last."""
        if value.rank == 1:
            return value
        return self.arranged(value, channels_first(value.rank))

    def unflattened(self, value: Value) -> Value:
        """Return a value whose numbers stand in ONNX's order if it is a flattened image."""
        if value.grid is None:
            return value
        rank = len(value.grid)
        image = layers.Reshape(value.grid)(value.tensor)
        moved = layers.Permute((rank, *range(1, rank)))(image)
        return Value(layers.Flatten()(moved), (0,))

    def reshaped(self, value: Value, shape: Sizes) -> Value:
        """Return a value with images of another shape, in ONNX's order.

        A grid may change while the channels stay, and an image may be flattened, without a number
        being moved.
        """
        if value.shape == shape:
            return value
        first = value.rank > 1 and value.order == channels_first(value.rank)
        if len(shape) == 1 and first:
            sizes = tuple(n for n in value.tensor.shape[1:] if n is not None)
            flat = layers.Flatten()(value.tensor)
            several = prod(sizes[:-1]) > 1 and sizes[-1] > 1
            return Value(flat, (0,), sizes if several else None)
        if first and shape[:1] == value.shape[:1]:
            ours = (*shape[1:], shape[0])
            return Value(_reshape(value.tensor, ours), channels_first(len(shape)))
        value = self.arranged(value, tuple(range(value.rank)))
        return Value(_reshape(value.tensor, shape), tuple(range(len(shape))))

    def per_channel(self, value: Value, constant: np.ndarray) -> Any:
        """Return a constant as a number, or as one for each of our channels; None if it is neither.

        It is spread over the value as NumPy does it.
        """
        if constant.size == 1:
            return constant.reshape(()).astype(np.float32)
        if constant.ndim > value.rank + 1:
            return None
        shape = (*(1,) * (value.rank + 1 - constant.ndim), *constant.shape)
        (along, *others) = [axis for axis, n in enumerate(shape) if n != 1]
        if others or along == 0 or value.order[along - 1] != value.rank - 1:
            return None
        if constant.size != value.channels:
            return None
        return self.features(value, constant.ravel()).astype(np.float32)

    def features(self, value: Value, constant: np.ndarray) -> np.ndarray:
        """Return an array with a row for each number of a flattened image, in our order."""
        if value.grid is None:
            return constant
        ours = np.empty_like(constant)
        ours[value.places()] = constant
        return ours


def _reshape(tensor: KerasTensor, shape: Sizes) -> KerasTensor:
    """Return a tensor in another shape; one open size follows from the others."""
    if tensor.shape[1:] == shape:
        return tensor
    return layers.Reshape(tuple(-1 if n is None else n for n in shape))(tensor)
