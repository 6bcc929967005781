"""Layers that make one of several: sums, products, extrema, and arrays side by side."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from convlet import arguments
from convlet.engine import Buffer, Builder
from convlet.layers.layer import Layer, Shape
from convlet.ops import repeat_table


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))


class Merging(Layer):
    """The base of layers that take a list of inputs.

    Subclasses give ``compute_output_shape`` for a list of shapes and ``merged``.
    """

    takes_several = True
    _most: int | None = None
    _fewest = 1

    def _checked(self, input_shape: Any) -> list[Shape]:
        """Return the inputs' shapes, if they are a list of as many as the layer takes."""
        is_list = isinstance(input_shape, Iterable) and all(
            isinstance(shape, Iterable) for shape in input_shape
        )
        if not is_list:
            raise ValueError(
                f"{self.owner}: it must be called on a list of inputs, got one of shape "
                f"{input_shape}"
            )
        shapes = [tuple(shape) for shape in input_shape]
        if len(shapes) < self._fewest or (self._most is not None and len(shapes) > self._most):
            number = "at least 1 input" if self._most is None else f"{self._most} inputs"
            raise ValueError(f"{self.owner}: it must be called on {number}, got {len(shapes)}")
        return shapes

    def trace(self, builder: Builder, x: Any) -> Buffer:
        """Append the instructions that make one of a list of buffers."""
        shapes: Any = [(None, *buffer.shape) for buffer in x]
        output_shape = self.compute_output_shape(shapes)
        shape = tuple(n for n in output_shape[1:] if n is not None)
        return self.merged(builder, x, shape)

    def merged(self, builder: Builder, x: Sequence[Buffer], shape: tuple[int, ...]) -> Buffer:
        """Append the instructions, given the shape of what comes out."""
        raise NotImplementedError(f"{self.owner}: merged must be defined")


