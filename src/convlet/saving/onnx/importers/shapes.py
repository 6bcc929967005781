"""Operators that move numbers or only say where they stand: shapes, axes, padding, resizing."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convlet.saving.onnx.graph_file import FileNode
from convlet.saving.onnx.importers.common import (
    for_rank,
    image_axes,
    only,
    reads,
    refused,
    zero_padded,
)
from convlet.saving.onnx.reader import Reader, Value

# --- shapes and places ---


@reads("Transpose")
def _transpose(reader: Reader, node: FileNode) -> None:
    if reader.is_known(node.reads[0]):
        constant = reader.needed(node, 0, "the input")
        reader.keep(node, constant.transpose(node.attributes.get("perm")))
        return
    value = reader.value(node)
    perm = node.attributes.get("perm", list(range(value.rank, -1, -1)))
    if perm[:1] != [0] or sorted(perm) != list(range(value.rank + 1)):
        raise refused(node, f"perm={perm}, which moves the batch,")
    order = tuple(value.order[axis - 1] for axis in perm[1:])
    reader.put(node, Value(value.tensor, order, value.grid))


@reads("Flatten")
def _flatten(reader: Reader, node: FileNode) -> None:
    only(node, axis=1)
    value = reader.value(node)
    if None in value.shape:
        raise refused(node, f"an image of open sizes, {value.shape},")
    reader.put(node, reader.reshaped(value, (prod(n for n in value.shape if n is not None),)))


@reads("Reshape")
def _reshape(reader: Reader, node: FileNode) -> None:
    wanted = reader.integers(node, 1, "the shape") or []
    if reader.is_known(node.reads[0]):
        reader.keep(node, reader.needed(node, 0, "the input").reshape(wanted))
        return
    value = reader.value(node)
    if not node.attributes.get("allowzero", 0):
        kept = (1, *value.shape)
        wanted = [
            (kept[axis] or 0) if n == 0 and 0 < axis < len(kept) else n
            for axis, n in enumerate(wanted)
        ]
    if None in value.shape:
        raise refused(node, f"an image of open sizes, {value.shape},")
    size = prod(n for n in value.shape if n is not None)
    shape, rest = wanted[1:], prod(n for n in wanted[1:] if n != -1)
    if shape.count(-1) == 1 and rest > 0 and size % rest == 0:
        shape[shape.index(-1)] = size // rest
    if wanted[:1] not in ([0], [-1], [1]) or min(shape, default=0) < 1 or prod(shape) != size:
        raise ValueError(
            f"{node.owner}: an image of {value.shape} cannot become one of {wanted}, whose first "
            "size is the batch's"
        )
    reader.put(node, reader.reshaped(value, tuple(shape)))


@reads("Squeeze", "Unsqueeze")
def _squeeze(reader: Reader, node: FileNode) -> None:
    axes = reader.integers(node, 1, "axes") or node.attributes.get("axes")
    if reader.is_known(node.reads[0]):
        constant = reader.needed(node, 0, "the input")
        move: Any = np.squeeze if node.operator == "Squeeze" else np.expand_dims
        reader.keep(node, move(constant, tuple(axes or ())))
        return
    value = reader.value(node)
    if axes is None:
        raise refused(node, "a squeeze of whatever is 1, the batch perhaps,")
    if node.operator == "Squeeze":
        gone = image_axes(node, value, axes)
        if any(value.shape[axis] != 1 for axis in gone):
            raise ValueError(f"{node.owner}: axes {axes} of {value.shape} are not all of size 1")
        shape = tuple(n for axis, n in enumerate(value.shape) if axis not in gone)
    else:
        rank = value.rank + 1 + len(axes)
        new = {int(axis) % rank for axis in axes if -rank <= axis < rank}
        if len(new) != len(axes) or 0 in new or rank > 6:
            raise ValueError(f"{node.owner}: axes must be some of 1 to {rank - 1}, got {axes}")
        sizes = iter(value.shape)
        shape = tuple(1 if axis in new else next(sizes) for axis in range(1, rank))
    if not shape:
        raise refused(node, "an image without axes")
    reader.put(node, reader.reshaped(value, shape))


@reads("Constant")
def _constant(reader: Reader, node: FileNode) -> None:
    forms = ("value", "value_float", "value_floats", "value_int", "value_ints")
    found = [node.attributes[name] for name in forms if name in node.attributes]
    if len(found) != 1:
        raise refused(node, "a constant of that form")
    reader.keep(node, np.asarray(found[0]))


@reads("Shape")
def _shape(reader: Reader, node: FileNode) -> None:
    """Read the sizes as a constant, in which -1 stands for the batch's."""
    only(node, start=0, end=None)
    value = reader.value(node)
    if None in value.shape:
        raise refused(node, f"the shape of an image of open sizes, {value.shape},")
    reader.keep(node, np.array([-1, *value.shape], np.int64))


@reads("Gather")
def _gather(reader: Reader, node: FileNode) -> None:
    if not reader.is_known(node.reads[0]):
        raise refused(node, "numbers picked out of images")
    constant, places = (reader.needed(node, n, "an input") for n in (0, 1))
    reader.check_small(node, constant.size * max(places.size, 1))
    try:
        picked = np.take(constant, places.astype(np.int64), node.attributes.get("axis", 0))
    except IndexError as error:
        raise ValueError(f"{node.owner}: {error}") from None
    reader.keep(node, picked)


