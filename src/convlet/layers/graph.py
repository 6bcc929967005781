"""Graphs: what a layer that is called on something without numbers returns, and remembers.

`Input` gives a `KerasTensor`: a shape, a float type, and where it comes from. A layer called on
it gives another one, and keeps a `Node`: which tensors it was called on, and which came out. So
from a model's outputs the way leads back to its inputs (`convlet.models.functional`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlet.layers.structures import as_lists, leaves, mapped

if TYPE_CHECKING:
    from convlet.layers.layer import Layer, Shape


class KerasTensor:
    """A place for arrays that a model will compute; Keras's name.

    Parameters
    ----------
    shape : tuple
        The batch axis, None, included; None for sizes left open.
    dtype : str
    node : Node
        The call that it came out of.
    index : int
        Its place among what came out.
    """

    def __init__(self, shape: Shape, dtype: str, node: Node, index: int) -> None:
        self.shape = shape
        self.dtype = dtype
        self.node = node
        self.index = index

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape} dtype={self.dtype} from {self.node.layer.owner}>"


class Node:
    """One call of a layer on tensors.

    Parameters
    ----------
    layer : Layer
    inputs : KerasTensor, list or dict of them
        An empty list for an `Input`.
    output_shape : tuple, list or dict of them
    training : bool or None
        What the layer was told to do in this place, whatever the rest of the model does.

    Attributes
    ----------
    outputs : KerasTensor, list or dict of them
        In the form of ``output_shape``.
    """

    def __init__(
        self, layer: Layer, inputs: Any, output_shape: Any, training: bool | None = None
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.training = training
        numbers = iter(range(len(leaves(output_shape))))
        self.outputs = mapped(
            lambda shape: KerasTensor(shape, layer.dtype, self, next(numbers)), output_shape
        )

    @property
    def parents(self) -> list[Node]:
        """The calls that the inputs came out of."""
        return [tensor.node for tensor in leaves(self.inputs)]


def in_order(outputs: list[KerasTensor]) -> list[Node]:
    """Return the nodes that outputs depend on, each behind those that it depends on itself.

    Without recursion: Python stands 1000 calls, and networks have more layers than that.
    """
    order: dict[Node, None] = {}
    waiting = [tensor.node for tensor in reversed(outputs)]
    while waiting:
        node = waiting[-1]
        missing = [parent for parent in node.parents if parent not in order]
        if node in order or not missing:
            order[node] = None
            waiting.pop()
        else:
            waiting += reversed(missing)
    return list(order)


def holds_tensors(x: Any) -> bool:
    """Return whether ``x`` is a tensor, or a list, tuple or dict that holds one."""
    things = x.values() if isinstance(x, dict) else leaves(as_lists(x))
    return any(isinstance(thing, KerasTensor) for thing in things)


def call_on_tensors(layer: Layer, x: Any, training: bool | None) -> Any:
    """Build a layer for tensors, note the call, and return the tensors that come out.

    Raises
    ------
    ValueError
        If the layer cannot take such inputs; it is as it was then.
    """
    inputs = layer.arranged(as_lists(x))
    for tensor in leaves(inputs):
        if not isinstance(tensor, KerasTensor):
            raise ValueError(
                f"{layer.owner}: either all inputs must be tensors or none, got "
                f"{type(tensor).__name__} among them"
            )
        if tensor.dtype != layer.dtype:
            raise ValueError(
                f"{layer.owner}: all layers must compute in one float type, {layer.dtype}, got "
                f"an input in {tensor.dtype} from {tensor.node.layer.owner}"
            )
    shapes = mapped(lambda tensor: tensor.shape, inputs)
    was_built = layer.built
    try:
        layer.ensure_built(shapes)
        output_shape = layer.compute_output_shape(shapes)
    except BaseException:
        if not was_built:
            layer.unbuild()
        raise
    node = Node(layer, inputs, output_shape, training)
    layer.inbound_nodes.append(node)
    return node.outputs
