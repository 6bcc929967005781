"""How much of the image a unit sees, and how far apart the fields of neighbouring units are.

With k taps at distance d, a layer of stride s behind units that see r positions, j apart, makes
units that see r + d (k - 1) j positions, s j apart. Lecture 003, "Dilated convolutions". Through a
graph the largest counts. Padding counts like the image, so a field may be larger than the image.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from convlet import arguments, layers
from convlet.layers import KerasTensor, Layer
from convlet.layers.graph import in_order
from convlet.layers.layer import Shape
from convlet.layers.merging import Merging
from convlet.layers.moving import Cropping, UpSampling, ZeroPadding
from convlet.layers.noise import SpatialDropout
from convlet.layers.normalization import BatchStatistics
from convlet.layers.orbit import OrbitPooling
from convlet.layers.pooling import GlobalPooling
from convlet.layers.structures import leaves, mapped
from convlet.layers.transposed import ConvTranspose
from convlet.layers.window import GridLayer, WindowLayer


class ReceptiveField(NamedTuple):
    """What a unit sees of the input, along each axis of the grid.

    Parameters
    ----------
    size : tuple of int or None
        How many positions; behind a layer that looks at the whole grid, such as `Flatten`, as many
        as the input has.
    stride : tuple of Fraction
        How far the fields of neighbouring units are apart: below 1 where the grid was enlarged, 0
        where all units see everything.
    """

    size: tuple[int | None, ...]
    stride: tuple[Fraction, ...]


Axis = tuple[Fraction, Fraction] | None
"""Size and stride along an axis; None for the channels'."""
Sight = tuple[Axis, ...] | str | None
"""The axes of an image; or everything; or None where it is not known."""

_EVERYTHING = "everything"

# The output at a position depends on the input there alone, at least where nothing is trained.
_POINTWISE = (
    *(layers.Activation, layers.ELU, layers.LeakyReLU, layers.PReLU, layers.ReLU, layers.Softmax),
    *(BatchStatistics, layers.LocalResponseNormalization, layers.Dense, layers.Rescaling),
    *(layers.Dropout, layers.GaussianNoise, SpatialDropout),
    *(Cropping, ZeroPadding, OrbitPooling),
)
_GLOBAL = (GlobalPooling, layers.Flatten, layers.GroupNormalization)


def receptive_field(layer: Layer) -> Any:
    """Return what a unit of a layer's or of a model's output sees of its input.

    Parameters
    ----------
    layer : Layer
        A convolution, a pooling, ..., or a model; of several inputs the one of which most is seen
        counts.

    Returns
    -------
    ReceptiveField
        For a model with several outputs a list or a dict of them.

    Raises
    ------
    ValueError
        If it is not known: behind a layer of one's own, or where there is no grid.

    Examples
    --------
    >>> from convlet import Sequential
    >>> from convlet.inspection import receptive_field
    >>> from convlet.layers import Conv2D, Input, MaxPooling2D
    >>> field = receptive_field(Sequential([Input((9, 9, 1)), Conv2D(4, 3), MaxPooling2D(2)]))
    >>> field.size, [int(n) for n in field.stride]
    ((4, 4), [2, 2])
    """
    if hasattr(layer, "outputs"):
        known = _walk(layer.outputs, {})
        found: Any = mapped(lambda tensor: _public(known[tensor], layer), layer.output)
    elif isinstance(layer, GridLayer):
        found = _public(_behind(layer, [_input((None,) * (layer.rank + 2))])[0], layer)
    else:
        requirement = "a model, or a layer that slides a window over a grid"
        raise arguments.invalid("receptive_field", "layer", requirement, layer)
    if None in leaves(found):
        raise ValueError(f"receptive_field: what {layer.owner} sees is not known")
    return found


def receptive_fields(model: Any) -> dict[str, ReceptiveField | None]:
    """Return what the units of each of a model's layers see, by the layers' names.

    Of a layer that is called several times it is what the first call gives; None where it is not
    known.
    """
    fields: dict[str, ReceptiveField | None] = {}
    for tensor, sight in _walk(model.outputs, {}).items():
        fields.setdefault(tensor.node.layer.name, _public(sight, model))
    return fields


