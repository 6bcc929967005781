"""Operators whose window slides, with weights or without: convolutions and poolings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import layers
from convlet.layers import KerasTensor
from convlet.ops import tap_table
from convlet.saving.onnx.graph_file import FileNode
from convlet.saving.onnx.importers.common import (
    Pairs,
    bias_of,
    fill_weights,
    for_rank,
    image_axes,
    integers,
    only,
    reads,
    refused,
    zero_padded,
)
from convlet.saving.onnx.reader import Reader, Value

_MOST_REPEATED = 100


def _pads(node: FileNode, value: Value, window: dict[str, tuple[int, ...]]) -> Pairs | str:
    """Return the padding of each axis, or "same" where it is that, as for these sizes."""
    rank, kind = value.rank - 1, node.attributes.get("auto_pad", "NOTSET")
    sizes = value.tensor.shape[1:-1]
    if kind in ("VALID", "SAME_UPPER"):
        return "same" if kind == "SAME_UPPER" else [(0, 0)] * rank
    if kind != "NOTSET":
        raise refused(node, f"auto_pad={kind!r}")
    flat = integers(node, "pads", 2 * rank, 0)
    if min(flat, default=0) < 0:
        raise refused(node, "negative padding")
    pads = list(zip(flat[:rank], flat[rank:], strict=True))
    known = [1 if n is None else n for n in sizes]
    # with strides of 1 it does not depend on the sizes
    if max(window["strides"]) > 1 and (None in sizes or max(window["dilations"]) > 1):
        return pads
    table = tap_table(known, window["window"], window["strides"], "same", window["dilations"])
    return "same" if pads == [(axis.begin, axis.end) for axis in table.axes] else pads


def _window(node: FileNode, size: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return window, strides and dilations; all of them at least 1."""
    rank = len(size)
    told = {
        "window": tuple(size),
        "strides": integers(node, "strides", rank, 1),
        "dilations": integers(node, "dilations", rank, 1),
    }
    if min(n for numbers in told.values() for n in numbers) < 1:
        raise ValueError(f"{node.owner}: sizes, strides and dilations must be at least 1")
    return told


def _kernel(node: FileNode, reader: Reader, value: Value) -> np.ndarray:
    kernel = reader.needed(node, 1, "the kernel")
    if kernel.ndim != value.rank + 1 or 0 in kernel.shape:
        raise ValueError(
            f"{node.owner}: the kernel must have {value.rank + 1} axes for such an image, got "
            f"{kernel.shape}"
        )
    # ONNX's is (filters, channels, taps...), ours (taps..., channels, filters)
    return np.moveaxis(kernel, (0, 1), (-1, -2))


@reads("Conv")
def _conv(reader: Reader, node: FileNode) -> None:
    value = reader.with_channels_last(reader.value(node))
    kernel = _kernel(node, reader, value)
    window = _window(node, kernel.shape[:-2])
    pads = _pads(node, value, window)
    strides, tensor = window["strides"], value.tensor
    both = max(strides) > 1 and max(window["dilations"]) > 1
    if both and pads == "same":
        raise refused(node, "padding that depends on the size, with strides and dilations,")
    if pads != "same":
        tensor = zero_padded(node, tensor, pads)  # type: ignore[arg-type]
    bias = bias_of(reader, node, value, 2, kernel.shape[-1])
    layer = for_rank(node, value.rank - 1, "Conv{}")(
        kernel.shape[-1],
        window["window"],
        strides=1 if both else strides,
        padding="same" if pads == "same" else "valid",
        dilation_rate=window["dilations"],
        groups=node.attributes.get("group", 1),
        use_bias=bias is not None,
    )
    y = layer(tensor)
    fill_weights(layer, kernel=kernel, bias=bias)
    if both:  # our layers have one of the two: every output, and some of them picked
        y = for_rank(node, value.rank - 1, "MaxPooling{}")(1, strides)(y)
    reader.put(node, Value(y, value.order))


@reads("ConvTranspose")
def _conv_transpose(reader: Reader, node: FileNode) -> None:
    only(node, auto_pad="NOTSET", output_shape=None)
    value = reader.with_channels_last(reader.value(node))
    rank = value.rank - 1
    kernel = _kernel(node, reader, value)
    window, groups = _window(node, kernel.shape[:-2]), node.attributes.get("group", 1)
    filters = kernel.shape[-2] * groups
    pads = integers(node, "pads", 2 * rank, 0)
    bias = bias_of(reader, node, value, 2, filters)
    layer = for_rank(node, rank, "Conv{}Transpose")(
        filters,
        window["window"],
        window["strides"],
        output_padding=integers(node, "output_padding", rank, 0),
        dilation_rate=window["dilations"],
        groups=groups,
        use_bias=bias is not None,
    )
    y = layer(value.tensor)
    fill_weights(layer, kernel=kernel, bias=bias)
    if any(pads):
        cropping = list(zip(pads[:rank], pads[rank:], strict=True))
        cut = cropping[0] if rank == 1 else tuple(cropping)
        y = for_rank(node, rank, "Cropping{}")(cut)(y)
    reader.put(node, Value(y, value.order))


