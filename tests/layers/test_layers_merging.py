"""Layers that make one of several: values, shapes, gradients, errors."""

import re

import numpy as np
import pytest

from convlet import Input, Model, layers
from convlet.engine import run
from native_runs import BEST, INSTRUCTION_SETS, LANES, assert_near
from networks import MERGING, merging_network
from numerics import central_difference, normal

L = layers


def arrays(name, count=3, dtype="float32"):
    _, shapes = MERGING[name]
    return [normal(count, *shape, seed=n, dtype=dtype) for n, shape in enumerate(shapes)]


FORMULAS = {
    "Add": lambda a, b, c: a + b + c,
    "Average": lambda a, b, c: (a + b + c) / 3,
    "Concatenate": lambda a, b, c: np.concatenate([a, b, c], axis=1),
    "Maximum": lambda a, b: np.maximum(a, b[:, None]),
    "Minimum": np.minimum,
    "Multiply": lambda a, b, c: a * b * c,
    "Subtract": lambda a, b: a - b,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(MERGING))
def test_a_layer_called_on_arrays(name, dtype):
    make, _ = MERGING[name]
    given = arrays(name, dtype=dtype)
    y = make(dtype=dtype)(given)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, FORMULAS[name](*given), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(MERGING))
def test_the_shape_is_announced(name):
    make, shapes = MERGING[name]
    tensor = make()([Input(shape) for shape in shapes])
    assert tensor.shape[1:] == FORMULAS[name](*arrays(name)).shape[1:]


@pytest.mark.parametrize("name", sorted(MERGING))
def test_gradients_are_central_differences(name):
    model = merging_network(name, "float64")
    shapes = [shape[1:] for shape in model.input_shape]
    feeds = {
        feed: normal(2, *shape, seed=n)
        for n, (feed, shape) in enumerate(zip(model.input_feeds, shapes, strict=True))
    }
    model.compile("sgd", "mse")
    program = model.program("train", *shapes)
    feeds["targets"] = normal(2, *model.output_shape[1:], seed=9)
    feeds["weights"] = np.array([0.5, 2.0])
    results = run(program, feeds)
    assert set(program.gradients) == set(model.named_weights())
    for path, variable in model.named_weights().items():

        def loss(value, variable=variable):
            before = variable.value
            variable.assign(value)
            values = run(program, feeds)[program.loss]
            variable.assign(before)
            return values.sum()

        numeric = central_difference(loss, variable.value)
        found = results[program.gradients[path]]
        np.testing.assert_allclose(found, numeric, rtol=1e-6, atol=1e-8, err_msg=path)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", sorted(MERGING))
def test_both_executors_agree(name, instruction_set):
    model = merging_network(name)
    model.compile("sgd", "mse")
    shapes = [shape[1:] for shape in model.input_shape]
    program = model.program("train", *shapes)
    feeds = {
        f: normal(17, *s, dtype="float32") for f, s in zip(program.inputs, shapes, strict=True)
    }
    feeds["targets"] = normal(17, *model.output_shape[1:], seed=1, dtype="float32")
    feeds["weights"] = np.ones(17, np.float32)
    for lanes in LANES:
        assert_near(program, feeds, instruction_set, lanes)


def test_the_functions_are_the_layers():
    given = [normal(2, 3, seed=n, dtype="float32") for n in range(2)]
    names = ["add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"]
    for name in names:
        layer = getattr(L, name.capitalize())()
        np.testing.assert_array_equal(getattr(L, name)(given), layer(given))
    tensor = L.concatenate([Input((2, 3)), Input((2, 3))], axis=1, name="both")
    assert tensor.shape == (None, 4, 3)
    assert tensor.node.layer.name == "both"


# Keras's own numbers: layer, input shapes, output shape.
SHAPES = [
    (L.Add(), [(3, 1), (1, 4)], (None, 3, 4)),
    (L.Add(), [(3,), (2, 3)], (None, 2, 3)),
    (L.Add(), [(None, 3), (None, 3)], (None, None, 3)),
    (L.Multiply(), [(None, None, 8), (1, 1, 8)], (None, None, None, 8)),
    (L.Add(), [(None, 3), (5, 3)], (None, 5, 3)),
    (L.Concatenate(), [(None, 2, 3), (4, 2, 1)], (None, 4, 2, 4)),
    (L.Concatenate(1), [(None, 3), (2, 3)], (None, None, 3)),
    (L.Concatenate(-2), [(1, 3), (2, 3)], (None, 3, 3)),
    (L.Maximum(), [(4,)], (None, 4)),
]


