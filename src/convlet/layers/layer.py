"""What every layer is: a configuration, weights, shapes, and the instructions it stands for."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from convlet import arguments, config, initializers, random
from convlet.engine import Buffer, Builder, Head, Variable, plan_heads, run
from convlet.layers.graph import Node, call_on_tensors, holds_tensors
from convlet.layers.structures import as_lists, leaves, mapped, packed
from convlet.layers.terms import KINDS, read_term, term_names, written_terms
from convlet.serialization import Configurable, constructor_parameters, snake_case

Shape = tuple[int | None, ...]
_FLOAT_TYPES = ("float32", "float64")

# Keras's arguments that may be spelled out as long as they ask for nothing: None, or these values.
_NEUTRAL: dict[str, tuple[str | bool | float, ...]] = {
    "data_format": ("channels_last",),
    "noise_shape": (),
    "renorm": (False,),
    "renorm_clipping": (),
    "renorm_momentum": (0.99,),
    "synchronized": (False,),
}


def _noting(build: Callable[[Layer, Shape], None]) -> Callable[[Layer, Shape], None]:
    """Return a layer's `build` that also notes that the layer is built, whoever calls it."""

    @functools.wraps(build)
    def build_and_note(self: Layer, input_shape: Shape) -> None:
        was_built = self.built
        try:
            build(self, input_shape)
        except BaseException:
            if not was_built:
                self.unbuild()
            raise
        self.built = True

    return build_and_note


def _is_name(name: object) -> bool:
    """Return whether something can be part of a path and stand in a table."""
    return (
        isinstance(name, str) and re.fullmatch(r"[^/\s]+", name) is not None and name.isprintable()
    )


def _refuse(cls: type[Layer], unknown: dict[str, Any]) -> None:
    """Raise a ValueError for an argument that a layer has not, with the name that it resembles."""
    for name, value in unknown.items():
        if name in _NEUTRAL:
            if value is None or any(type(value) is type(v) and value == v for v in _NEUTRAL[name]):
                continue
            raise ValueError(f"{cls.__name__}: {name} is not supported, got {value!r}")
        import difflib  # here: it takes 1 ms

        known = [*constructor_parameters(cls), *term_names(cls)]
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        raise ValueError(f"{cls.__name__}: unknown argument {name!r}; {hint}")