@reads("MaxPool", "AveragePool")
def _pool(reader: Reader, node: FileNode) -> None:
    only(node, storage_order=0)
    value = reader.with_channels_last(reader.value(node))
    rank, tensor = value.rank - 1, value.tensor
    window = _window(node, integers(node, "kernel_shape", rank, 0))
    only(node, dilations=[1] * rank)
    pads = _pads(node, value, window)
    if pads != "same":
        pads = _with_last_windows(node, value, window, pads)
        tensor = _padded_for_pooling(node, tensor, pads, window["window"])
    name = {"MaxPool": "MaxPooling{}", "AveragePool": "AveragePooling{}"}[node.operator]
    padding = "same" if pads == "same" else "valid"
    if pads == "same" and node.operator == "AveragePool" and _counts_padding(node):
        grid = [n for n in tensor.shape[1:-1] if n is not None]
        if len(grid) < rank:
            raise refused(node, "padding that is counted in a mean and depends on the size")
        same = tap_table(grid, window["window"], window["strides"], "same")
        tensor = zero_padded(node, tensor, [(axis.begin, axis.end) for axis in same.axes])
        padding = "valid"
    layer = for_rank(node, rank, name)(window["window"], window["strides"], padding)
    reader.put(node, Value(layer(tensor), value.order))


def _counts_padding(node: FileNode) -> bool:
    return bool(node.attributes.get("count_include_pad", 0))


def _with_last_windows(
    node: FileNode, value: Value, window: dict[str, tuple[int, ...]], pads: Any
) -> Pairs:
    """Return padding that makes room for windows that stand out at the end, as ceil_mode wants."""
    if not node.attributes.get("ceil_mode", 0):
        return pads
    sizes = value.tensor.shape[1:-1]
    if None in sizes:
        raise refused(node, "ceil_mode for open sizes")
    wider: Pairs = []
    numbers = zip(sizes, window["window"], window["strides"], pads, strict=True)
    for size, taps, stride, (begin, end) in numbers:
        rest = (size + begin + end - taps) % stride
        # a window that would begin behind the last position is none
        more = stride - rest if rest else 0
        last = size + begin + end + more - taps
        wider.append((begin, end + more if more and last < size + begin else end))
    if wider != pads and node.operator == "AveragePool":
        raise refused(node, "ceil_mode where a window stands out")
    return wider


def _padded_for_pooling(
    node: FileNode, tensor: KerasTensor, pads: Pairs, window: Sequence[int]
) -> KerasTensor:
    """Return what a pooling without padding takes: zeros that count, or that are no maximum."""
    if not any(map(any, pads)):
        return tensor
    if any(max(pair) >= taps for pair, taps in zip(pads, window, strict=True)):
        raise refused(node, "padding as wide as the window")
    if node.operator == "AveragePool":
        if not _counts_padding(node):
            raise refused(node, f"padding {pads} that is not counted in a mean")
        return zero_padded(node, tensor, pads)
    if _is_never_negative(tensor):
        return zero_padded(node, tensor, pads)
    if sum(map(sum, pads)) > _MOST_REPEATED:
        raise refused(node, f"padding of a maximum by more than {_MOST_REPEATED} positions")
    # the border repeated: a window that meets it holds the border's own numbers, too
    for axis, (begin, end) in enumerate(pads):
        tensor = _repeated(node, tensor, axis, begin, end)
    return tensor


def _is_never_negative(tensor: KerasTensor) -> bool:
    layer = tensor.node.layer
    return isinstance(layer, layers.Activation) and layer.activation in ("relu", "relu6", "sigmoid")


def _repeated(node: FileNode, tensor: KerasTensor, axis: int, begin: int, end: int) -> KerasTensor:
    """Return a tensor with the first and the last position along a spatial axis repeated."""
    size, rank = tensor.shape[axis + 1], len(tensor.shape) - 2
    if size is None:
        raise refused(node, "padding of a maximum for open sizes")

    def edge(first: int) -> KerasTensor:
        pairs = [(0, 0)] * rank
        pairs[axis] = (first, size - 1 - first)
        cut = pairs[0] if rank == 1 else tuple(pairs)
        return for_rank(node, rank, "Cropping{}")(cut)(tensor)

    parts = [*[edge(0)] * (begin > 0) * begin, tensor, *[edge(size - 1)] * (end > 0) * end]
    return tensor if len(parts) == 1 else layers.Concatenate(axis + 1)(parts)


@reads("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(reader: Reader, node: FileNode) -> None:
    value = reader.with_channels_last(reader.value(node))
    name = {"GlobalAveragePool": "GlobalAveragePooling{}", "GlobalMaxPool": "GlobalMaxPooling{}"}
    layer = for_rank(node, value.rank - 1, name[node.operator])(keepdims=True)
    reader.put(node, Value(layer(value.tensor), value.order))


@reads("ReduceMean", "ReduceMax")
def _reduce(reader: Reader, node: FileNode) -> None:
    """Over some spatial axes, as a pooling whose window is the grid along these."""
    value = reader.with_channels_last(reader.value(node))
    told = reader.integers(node, 1, "axes") or node.attributes.get("axes", [])
    axes = image_axes(node, value, told)
    if not axes or 0 in axes:
        raise refused(node, "what reduces other axes than those of the grid")
    grid = value.tensor.shape[1:-1]
    family = {"ReduceMean": "AveragePooling{}", "ReduceMax": "MaxPooling{}"}[node.operator]
    if len(axes) == len(grid):
        y = for_rank(node, len(grid), f"Global{family}")(keepdims=True)(value.tensor)
    elif None in grid:
        raise refused(node, "what reduces some axes of an open size")
    else:
        window = [n if axis + 1 in axes else 1 for axis, n in enumerate(grid)]
        y = for_rank(node, len(grid), family)(window, padding="valid")(value.tensor)
    result = Value(y, value.order)
    if not node.attributes.get("keepdims", 1):
        left = tuple(n for axis, n in enumerate(result.shape) if axis not in axes)
        result = reader.reshaped(result, left)
    reader.put(node, result)