@reads("Cast")
def _cast(reader: Reader, node: FileNode) -> None:
    if not reader.is_known(node.reads[0]):
        raise refused(node, "another type for images")
    reader.keep(node, reader.needed(node, 0, "the input"))


# --- grids ---


def _along_grid(node: FileNode, value: Value, numbers: dict[int, Any], nothing: Any) -> list[Any]:
    """Return what is given for some ONNX axes for each axis of our grid."""
    ours = [nothing] * value.rank
    for axis, number in numbers.items():
        ours[value.order[axis]] = number
    if ours[-1] != nothing:
        raise refused(node, "what changes the number of channels")
    return ours[:-1]


@reads("Pad")
def _pad(reader: Reader, node: FileNode) -> None:
    only(node, mode="constant")
    value = reader.unflattened(reader.value(node))
    fill = reader.constant(node, 2, "the number to fill with")
    if (node.attributes.get("value", 0.0) if fill is None else fill.any()) != 0:
        raise refused(node, "padding with anything but zeros")
    pads = reader.integers(node, 1, "pads") or node.attributes.get("pads", [])
    axes = reader.integers(node, 3, "axes")
    places = list(range(value.rank + 1)) if axes is None else axes
    half = len(places)
    if len(pads) != 2 * half or min(pads, default=0) < 0:
        raise ValueError(
            f"{node.owner}: pads must be two numbers of at least 0 an axis, got {pads}"
        )
    pairs = dict(zip(places, zip(pads[:half], pads[half:], strict=True), strict=True))
    if any(pairs.pop(0, ())):
        raise refused(node, "padding of the batch")
    found = dict(zip(image_axes(node, value, pairs), pairs.values(), strict=True))
    grid = _along_grid(node, value, found, (0, 0))
    reader.put(node, Value(zero_padded(node, value.tensor, grid), value.order))


@reads("Slice")
def _slice(reader: Reader, node: FileNode) -> None:
    if reader.is_known(node.reads[0]):
        _slice_constant(reader, node)
        return
    value = reader.unflattened(reader.value(node))
    starts, ends, axes = _slice_ranges(reader, node)
    cut: dict[int, tuple[int, int]] = {}
    for axis, start, end in zip(image_axes(node, value, axes), starts, ends, strict=True):
        size = value.shape[axis]
        if size is None:
            raise refused(node, "a part of an open size")
        first, stop, _ = slice(start, end).indices(size)
        cut[axis] = (first, size - max(stop, first))
    grid = _along_grid(node, value, cut, (0, 0))
    cropping = grid[0] if len(grid) == 1 else tuple(grid)
    y = for_rank(node, len(grid), "Cropping{}")(cropping)(value.tensor)
    reader.put(node, Value(y, value.order))


def _slice_ranges(reader: Reader, node: FileNode) -> tuple[list[int], list[int], list[int]]:
    """Return starts, ends and axes of a slice with steps of 1."""
    starts, ends = (
        reader.integers(node, n, "where the slice begins and ends") or [] for n in (1, 2)
    )
    axes = reader.integers(node, 3, "axes")
    if set(reader.integers(node, 4, "steps") or [1]) != {1}:
        raise refused(node, "a slice with steps")
    places = list(range(len(starts))) if axes is None else axes
    if not len(starts) == len(ends) == len(places):
        raise ValueError(f"{node.owner}: starts, ends and axes must be as many")
    return starts, ends, places


def _slice_constant(reader: Reader, node: FileNode) -> None:
    constant = reader.needed(node, 0, "the input")
    index = [slice(None)] * constant.ndim
    for start, end, axis in zip(*_slice_ranges(reader, node), strict=True):
        if not -constant.ndim <= axis < constant.ndim:
            raise ValueError(f"{node.owner}: there is no axis {axis}")
        index[axis] = slice(start, end)
    reader.keep(node, constant[tuple(index)])


@reads("Resize")
def _resize(reader: Reader, node: FileNode) -> None:
    only(node, mode="nearest", axes=None)
    value = reader.unflattened(reader.value(node))
    kept = value.rank + 1
    scales, sizes = (reader.constant(node, n, "scales and sizes") for n in (2, 3))
    if scales is not None and scales.shape == (kept,):
        factors = scales.tolist()
    elif sizes is not None and sizes.shape == (kept,) and None not in value.shape:
        factors = [1, *(n / (m or 1) for n, m in zip(sizes[1:].tolist(), value.shape, strict=True))]
    else:
        raise refused(node, "a resize that gives no scale for each axis")
    way = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor")
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    # both give each position as often as the scale says
    repeats = (way, rounding) == ("asymmetric", "floor") or (
        way in ("half_pixel", "half_pixel_symmetric") and rounding.startswith("round")
    )
    if not whole or not repeats or factors[0] != 1:
        raise refused(
            node, f"a resize by {factors}, {way}, {rounding}; whole repeats alone are, it"
        )
    grid = _along_grid(node, value, dict(enumerate(map(int, factors[1:]))), 1)
    y = for_rank(node, len(grid), "UpSampling{}")(tuple(grid) if len(grid) > 1 else grid[0])(
        value.tensor
    )
    reader.put(node, Value(y, value.order))
