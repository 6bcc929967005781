"""Residual, inception and two-output graphs, drawn at random: both executors, central differences.

A graph is drawn as a list of blocks, so that it can be made in either float type.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import Model, layers, random
from convlet.engine import reference
from convlet.serialization import custom_object_scope
from native_runs import BATCHES, INSTRUCTION_SETS, LANES, run_natively

STEP = 1e-6
MERGES = ["Multiply", "Maximum", "Minimum", "Subtract", "Average"]
# smooth ones: at a corner, rounding would decide which side an image is on
ACTIVATIONS = st.sampled_from([None, "tanh", "sigmoid", "softplus", "silu"])
WIDTHS = st.integers(1, 5)


class Wave(layers.Layer):
    """A layer of one's own, in Python: sin(x) * scale."""

    def build(self, input_shape):
        self.add_weight((input_shape[-1],), "ones", name="scale")

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x, scale):
        return np.sin(x) * scale

    def gradient(self, x, scale, y, output_gradient):
        axes = tuple(range(x.ndim - 1))
        return output_gradient * np.cos(x) * scale, (output_gradient * np.sin(x)).sum(axis=axes)


class Maker:
    """Makes layers of one float type over images."""

    def __init__(self, dtype):
        self.dtype = dtype

    def __getattr__(self, name):
        return lambda *args, **kwargs: getattr(layers, name)(*args, dtype=self.dtype, **kwargs)

    def conv(self, filters, size, strides=1, activation=None):
        return self.Conv2D(filters, size, strides, "same", activation=activation)


# --- blocks: each takes a Maker and a tensor, and returns a tensor ---


@st.composite
def residual(draw):
    """Draw a residual block with an identity or a projection shortcut (He et al., 2015)."""
    width, strides, activation = draw(WIDTHS), draw(st.sampled_from([1, 1, 2])), draw(ACTIVATIONS)
    projects = strides > 1 or draw(st.booleans())

    def block(make, x):
        filters = width if projects else x.shape[-1]
        y = make.conv(width, 3, strides, activation)(x)
        y = make.conv(filters, 3)(y)
        shortcut = make.conv(filters, 1, strides)(x) if projects else x
        return make.Activation(activation or "linear")(make.Add()([y, shortcut]))

    return block


@st.composite
def inception(draw):
    """Draw an Inception module with any of its branches (Szegedy et al., 2014)."""
    names = draw(st.lists(st.sampled_from(["1", "3", "5", "max", "mean", "x"]), min_size=1))
    widths = [(draw(WIDTHS), draw(WIDTHS)) for _ in names]
    activation = draw(ACTIVATIONS)

    def branch(make, x, name, width, reduced):
        if name == "x":
            return x
        if name in ("max", "mean"):
            pool = make.MaxPooling2D if name == "max" else make.AveragePooling2D
            return make.conv(width, 1, activation=activation)(pool(3, 1, "same")(x))
        if name == "1":
            return make.conv(width, 1, activation=activation)(x)
        return make.conv(width, int(name), activation=activation)(make.conv(reduced, 1)(x))

    def block(make, x):
        columns = zip(names, widths, strict=True)
        return make.Concatenate()([branch(make, x, name, *width) for name, width in columns])

    return block


@st.composite
def merged(draw):
    """Draw two calls of one shared layer that are merged."""
    operator, width = draw(st.sampled_from(MERGES)), draw(WIDTHS)

    def block(make, x):
        shared = make.Dense(x.shape[-1], activation="tanh")
        once = shared(x)
        both = getattr(make, operator)()([once, shared(make.Rescaling(0.5, 0.25)(once))])
        return make.conv(width, (1, 2))(both)

    return block


@st.composite
def gated(draw):
    """Draw a gate for each channel, which is spread over the positions (Hu et al., 2018)."""
    activation = draw(ACTIVATIONS)

    def block(make, x):
        gate = make.GlobalAveragePooling2D(keepdims=True)(x)
        gate = make.Dense(x.shape[-1], activation=activation)(gate)
        return make.Multiply()([x, gate])

    return block


@st.composite
def own(draw):
    """Draw a layer in Python, which sees the whole batch, with a way around it."""
    activation = draw(ACTIVATIONS)

    def block(make, x):
        y = Wave(dtype=make.dtype)(make.conv(x.shape[-1], 1, activation=activation)(x))
        return make.Concatenate()([x, make.Multiply()([x, y])])

    return block


