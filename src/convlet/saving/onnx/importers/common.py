"""What the importers share: their register, attributes as they must be, layers for a rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convlet import layers
from convlet.layers import KerasTensor, Layer
from convlet.saving.onnx.graph_file import FileNode
from convlet.saving.onnx.reader import Reader, Value

Importer = Callable[[Reader, FileNode], None]
IMPORTERS: dict[str, Importer] = {}
"""Every importer by its operator's name."""

Pairs = list[tuple[int, int]]


def reads(*operators: str) -> Callable[[Importer], Importer]:
    """Return a decorator that makes a function the importer of some operators."""

    def register(importer: Importer) -> Importer:
        IMPORTERS.update(dict.fromkeys(operators, importer))
        return importer

    return register


def refused(node: FileNode, what: str) -> ValueError:
    """Return the error for what a node asks and no layer does."""
    return ValueError(f"{node.owner}: {what} is not read")


def only(node: FileNode, **defaults: Any) -> None:
    """Raise a ValueError if an attribute is there and is not what it is by default."""
    for name, default in defaults.items():
        value = node.attributes.get(name, default)
        if value != default:
            raise refused(node, f"{name}={value!r}")


def integers(node: FileNode, name: str, count: int, default: int) -> tuple[int, ...]:
    """Return an attribute that is so many integers, ``default`` for each if it is left out."""
    value = tuple(node.attributes.get(name, (default,) * count))
    if len(value) != count:
        raise ValueError(f"{node.owner}: {name} must be {count} integers, got {value}")
    return value


def for_rank(node: FileNode, rank: int, name: str) -> Any:
    """Return the layer of a family for images with so many spatial axes."""
    if rank not in (1, 2, 3):
        raise refused(node, f"an image with {rank} spatial axes")
    return getattr(layers, name.format(f"{rank}D"))


def image_axes(node: FileNode, value: Value, axes: Any) -> list[int]:
    """Return ONNX's axes of an array counted from an image's first one."""
    found = [int(axis) + (value.rank + 1 if axis < 0 else 0) - 1 for axis in axes]
    if not all(0 <= axis < value.rank for axis in found) or len(set(found)) < len(found):
        raise ValueError(
            f"{node.owner}: axes must be some of 1 to {value.rank}, got {list(map(int, axes))}"
        )
    return found


def fill_weights(layer: Layer, **weights: Any) -> None:
    """Give a layer its weights, by their names; None stands for one that it has not."""
    named = layer.named_weights()
    for name, value in weights.items():
        if value is not None:
            named[name].assign(value)


def apply_layer(reader: Reader, node: FileNode, layer: Layer) -> None:
    """Let a layer that takes each number by itself make what a node writes."""
    value = reader.value(node)
    reader.put(node, Value(layer(value.tensor), value.order, value.grid))


def bias_of(reader: Reader, node: FileNode, value: Value, number: int, units: int) -> Any:
    """Return a node's bias, or the one that is added behind it; None if there is neither."""
    bias = reader.constant(node, number, "the bias")
    if bias is None:
        behind = reader.bias_behind(node)
        spread = (1,) * (value.rank - 1) if node.operator.startswith("Conv") else ()
        if behind is None or behind.shape[-value.rank :] != (units, *spread):
            return None
        if behind.size != units:
            return None
        reader.absorb(node)
        bias = behind.reshape(-1)
    return bias


def zero_padded(node: FileNode, tensor: KerasTensor, pads: Pairs) -> KerasTensor:
    """Return a tensor with zeros around its grid, itself if there are none."""
    if not any(map(any, pads)):
        return tensor
    padding = pads[0] if len(pads) == 1 else tuple(pads)
    return for_rank(node, len(pads), "ZeroPadding{}")(padding)(tensor)
