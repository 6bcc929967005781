"""Operators on the numbers of an image: products, activations, normalization, merging."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import layers
from convlet.saving.onnx.graph_file import FileNode
from convlet.saving.onnx.importers.common import (
    apply_layer,
    bias_of,
    fill_weights,
    image_axes,
    only,
    reads,
    refused,
)
from convlet.saving.onnx.reader import Reader, Value

# --- products ---


@reads("Gemm")
def _gemm(reader: Reader, node: FileNode) -> None:
    only(node, transA=0)
    value = reader.value(node)
    kernel = reader.needed(node, 1, "the matrix")
    if value.rank != 1 or kernel.ndim != 2:
        raise ValueError(f"{node.owner}: it must multiply vectors by a matrix")
    matrix = kernel.T if node.attributes.get("transB", 0) else kernel
    bias = reader.constant(node, 2, "the bias")
    if bias is not None:
        if bias.size not in (1, matrix.shape[1]) or bias.shape[-1:] not in ((), (1,), (bias.size,)):
            raise ValueError(f"{node.owner}: the bias must be one for each output")
        bias = np.broadcast_to(bias.reshape(-1), matrix.shape[1]) * node.attributes.get("beta", 1.0)
    else:
        bias = bias_of(reader, node, value, 2, matrix.shape[1])
    _dense(reader, node, value, matrix * node.attributes.get("alpha", 1.0), bias)


@reads("MatMul")
def _matmul(reader: Reader, node: FileNode) -> None:
    value = reader.value(node)
    kernel = reader.needed(node, 1, "the matrix")
    if kernel.ndim != 2:
        raise refused(node, "a product with anything but a matrix")
    if value.order[-1] != value.rank - 1:
        value = reader.arranged(value, tuple(range(value.rank)))
    _dense(
        reader,
        node,
        value,
        kernel,
        bias_of(reader, node, Value(value.tensor, (0,)), 2, kernel.shape[1]),
    )


def _dense(reader: Reader, node: FileNode, value: Value, matrix: np.ndarray, bias: Any) -> None:
    if matrix.shape[0] != value.channels:
        raise ValueError(
            f"{node.owner}: it takes {matrix.shape[0]} numbers, and is given {value.channels}"
        )
    layer = layers.Dense(matrix.shape[1], use_bias=bias is not None)
    y = layer(value.tensor)
    fill_weights(layer, kernel=reader.features(value, matrix), bias=bias)
    reader.put(node, Value(y, value.order))


# --- number by number ---

_ACTIVATIONS = {
    "Relu": "relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exponential",
    "Mish": "mish",
}


@reads(*_ACTIVATIONS)
def _activation(reader: Reader, node: FileNode) -> None:
    apply_layer(reader, node, layers.Activation(_ACTIVATIONS[node.operator]))


@reads("Gelu")
def _gelu(reader: Reader, node: FileNode) -> None:
    only(node, approximate="none")
    apply_layer(reader, node, layers.Activation("gelu"))


@reads("HardSigmoid")
def _hard_sigmoid(reader: Reader, node: FileNode) -> None:
    slope, offset = (node.attributes.get(*pair) for pair in (("alpha", 0.2), ("beta", 0.5)))
    if abs(slope - 1 / 6) > 1e-6 or offset != 0.5:
        raise refused(node, f"alpha={slope:g}, beta={offset:g}; 1/6 and 0.5 are what Keras has, it")
    apply_layer(reader, node, layers.Activation("hard_sigmoid"))


@reads("Selu")
def _selu(reader: Reader, node: FileNode) -> None:
    told = [
        node.attributes.get(name, default)
        for name, default in (("alpha", 1.67326), ("gamma", 1.0507))
    ]
    if not np.allclose(told, (1.67326, 1.0507), rtol=1e-4):
        raise refused(node, f"alpha={told[0]:g}, gamma={told[1]:g}")
    apply_layer(reader, node, layers.Activation("selu"))


@reads("LeakyRelu")
def _leaky_relu(reader: Reader, node: FileNode) -> None:
    apply_layer(reader, node, layers.LeakyReLU(node.attributes.get("alpha", 0.01)))


@reads("Elu")
def _elu(reader: Reader, node: FileNode) -> None:
    apply_layer(reader, node, layers.ELU(node.attributes.get("alpha", 1.0)))


@reads("PRelu")
def _prelu(reader: Reader, node: FileNode) -> None:
    value = reader.value(node)
    slopes = reader.per_channel(value, reader.needed(node, 1, "the slopes"))
    if slopes is None:
        raise refused(node, "slopes that are not one for each channel")
    layer = layers.PReLU(shared_axes=tuple(range(1, value.rank)) or None)
    y = layer(value.tensor)
    fill_weights(
        layer, alpha=np.broadcast_to(slopes, layer.alpha.shape[-1]).reshape(layer.alpha.shape)
    )
    reader.put(node, Value(y, value.order, value.grid))


@reads("Clip")
def _clip(reader: Reader, node: FileNode) -> None:
    ends = [
        node.attributes.get(name) if bound is None else float(bound.reshape(()))
        for name, bound in (
            ("min", reader.constant(node, 1, "the lower end")),
            ("max", reader.constant(node, 2, "the upper end")),
        )
    ]
    if ends[0] != 0:
        raise refused(node, f"a lower end of {ends[0]}, other than 0,")
    relu = layers.Activation("relu6") if ends[1] == 6 else layers.ReLU(ends[1])
    apply_layer(reader, node, relu)


@reads("Identity")
def _identity(reader: Reader, node: FileNode) -> None:
    if node.reads and reader.is_known(node.reads[0]):
        reader.keep(node, reader.needed(node, 0, "the input"))
    else:
        reader.put(node, reader.value(node))


@reads("Dropout")
def _dropout(reader: Reader, node: FileNode) -> None:
    ratio = reader.constant(node, 1, "the ratio")
    rate = node.attributes.get("ratio", 0.5) if ratio is None else float(ratio.reshape(()))
    apply_layer(reader, node, layers.Dropout(rate))


@reads("Softmax", "LogSoftmax")
def _softmax(reader: Reader, node: FileNode) -> None:
    value = reader.unflattened(reader.value(node))
    axis = node.attributes.get("axis", -1 if reader.opset >= 13 else 1)
    (along,) = image_axes(node, value, [axis])
    if reader.opset < 13 and value.rank > 1:
        raise refused(node, "a sum over several axes")
    if value.order[along] != value.rank - 1:
        others = iter(range(value.rank - 1))
        order = [value.rank - 1 if axis == along else next(others) for axis in range(value.rank)]
        value = reader.arranged(value, tuple(order))
    name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[node.operator]
    reader.put(node, Value(layers.Activation(name)(value.tensor), value.order))


# --- normalization ---


@reads("BatchNormalization")
def _batch_normalization(reader: Reader, node: FileNode) -> None:
    only(node, training_mode=0, spatial=1)
    value = reader.value(node)
    if value.rank > 1:
        value = reader.with_channels_last(value)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    given = [reader.needed(node, n, name) for n, name in enumerate(names, start=1)]
    if any(array.shape != (value.channels,) for array in given):
        raise ValueError(f"{node.owner}: its arrays must be one number for each channel")
    momentum = node.attributes.get("momentum", 0.9)
    layer = layers.BatchNormalization(
        momentum=momentum, epsilon=node.attributes.get("epsilon", 1e-5)
    )
    y = layer(value.tensor)
    fill_weights(layer, **{n: reader.features(value, a) for n, a in zip(names, given, strict=True)})
    reader.put(node, Value(y, value.order, value.grid))


@reads("LRN")
def _local_response_normalization(reader: Reader, node: FileNode) -> None:
    value = reader.with_channels_last(reader.value(node))
    size = node.attributes.get("size", 0)
    if size < 1 or size % 2 == 0:
        raise refused(node, f"size={size}, which is not odd,")
    layer = layers.LocalResponseNormalization(
        (size - 1) // 2,
        node.attributes.get("bias", 1.0),
        node.attributes.get("alpha", 1e-4) / size,  # ONNX divides by the size of the sum
        node.attributes.get("beta", 0.75),
    )
    reader.put(node, Value(layer(value.tensor), value.order))


# --- merging ---

_MERGING = {
    "Add": layers.Add,
    "Sum": layers.Add,
    "Sub": layers.Subtract,
    "Mul": layers.Multiply,
    "Max": layers.Maximum,
    "Min": layers.Minimum,
    "Mean": layers.Average,
}


@reads(*_MERGING, "Div")
def _merge(reader: Reader, node: FileNode) -> None:
    if reader.is_absorbed(node):
        reader.pass_on(node)
    elif any(map(reader.is_known, node.reads)):
        _with_constant(reader, node)
    elif node.operator == "Div":
        raise refused(node, "a quotient of two images")
    else:
        values = _of_one_rank(reader, node)
        same = all((v.order, v.grid) == (values[0].order, values[0].grid) for v in values)
        if not same:
            values = [reader.arranged(v, tuple(range(v.rank))) for v in values]
        merged = values[0].tensor
        if len(values) > 1:
            merged = _MERGING[node.operator]()([value.tensor for value in values])
        reader.put(node, Value(merged, values[0].order, values[0].grid))


def _of_one_rank(reader: Reader, node: FileNode) -> list[Value]:
    """Return what a node merges.

    Of fewer axes, a batch would stand beside an axis of the images: that is never meant.
    """
    values = [reader.value(node, number) for number in range(len(node.reads))]
    if len({value.rank for value in values}) > 1:
        shapes = ", ".join(str(value.shape) for value in values)
        raise refused(node, f"what merges images of {shapes}")
    return values


def _with_constant(reader: Reader, node: FileNode) -> None:
    """Read a sum, a difference, a product or a quotient with a number, or one for each channel."""
    if len(node.reads) != 2 or node.operator not in ("Add", "Sub", "Mul", "Div"):
        raise refused(node, "what it does with a constant")
    place = 1 if reader.is_known(node.reads[1]) else 0
    value = reader.value(node, 1 - place)
    constant = reader.per_channel(value, reader.needed(node, place, "the constant"))
    if constant is None:
        raise refused(node, "a constant that is neither one number nor one for each channel")
    if node.operator == "Div" and (place == 0 or not np.all(constant)):
        raise refused(node, "a quotient by images or by zero")
    minus = -1.0 if node.operator == "Sub" and place == 0 else 1.0
    scale, offset = {
        "Add": (1.0, constant),
        "Sub": (minus, -minus * constant),
        "Mul": (constant, 0.0),
        "Div": (1 / constant if node.operator == "Div" else 1.0, 0.0),
    }[node.operator]
    layer = layers.Rescaling(np.asarray(scale).tolist(), np.asarray(offset).tolist())
    reader.put(node, Value(layer(value.tensor), value.order, value.grid))


@reads("Concat")
def _concat(reader: Reader, node: FileNode) -> None:
    if all(map(reader.is_known, node.reads)):
        parts = [reader.needed(node, n, "a part") for n in range(len(node.reads))]
        reader.check_small(node, sum(part.size for part in parts))
        reader.keep(node, np.concatenate(parts, node.attributes.get("axis", 0)))
        return
    values = [reader.unflattened(value) for value in _of_one_rank(reader, node)]
    values = [reader.arranged(value, values[0].order) for value in values]
    (axis,) = image_axes(node, values[0], [node.attributes.get("axis", 1)])
    order = values[0].order
    y = layers.Concatenate(order[axis] + 1)([value.tensor for value in values])
    reader.put(node, Value(y, order))