@pytest.mark.parametrize(("layer", "shapes", "expected"), SHAPES)
def test_shapes(layer, shapes, expected):
    assert layer.compute_output_shape([(None, *shape) for shape in shapes]) == expected


def test_sizes_left_open_must_agree_when_they_are_known():
    a, b = Input((None, 2), name="a"), Input((None, 2), name="b")
    model = Model([a, b], L.Add()([a, b]))
    ones = np.ones((2, 5, 2))
    np.testing.assert_array_equal(model.predict_on_batch([ones, ones]), 2 * ones)
    with pytest.raises(ValueError, match=r"the inputs' shapes must be the same, or 1 where others"):
        model.predict_on_batch([ones, ones[:, :3]])


ERRORS = [
    (
        lambda: L.Add()([Input((4,)), Input((2,))]),
        "Add 'add': the inputs' shapes must be the same, or 1 where others are more, "
        "got (None, 4), (None, 2)",
    ),
    (
        lambda: L.Concatenate(1)([Input((2, 2)), Input((1, 4))]),
        "Concatenate 'concatenate': the inputs' shapes must be the same but for axis 1, "
        "got (None, 2, 2), (None, 1, 4)",
    ),
    (
        lambda: L.Concatenate()([Input((2,)), Input((1, 2))]),
        "Concatenate 'concatenate': the inputs' shapes must be the same but for axis -1, "
        "got (None, 2), (None, 1, 2)",
    ),
    (
        lambda: L.Concatenate(3)([Input((2,)), Input((2,))]),
        "Concatenate 'concatenate': the inputs have no axis 3, got (None, 2)",
    ),
    (
        lambda: L.Concatenate(0),
        "Concatenate 'concatenate': axis must be an integer, and not 0, the batch's, got 0",
    ),
    (
        lambda: L.Subtract()([Input((2,))]),
        "Subtract 'subtract': it must be called on 2 inputs, got 1",
    ),
    (lambda: L.Add()([]), "Add 'add': it must be called on at least 1 input, got 0"),
    (
        lambda: L.Add()(Input((2,))),
        "Add 'add': it must be called on a list of inputs, got one KerasTensor",
    ),
    (
        lambda: L.Add()([Input((2,)), np.ones((1, 2))]),
        "Add 'add': either all inputs must be tensors or none, got ndarray among them",
    ),
    (
        lambda: L.Add()([np.ones((2, 2)), np.ones((1, 2))]),
        "Add 'add': all inputs must have as many samples, got [2, 1]",
    ),
    (
        lambda: L.Add()([Input((2,)), Input((2,), dtype="float64", name="b")]),
        "Add 'add': all layers must compute in one float type, float32, got an input in float64 "
        "from InputLayer 'b'",
    ),
    (
        lambda: L.Dense(2)([Input((2,)), Input((2,))]),
        "Dense 'dense': it takes one input, got a list of them",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_what_a_merging_layer_cannot_take(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_spreading_is_refused_before_more_is_allocated_than_fits():
    a, b = Input((1 << 14, 1)), Input((1, 1 << 14))
    model = Model([a, b], L.Add()([a, b]))
    with pytest.raises(ValueError, match="the shape of an image must be that of at most"):
        model.predict_on_batch([np.ones((1, 1 << 14, 1)), np.ones((1, 1, 1 << 14))])


def test_an_excitation_is_spread_over_the_positions():
    """A gate for each channel, as in squeeze-and-excitation networks (Hu et al., 2018)."""
    image = Input((3, 2, 4))
    gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(image))
    model = Model(image, L.Multiply()([image, gate]))
    model.compile("sgd", "mse")
    x = normal(5, 3, 2, 4, dtype="float32")
    kernel, bias = model.get_weights()
    mean = x.mean(axis=(1, 2), keepdims=True)
    expected = x / (1 + np.exp(-(mean @ kernel + bias)))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    program = model.program("train", (3, 2, 4))
    feeds = {"input": x, "targets": x[::-1].copy(), "weights": np.ones(5, np.float32)}
    for lanes in LANES:
        assert_near(program, feeds, BEST, lanes)