class Layer(Configurable):
    """A layer of a network.

    To write one's own, derive from this class: make weights in `build` with `add_weight`, and give
    `call` and `gradient`. Both get the weights as arrays, in the order in which they were added::

        class Scale(Layer):
            def build(self, input_shape):
                self.add_weight((input_shape[-1],), "ones", name="factor")

            def call(self, x, factor):
                return x * factor

            def gradient(self, x, factor, y, output_gradient):
                axes = tuple(range(x.ndim - 1))
                return output_gradient * factor, (output_gradient * x).sum(axis=axes)

    A `call` with an argument ``training`` is told whether it is training.

    Parameters
    ----------
    name : str, optional
        Unique within a model; by default the class's name and a number.
    trainable : bool
        Whether training changes its weights.
    dtype : {"float32", "float64"}, optional
        The float type it computes in; by default `convlet.config.floatx`.
    input_shape : tuple, optional
        For the first layer of a `Sequential`: shape of one sample, None for sizes left open.
    activity_regularizer : str or Regularizer, optional
        What its output adds to the loss, divided by the number of samples in the batch.
    """

    activity_regularizer: Any

    # its weights that may have a regularizer and a constraint, as the arguments call them
    regularized: tuple[str, ...] = ()

    # whether its output may have a regularizer
    penalizes_output = True

    # whether it is called on a list of inputs
    takes_several = False

    # the model's input has the one, the other is always the same
    not_in_config = frozenset({"input_shape", "data_format"})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _noting(vars(cls)["build"])  # type: ignore[assignment]
        cls.only_in_config = cls.only_in_config.union(term_names(cls))

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        **unknown: Any,
    ) -> None:
        cls = type(self).__name__
        terms = {term: unknown.pop(term, None) for term in term_names(self)}
        _refuse(type(self), unknown)
        if name is not None and not _is_name(name):
            raise arguments.invalid(cls, "name", "a string without '/' and white space", name)
        self._has_default_name = name is None
        self._name = snake_case(cls) if name is None else name
        dtype = config.floatx() if dtype is None else dtype
        self.dtype = arguments.choice(self.owner, "dtype", dtype, _FLOAT_TYPES)
        self._trainable = arguments.boolean(self.owner, "trainable", trainable)
        self.given_input_shape: Shape | None = None
        if input_shape is not None:
            self.given_input_shape = arguments.shape(
                self.owner, "input_shape", input_shape, allow_none=True
            )
        for term, value in terms.items():
            setattr(self, term, read_term(self.owner, term, value))
        self.built = False
        self._weights: list[Variable] = []
        self.inbound_nodes: list[Node] = []

    @property
    def name(self) -> str:
        """Its name, unique within its model."""
        return self._name

    @property
    def has_default_name(self) -> bool:
        """Whether nobody has given it a name, and no model has fixed it."""
        return self._has_default_name

    def settle_name(self, taken: Collection[str]) -> None:
        """Fix the name when a model takes the layer in; a default name is numbered if taken.

        Raises
        ------
        ValueError
            If the name is taken and is not free to change: it was given, or another model uses it.
        """
        if self._name in taken:
            if not self._has_default_name:
                raise ValueError(
                    f"{self.owner}: there is a layer named {self._name!r} already; "
                    "give one of them another name"
                )
            number = 1
            while f"{self._name}_{number}" in taken:
                number += 1
            self._name = f"{self._name}_{number}"
        self._has_default_name = False

    @property
    def owner(self) -> str:
        """Class and name, as messages call it."""
        return f"{type(self).__name__} {self.name!r}"

    def read_initializer(self, name: str, value: Any) -> initializers.Initializer:
        """Return the initializer that the argument ``name`` stands for.

        Raises
        ------
        ValueError
            If there is none.
        """
        try:
            return initializers.get(value)
        except ValueError as error:
            raise ValueError(f"{self.owner}: {name}: {error}") from None

    # --- shapes and weights ---

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of a shape, the batch axis included."""

    def ensure_built(self, input_shape: Shape) -> None:
        """Build the layer unless it has been built."""
        if not self.built:
            self.build(input_shape)
            self.built = True

    def unbuild(self) -> None:
        """Forget the weights, as if the layer had just been made."""
        self._weights.clear()
        self.built = False

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the output's shape for an input's, the batch axis included, None where unknown.

        Here, for one's own layers: `call` is tried on zeros, with weights of zero.

        Raises
        ------
        ValueError
            If the layer cannot take such an input, or cannot tell.
        """
        sizes = [n for n in input_shape[1:] if n is not None]
        if len(sizes) < len(input_shape) - 1:
            raise ValueError(
                f"{self.owner}: the input has sizes left open, {input_shape}; "
                "define compute_output_shape(input_shape)"
            )
        # zeros that take no memory, whatever the sizes
        zero = np.zeros((), self.dtype)
        x = np.broadcast_to(zero, (1, *sizes))
        weights = [np.broadcast_to(zero, variable.shape) for variable in self._weights]
        keywords = self._keywords(training=False)
        self._check_signature(len(weights), keywords)
        with np.errstate(all="ignore"):  # zeros may be divided by zeros; only shapes count here
            y = self.call(x, *weights, **keywords)
        if np.shape(y)[:1] != (1,):
            raise ValueError(
                f"{self.owner}: call must return an array with the batch axis first, "
                f"got shape {np.shape(y)} for one sample"
            )
        return (input_shape[0], *np.shape(y)[1:])

    def add_weight(
        self,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
        name: str = "weight",
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Variable:
        """Make a weight of the layer.

        Parameters
        ----------
        shape : sequence of int
        initializer : str or Initializer
        trainable : bool
        name : str
            Unique within the layer.
        regularizer : str or Regularizer, optional
            What the weight adds to the loss.
        constraint : str or Constraint, optional
            What the weight must be after every step of training.

        Raises
        ------
        ValueError
            For a name that is taken, a shape that is none, or one that does not go with the
            regularizer or the constraint.
        """
        taken = [variable.name for variable in self._weights]
        if not _is_name(name) or name in taken:
            requirement = "a new string without '/' and white space"
            raise arguments.invalid(self.owner, "a weight's name", requirement, name)
        weight = f"weight {name!r}"
        sizes = arguments.shape(self.owner, f"the shape of {weight}", shape)
        given = {"regularizer": regularizer, "constraint": constraint}
        terms = {kind: read_term(f"{self.owner}: {weight}", kind, v) for kind, v in given.items()}
        for term in terms.values():
            if term is not None:
                term.check_shape(f"{self.owner}: {weight}", sizes)
        variable = Variable(
            name,
            sizes,
            self.dtype,
            self.read_initializer(weight, initializer),
            random.next_seed(),
            trainable,
            **terms,
        )
        variable.frozen = not self._trainable
        self._weights.append(variable)
        return variable

    def terms_of(self, weight: str) -> dict[str, Any]:
        """Return the regularizer and the constraint of a weight, as `add_weight` takes them."""
        return {kind: getattr(self, f"{weight}_{kind}") for kind in KINDS}

    @property
    def weights(self) -> list[Variable]:
        """All weights, in the order in which they were added."""
        return list(self._weights)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [v for v in self.weights if v.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [v for v in self.weights if not v.trainable]

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer's weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = arguments.boolean(self.owner, "trainable", value)
        for variable in self.weights:
            variable.frozen = not value

    def named_weights(self) -> dict[str, Variable]:
        """Return the weights by their paths within the layer."""
        return {variable.name: variable for variable in self._weights}

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights' values, in order."""
        return [variable.value.copy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace the weights' values; all or none.

        Raises
        ------
        ValueError
            If their number, a shape, or a type is not that of the layer's weights.
        """
        arrays = list(weights) if isinstance(weights, Iterable) else [weights]
        if len(arrays) != len(self.weights):
            raise ValueError(
                f"{self.owner}: set_weights needs {len(self.weights)} arrays, got {len(arrays)}"
            )
        try:
            pairs = zip(self.weights, arrays, strict=True)
            values = [variable.converted(array) for variable, array in pairs]
        except ValueError as error:
            raise ValueError(f"{self.owner}: {error}") from None
        for variable, value in zip(self.weights, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Return the number of elements of all weights."""
        return sum(variable.size for variable in self.weights)

    # --- what it computes ---

    def call(self, x: np.ndarray, *weights: np.ndarray) -> np.ndarray:
        """Return the output for a batch: what one's own layer computes."""
        raise NotImplementedError(f"{self.owner}: a layer of one's own must define call")

    def gradient(self, x: np.ndarray, *others: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Return the gradients by ``x`` and by each weight, as a tuple in this order.

        Called with ``x``, the weights, ``y = call(x, ...)`` and ``output_gradient``, the gradient
        by ``y``. A layer without weights may return the one array.
        """
        raise NotImplementedError(f"{self.owner}: a layer of one's own must define gradient")

    def trace(self, builder: Builder, x: Buffer) -> Buffer:
        """Append the layer's instructions to a program and return the buffer of its output.

        Here, for one's own layers: one instruction that calls `call` and, going back, `gradient`.
        """
        output_shape = self.compute_output_shape((None, *x.shape))
        shape = tuple(n for n in output_shape[1:] if n is not None)
        weights = [builder.parameter(variable) for variable in self._weights]
        keywords = self._keywords(builder.training)
        self._check_signature(len(weights), keywords)
        return builder.apply(
            "python",
            x,
            *weights,
            shape=shape,
            layer=self,
            output_shape=shape,
            keywords=keywords,
        )

    def trace_penalized(self, builder: Builder, x: Any) -> Any:
        """Append the layer's instructions and, where there are losses, its output's penalty."""
        outputs = self.trace(builder, x)
        if self.penalizes_output and self.activity_regularizer is not None and builder.scoring:
            self.activity_regularizer.check_shape(self.owner, (0, *outputs.shape))
            builder.penalize(outputs, self.activity_regularizer)
        return outputs

    def _check_signature(self, weights: int, keywords: dict[str, bool]) -> None:
        """Raise a ValueError unless `call` takes the input and each weight."""
        try:
            inspect.signature(self.call).bind(None, *[None] * weights, **keywords)
        except TypeError as error:
            names = ", ".join(["x", *(variable.name for variable in self._weights)])
            raise ValueError(
                f"{self.owner}: call must take the input and the {weights} weights of the layer, "
                f"call(self, {names}): {error}"
            ) from None

    def _keywords(self, training: bool) -> dict[str, bool]:
        """Return what `call` is given besides arrays."""
        known = inspect.signature(self.call).parameters
        return {"training": training} if "training" in known else {}

    def arranged(self, x: Any) -> Any:
        """Return what the layer is called on in the form in which `trace` gets it.

        Raises
        ------
        ValueError
            If it takes one input and gets several, or the other way round.
        """
        if self.takes_several and not isinstance(x, list):
            raise ValueError(
                f"{self.owner}: it must be called on a list of inputs, got one {type(x).__name__}"
            )
        if isinstance(x, (list, dict)) and not self.takes_several:
            raise ValueError(f"{self.owner}: it takes one input, got a {type(x).__name__} of them")
        return x

    @property
    def input(self) -> Any:
        """The tensor or tensors that the layer was called on first.

        Raises
        ------
        ValueError
            If it has not been called on any.
        """
        return self._first_node().inputs

    @property
    def output(self) -> Any:
        """The tensor or tensors that its first call gave.

        Raises
        ------
        ValueError
            If it has not been called on any.
        """
        return self._first_node().outputs

    def _first_node(self) -> Node:
        if not self.inbound_nodes:
            raise ValueError(
                f"{self.owner}: it has not been called on a tensor yet; call it on an Input, or "
                "build the Sequential that it is in"
            )
        return self.inbound_nodes[0]

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Apply the layer to a batch of arrays, or note that a model applies it to tensors.

        The layer is built first if need be.

        Parameters
        ----------
        x : array_like, shape (batch, ...), or KerasTensor
            A list of them for a layer that merges; for a model with several inputs a list or a
            dict by the inputs' names.
        training : bool, optional
            For arrays whether to do what is done in training; by default not. For tensors whether
            to do so in this place of the model whatever the model does: ``training=False`` keeps a
            part from dropping units while the rest is trained.

        Returns
        -------
        ndarray or KerasTensor
            A list or a dict of them for a model with several outputs.

        Raises
        ------
        ValueError
            If ``x`` is neither, or the layer cannot take its shape.
        """
        if training is not None:
            arguments.boolean(self.owner, "training", training)
        if holds_tensors(x):
            return call_on_tensors(self, x, training)
        if isinstance(x, Layer):
            raise ValueError(
                f"{self.owner}: called with {x.owner}, which is no array; call that one first, "
                "on an Input"
            )
        form = self.arranged(as_lists(x)) if self.takes_several else None
        return self._call_on_arrays(leaves(form) if self.takes_several else [x], form, training)

    def _call_on_arrays(self, x: list[Any], form: Any, training: bool | None) -> Any:
        """Return what the layer makes of arrays, which it takes in some form."""
        arrays = [
            np.ascontiguousarray(arguments.numbers(self.owner, "x", a), self.dtype) for a in x
        ]
        counts = [len(array) if array.ndim else 0 for array in arrays]
        if len(set(counts)) > 1:
            raise ValueError(f"{self.owner}: all inputs must have as many samples, got {counts}")
        shapes = packed(form, [(None, *array.shape[1:]) for array in arrays])
        self.ensure_built(shapes)
        self.compute_output_shape(shapes)
        builder = Builder(bool(training))
        feeds = {f"input:{n}" if n else "input": array for n, array in enumerate(arrays)}
        buffers = [builder.feed(name, array.shape[1:]) for name, array in feeds.items()]
        with builder.scope(self.name):
            outputs = self.trace(builder, packed(form, buffers))
        if "random" in builder.feeds:
            feeds["random"] = np.array([random.next_seed(), 0], np.uint64)
        heads = [Head(buffer) for buffer in leaves(outputs)]
        program = plan_heads(builder, heads)
        results = run(program, feeds)
        for path, new in program.updates.items():
            program.variables[path].adopt(results[new])
        return mapped(lambda buffer: results[buffer.name], outputs)

    # --- configuration ---

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again, as JSON types.

        A layer of one's own needs no `get_config` if it keeps each argument in an attribute of the
        same name.

        Raises
        ------
        ValueError
            If such a layer did not keep one of them.
        """
        config = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        config |= written_terms(self)
        if type(self).get_config is not Layer.get_config:
            return config  # the subclass adds its own
        for name in constructor_parameters(type(self)):
            if name in config or name == "input_shape":
                continue
            if not hasattr(self, name):
                raise ValueError(
                    f"{self.owner}: the argument {name} is kept in no attribute of that name, "
                    "so get_config must be defined"
                )
            config[name] = getattr(self, name)
        return config

    def __repr__(self) -> str:
        return f"<{self.owner}>"
