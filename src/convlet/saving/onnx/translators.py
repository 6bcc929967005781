"""Each operator of a prediction in ONNX's operators; one function an operator or a family.

A translator is given the `Writer` and an instruction, appends nodes and says what the instruction's
buffer is called. ONNX's convolutions and poolings want channels first; what works number by number
takes what it is given in the layout in which it was made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod

import numpy as np

from convlet.engine import Instruction
from convlet.ops import TakeTable, TapTable
from convlet.saving.onnx.writer import FIRST, LAST, Writer, axis_of

Translator = Callable[[Writer, Instruction], None]
TRANSLATORS: dict[str, Translator] = {}
"""Every translator by its operator's name."""


def _translates(*operators: str) -> Callable[[Translator], Translator]:
    def register(translator: Translator) -> Translator:
        TRANSLATORS.update(dict.fromkeys(operators, translator))
        return translator

    return register


# --- windows with weights ---


def _window(table: TapTable) -> dict[str, list[int]]:
    """Return the attributes of a window that slides."""
    return {
        "kernel_shape": [axis.taps for axis in table.axes],
        "strides": [axis.stride for axis in table.axes],
        "dilations": [axis.dilation for axis in table.axes],
        "pads": [*(axis.begin for axis in table.axes), *(axis.end for axis in table.axes)],
    }


@_translates("conv")
def _conv(writer: Writer, instruction: Instruction) -> None:
    x, kernel = instruction.reads
    table = instruction.attributes["table"]
    # ours is (taps..., channels, filters), ONNX's (filters, channels, taps...)
    weights = np.moveaxis(writer.weight(kernel), (-1, -2), (0, 1))
    y = writer.node(
        "Conv",
        writer.read(x, FIRST),
        writer.constant(weights),
        **_window(table),
        group=instruction.attributes["groups"],
    )
    writer.put(instruction.writes[0], y, FIRST)


@_translates("conv_transpose")
def _conv_transpose(writer: Writer, instruction: Instruction) -> None:
    x, kernel = instruction.reads
    table = instruction.attributes["table"]
    window = _window(table)
    # an end that is read beyond the last input has no weights: ONNX calls it output padding
    ends = [axis.end for axis in table.axes]
    window["pads"][len(ends) :] = [max(end, 0) for end in ends]
    y = writer.node(
        "ConvTranspose",
        writer.read(x, FIRST),
        writer.constant(np.moveaxis(writer.weight(kernel), (-1, -2), (0, 1))),
        **window,
        output_padding=[max(-end, 0) for end in ends],
        group=instruction.attributes["groups"],
    )
    writer.put(instruction.writes[0], y, FIRST)


@_translates("dense")
def _dense(writer: Writer, instruction: Instruction) -> None:
    x, kernel = instruction.reads
    y = writer.node("MatMul", writer.read(x, LAST), writer.constant(writer.weight(kernel)))
    writer.put(instruction.writes[0], y, LAST)


@_translates("local_conv")
def _local_conv(writer: Writer, instruction: Instruction) -> None:
    x, kernel = instruction.reads
    table, weights = instruction.attributes["table"], writer.weight(kernel)
    patches = _patches(writer, writer.read(x, LAST), writer.shape(x), table, 0.0)
    flat = writer.reshaped(patches, weights.shape[:2])
    # a product of matrices for each position, the images being the rows
    rows = writer.node("Transpose", flat, perm=[1, 0, 2])
    product = writer.node("MatMul", rows, writer.constant(weights))
    y = writer.node("Transpose", product, perm=[1, 0, 2])
    _put_grid(writer, instruction, y)


def _patches(writer: Writer, x: str, shape: tuple[int, ...], table: TapTable, fill: float) -> str:
    """Append nodes that give (batch, output positions, taps, channels); padding holds ``fill``."""
    positions, sources = prod(shape[:-1]), table.positions()
    flat = writer.reshaped(x, (positions, shape[-1]))
    if (sources < 0).any():
        beyond = writer.integers(0, 0, 0, 0, 1, 0)
        flat = writer.node("Pad", flat, beyond, writer.constant(fill))
        sources = np.where(sources < 0, positions, sources)
    return writer.node("Gather", flat, writer.constant(sources, "int64"), axis=1)


