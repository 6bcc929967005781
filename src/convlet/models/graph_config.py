"""Graphs as JSON, in the form that Keras writes, and back.

Each layer's entry has, besides its class, configuration and name, its ``inbound_nodes``: for each
call the tensors that it was called on, by the name of the layer that gave them, the number of that
layer's call, and the number of the output. Files are not trusted: whatever is not of this form,
or goes round in a circle, ends in a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from convlet import arguments
from convlet import layers as layer_module
from convlet.layers import InputLayer, KerasTensor, Layer
from convlet.layers.graph import Node
from convlet.layers.structures import leaves, mapped, packed

Place = tuple[str, int, int]
Tensors = Mapping[Place, KerasTensor]

_OWNER = "Functional"
_TENSOR = "__keras_tensor__"
_TENSOR_KEYS = {"shape", "dtype", "keras_history"}
_KEYS = {"class_name", "config", "name", "inbound_nodes"}


def described(node: Node, place: Callable[[KerasTensor], list[Any]]) -> dict[str, Any]:
    """Return a call as JSON types.

    Parameters
    ----------
    node : Node
    place : callable
        Returns a tensor's layer, call and output.
    """

    def tensor(t: KerasTensor) -> dict[str, Any]:
        config = {"shape": list(t.shape), "dtype": t.dtype, "keras_history": place(t)}
        return {"class_name": _TENSOR, "config": config}

    kwargs = {} if node.training is None else {"training": node.training}
    return {"args": [mapped(tensor, node.inputs)], "kwargs": kwargs}


def tensors(entries: Any) -> Tensors:
    """Return all tensors of a graph by their places, with its layers made and called.

    Parameters
    ----------
    entries : list of dict
        The layers of a configuration.

    Raises
    ------
    ValueError
        If they are not of their form, or cannot be connected.
    """
    if not isinstance(entries, list):
        raise ValueError(f"{_OWNER}: the config's layers must be a list, got {entries!r:.60}")
    layers: dict[str, Layer] = {}
    calls: dict[tuple[str, int], Any] = {}
    for entry in entries:
        layer, nodes = _read(entry)
        if layer.name in layers:
            raise ValueError(f"{_OWNER}: there are two layers named {layer.name!r}")
        layers[layer.name] = layer
        calls |= {(layer.name, number): node for number, node in enumerate(nodes)}
    known: dict[Place, KerasTensor] = {
        (name, 0, 0): layer.output
        for name, layer in layers.items()
        if isinstance(layer, InputLayer)
    }
    for name, number in _in_order(calls, known):
        places, training = calls[name, number]
        inputs = packed(places, [_at(place, known) for place in leaves(places)])
        outputs = layers[name](inputs, training=training)
        known |= {(name, number, n): tensor for n, tensor in enumerate(leaves(outputs))}
    return known


def at_places(form: Any, known: Tensors) -> Any:
    """Return the tensor at a place [layer, call, output], or a list or dict of several.

    Raises
    ------
    ValueError
        If something is no place, or there is no tensor.
    """
    if _is_place(form):
        return _at(tuple(form), known)
    if not isinstance(form, (list, dict)):
        raise arguments.invalid(_OWNER, "input_layers and output_layers", "places", form)
    return mapped(lambda place: _at(_place(place), known), form)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(type(number) is int and number >= 0 for number in value[1:])
    )


def _place(value: Any) -> Place:
    if not _is_place(value):
        requirement = "[name, call, output]"
        raise ValueError(f"{_OWNER}: a tensor's place must be {requirement}, got {value!r:.60}")
    return tuple(value)


def _at(place: Place, known: Tensors) -> KerasTensor:
    if place not in known:
        name, call, output = place
        raise ValueError(f"{_OWNER}: there is no output {output} of call {call} of {name!r}")
    return known[place]


def _read(entry: Any) -> tuple[Layer, list[tuple[Any, bool | None]]]:
    """Return a layer and its calls: the places of the inputs, and ``training``."""
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        keys = ", ".join(sorted(_KEYS))
        raise ValueError(f"{_OWNER}: a layer's entry must be a dict of {keys}, got {entry!r:.60}")
    layer = layer_module.registry.get({key: entry[key] for key in ("class_name", "config")})
    nodes = entry["inbound_nodes"]
    if layer.name != entry["name"] or not isinstance(nodes, list):
        raise ValueError(f"{_OWNER}: the entry of {layer.owner} is damaged")
    if isinstance(layer, InputLayer) and nodes:
        raise ValueError(f"{_OWNER}: {layer.owner} cannot be called")
    return layer, [_read_call(layer, node) for node in nodes]


def _read_call(layer: Layer, node: Any) -> tuple[Any, bool | None]:
    damaged = f"{_OWNER}: an inbound node of {layer.owner} is damaged"
    if not isinstance(node, dict) or set(node) != {"args", "kwargs"}:
        raise ValueError(damaged)
    args, kwargs = node["args"], node["kwargs"]
    if not isinstance(args, list) or len(args) != 1 or not isinstance(kwargs, dict):
        raise ValueError(damaged)
    for key, value in kwargs.items():
        if value is not None and (key != "training" or not isinstance(value, bool)):
            raise ValueError(f"{_OWNER}: {layer.owner} is called with {key!r}, which is not known")

    def place(tensor: Any) -> Place:
        if not isinstance(tensor, dict) or set(tensor) != {"class_name", "config"}:
            raise ValueError(damaged)
        config = tensor["config"]
        if not isinstance(config, dict) or set(config) != _TENSOR_KEYS:
            raise ValueError(damaged)
        if tensor["class_name"] != _TENSOR:
            raise ValueError(damaged)
        return _place(config["keras_history"])

    is_tensor = isinstance(args[0], dict) and "class_name" in args[0]
    if not args[0]:
        raise ValueError(damaged)
    inputs = place(args[0]) if is_tensor else mapped(place, args[0])
    return inputs, kwargs.get("training")


def _in_order(calls: Mapping[tuple[str, int], Any], known: Tensors) -> Iterator[tuple[str, int]]:
    """Yield calls such that each comes behind those whose outputs it reads.

    The calls of one layer keep their order, since they are numbered by it.
    """
    done = {place[:2] for place in known}
    begun: set[tuple[str, int]] = set()
    for first in calls:
        waiting = [first]
        while waiting:
            call = waiting[-1]
            if call in done:
                waiting.pop()
                continue
            inputs, _ = calls[call]
            name, number = call
            needed = {place[:2]: None for place in leaves(inputs)}
            needed |= {(name, number - 1): None} if number else {}
            missing = [other for other in needed if other not in done]
            unknown = [other for other in missing if other not in calls]
            if unknown:
                raise ValueError(
                    f"{_OWNER}: {name!r} reads call {unknown[0][1]} of {unknown[0][0]!r}, which is "
                    "not there"
                )
            if not missing:
                done.add(call)
                yield waiting.pop()
            elif call in begun:
                raise ValueError(f"{_OWNER}: the layers go round in a circle through {name!r}")
            else:
                begun.add(call)
                waiting += missing