def _walk(outputs: list[KerasTensor], known: dict[KerasTensor, Sight]) -> dict[KerasTensor, Sight]:
    """Return what is seen at each tensor on the way to some outputs, given that of some inputs."""
    for node in in_order(outputs):
        tensors = leaves(node.outputs)
        if tensors[0] not in known:
            seen = [known[tensor] for tensor in leaves(node.inputs)]
            sights = _behind(node.layer, seen) if seen else [_input(tensors[0].shape)]
            known |= dict(zip(tensors, sights, strict=True))
    return known


def _input(shape: Shape) -> Sight:
    """Return what an input sees of itself, None if it has no grid."""
    grid = len(shape) - 2
    return (*((Fraction(1), Fraction(1)),) * grid, None) if grid > 0 else None


def _public(sight: Sight, layer: Any) -> ReceptiveField | None:
    """Return the field that stands for what is seen by a unit of a layer or model."""
    if sight == _EVERYTHING:
        shape = leaves(layer.input_shape)[0] if hasattr(layer, "outputs") else ()
        grid = shape[1:-1] if shape else (None,) * layer.rank
        return ReceptiveField(grid, (Fraction(0),) * len(grid))
    if sight is None or isinstance(sight, str) or sight[-1] is not None:
        return None
    axes = [axis for axis in sight[:-1] if axis is not None]
    if len(axes) < len(sight) - 1:
        return None
    return ReceptiveField(tuple(ceil(size) for size, _ in axes), tuple(step for _, step in axes))


def _behind(layer: Any, seen: list[Sight]) -> list[Sight]:
    """Return what is seen behind a layer, for each of its outputs."""
    if hasattr(layer, "outputs"):
        known = _walk(layer.outputs, dict(zip(layer.inputs, seen, strict=True)))
        return [known[tensor] for tensor in layer.outputs]
    if None in seen:
        return [None]
    if _EVERYTHING in seen or isinstance(layer, _GLOBAL):
        return [_EVERYTHING]
    if isinstance(layer, Merging):
        return [_largest(seen)]
    (sight,) = seen
    assert isinstance(sight, tuple)
    if isinstance(layer, layers.LayerNormalization):
        return [sight if layer.axis in (-1, len(sight), [-1]) else _EVERYTHING]
    if isinstance(layer, layers.Permute):
        return [tuple(sight[axis - 1] for axis in layer.dims)]
    if isinstance(layer, (WindowLayer, UpSampling)):
        return [_slid(layer, sight)]
    return [sight if isinstance(layer, _POINTWISE) else None]


def _largest(seen: list[Any]) -> Sight:
    """Return the largest sight along each axis; None if their grids differ."""
    axes: list[Axis] = []
    if len(set(map(len, seen))) > 1:
        return None
    for along in zip(*seen, strict=True):
        if None in along:
            axes.append(None)
        elif len({stride for _, stride in along}) > 1:
            return None
        else:
            axes.append(max(along))
    return tuple(axes)


def _slid(layer: WindowLayer | UpSampling, sight: tuple[Axis, ...]) -> Sight:
    """Return what is seen through a window that slides over the grid."""
    *grid, channels = sight
    axes: list[Axis] = []
    for number, axis in enumerate(grid):
        if axis is None:
            return None
        size, stride = axis
        reach, step = _reach(layer, number)
        axes.append((size + reach * stride, stride * step))
    return (*axes, channels)


def _reach(layer: WindowLayer | UpSampling, axis: int) -> tuple[int, Fraction]:
    """Return how far apart the outermost inputs of an output are, and the outputs, in inputs."""
    if isinstance(layer, UpSampling):
        between = getattr(layer, "interpolation", "nearest") == "bilinear" and layer.size[axis] > 1
        return int(between), Fraction(1, layer.size[axis])
    extent = layer.dilation_rate[axis] * (layer.window[axis] - 1)
    if isinstance(layer, ConvTranspose):
        return extent // layer.strides[axis], Fraction(1, layer.strides[axis])
    return extent, Fraction(layer.strides[axis])