def _put_grid(writer: Writer, instruction: Instruction, y: str) -> None:
    """Give (batch, output positions, channels) its grid back."""
    (written, *_) = instruction.writes
    writer.put(written, writer.reshaped(y, writer.shape(written)), LAST)


# --- poolings ---


@_translates("max_pool", "average_pool")
def _pool(writer: Writer, instruction: Instruction) -> None:
    (x,) = instruction.reads
    table = instruction.attributes["table"]
    operator = {"max_pool": "MaxPool", "average_pool": "AveragePool"}[instruction.operator]
    y = writer.node(operator, writer.read(x, FIRST), **_window(table))
    writer.put(instruction.writes[0], y, FIRST)


def _summed(writer: Writer, x: str, table: TapTable) -> str:
    """Append the sum of each window: the mean, padding counted, times the number of taps."""
    mean = writer.node("AveragePool", x, **_window(table), count_include_pad=1)
    return writer.node("Mul", mean, writer.constant(table.taps))


@_translates("sum_pool")
def _sum_pool(writer: Writer, instruction: Instruction) -> None:
    x = writer.read(instruction.reads[0], FIRST)
    writer.put(instruction.writes[0], _summed(writer, x, instruction.attributes["table"]), FIRST)


@_translates("l2_pool")
def _l2_pool(writer: Writer, instruction: Instruction) -> None:
    x = writer.read(instruction.reads[0], FIRST)
    total = _summed(writer, writer.node("Mul", x, x), instruction.attributes["table"])
    writer.put(instruction.writes[0], writer.node("Sqrt", total), FIRST)


@_translates("log_sum_exp_pool")
def _log_sum_exp_pool(writer: Writer, instruction: Instruction) -> None:
    (x,) = instruction.reads
    table, t = instruction.attributes["table"], instruction.attributes["sharpness"]
    scaled = writer.node("Mul", writer.read(x, LAST), writer.constant(t))
    patches = _patches(writer, scaled, writer.shape(x), table, -np.inf)
    total = writer.node("ReduceLogSumExp", patches, writer.integers(2), keepdims=0)
    counts = np.log(np.maximum(table.counts(), 1)).reshape(-1, 1)
    mean = writer.node("Sub", total, writer.constant(counts))
    _put_grid(writer, instruction, writer.node("Div", mean, writer.constant(t)))


@_translates("stochastic_pool_mean")
def _stochastic_pool_mean(writer: Writer, instruction: Instruction) -> None:
    """Σ a² / Σ a, and 0 where both are."""
    (x,) = instruction.reads
    positive = writer.node("Relu", writer.read(x, LAST))
    table = instruction.attributes["table"]
    patches = _patches(writer, positive, writer.shape(x), table, 0.0)
    squares = writer.node("ReduceSumSquare", patches, writer.integers(2), keepdims=0)
    total = writer.node("ReduceSum", patches, writer.integers(2), keepdims=0)
    smallest = writer.constant(np.finfo(np.float32).tiny)
    y = writer.node("Div", squares, writer.node("Max", total, smallest))
    _put_grid(writer, instruction, y)


# --- number by number ---

_ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": ("Relu", {}),
    "selu": ("Selu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "gelu": ("Gelu", {}),
    "mish": ("Mish", {}),
}


@_translates("activation", "activation_of_input")
def _activation(writer: Writer, instruction: Instruction) -> None:
    (buffer,) = instruction.reads
    layout = writer.layout(buffer)
    parameters = dict(instruction.attributes)
    y = _activated(writer, writer.read(buffer, layout), parameters.pop("function"), parameters)
    writer.put(instruction.writes[0], y, layout)


def _activated(writer: Writer, x: str, function: str, parameters: dict[str, float]) -> str:
    if function in _ACTIVATIONS:
        operator, attributes = _ACTIVATIONS[function]
        return writer.node(operator, x, **attributes)
    if function == "relu6":
        return writer.node("Clip", x, writer.constant(0), writer.constant(6))
    if function == "leaky_relu":
        return writer.node("LeakyRelu", x, alpha=parameters.get("negative_slope", 0.2))
    if function == "elu":
        return writer.node("Elu", x, alpha=parameters.get("alpha", 1.0))
    if function == "silu":
        return writer.node("Mul", x, writer.node("Sigmoid", x))
    assert function == "rectifier"
    return _rectified(writer, x, **parameters)


