"""Small ONNX files for tests, and what the `onnx` package's own evaluator computes for them."""

import numpy as np
import pytest

from convlet.models import load_model

onnx = pytest.importorskip("onnx")
helper = onnx.helper


def write(path, nodes, shape, constants=None, outputs=("y",), **options):
    """Write a file with the input x, of a shape that begins with the batch."""
    arrays = {name: np.asarray(array) for name, array in (constants or {}).items()}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", options.pop("opset", 20))]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets, **options)
    onnx.save(model, path)
    return model


def node(operator, reads, write="y", **attributes):
    return helper.make_node(operator, reads, [write], **attributes)


def images(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def evaluator_computes(model, x):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})


def onnxruntime_computes(model, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})


def assert_read(path, nodes, shape, constants=None, judge=evaluator_computes):
    """Hold a loaded file against what a judge computes, and return the model.

    ``shape`` is an image's in ONNX; batches are of 3, channels first there and last here.
    """
    model = write(path, nodes, ["batch", *shape], constants)
    x = images((3, *shape))
    (expected,) = judge(model, x)
    loaded = load_model(path)
    predicted = loaded.predict(np.moveaxis(x, 1, -1), verbose=0)
    expected = np.moveaxis(expected, 1, -1)
    assert predicted.shape == expected.shape
    largest = np.abs(expected).max()
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-5 * largest)
    return loaded


def kinds(model):
    """Return the names of a model's layers' classes, without the input."""
    return [type(layer).__name__ for layer in model.layers[1:]]