class Elementwise(Merging):
    """The base of layers that merge number by number.

    Sizes of 1 are spread over the others' sizes, and shapes with fewer axes get axes of size 1
    behind the batch, as in Keras.
    """

    operator = ""

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the shape that all inputs are spread to."""
        shapes = self._checked(input_shape)
        axes = max(map(len, shapes))
        aligned = [(*shape[:1], *(1,) * (axes - len(shape)), *shape[1:]) for shape in shapes]
        sizes: list[int | None] = []
        for along in zip(*aligned, strict=True):
            known = {n for n in along if n not in (1, None)}
            if len(known) > 1:
                raise ValueError(
                    f"{self.owner}: the inputs' shapes must be the same, or 1 where others are "
                    f"more, got {_listed(shapes)}"
                )
            sizes.append(next(iter(known), None if None in along else 1))
        return tuple(sizes)

    def merged(self, builder: Builder, x: Sequence[Buffer], shape: tuple[int, ...]) -> Buffer:
        """Append the operator for the first two inputs, then for the result and the third..."""
        spread = (self._spread(builder, buffer, shape) for buffer in x)
        return functools.reduce(
            lambda a, b: builder.apply(self.operator, a, b, shape=shape), spread
        )

    def _spread(self, builder: Builder, x: Buffer, shape: tuple[int, ...]) -> Buffer:
        if len(x.shape) < len(shape):
            longer = (*(1,) * (len(shape) - len(x.shape)), *x.shape)
            x = builder.apply("reshape", x, shape=longer, input_shape=x.shape, output_shape=longer)
        if x.shape == shape:
            return x
        repeats = [n // m for n, m in zip(shape, x.shape, strict=True)]
        table = repeat_table(x.shape, repeats, self.owner)
        return builder.apply("take", x, shape=shape, table=table, fill=0.0)


class Add(Elementwise):
    """The sum of its inputs: a residual connection (lecture 004).

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, if they are no list or their shapes do not go together.
    """

    operator = "add"


class Subtract(Elementwise):
    """The first of two inputs minus the second.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, unless they are two whose shapes go together.
    """

    operator = "add"
    _fewest = _most = 2

    def merged(self, builder: Builder, x: Sequence[Buffer], shape: tuple[int, ...]) -> Buffer:
        """Append x + (-1) y."""
        first, second = x
        minus = builder.apply("rescale", second, shape=second.shape, scale=-1.0, offset=0.0)
        return super().merged(builder, [first, minus], shape)


class Multiply(Elementwise):
    """The product of its inputs, number by number.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, if they are no list or their shapes do not go together.
    """

    operator = "multiply"


class Average(Elementwise):
    """The mean of its inputs, number by number.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, if they are no list or their shapes do not go together.
    """

    operator = "add"

    def merged(self, builder: Builder, x: Sequence[Buffer], shape: tuple[int, ...]) -> Buffer:
        """Append the sum and its division by the number of inputs."""
        total = super().merged(builder, x, shape)
        return builder.apply("rescale", total, shape=shape, scale=1 / len(x), offset=0.0)


class Maximum(Elementwise):
    """The largest of its inputs, number by number; of equal ones the first has the gradient.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, if they are no list or their shapes do not go together.
    """

    operator = "maximum"


class Minimum(Elementwise):
    """The smallest of its inputs, number by number; of equal ones the first has the gradient.

    Parameters
    ----------
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        When it meets its inputs, if they are no list or their shapes do not go together.
    """

    operator = "minimum"


class Concatenate(Merging):
    """Its inputs side by side: the end of an Inception module (lecture 004).

    Parameters
    ----------
    axis : int
        Along which axis; 0 is the batch's, -1 the channels'.
    **kwargs
        ``name``, ``trainable``, ``dtype`` of `Layer`.

    Raises
    ------
    ValueError
        If ``axis`` is 0 or no integer; when it meets its inputs, if they are no list, have no such
        axis, or differ along another one.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int) or isinstance(axis, bool) or axis == 0:
            requirement = "an integer, and not 0, the batch's"
            raise arguments.invalid(self.owner, "axis", requirement, axis)
        self.axis = axis

    def _axis_of(self, shape: Shape) -> int:
        """Return the axis, counted from the first one."""
        axis = self.axis + len(shape) if self.axis < 0 else self.axis
        if not 0 < axis < len(shape):
            raise ValueError(f"{self.owner}: the inputs have no axis {self.axis}, got {shape}")
        return axis

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Return the inputs' shape with the sum of their sizes along the axis."""
        shapes = self._checked(input_shape)
        first = shapes[0]
        axis = self._axis_of(first)
        sizes: list[int | None] = []
        for number, along in enumerate(zip(*shapes, strict=False)):
            known = [n for n in along if n is not None]
            if number == axis:
                sizes.append(sum(known) if len(known) == len(along) else None)
            elif len(set(known)) > 1:
                break
            else:
                sizes.append(known[0] if known else None)
        if any(len(shape) != len(first) for shape in shapes) or len(sizes) < len(first):
            raise ValueError(
                f"{self.owner}: the inputs' shapes must be the same but for axis {self.axis}, "
                f"got {_listed(shapes)}"
            )
        return tuple(sizes)

    def merged(self, builder: Builder, x: Sequence[Buffer], shape: tuple[int, ...]) -> Buffer:
        """Append one instruction."""
        axis = self._axis_of((None, *shape)) - 1
        sizes = [buffer.shape[axis] for buffer in x]
        return builder.apply("concatenate", *x, shape=shape, axis=axis, sizes=sizes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "axis": self.axis}


# --- functions, as Keras has them ---


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the sum of a list of tensors or arrays; see `Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the first of two tensors or arrays minus the second; see `Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the product of a list of tensors or arrays; see `Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the mean of a list of tensors or arrays; see `Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the largest of a list of tensors or arrays; see `Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Return the smallest of a list of tensors or arrays; see `Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Return a list of tensors or arrays side by side; see `Concatenate`."""
    return Concatenate(axis, **kwargs)(inputs)
