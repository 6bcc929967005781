"""A model from an ONNX file: its nodes as our layers, in a graph that can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convlet import layers
from convlet.layers import KerasTensor
from convlet.saving.files import errors_with_path
from convlet.saving.onnx.graph_file import FileGraph, read_graph
from convlet.saving.onnx.importers import IMPORTERS
from convlet.saving.onnx.reader import Reader, Value, channels_first


def load_onnx(path: Path) -> Any:
    """Return the model in an ONNX file; see `convlet.saving.load_model`."""
    with errors_with_path(path):
        graph = read_graph(path)
        reader = Reader(graph)
        inputs = [_input(reader, graph, name) for name in graph.inputs]
        for node in graph.nodes:
            if node.operator not in IMPORTERS:
                raise ValueError(
                    f"{node.owner}: this operator is not read; those are that are: "
                    + ", ".join(sorted(IMPORTERS))
                )
            try:
                IMPORTERS[node.operator](reader, node)
            except ValueError as error:
                message = str(error)
                raise ValueError(
                    message if message.startswith(node.owner) else f"{node.owner}: {message}"
                ) from None
        turned = not all(_is_channels_last(graph, name) for name in graph.inputs)
        outputs = [_output(reader, reader.output(name), turned) for name in graph.outputs]
        functional: Any = layers.registry.find("Functional")
        return functional(_alone(inputs), _alone(outputs))


def _alone(tensors: list[KerasTensor]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _input(reader: Reader, graph: FileGraph, name: str) -> KerasTensor:
    """Return an input of our layout for one of the graph's."""
    sizes = graph.inputs[name][1:]
    order = tuple(range(len(sizes)))
    if len(sizes) > 1 and not _is_channels_last(graph, name):
        order = channels_first(len(sizes))
    ours = [sizes[order.index(axis)] for axis in range(len(sizes))]
    is_name = name.isprintable() and not set(name) & set("/ ")
    tensor = layers.Input(ours, name=name if is_name else None)
    reader.give(name, Value(tensor, order))
    return tensor


def _is_channels_last(graph: FileGraph, name: str) -> bool:
    """Return whether images come with their channels last: convlet's do, and those turned first."""
    if graph.producer == "convlet":
        return True
    rank = len(graph.inputs[name])
    turned = [0, rank - 1, *range(1, rank - 1)]
    readers = [node for node in graph.nodes if name in node.reads]
    return all(
        node.operator == "Transpose" and node.attributes.get("perm") == turned for node in readers
    )


def _output(reader: Reader, value: Value, are_turned: bool) -> KerasTensor:
    """Return an output with its channels last: those of a file that has them first are turned."""
    value = reader.unflattened(value)
    order = channels_first(value.rank) if are_turned else tuple(range(value.rank))
    value = reader.arranged(value, order)
    if isinstance(value.tensor.node.layer, layers.InputLayer):
        return layers.Activation("linear")(value.tensor)
    return value.tensor
