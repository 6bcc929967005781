"""Layers beside Keras 3.15 (on JAX): shapes, outputs and gradients of small integer networks.

Samples, weights and the gradient that comes back are short patterns of small integers, so all sums
are exact. Of each array the table keeps its sum weighted with another pattern.
"""

import math

import numpy as np
import pytest

from convlet import layers
from convlet.engine import Builder, Variable, plan, reference
from native_runs import Pull, run_natively

# layer, arguments, shape of a sample; what Keras has: shape of the output, its weighted sum, and
# those of the gradients by the input and by each weight
KERAS = [
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 1, "strides": 1, "padding": "valid", "output_padding": None},
        (1, 3),
        (1, 2),
        -6,
        [-5, -35, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 1, "padding": "same", "output_padding": None},
        (1, 3),
        (1, 2),
        5,
        [2, 23, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": None},
        (1, 3),
        (2, 2),
        -7,
        [-19, -28, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same", "output_padding": None},
        (1, 3),
        (2, 2),
        -21,
        [-27, 30, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 3, "padding": "valid", "output_padding": None},
        (1, 3),
        (3, 2),
        2,
        [-14, 4, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 5, "strides": 2, "padding": "valid", "output_padding": 1},
        (1, 3),
        (6, 2),
        10,
        [26, 22, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 2},
        (1, 3),
        (3, 2),
        9,
        [5, 8, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 1, "padding": "valid", "output_padding": None},
        (1, 3),
        (2, 2),
        -7,
        [-19, -28, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 1, "strides": 1, "padding": "valid", "output_padding": None},
        (4, 3),
        (4, 2),
        -15,
        [20, -1, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 1, "padding": "same", "output_padding": None},
        (4, 3),
        (4, 2),
        4,
        [-4, -49, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": None},
        (4, 3),
        (8, 2),
        58,
        [-32, 16, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same", "output_padding": None},
        (4, 3),
        (8, 2),
        11,
        [81, 6, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 3, "padding": "valid", "output_padding": None},
        (4, 3),
        (12, 2),
        -5,
        [-21, -19, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 5, "strides": 2, "padding": "valid", "output_padding": 1},
        (4, 3),
        (12, 2),
        14,
        [-27, -19, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 0},
        (4, 3),
        (9, 2),
        27,
        [-66, -41, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 2},
        (4, 3),
        (12, 2),
        3,
        [-18, -17, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 1, "padding": "valid", "output_padding": None},
        (4, 3),
        (5, 2),
        6,
        [-14, -30, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 1, "strides": 1, "padding": "valid", "output_padding": None},
        (5, 3),
        (5, 2),
        -13,
        [16, -5, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 1, "padding": "same", "output_padding": None},
        (5, 3),
        (5, 2),
        16,
        [-16, -39, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": None},
        (5, 3),
        (10, 2),
        19,
        [-12, 16, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same", "output_padding": None},
        (5, 3),
        (10, 2),
        -20,
        [121, 22, 4],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 3, "padding": "valid", "output_padding": None},
        (5, 3),
        (15, 2),
        -14,
        [-19, -15, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 5, "strides": 2, "padding": "valid", "output_padding": 1},
        (5, 3),
        (14, 2),
        73,
        [-89, -48, 5],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 0},
        (5, 3),
        (12, 2),
        -34,
        [19, -6, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 2},
        (5, 3),
        (15, 2),
        -10,
        [-9, -16, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 1, "padding": "valid", "output_padding": None},
        (5, 3),
        (6, 2),
        -18,
        [3, 44, 0],
    ),
    (
        "Conv1DTranspose",
        {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"},
        (5, 2),
        (5, 2),
        -2,
        [15, 85, 5],
    ),
    (
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same"},
        (3, 4, 2),
        (6, 4, 3),
        71,
        [-58, -86, 96],
    ),
    (
        "Conv2DTranspose",
        {
            "filters": 2,
            "kernel_size": [2, 4],
            "strides": [3, 2],
            "padding": "valid",
            "output_padding": [2, 0],
        },
        (3, 2, 3),
        (10, 6, 2),
        -44,
        [2, 124, 0],
    ),
    (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "valid"},
        (2, 3, 2),
        (6, 7, 2),
        -50,
        [20, 22, 0],
    ),
    (
        "Conv3DTranspose",
        {"filters": 2, "kernel_size": [2, 3, 1], "strides": [1, 2, 2], "padding": "same"},
        (2, 2, 3, 2),
        (2, 4, 6, 2),
        -6,
        [78, -40, 0],
    ),
    (
        "Conv3DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "valid", "output_padding": 1},
        (2, 1, 2, 2),
        (5, 3, 5, 2),
        -37,
        [4, -43, 0],
    ),
    (
        "DepthwiseConv1D",
        {"kernel_size": 3, "strides": 2, "padding": "valid", "depth_multiplier": 2},
        (6, 3),
        (2, 6),
        3,
        [3, 25, 16],
    ),
    (
        "DepthwiseConv1D",
        {"kernel_size": 2, "dilation_rate": 2, "padding": "valid"},
        (5, 2),
        (3, 2),
        -1,
        [14, -28, 0],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": [3, 2], "strides": 1, "padding": "valid", "depth_multiplier": 3},
        (5, 4, 2),
        (3, 3, 6),
        9,
        [-30, -34, 72],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": 2, "strides": 2, "padding": "valid"},
        (5, 5, 3),
        (2, 2, 3),
        -14,
        [18, -45, 16],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": [2, 3], "dilation_rate": 2, "padding": "valid"},
        (6, 7, 2),
        (4, 3, 2),
        -48,
        [40, -80, 0],
    ),
    (
        "SeparableConv1D",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "valid", "depth_multiplier": 2},
        (7, 3),
        (3, 2),
        84,
        [-85, 84, 58, 0],
    ),
    (
        "SeparableConv2D",
        {"filters": 4, "kernel_size": [3, 2], "padding": "valid", "depth_multiplier": 2},
        (5, 4, 2),
        (3, 3, 4),
        -67,
        [296, 246, 187, 0],
    ),
    (
        "SeparableConv2D",
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "valid"},
        (5, 6, 3),
        (2, 3, 2),
        -10,
        [196, 171, 112, 0],
    ),
    (
        "DepthwiseConv1D",
        {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
        (6, 3),
        (3, 6),
        5,
        [-6, 40, 24],
    ),
    (
        "DepthwiseConv1D",
        {"kernel_size": 2, "dilation_rate": 2, "padding": "same"},
        (5, 2),
        (5, 2),
        -2,
        [23, -28, 5],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": [3, 2], "strides": 1, "padding": "same", "depth_multiplier": 3},
        (5, 4, 2),
        (5, 4, 6),
        -80,
        [-52, -43, 160],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": 2, "strides": 2, "padding": "same"},
        (5, 5, 3),
        (3, 3, 3),
        3,
        [4, -75, 36],
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": [2, 3], "dilation_rate": 2, "padding": "same"},
        (6, 7, 2),
        (6, 7, 2),
        -36,
        [-6, 90, 0],
    ),
    (
        "SeparableConv1D",
        {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
        (7, 3),
        (4, 2),
        47,
        [-49, -83, 81, 4],
    ),
    (
        "SeparableConv2D",
        {"filters": 4, "kernel_size": [3, 2], "padding": "same", "depth_multiplier": 2},
        (5, 4, 2),
        (5, 4, 4),
        -72,
        [-87, -148, 35, 4],
    ),
    (
        "SeparableConv2D",
        {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"},
        (5, 6, 3),
        (3, 3, 2),
        -32,
        [57, 174, 170, 0],
    ),
    ("ZeroPadding1D", {}, (4, 3), (6, 3), 2, [-6]),
    ("ZeroPadding1D", {"padding": [0, 2]}, (4, 3), (6, 3), 2, [-6]),
    ("ZeroPadding2D", {}, (2, 3, 2), (4, 5, 2), 5, [20]),
    ("ZeroPadding2D", {"padding": 2}, (2, 3, 2), (6, 7, 2), -8, [3]),
    ("ZeroPadding2D", {"padding": [0, 3]}, (2, 3, 2), (2, 9, 2), 2, [-6]),
    ("ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, (3, 2, 2), (4, 7, 2), -11, [-4]),
    ("ZeroPadding3D", {}, (2, 1, 3, 2), (4, 3, 5, 2), 2, [-6]),
    ("ZeroPadding3D", {"padding": [2, 0, 1]}, (2, 1, 3, 2), (6, 1, 5, 2), 6, [3]),
    ("ZeroPadding3D", {"padding": [[0, 1], [2, 0], [1, 3]]}, (1, 3, 2, 2), (2, 5, 6, 2), -2, [-13]),
    ("Cropping1D", {}, (5, 3), (3, 3), 5, [-10]),
    ("Cropping1D", {"cropping": [2, 0]}, (5, 3), (3, 3), -9, [-10]),
    ("Cropping2D", {}, (3, 4, 2), (3, 4, 2), 4, [-1]),
    ("Cropping2D", {"cropping": 1}, (4, 5, 2), (2, 3, 2), -5, [5]),
    ("Cropping2D", {"cropping": [0, 2]}, (4, 5, 2), (4, 1, 2), -1, [-9]),
    ("Cropping2D", {"cropping": [[1, 0], [2, 1]]}, (4, 5, 2), (3, 2, 2), -2, [-4]),
    ("Cropping3D", {}, (3, 4, 5, 2), (1, 2, 3, 2), 2, [-17]),
    ("Cropping3D", {"cropping": [0, 1, 2]}, (2, 3, 5, 2), (2, 1, 1, 2), 1, [5]),
    ("Cropping3D", {"cropping": [[0, 1], [2, 0], [1, 1]]}, (2, 3, 4, 3), (1, 1, 2, 3), 1, [8]),
    ("UpSampling1D", {}, (3, 2), (6, 2), 8, [8]),
    ("UpSampling1D", {"size": 4}, (3, 2), (12, 2), 1, [-3]),
    ("UpSampling2D", {}, (2, 3, 2), (4, 6, 2), -10, [10]),
    ("UpSampling2D", {"size": 4}, (2, 3, 2), (8, 12, 2), 8, [-24]),
    ("UpSampling2D", {"size": [1, 5]}, (3, 2, 2), (3, 10, 2), -5, [5]),
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, (3, 2, 2), (6, 4, 2), -2, [10.625]),
    ("UpSampling2D", {"size": [2, 1], "interpolation": "bilinear"}, (3, 4, 3), (6, 4, 3), -2, [8]),
    (
        "UpSampling2D",
        {"size": [1, 4], "interpolation": "bilinear"},
        (2, 3, 2),
        (2, 12, 2),
        -1.375,
        [0.375],
    ),
    (
        "UpSampling2D",
        {"size": [4, 2], "interpolation": "bilinear"},
        (2, 5, 3),
        (8, 10, 3),
        -16,
        [-32],
    ),
    ("UpSampling2D", {"size": 4, "interpolation": "bilinear"}, (1, 1, 2), (4, 4, 2), 2, [4]),
    ("UpSampling2D", {"size": [8, 2], "interpolation": "bilinear"}, (1, 3, 2), (8, 6, 2), 34, [26]),
    ("UpSampling3D", {}, (2, 1, 3, 2), (4, 2, 6, 2), -20, [20]),
    ("UpSampling3D", {"size": [1, 3, 2]}, (2, 1, 3, 2), (2, 3, 6, 2), -15, [15]),
    ("Reshape", {"target_shape": [4, 3]}, (2, 6), (4, 3), 2, [-6]),
    ("Reshape", {"target_shape": [-1, 2]}, (2, 3, 4), (12, 2), 4, [-1]),
    ("Permute", {"dims": [2, 1]}, (3, 4), (4, 3), 1, [31]),
    ("Permute", {"dims": [3, 1, 2]}, (3, 4, 2), (2, 3, 4), 8, [-13]),
    ("Permute", {"dims": [4, 2, 1, 3]}, (2, 3, 1, 4), (4, 3, 2, 1), -6, [-2]),
    ("ReLU", {}, (3, 4, 2), (3, 4, 2), 2, [19]),
    ("ReLU", {"max_value": 2}, (3, 4, 2), (3, 4, 2), 1.5, [7]),
    ("ReLU", {"max_value": 6}, (3, 4, 2), (3, 4, 2), 2, [19]),
    ("ReLU", {"negative_slope": 0.5}, (3, 4, 2), (3, 4, 2), 3, [9]),
    ("ReLU", {"threshold": 1}, (3, 4, 2), (3, 4, 2), 2.5, [9]),
    (
        "ReLU",
        {"max_value": 2, "negative_slope": 0.25, "threshold": 0.75},
        (3, 4, 2),
        (3, 4, 2),
        2.5625,
        [-5.5],
    ),
    (
        "ReLU",
        {"max_value": None, "negative_slope": 2, "threshold": 1},
        (3, 4, 2),
        (3, 4, 2),
        7.5,
        [-11],
    ),
    ("LeakyReLU", {"negative_slope": 0.5}, (3, 4, 2), (3, 4, 2), 3, [9]),
    ("LeakyReLU", {"negative_slope": 2}, (3, 4, 2), (3, 4, 2), 6, [-21]),
    ("LeakyReLU", {"negative_slope": 0}, (3, 4, 2), (3, 4, 2), 2, [19]),
    ("ELU", {"alpha": 0}, (3, 4, 2), (3, 4, 2), 2, [9]),
    ("PReLU", {}, (7,), (7,), -6, [-15, -7]),
    ("PReLU", {}, (3, 4, 2), (3, 4, 2), -7, [-3, 19]),
    ("PReLU", {"shared_axes": 1}, (3, 4, 2), (3, 4, 2), -2, [-1, -10]),
    ("PReLU", {"shared_axes": [1, 2]}, (3, 4, 2), (3, 4, 2), -2, [36, -10]),
    ("PReLU", {"shared_axes": [2, 1]}, (3, 2, 3), (3, 2, 3), -22, [21, -14]),
    ("PReLU", {"shared_axes": [2]}, (3, 4, 2), (3, 4, 2), -2, [3, 0]),
    ("PReLU", {"shared_axes": [3]}, (3, 4, 2), (3, 4, 2), 3, [17, 21]),
    ("PReLU", {"shared_axes": [1, 3]}, (3, 4, 2), (3, 4, 2), -2, [3, -10]),
    ("PReLU", {"shared_axes": [1, 2, 3]}, (3, 4, 2), (3, 4, 2), -2, [49, -10]),
    ("PReLU", {"shared_axes": [1, 2, 3]}, (2, 3, 1, 4), (2, 3, 1, 4), -6, [0, -14]),
]

# the same for those whose numbers no float holds exactly
KERAS_ROUNDED = [
    (
        "UpSampling2D",
        {"size": [3, 1], "interpolation": "bilinear"},
        (2, 4, 2),
        (6, 4, 2),
        -3.3333330154418945,
        [3.3333334922790527],
    ),
    (
        "UpSampling2D",
        {"size": [5, 6], "interpolation": "bilinear"},
        (4, 2, 3),
        (20, 12, 3),
        119.99999237060547,
        [-29.999969482421875],
    ),
    ("ELU", {"alpha": 0.75}, (3, 4, 2), (3, 4, 2), 2.238569974899292, [11.733665466308594]),
    ("ELU", {}, (5,), (5,), -0.9144517779350281, [-0.9202151894569397]),
    ("Softmax", {}, (3, 4, 2), (3, 4, 2), 0, [2.162731409072876]),
    ("Softmax", {"axis": -1}, (5,), (5,), -0.6209456920623779, [-0.37053748965263367]),
    ("Softmax", {"axis": 2}, (3, 5), (3, 5), -0.44527992606163025, [-0.06696358323097229]),
]


# Samples lie beside the kinks of these: there JAX takes the one slope and convlet the other.
KINKED = ("ReLU", "LeakyReLU")


def pattern(shape, period):
    return (np.arange(math.prod(shape)) % period - period // 2).reshape(shape).astype(np.float32)


def weighted(array):
    return float((array * pattern(array.shape, 11)).sum())


def gradients_of(layer, x, delta, run):
    """Return the prediction for one sample, and the gradients by it and by each weight."""
    size, shape = math.prod(x.shape), x.shape
    builder = Builder(training=True)
    flat = builder.feed("input", (size,))
    nothing = Variable("shift", (size,), "float32", lambda *_: np.zeros(size, np.float32), 0)
    shifted = builder.apply("add_bias", flat, builder.parameter(nothing), shape=(size,))
    grid = builder.apply("reshape", shifted, shape=shape, input_shape=(size,), output_shape=shape)
    program = plan(builder, layer.trace(builder, grid), Pull())
    feeds = {"input": x.reshape(1, size), "targets": delta[None], "weights": np.ones(1, "f4")}
    results = run(program, feeds)
    by_variable = {
        id(v): results[program.gradients[n]] for n, v in program.variables.items() if v.trainable
    }
    weights = [by_variable[id(weight)] for weight in layer.weights]
    return results[program.output][0], by_variable[id(nothing)].reshape(shape), weights


def sums(name, arguments, sample, shape, executor):
    """Return a layer's sums as the table has them, having checked the output's shape."""
    layer = getattr(layers, name)(**arguments)
    layer.ensure_built((None, *sample))
    layer.set_weights([pattern(w.shape, 5) for w in layer.weights])
    assert layer.compute_output_shape((None, *sample)) == (None, *shape)
    run = run_natively if executor == "native" else reference.run
    deltas = pattern((2, *shape), 3)
    x = pattern((2, *sample), 7) + np.float32(0.5 if name in KINKED else 0)
    pairs = zip(x, deltas, strict=True)
    y, dx, dw = zip(*(gradients_of(layer, x, delta, run) for x, delta in pairs), strict=True)
    by_weights = [weighted(sum(d)) for d in zip(*dw, strict=True)]
    return (np.stack(y) * deltas).sum(), [weighted(np.stack(dx)), *by_weights]


@pytest.mark.parametrize("executor", ["reference", "native"])
@pytest.mark.parametrize(("name", "arguments", "sample", "shape", "total", "gradients"), KERAS)
def test_it_computes_what_keras_computes(
    name, arguments, sample, shape, total, gradients, executor
):
    assert sums(name, arguments, sample, shape, executor) == (total, gradients)


@pytest.mark.parametrize("executor", ["reference", "native"])
@pytest.mark.parametrize(
    ("name", "arguments", "sample", "shape", "total", "gradients"), KERAS_ROUNDED
)
def test_it_computes_what_keras_computes_up_to_rounding(
    name, arguments, sample, shape, total, gradients, executor
):
    y, dx = sums(name, arguments, sample, shape, executor)
    np.testing.assert_allclose([y, *dx], [total, *gradients], rtol=1e-5, atol=1e-5)
