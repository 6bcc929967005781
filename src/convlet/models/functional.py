"""A graph of layers: what `Model(inputs, outputs)` makes.

The graph is found by going back from the outputs along the nodes that the layers keep
(`convlet.layers.graph`). A layer that was called several times has several nodes and one set of
weights.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

from convlet import arguments
from convlet import layers as layer_module
from convlet.engine import Buffer, Builder
from convlet.layers import InputLayer, KerasTensor, Layer
from convlet.layers.graph import Node, in_order
from convlet.layers.layer import Shape
from convlet.layers.structures import as_lists, leaves, mapped, packed
from convlet.models import graph_config
from convlet.models.data import by_name
from convlet.models.model import Model


class Functional(Model):
    """A model with any number of inputs and outputs; `Model(inputs, outputs)` makes one.

    Parameters
    ----------
    inputs : KerasTensor, or a list, tuple or dict of them
        What `Input` gave.
    outputs : KerasTensor, or a list, tuple or dict of them
        What layers gave that were called on the inputs, and on what came out.
    name : str, optional
    trainable : bool

    Raises
    ------
    ValueError
        If an input was not made by `Input`, inputs and outputs are not connected, or two layers
        have one name.

    Examples
    --------
    >>> from convlet import Model
    >>> from convlet.layers import Add, Conv2D, Dense, GlobalAveragePooling2D, Input
    >>> image = Input((32, 32, 3))
    >>> x = Conv2D(16, 3, padding="same", activation="relu")(image)
    >>> y = Conv2D(16, 3, padding="same")(x)
    >>> x = GlobalAveragePooling2D()(Add()([x, y]))
    >>> model = Model(image, Dense(10, activation="softmax")(x))
    >>> model.output_shape
    (None, 10)
    """

    takes_several = True
    not_in_config = Model.not_in_config | {"inputs", "outputs"}
    only_in_config = frozenset({"layers", "input_layers", "output_layers"})

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        trainable: bool = True,
    ) -> None:
        super().__init__(name=name)
        self._inputs = self._checked_tensors("inputs", as_lists(inputs))
        self._outputs = self._checked_tensors("outputs", as_lists(outputs))
        self.dtype = self.inputs[0].dtype
        self._check_inputs()
        self._nodes = in_order(self.outputs)
        self._check_connections()
        self._layers = _by_depth(self._nodes, self.outputs)
        self._models = [layer for layer in self._layers if isinstance(layer, Model)]
        self._settle_names()
        members = set(self._nodes)
        self._calls = {
            layer: [node for node in layer.inbound_nodes if node in members]
            for layer in self._layers
        }
        self._number = {n: k for nodes in self._calls.values() for k, n in enumerate(nodes)}
        self.built = True
        if not arguments.boolean(self.owner, "trainable", trainable):
            self.trainable = False

    # --- checks ---

    def _checked_tensors(self, name: str, form: Any) -> Any:
        if isinstance(form, dict) and not all(isinstance(key, str) for key in form):
            raise arguments.invalid(self.owner, f"the keys of {name}", "strings", list(form))
        tensors = leaves(form)
        for tensor in tensors:
            if not isinstance(tensor, KerasTensor):
                requirement = "what Input or a layer that was called on it gives"
                raise arguments.invalid(self.owner, name, requirement, tensor)
        if not tensors:
            raise arguments.invalid(self.owner, name, "at least one tensor", form)
        return form

    def _check_inputs(self) -> None:
        for number, tensor in enumerate(self.inputs):
            layer = tensor.node.layer
            if not isinstance(layer, InputLayer):
                raise ValueError(f"{self.owner}: inputs must come from Input, got {tensor!r}")
            if any(tensor is other for other in self.inputs[:number]):
                raise ValueError(f"{self.owner}: {layer.owner} stands among the inputs twice")

    def _check_connections(self) -> None:
        known = {tensor.node for tensor in self.inputs}
        for node in self._nodes:
            if isinstance(node.layer, InputLayer) and node not in known:
                raise ValueError(
                    f"{self.owner}: the outputs depend on {node.layer.owner}, which is not among "
                    "the inputs"
                )
        for node in known.difference(self._nodes):
            raise ValueError(f"{self.owner}: no output depends on {node.layer.owner}")

    def _settle_names(self) -> None:
        """Fix the layers' names; those that are free to change give way to the others."""
        taken: set[str] = set()
        for layer in sorted(self._layers, key=lambda layer: layer.has_default_name):
            layer.settle_name(taken)
            taken.add(layer.name)

    # --- the graph ---

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs included, in Keras's order: by how far they are from the outputs."""
        return list(self._layers)

    @property
    def input(self) -> Any:
        """The input tensor, or a list or dict of them, as the model was given them."""
        return self._inputs

    @property
    def output(self) -> Any:
        """The output tensor, or a list or dict of them, as the model was given them."""
        return self._outputs

    @cached_property
    def inputs(self) -> list[KerasTensor]:
        """The input tensors; those of a dict by its sorted keys."""
        return leaves(self._inputs)

    @cached_property
    def outputs(self) -> list[KerasTensor]:
        """The output tensors; those of a dict by its sorted keys."""
        return leaves(self._outputs)

    @cached_property
    def input_shape(self) -> Any:
        """Shape of the input, the batch axis and open sizes None; a list or dict for several."""
        return mapped(lambda tensor: tensor.shape, self.input_form or self.inputs[0])

    @property
    def version(self) -> int:
        """A number that changes whenever a layer is added to or removed from a part."""
        return sum(model.version for model in self._models)

    @cached_property
    def input_names(self) -> list[str]:
        """The keys of the inputs' dict, or the names that `Input` was given."""
        if isinstance(self._inputs, dict):
            return sorted(self._inputs)
        return [tensor.node.layer.name for tensor in self.inputs]

    @cached_property
    def output_names(self) -> list[str]:
        """The keys of the outputs' dict, or the names of the layers that they come from.

        A layer that gives several outputs has its name numbered from the second one on.
        """
        if isinstance(self._outputs, dict):
            return sorted(self._outputs)
        names: list[str] = []
        for tensor in self.outputs:
            name, number = tensor.node.layer.name, 0
            while (f"{name}_{number}" if number else name) in names:
                number += 1
            names.append(f"{name}_{number}" if number else name)
        return names

    @cached_property
    def input_form(self) -> Any:
        """The inputs, None for one by itself."""
        return self._inputs if isinstance(self._inputs, dict) or len(self.inputs) > 1 else None

    @cached_property
    def output_form(self) -> Any:
        """The outputs, None for one by itself."""
        return self._outputs if isinstance(self._outputs, dict) or len(self.outputs) > 1 else None

    def layer_shapes(self) -> list[list[Shape] | None]:
        """Return for each layer the shapes that its first call in the model gives."""
        first = (calls[0] for calls in self._calls.values())
        return [[tensor.shape for tensor in leaves(node.outputs)] for node in first]

    def sources(self, layer: Layer) -> list[str]:
        """Return where a layer's inputs come from: a layer's name, its call, its output."""
        return [
            f"{tensor.node.layer.name}[{self._number[tensor.node]}][{tensor.index}]"
            for node in self._calls[layer]
            for tensor in leaves(node.inputs)
        ]

    # --- being a layer ---

    def arranged(self, x: Any) -> Any:
        """Return inputs in the form in which the model was given its own.

        Raises
        ------
        ValueError
            If they are not as many, or a name is not known.
        """
        if self.input_form is not None:
            return packed(self.input_form, by_name(self.owner, "x", x, self.input_names))
        if isinstance(x, list) and len(x) == 1 and isinstance(x[0], KerasTensor):
            return x[0]
        if isinstance(x, list) and any(isinstance(item, KerasTensor) for item in x):
            raise ValueError(f"{self.owner}: it must be called on 1 input, got {len(x)}")
        (alone,) = by_name(self.owner, "x", x, self.input_names)
        return (
            alone if isinstance(alone, KerasTensor) else arguments.numbers(self.owner, "x", alone)
        )

    def _pass_on(self, x: Any, apply: Any) -> Any:
        """Return what comes out for what goes in, be it shapes or buffers.

        ``apply`` is given a node and what goes into it.
        """
        given = [x] if self.input_form is None else leaves(x)
        if len(given) != len(self.inputs):
            raise ValueError(
                f"{self.owner}: it must be called on {len(self.inputs)} inputs, got {len(given)}"
            )
        known = dict(zip(self.inputs, given, strict=True))
        for node in self._nodes:
            if not isinstance(node.layer, InputLayer):
                y = apply(node, mapped(known.__getitem__, node.inputs))
                known |= dict(zip(leaves(node.outputs), leaves(y), strict=True))
        if self.output_form is None:
            return known[self.outputs[0]]
        return mapped(known.__getitem__, self.output_form)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for those of the inputs."""
        return self._pass_on(input_shape, lambda node, x: node.layer.compute_output_shape(x))

    def trace(self, builder: Builder, x: Any) -> Any:
        """Append the instructions of all layers, each as often as it was called."""

        def apply(node: Node, x: Any) -> Buffer:
            with builder.scope(node.layer.name), builder.as_if(node.training):
                return node.layer.trace_penalized(builder, x)

        return self._pass_on(x, apply)

    # --- configuration ---

    def get_config(self) -> dict[str, Any]:
        """Return name, layers and their connections, in the form that Keras writes."""
        return {
            "name": self.name,
            "trainable": self._trainable,
            "layers": [self._described(layer) for layer in self._layers],
            "input_layers": mapped(self._place, self._inputs),
            "output_layers": mapped(self._place, self._outputs),
        }

    def _place(self, tensor: KerasTensor) -> list[Any]:
        return [tensor.node.layer.name, self._number[tensor.node], tensor.index]

    def _described(self, layer: Layer) -> dict[str, Any]:
        nodes = [] if isinstance(layer, InputLayer) else self._calls[layer]
        return {
            **layer_module.registry.serialize(layer),
            "name": layer.name,
            "inbound_nodes": [graph_config.described(node, self._place) for node in nodes],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a model made from what `get_config` returned.

        Raises
        ------
        ValueError
            If the configuration is not of that form.
        """
        tensors = graph_config.tensors(config.get("layers"))
        inputs, outputs = (
            graph_config.at_places(config.get(key), tensors)
            for key in ("input_layers", "output_layers")
        )
        model = cls(inputs, outputs, name=config.get("name"))
        # each layer's own flag counts: one may have been thawed after the model was frozen
        trainable = config.get("trainable", True)
        model._trainable = arguments.boolean("Functional", "trainable", trainable)
        return model


layer_module.registry.register(Functional)


def _by_depth(nodes: list[Node], outputs: list[KerasTensor]) -> list[Layer]:
    """Return the layers, those farthest from the outputs first.

    Among layers as far away, those come first that are met first on the way back from the outputs.
    Weights have the order of their layers, so this is Keras's order (`keras.src.ops.function`).
    """
    depths: dict[Node, int] = {}
    of_layers: dict[Layer, int] = {}
    for node in reversed(nodes):
        depth = max(depths.get(node, 0), of_layers.get(node.layer, 0))
        depths[node] = of_layers[node.layer] = depth
        for parent in node.parents:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    met: dict[Layer, None] = {}
    seen: set[Node] = set()
    waiting = [tensor.node for tensor in reversed(outputs)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            met[node.layer] = None
            waiting += reversed(node.parents)
    return sorted(met, key=lambda layer: -of_layers[layer])
