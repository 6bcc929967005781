"""What a model is: layers and weights, the files they are kept in, the programs they stand for.

How it is compiled and trained is in `convlet.models.model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

from convlet import arguments, saving
from convlet.engine import Buffer, Builder, Head, Program, Variable, plan_heads
from convlet.layers.layer import Layer, Shape
from convlet.layers.structures import leaves, packed
from convlet.preprocessing import Preprocessing

_ABSTRACT = "a model is a Sequential, or Model(inputs, outputs)"
_PROGRAMS_KEPT = 32  # one for each input size and purpose; planning takes milliseconds


class BaseModel(Layer):
    """Layers put together. A model is a layer, too, and may stand inside another.

    Subclasses give ``layers``, ``input_shape``, ``build``, ``compute_output_shape`` and ``trace``.

    Attributes
    ----------
    class_names : list of str or None
        What the outputs stand for; saved with the model.
    preprocessing : Preprocessing or None
        How an image file becomes an input; saved with the model.
    """

    penalizes_output = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.class_names: list[str] | None = None
        self.preprocessing: Preprocessing | None = None
        self._programs: dict[Any, Program] = {}

    # --- layers and weights ---

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        raise NotImplementedError(_ABSTRACT)

    @property
    def input_shape(self) -> Shape:
        """Shape of the input, the batch axis and open sizes None."""
        raise NotImplementedError(_ABSTRACT)

    @property
    def version(self) -> int:
        """A number that changes whenever a layer is added or removed, here or in a part."""
        return sum(layer.version for layer in self.layers if isinstance(layer, BaseModel))

    @property
    def output_shape(self) -> Any:
        """Shape of the output, the batch axis and open sizes None.

        A list or a dict of shapes for a model with several outputs.
        """
        return self.compute_output_shape(self.input_shape)

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called in dicts of arrays."""
        return ["input"]

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called in dicts, and before the names of their scores."""
        return ["output"]

    @property
    def input_form(self) -> Any:
        """A list or a dict like those that `trace` gets, None for one input by itself."""
        return None

    @property
    def output_form(self) -> Any:
        """A list or a dict like those that predictions come in, None for one array by itself."""
        return None

    @property
    def input_feeds(self) -> list[str]:
        """The names of the inputs in programs."""
        names = self.input_names
        return ["input"] if len(names) == 1 else [f"input:{name}" for name in names]

    def prediction_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the only prediction for an array of samples of a shape."""
        (given,) = self.prediction_shapes([shape])
        return given

    def prediction_shapes(self, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the predictions' shapes for arrays of samples of some shapes."""
        given = leaves(self.compute_output_shape(packed(self.input_form, shapes)))
        return [tuple(size for size in shape if size is not None) for shape in given]

    def layer_shapes(self) -> list[list[Shape] | None]:
        """Return for each layer the shapes that it gives, None where they are not known yet."""
        shape: Shape | None = self.input_shape if self.built else None
        shapes: list[list[Shape] | None] = []
        for layer in self.layers:
            shape = None if shape is None else layer.compute_output_shape(shape)
            shapes.append(None if shape is None else leaves(shape))
        return shapes

    def sources(self, layer: Layer) -> list[str] | None:
        """Return where a layer's inputs come from; None in a chain, where it is the one before."""
        return None

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer; one that is used in two places stands at the first."""
        found = {id(v): v for layer in self.layers for v in layer.weights}
        return list(found.values())

    def named_weights(self) -> dict[str, Variable]:
        """Return the weights by path: the layers' names and the weight's, between slashes."""
        return {
            f"{layer.name}/{path}": variable
            for layer in self.layers
            for path, variable in layer.named_weights().items()
        }

    @property
    def trainable(self) -> bool:
        """Whether training changes the model's weights.

        Setting it sets all layers; one of them may be set otherwise afterwards. It counts from the
        next step on, without compiling again.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]
        for layer in self.layers:
            layer.trainable = value

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or by its place.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of the two is given.
        """
        if (name is None) == (index is None):
            raise ValueError(f"{self.owner}: get_layer needs either a name or an index")
        if index is not None:
            number = arguments.integer(self.owner, "index", index, -len(self.layers))
            if number < len(self.layers):
                return self.layers[number]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        wanted = repr(name) if index is None else f"at index {index}"
        raise ValueError(f"{self.owner}: there is no layer {wanted}; there are {names}")

    def save_weights(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone, to a ``.safetensors``, ``.npz`` or ``.weights.h5`` file.

        The first two have them under their paths; the third is Keras's own, and needs h5py.

        Raises
        ------
        ValueError
            If the name ends otherwise, or the model has not been built.
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | PathLike[str]) -> None:
        """Read the weights from a file of `save_weights` or `save`, or of Keras's; all or none.

        Raises
        ------
        ValueError
            If the file is damaged, or its weights' paths and shapes are not the model's.
        """
        saving.load_weights(self, filepath)

    def save(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the model to a ``.safetensors`` or a ``.keras`` file: what `load_model` needs.

        Architecture, weights, how it was compiled, the optimizer's state, class names and
        preprocessing. Equal models give equal files. The file is complete or not there.

        A ``.keras`` file is for Keras, too: it holds the layers that Keras has, not ``algorithm``,
        which says how we compute, and needs h5py.

        Raises
        ------
        ValueError
            If the name ends otherwise, the model has not been built, or a ``.keras`` file is to
            hold what Keras has not.
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        saving.save_model(self, filepath, overwrite)

    def export(self, filepath: str | PathLike[str], overwrite: bool = True) -> None:
        """Write what predicts as an ONNX file, for onnxruntime and other tools.

        It takes what `predict` takes, images with their channels last, under the names in
        ``input_names``, in float32 and any number, and gives what `predict` gives. It is written
        once ``onnx.checker`` has passed it and onnxruntime has computed the same as `predict`, to
        1e-4 of the largest number. Equal models give equal files. The file is complete or not
        there.

        Raises
        ------
        ValueError
            If the name does not end in ``.onnx``; if the model has no input shape, or one with
            open sizes; if a layer is one's own Python code; if onnxruntime computes otherwise.
        ImportError
            If ``onnx`` or ``onnxruntime`` is not installed.
        FileExistsError
            If the file exists and ``overwrite`` is False.
        """
        saving.export_model(self, filepath, overwrite)

    # --- programs ---

    def program(self, mode: str, *shapes: tuple[int, ...]) -> Program:
        """Return the program for inputs of some shapes.

        Parameters
        ----------
        mode : {"predict", "evaluate", "train"}
            The prediction alone; with the loss; with the loss and the gradients.
        shapes : tuple of int
            Shape of one sample, for each input.
        """
        # what is frozen matters to training alone
        frozen = tuple(v.frozen for v in self.weights) if mode == "train" else ()
        key = (mode, shapes, frozen, self.version)
        program = self._programs.get(key)
        if program is None:
            if len(shapes) != len(self.input_names):
                raise ValueError(
                    f"{self.owner}: program needs a shape for each input, "
                    f"{len(self.input_names)}, got {len(shapes)}"
                )
            builder = Builder(training=mode == "train", scoring=mode != "predict")
            feeds = zip(self.input_feeds, shapes, strict=True)
            inputs = [builder.feed(name, shape) for name, shape in feeds]
            outputs = leaves(self.trace(builder, packed(self.input_form, inputs)))
            program = plan_heads(builder, self._heads(outputs, mode))
            if len(self._programs) >= _PROGRAMS_KEPT:
                self._programs.clear()
            self._programs[key] = program
        return program

    def _heads(self, outputs: Sequence[Buffer], mode: str) -> list[Head]:
        """Return the outputs, with what training wants of them unless it is only prediction."""
        raise NotImplementedError(_ABSTRACT)

    @contextmanager
    def built_for(self, owner: str, x: Any) -> Iterator[None]:
        """Build the model for the shape of ``x`` if it was given no input shape.

        If what is done inside fails, the model is again as it was.
        """
        built_here = not self.built
        if built_here:
            self.ensure_built((None, *arguments.numbers(owner, "x", x).shape[1:]))
        try:
            yield
        except BaseException:
            if built_here:
                self.unbuild()
            raise
