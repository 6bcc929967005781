"""A chain of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from convlet import arguments
from convlet import layers as layer_module
from convlet.engine import Buffer, Builder
from convlet.layers import InputLayer, KerasTensor, Layer
from convlet.layers.layer import Shape
from convlet.models.model import Model
from convlet.serialization import custom_object_scope


class Sequential(Model):
    """A model whose layers follow one another.

    The shape of its input comes from an `Input` in first place, from the first layer's
    ``input_shape``, or from the first data.

    Parameters
    ----------
    layers : iterable of Layer, optional
        First of all perhaps an `Input`.
    name : str, optional
    trainable : bool

    Raises
    ------
    ValueError
        If something in ``layers`` is no layer, two layers have one name, or a layer cannot take
        what the one before it gives.

    Examples
    --------
    >>> from convlet import Sequential
    >>> from convlet.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
    >>> model = Sequential([
    ...     Input((28, 28, 1)),
    ...     Conv2D(20, 5, activation="tanh"),
    ...     MaxPooling2D(2),
    ...     Flatten(),
    ...     Dense(10, activation="softmax"),
    ... ])
    >>> model.output_shape
    (None, 10)
    """

    def __init__(
        self,
        layers: Iterable[Layer | KerasTensor] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype, input_shape=input_shape)
        self._layers: list[Layer] = []
        self._input: InputLayer | None = None
        self._built_on_its_own: list[Layer] = []  # by build, and not before
        self._changes = 0
        # each layer with its version and what it was called on, and the tensor that it gave
        self._calls: list[tuple[tuple[Layer, int, KerasTensor], KerasTensor]] = []
        self._dtype_is_given = dtype is not None
        if input_shape is not None:
            self._set_input(InputLayer(input_shape, dtype=self.dtype))
        if isinstance(layers, Layer):
            raise ValueError(f"{self.owner}: layers must be a list of layers, got {layers!r}")
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return list(self._layers)

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, the batch axis and open sizes None.

        Raises
        ------
        ValueError
            If it is not known yet.
        """
        if self._input is None:
            raise ValueError(self._no_input)
        return (None, *self._input.shape)

    @property
    def _no_input(self) -> str:
        return (
            f"{self.owner}: the input's shape is not known yet; begin with Input(shape), or call "
            "build or fit"
        )

    @property
    def output_shape(self) -> Shape:
        """Shape of the output, the batch axis and open sizes None."""
        return self._chain()[-1].shape

    @property
    def version(self) -> int:
        """A number that changes whenever a layer is added or removed, here or in a part."""
        return self._changes + super().version

    def add(self, layer: Layer | KerasTensor) -> None:
        """Append a layer; first of all perhaps an `Input`.

        Raises
        ------
        ValueError
            If it is no layer, its name or it itself is there already, or it cannot take what the
            last layer gives. Neither the model nor the layer has been changed then.
        """
        if isinstance(layer, KerasTensor):
            layer = layer.node.layer  # Input gives the tensor that comes out of it
            if not isinstance(layer, InputLayer):
                raise ValueError(f"{self.owner}: add needs a layer, got what {layer.owner} gives")
        if not isinstance(layer, Layer):
            raise ValueError(f"{self.owner}: add needs a layer, got {layer!r}")
        if isinstance(layer, InputLayer):
            if self._layers or self._input is not None:
                raise ValueError(f"{self.owner}: Input must come first")
            self._check_float_type(layer)
            self._set_input(layer)
            return
        self._check_new(layer)
        with self._unchanged_by_errors([layer]):
            if self._input is None and not self._layers:
                self._take_input_of(layer)
            self._layers.append(layer)
            if self._input is not None:
                self._chain()
            layer.settle_name({known.name for known in self._layers[:-1]})
        if not self._trainable:
            layer.trainable = False
        self._changes += 1

    @contextmanager
    def _unchanged_by_errors(self, layers: Sequence[Layer]) -> Iterator[None]:
        """Leave the model, and layers that are called inside, as they were if that fails."""
        before = self._input, self._layers.copy(), self._calls.copy(), self.dtype, self.built
        calls = [(layer, layer.built, len(layer.inbound_nodes)) for layer in layers]
        try:
            yield
        except BaseException:
            self._input, self._layers, self._calls, self.dtype, self.built = before
            for layer, was_built, count in calls:
                del layer.inbound_nodes[count:]
                if not was_built:
                    layer.unbuild()
            raise

    def _called(self, layer: Layer, x: KerasTensor) -> KerasTensor:
        """Return the one output of a layer."""
        given = layer(x)
        if not isinstance(given, KerasTensor):
            raise ValueError(
                f"{self.owner}: each layer must give one output, got {layer.owner} with "
                f"{len(given)}; see Model(inputs, outputs)"
            )
        return given

    def _chain(self) -> list[KerasTensor]:
        """Return what goes in and what each layer gives; layers are called where that is new.

        Raises
        ------
        ValueError
            If the input's shape is not known yet, or a layer cannot take what it gets.
        """
        if self._input is None:
            raise ValueError(self._no_input)
        tensors = [self._input.output]
        for number, layer in enumerate(self._layers):
            version = layer.version if isinstance(layer, Model) else 0
            made_for = layer, version, tensors[-1]
            if number >= len(self._calls) or self._calls[number][0] != made_for:
                self._calls[number:] = [(made_for, self._called(layer, tensors[-1]))]
            tensors.append(self._calls[number][1])
        return tensors

    def _set_input(self, layer: InputLayer) -> None:
        self._input = layer
        self.dtype = layer.dtype
        self.built = True

    def _take_input_of(self, layer: Layer) -> None:
        """Take the input's shape and the float type from the first layer."""
        if not self._dtype_is_given:
            self.dtype = layer.dtype
        if isinstance(layer, Model) and layer.built and isinstance(layer.input_shape, tuple):
            self._set_input(InputLayer(layer.input_shape[1:], dtype=layer.dtype))
        elif layer.given_input_shape is not None:
            self._set_input(InputLayer(layer.given_input_shape, dtype=layer.dtype))

    def _check_new(self, layer: Layer) -> None:
        """Raise a ValueError for a layer that cannot be added, whatever its shapes."""
        if not hasattr(layer, "_weights"):
            raise ValueError(
                f"{type(layer).__name__}: __init__ must begin with super().__init__(**kwargs)"
            )
        if any(layer is known for known in self._layers):
            raise ValueError(f"{self.owner}: {layer.owner} is in the model already")
        if _is_within(self, layer):
            raise ValueError(f"{self.owner}: a model cannot stand inside itself")
        self._check_float_type(layer)

    def _check_float_type(self, layer: Layer) -> None:
        fixed = self._layers or self._input is not None or self._dtype_is_given
        if layer.dtype != self.dtype and fixed:
            raise ValueError(
                f"{self.owner}: all layers must compute in one float type, {self.dtype}, "
                f"got {layer.owner} with {layer.dtype}"
            )

    def pop(self) -> Layer:
        """Remove the last layer and return it.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not self._layers:
            raise ValueError(f"{self.owner}: there is no layer to remove")
        self._changes += 1
        return self._layers.pop()

    def build(self, input_shape: Shape) -> None:
        """Set the input's shape, the batch axis included, and make all weights.

        Raises
        ------
        ValueError
            If a layer cannot take what the one before it gives, or there is another input's shape
            already.
        """
        sizes = arguments.shape(self.owner, "input_shape", input_shape, allow_none=True)
        if self._input is not None:
            if sizes[1:] != self._input.shape:
                raise ValueError(
                    f"{self.owner}: the input's shape is {self.input_shape} already, it cannot be "
                    f"built for {sizes}"
                )
            return
        unbuilt = [layer for layer in self._layers if not layer.built]
        with self._unchanged_by_errors(self._layers):
            self._set_input(InputLayer(sizes[1:], dtype=self.dtype))
            self._chain()
        self._built_on_its_own = unbuilt

    def unbuild(self) -> None:
        """Forget the input's shape and the weights that `build` made."""
        for (layer, *_), tensor in self._calls:
            layer.inbound_nodes.remove(tensor.node)
        for layer in self._built_on_its_own:
            layer.unbuild()
        self._built_on_its_own = []
        self._calls = []
        self._input, self.built = None, False

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the last layer's output for an input's shape."""
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input(self) -> Any:
        """The tensor that the model begins with.

        From it to any layer's ``output`` `Model` makes a network.

        Raises
        ------
        ValueError
            If the input's shape is not known yet.
        """
        return self._chain()[0]

    @property
    def output(self) -> Any:
        """The tensor that the last layer gives.

        Raises
        ------
        ValueError
            If the input's shape is not known yet.
        """
        return self._chain()[-1]

    @property
    def inputs(self) -> list[Any]:
        """The input in a list."""
        return [self.input]

    @property
    def outputs(self) -> list[Any]:
        """The output in a list."""
        return [self.output]

    @property
    def output_names(self) -> list[str]:
        """The last layer's name."""
        return [self._layers[-1].name] if self._layers else super().output_names

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the instructions of all layers."""
        for layer in self._layers:
            with builder.scope(layer.name):
                x = layer.trace_penalized(builder, x)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return name and layers, from which `from_config` makes the model, with new weights."""
        chain = self._layers if self._input is None else [self._input, *self._layers]
        return {
            **super().get_config(),
            "layers": [layer_module.registry.serialize(layer) for layer in chain],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a model made from what `get_config` returned.

        Raises
        ------
        ValueError
            If the configuration is not of that form.
        """
        entries = config.get("layers")
        if not isinstance(entries, list):
            raise ValueError(f"Sequential: the config's layers must be a list, got {entries!r}")
        chain = [layer_module.registry.get(entry) for entry in entries]
        model = cls(**{**config, "layers": chain, "trainable": True})
        # each layer's own flag counts: one may have been thawed after the model was frozen
        trainable = config.get("trainable", True)
        model._trainable = arguments.boolean("Sequential", "trainable", trainable)
        return model


layer_module.registry.register(Sequential)


def _is_within(model: Model, layer: Layer) -> bool:
    """Return whether a layer is a model, or has it among its parts."""
    parts = layer.layers if isinstance(layer, Model) else []
    return layer is model or any(_is_within(model, part) for part in parts)


def clone_model(model: Model) -> Model:
    """Return a model of the same layers with new weights, not compiled.

    Parameters
    ----------
    model : Model
        Its layers, one's own included, are made again from what their ``get_config`` returns.
    """
    with custom_object_scope(_classes(model)):
        return type(model).from_config(model.get_config())


def _classes(model: Model) -> dict[str, type]:
    """Return the classes of all layers, those of inner models included, by name."""
    found: dict[str, type] = {}
    for layer in model.layers:
        found[type(layer).__name__] = type(layer)
        if isinstance(layer, Model):
            found |= _classes(layer)
    return found