def _rectified(
    writer: Writer,
    x: str,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
    max_value: float = np.inf,
) -> str:
    if negative_slope == threshold == 0:
        return writer.node("Clip", x, writer.constant(0), writer.constant(max_value))
    start = writer.constant(threshold)
    above = writer.node("Min", x, writer.constant(max_value))
    line = writer.node("Mul", writer.node("Sub", x, start), writer.constant(negative_slope))
    return writer.node("Where", writer.node("Less", x, start), line, above)


@_translates("softmax", "log_softmax")
def _softmax(writer: Writer, instruction: Instruction) -> None:
    operator = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[instruction.operator]
    y = writer.node(operator, writer.read(instruction.reads[0], LAST), axis=-1)
    writer.put(instruction.writes[0], y, LAST)


@_translates("add_bias", "scale")
def _bias_or_scale(writer: Writer, instruction: Instruction) -> None:
    x, weight = instruction.reads
    layout = writer.layout(x)
    operator = {"add_bias": "Add", "scale": "Mul"}[instruction.operator]
    factor = writer.per_channel(writer.weight(weight), layout, len(writer.shape(x)))
    y = writer.node(operator, writer.read(x, layout), factor)
    writer.put(instruction.writes[0], y, layout)


@_translates("rescale")
def _rescale(writer: Writer, instruction: Instruction) -> None:
    (x,) = instruction.reads
    layout, rank = writer.layout(x), len(writer.shape(x))
    scale, offset = (instruction.attributes[name] for name in ("scale", "offset"))
    y = writer.read(x, layout)
    if np.any(np.not_equal(scale, 1)):
        y = writer.node("Mul", y, writer.per_channel(scale, layout, rank))
    if np.any(offset):
        y = writer.node("Add", y, writer.per_channel(offset, layout, rank))
    writer.put(instruction.writes[0], y, layout)


@_translates("add", "multiply", "maximum", "minimum")
def _merge(writer: Writer, instruction: Instruction) -> None:
    first, second = instruction.reads
    layout = writer.layout(first)
    operator = {"add": "Add", "multiply": "Mul", "maximum": "Max", "minimum": "Min"}
    y = writer.node(
        operator[instruction.operator], writer.read(first, layout), writer.read(second, layout)
    )
    writer.put(instruction.writes[0], y, layout)


@_translates("concatenate")
def _concatenate(writer: Writer, instruction: Instruction) -> None:
    layout, rank = writer.layout(instruction.reads[0]), len(writer.shape(instruction.writes[0]))
    axis = axis_of(layout, instruction.attributes["axis"], rank)
    parts = (writer.read(buffer, layout) for buffer in instruction.reads)
    writer.put(instruction.writes[0], writer.node("Concat", *parts, axis=axis), layout)


# --- normalization ---


@_translates("normalize")
def _normalize(writer: Writer, instruction: Instruction) -> None:
    x, *statistics = instruction.reads
    mean, variance, gamma, beta = (writer.constant(writer.weight(name)) for name in statistics)
    epsilon = instruction.attributes["epsilon"]
    given = writer.read(x, FIRST)
    y = writer.node(
        "BatchNormalization", given, gamma, beta, mean, variance, epsilon=float(epsilon)
    )
    writer.put(instruction.writes[0], y, FIRST)


@_translates("standardize")
def _standardize(writer: Writer, instruction: Instruction) -> None:
    (buffer,) = instruction.reads
    x = writer.reshaped(writer.read(buffer, LAST), instruction.attributes["sets"])
    axes = writer.integers(1, 3)
    centred = writer.node("Sub", x, writer.node("ReduceMean", x, axes, keepdims=1))
    squares = writer.node("Mul", centred, centred)
    variance = writer.node("ReduceMean", squares, axes, keepdims=1)
    epsilon = writer.constant(instruction.attributes["epsilon"])
    deviation = writer.node("Sqrt", writer.node("Add", variance, epsilon))
    _put_grid(writer, instruction, writer.node("Div", centred, deviation))


