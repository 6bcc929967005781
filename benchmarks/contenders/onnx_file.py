"""A network as an ONNX model, node by node, for the libraries that only predict."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from contenders.layouts import channels_first
from networks import (
    EPSILON,
    Activation,
    Add,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalPool,
    MaxPool,
    Network,
    number_of_weights,
)

_ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "softmax": "Softmax"}
_OPSET, _IR_VERSION = 17, 8  # of 2022: whatever is installed reads them


def onnx_model(network: Network, weights: list[np.ndarray], batch: int) -> bytes:
    """Return the network for batches of one size, images as (batch, channels, rows, columns)."""
    *grid, channels = network.input_shape
    nodes, initializers, named = [], [], {}
    remaining = iter(channels_first(network, weights))

    def add(operator, reads, *parameters, **attributes):
        """Append a node and return the name of what it writes."""
        names = [f"weight{len(initializers) + i}" for i in range(len(parameters))]
        initializers.extend(map(numpy_helper.from_array, parameters, names))
        writes = f"value{len(nodes) + 1}"
        nodes.append(helper.make_node(operator, [*reads, *names], [writes], **attributes))
        return writes

    def activated(x, function):
        if function == "relu6":
            return add("Clip", [x], np.float32(0), np.float32(6))
        return x if function == "linear" else add(_ACTIVATIONS[function], [x])

    x = "value0"
    for layer, before, _ in network.shapes():
        x = named[layer.reads] if layer.reads else x
        parameters = [next(remaining) for _ in range(number_of_weights(layer))]
        match layer:
            case Conv(channels_made, _, activation, stride):
                first, last = layer.pads(before[0])
                groups = channels_made if isinstance(layer, DepthwiseConv) else 1
                sizes = {"strides": [stride] * 2, "pads": [first, first, last, last]}
                x = activated(add("Conv", [x], *parameters, group=groups, **sizes), activation)
            case BatchNorm():
                x = add("BatchNormalization", [x], *parameters, epsilon=EPSILON)
            case Activation(function):
                x = activated(x, function)
            case Add(other):
                x = add("Add", [x, named[other]])
            case MaxPool(size):
                x = add("MaxPool", [x], kernel_shape=[size, size], strides=[size, size])
            case GlobalPool():
                x = add("Flatten", [add("GlobalAveragePool", [x])])
            case Flatten():
                x = add("Flatten", [x])
            case Dense(_, activation):
                x = activated(add("Gemm", [x], *parameters, transB=1), activation)
        named[layer.name] = x

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "network",
        [value("value0", [batch, channels, *grid])],
        [value(f"value{len(nodes)}", [batch, network.classes])],
        initializers,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    return model.SerializeToString()