@st.composite
def graphs(draw):
    """Draw a graph of one or two inputs and one or two outputs: a function of the float type."""
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    blocks = draw(
        st.lists(
            st.one_of(residual(), inception(), merged(), gated(), own()), min_size=1, max_size=4
        )
    )
    has_second, has_aux = draw(st.booleans()), draw(st.booleans())
    crossentropy = draw(st.booleans())

    def make_graph(dtype):
        make = Maker(dtype)
        inputs = [layers.Input(shape, name="a", dtype=dtype)]
        x = inputs[0]
        if has_second:
            inputs.append(layers.Input(shape[-1:], name="b", dtype=dtype))
            x = make.Add()(inputs)
        tensors = [x]
        for block in blocks:
            tensors.append(block(make, tensors[-1]))
        last = make.Dense(3, activation="softmax", name="main")(make.Flatten()(tensors[-1]))
        outputs = [last]
        if has_aux:
            middle = tensors[len(tensors) // 2]
            outputs.append(make.Dense(2, name="aux")(make.GlobalMaxPooling2D()(middle)))
        model = Model(inputs, outputs)
        loss = ["categorical_crossentropy" if crossentropy else "mse", "mse"]
        weights = [1.0, 0.3]
        count = len(outputs)
        model.compile("sgd", loss[:count], loss_weights=weights[:count])
        return model

    return make_graph


def program_and_feeds(model, mode, images, seed):
    """Return a program, and numbers for everything that it wants to be fed."""
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    program = model.program(mode, *shapes)
    generator = np.random.default_rng([seed, images])
    feeds = {}
    for name, shape in zip(program.inputs, shapes, strict=True):
        # distinct numbers, so that rounding changes no maximum, whose mean is not 0: a gate that
        # closes makes all numbers equal
        count = images * int(np.prod(shape))
        order = generator.permutation(count).reshape(images, *shape)
        feeds[name] = (order * (4 / count) - 1.937).astype(model.dtype)
    for output, names in zip(program.outputs, program.loss_feeds, strict=True):
        if names is not None:
            shares = generator.dirichlet(np.ones(program.buffers[output].shape[-1]), images)
            feeds[names[0]] = shares.astype(model.dtype)
            feeds[names[1]] = (generator.uniform(0.5, 1.5, images) / images).astype(model.dtype)
    return program, feeds


def assert_executors_agree(program, feeds, instruction_set, lanes):
    """Hold what the C++ core computes against the reference.

    Sums of a gradient may cancel, so its error counts against the largest of all gradients, too.
    """
    expected = reference.run(program, feeds)
    results = run_natively(program, feeds, instruction_set, lanes)
    assert set(results) == set(expected)
    gradients = set(program.gradients.values())
    largest = max((np.abs(expected[name]).max() for name in gradients), default=0.0)
    for name, array in expected.items():
        allowed = 1e-4 * np.abs(array).max() + (1e-5 * largest if name in gradients else 0.0)
        error = np.abs(results[name] - array).max()
        assert error <= allowed, f"{name}, {instruction_set}, {lanes} lanes: {error}"


def check_executors(make_graph, images, instruction_set, lanes, seed):
    random.set_random_seed(seed)
    model = make_graph("float32")
    for mode in ("predict", "evaluate", "train"):
        program, feeds = program_and_feeds(model, mode, images, seed)
        assert_executors_agree(program, feeds, instruction_set, lanes)


def check_differences(make_graph, seed):
    """Hold the gradient of each weight against a central difference, in a direction at random."""
    random.set_random_seed(seed)
    model = make_graph("float64")
    program, feeds = program_and_feeds(model, "train", 2, seed)
    results = reference.run(program, feeds)
    weights = dict(zip(program.losses, model.compilation.loss_weights, strict=True))

    def total():
        results = reference.run(program, feeds)
        return sum(weight * results[name].sum() for name, weight in weights.items())

    assert set(program.gradients) == set(model.named_weights())
    generator = np.random.default_rng(seed)
    for path, variable in model.named_weights().items():
        value = variable.value
        direction = generator.normal(size=value.shape)

        def slope(step, variable=variable, value=value, direction=direction):
            both = []
            for sign in (1, -1):
                variable.assign(value + sign * step * direction)
                both.append(total())
            variable.assign(value)
            return (both[0] - both[1]) / (2 * step)

        along = float((results[program.gradients[path]] * direction).sum())
        if not np.isclose(along, slope(STEP), rtol=1e-5, atol=1e-8):
            # a kink of a relu or a maximum may lie within the step; hardly within a hundredth
            np.testing.assert_allclose(along, slope(STEP / 100), 1e-4, 1e-6, err_msg=path)


cases = (
    graphs(),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from((0, *LANES)),
    st.integers(0, 99),
)


@given(*cases)
@settings(max_examples=30, deadline=None)
def test_both_executors_agree(make_graph, images, instruction_set, lanes, seed):
    check_executors(make_graph, images, instruction_set, lanes, seed)


@given(graphs(), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_gradients_are_central_differences(make_graph, seed):
    check_differences(make_graph, seed)


@pytest.mark.slow
@given(*cases)
@settings(max_examples=1500, deadline=None)
def test_many_graphs(make_graph, images, instruction_set, lanes, seed):
    check_executors(make_graph, images, instruction_set, lanes, seed)
    check_differences(make_graph, seed)


@given(graphs())
@settings(max_examples=15, deadline=None)
def test_a_graph_is_described_completely(make_graph):
    model = make_graph("float32")
    with custom_object_scope({"Wave": Wave}):
        again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    _, feeds = program_and_feeds(model, "predict", 3, 0)
    x = list(feeds.values())
    predictions = zip(
        again.predict_on_batch(x if len(x) > 1 else x[0]),
        model.predict_on_batch(x if len(x) > 1 else x[0]),
        strict=True,
    )
    for found, expected in predictions:
        np.testing.assert_array_equal(found, expected)
