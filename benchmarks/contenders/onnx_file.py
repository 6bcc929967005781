"""A network as an ONNX model, node by node, for the libraries that only predict."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from contenders.layouts import channels_first
from networks import Conv, Dense, Flatten, MaxPool, Network

_ACTIVATIONS = {"tanh": "Tanh", "softmax": "Softmax"}
_OPSET, _IR_VERSION = 17, 8  # of 2022: whatever is installed reads them


def onnx_model(network: Network, weights: list[np.ndarray], batch: int) -> bytes:
    """Return the network for batches of one size, images as (batch, channels, rows, columns)."""
    *grid, channels = network.input_shape
    nodes, initializers = [], []
    remaining = iter(channels_first(network, weights))

    def add(operator, *parameters, **attributes):
        """Append a node that reads the one before it."""
        names = [f"weight{len(initializers) + i}" for i in range(len(parameters))]
        initializers.extend(map(numpy_helper.from_array, parameters, names))
        reads, writes = f"value{len(nodes)}", f"value{len(nodes) + 1}"
        nodes.append(helper.make_node(operator, [reads, *names], [writes], **attributes))

    for layer in network.layers:
        match layer:
            case Conv(_, _, activation):
                add("Conv", next(remaining), next(remaining))
                add(_ACTIVATIONS[activation])
            case MaxPool(size):
                add("MaxPool", kernel_shape=[size, size], strides=[size, size])
            case Flatten():
                add("Flatten")
            case Dense(_, activation):
                add("Gemm", next(remaining), next(remaining), transB=1)
                add(_ACTIVATIONS[activation])

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