@_translates("local_response_normalization")
def _local_response_normalization(writer: Writer, instruction: Instruction) -> None:
    (buffer,) = instruction.reads
    *grid, channels = writer.shape(buffer)
    told = instruction.attributes
    size = 2 * told["depth_radius"] + 1
    # onnxruntime takes images of two axes alone
    x = writer.reshaped(writer.read(buffer, FIRST), (channels, prod(grid), 1))
    y = writer.node(
        "LRN",
        x,
        size=size,
        alpha=float(told["alpha"] * size),  # ONNX divides by the number of channels in the sum
        beta=float(told["beta"]),
        bias=float(told["bias"]),
    )
    writer.put(instruction.writes[0], writer.reshaped(y, (channels, *grid)), FIRST)


# --- shapes and places ---


@_translates("reshape")
def _reshape(writer: Writer, instruction: Instruction) -> None:
    x = writer.read(instruction.reads[0], LAST)
    y = writer.reshaped(x, instruction.attributes["output_shape"])
    writer.put(instruction.writes[0], y, LAST)


@_translates("take")
def _take(writer: Writer, instruction: Instruction) -> None:
    """Along each axis numbers stay, are cut, padded, repeated or picked; and axes change places."""
    (buffer,) = instruction.reads
    order, coordinates = _axes_taken(instruction.attributes["table"])
    rank = len(order)
    in_order = order == tuple(range(rank))
    layout = writer.layout(buffer) if in_order else LAST
    x = writer.read(buffer, layout)
    for axis, wanted in zip(order, coordinates, strict=True):
        size = writer.shape(buffer)[axis]
        place = axis_of(layout, axis, rank)
        x = _taken(writer, x, place, wanted, (size, rank), instruction.attributes["fill"])
    if not in_order:
        x = writer.node("Transpose", x, perm=[0, *(axis + 1 for axis in order)])
    writer.put(instruction.writes[0], x, layout)


def _axes_taken(table: TakeTable) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Return for each output axis the input axis that it reads, and the coordinates there.

    Coordinates are -1 where the constant stands. A place in the flattened image is the sum of its
    coordinates times the axes' steps, so any assignment whose coordinates lie inside is right.
    """
    shape = table.input_shape
    steps = [prod(shape[axis + 1 :]) for axis in range(len(shape))]

    def along(axis: int, offsets: np.ndarray) -> np.ndarray | None:
        there = offsets[offsets >= 0]
        if (there % steps[axis]).any() or (there // steps[axis] >= shape[axis]).any():
            return None
        return np.where(offsets < 0, -1, offsets // steps[axis])

    for order in itertools.permutations(range(len(shape))):
        found = [along(axis, o) for axis, o in zip(order, table.offsets, strict=True)]
        coordinates = [c for c in found if c is not None]
        if len(coordinates) == len(found):
            return order, coordinates
    raise AssertionError("a take table reads one input axis along each output axis")


def _taken(
    writer: Writer, x: str, place: int, wanted: np.ndarray, sizes: tuple[int, int], fill: float
) -> str:
    """Append what takes these coordinates along an axis; ``sizes`` are the axis's and the rank."""
    size, rank = sizes
    inside = np.flatnonzero(wanted >= 0)
    begin, end = (inside[0], len(wanted) - 1 - inside[-1]) if len(inside) else (0, 0)
    middle = wanted[begin : len(wanted) - end]
    first, last = int(middle[0]), int(middle[-1])
    if np.array_equal(middle, np.arange(first, last + 1)):
        if last + 1 - first < size:
            x = writer.node(
                "Slice",
                x,
                *(writer.integers(n) for n in (first, last + 1, place)),
            )
        if begin or end:
            pads = np.zeros((2, rank + 1), np.int64)
            pads[:, place] = begin, end
            x = writer.node("Pad", x, writer.integers(*pads.ravel()), writer.constant(fill))
        return x
    repeats = max(len(wanted) // size, 1)
    if np.array_equal(wanted, np.arange(size).repeat(repeats)):
        scales = np.ones(rank + 1, np.float32)
        scales[place] = repeats
        options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return writer.node("Resize", x, "", writer.constant(scales), mode="nearest", **options)
    return writer.node("Gather", x, writer.constant(wanted, "int64"), axis=place)
