"""What every layer is: a configuration, weights, shapes, and the instructions it stands for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, config, initializers, random
from convlet.engine import Buffer, Builder, Variable, plan, run
from convlet.serialization import Configurable, constructor_parameters, snake_case

Shape = tuple[int | None, ...]
_FLOAT_TYPES = ("float32", "float64")


class Layer(Configurable):
    """A layer of a network.

    To write one's own, derive from this class: make weights in `build` with `add_weight`, and give
    `call` and `gradient`. Both get the weights as arrays, in the order in which they were added::

        class Scale(Layer):
            def build(self, input_shape):
                self.add_weight("factor", (input_shape[-1],), "ones")

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
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Sequence[int | None] | None = None,
    ) -> None:
        cls = type(self).__name__
        if name is not None and (not isinstance(name, str) or not re.fullmatch(r"[^/\s]+", name)):
            raise arguments.invalid(cls, "name", "a string without '/' and white space", name)
        self.has_default_name = name is None
        self.name = snake_case(cls) if name is None else name
        dtype = config.floatx() if dtype is None else dtype
        self.dtype = arguments.choice(self.owner, "dtype", dtype, _FLOAT_TYPES)
        self._trainable = arguments.boolean(self.owner, "trainable", trainable)
        self.given_input_shape: Shape | None = None
        if input_shape is not None:
            self.given_input_shape = arguments.shape(
                self.owner, "input_shape", input_shape, allow_none=True
            )
        self.built = False
        self._weights: list[Variable] = []

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
        y = self.call(x, *weights, **self._keywords(training=False))
        return (input_shape[0], *np.shape(y)[1:])

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        trainable: bool = True,
    ) -> Variable:
        """Make a weight of the layer.

        Parameters
        ----------
        name : str
            Unique within the layer.
        shape : sequence of int
        initializer : str or Initializer
        trainable : bool

        Raises
        ------
        ValueError
            For a name that is taken, or a shape that is none.
        """
        if not isinstance(name, str) or name in (v.name for v in self._weights):
            raise arguments.invalid(self.owner, "a weight's name", "a new string", name)
        variable = Variable(
            name,
            arguments.shape(self.owner, f"the shape of weight {name!r}", shape),
            self.dtype,
            self.read_initializer(f"weight {name!r}", initializer),
            random.next_seed(),
            trainable,
        )
        variable.frozen = not self._trainable
        self._weights.append(variable)
        return variable

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
        arrays = [np.asarray(value) for value in weights]
        if len(arrays) != len(self.weights):
            raise ValueError(
                f"{self.owner}: set_weights needs {len(self.weights)} arrays, got {len(arrays)}"
            )
        for variable, array in zip(self.weights, arrays, strict=True):
            if array.shape != variable.shape:
                raise ValueError(
                    f"{self.owner}: weight {variable.name!r} has shape {variable.shape}, "
                    f"got an array of shape {array.shape}"
                )
            if array.dtype.kind not in "fiub":
                raise ValueError(
                    f"{self.owner}: weight {variable.name!r} must hold real numbers, "
                    f"got dtype {array.dtype}"
                )
        for variable, array in zip(self.weights, arrays, strict=True):
            variable.assign(array)

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
        return builder.apply(
            "python",
            x,
            *weights,
            shape=shape,
            layer=self,
            output_shape=shape,
            keywords=self._keywords(builder.training),
        )

    def _keywords(self, training: bool) -> dict[str, bool]:
        """Return what `call` is given besides arrays."""
        known = "training" in inspect.signature(self.call).parameters
        return {"training": training} if known else {}

    def __call__(self, x: Any, training: bool = False) -> np.ndarray:
        """Apply the layer to a batch of arrays, building it first if need be.

        Parameters
        ----------
        x : array_like, shape (batch, ...)
        training : bool

        Returns
        -------
        ndarray
        """
        array = np.ascontiguousarray(x, self.dtype)
        self.ensure_built((None, *array.shape[1:]))
        builder = Builder(training)
        feed = builder.feed("input", array.shape[1:])
        with builder.scope(self.name):
            output = self.trace(builder, feed)
        feeds = {"input": array}
        if "random" in builder.feeds:
            feeds["random"] = np.array([random.next_seed(), 0], np.uint64)
        return run(plan(builder, output), feeds)[output.name]

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
