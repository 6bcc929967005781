"""Every layer, and random networks of them, in the C++ core against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import Sequential, layers, random
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_equal,
    assert_near,
    integer_feeds,
    integer_variable,
    normal_feeds,
    program_of,
)
from networks import EXAMPLES


def compiled(parts, loss="mse", seed=0):
    random.set_random_seed(seed)
    model = Sequential(parts)
    model.compile("sgd", loss)
    return model


def spread_out(feeds, seed):
    """Return the feeds with images of distinct numbers, so that rounding changes no maximum."""
    shape = feeds["input"].shape
    count = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(count).reshape(shape)
    return feeds | {"input": (order * (4 / count) - 2).astype(np.float32)}


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer_first_and_behind_another(name, instruction_set):
    make, shape = EXAMPLES[name]
    alone = [layers.Input(shape), make()]
    before = [layers.Input(shape), layers.Dense(shape[-1], activation="tanh"), make()]
    for parts in (alone, before):
        model = compiled(parts)
        for mode in ("predict", "evaluate", "train"):
            program = model.program(mode, shape)
            for lanes in LANES:
                feeds = spread_out(normal_feeds(program, 18), 1)
                assert_near(program, feeds, instruction_set, lanes)


@pytest.mark.parametrize("images", BATCHES)
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer_with_any_batch(name, images):
    make, shape = EXAMPLES[name]
    model = compiled([layers.Input(shape), make(), layers.Flatten(), layers.Dense(2)])
    program = model.program("train", shape)
    assert_near(program, spread_out(normal_feeds(program, images), 2))


# smooth ones: at a corner, rounding would decide which side an image is on
ACTIVATIONS = [None, "tanh", "sigmoid", "elu", "softplus", "softsign", "silu", "gelu", "mish"]


@st.composite
def networks(draw):
    """Draw the layers of a network over one to three axes, and the shape of its images."""
    rank = draw(st.integers(1, 3))
    largest = (12, 7, 4)[rank - 1]
    shape = tuple(draw(st.lists(st.integers(1, largest), min_size=rank, max_size=rank)))
    channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
    conv = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    max_pool = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)[rank - 1]
    mean_pool = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)[
        rank - 1
    ]
    per_axis = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    parts = [layers.Input((*shape, channels))]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "max", "mean", "dense", "other"]))
        if kind == "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            channels = groups * draw(st.integers(1, 4))
            strided = {"strides": draw(per_axis)}
            dilated = {"dilation_rate": draw(per_axis)}
            parts.append(
                conv(
                    channels,
                    draw(per_axis),
                    padding="same",
                    groups=groups,
                    activation=draw(st.sampled_from(ACTIVATIONS)),
                    use_bias=draw(st.booleans()),
                    **draw(st.sampled_from([strided, dilated])),
                )
            )
        elif kind in ("max", "mean"):
            pool = max_pool if kind == "max" else mean_pool
            parts.append(pool(draw(per_axis), draw(per_axis), "same"))
        elif kind == "dense":
            channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
            parts.append(layers.Dense(channels, activation=draw(st.sampled_from(ACTIVATIONS))))
        else:
            rescales = draw(st.booleans())
            parts.append(layers.Rescaling(0.5, 1.0) if rescales else layers.Dropout(0.3))
    if draw(st.booleans()):
        parts += [layers.Flatten(), layers.Dense(3, activation="softmax")]
    return parts


def check_network(parts, images, instruction_set, lanes, seed):
    model = compiled(parts, seed=seed)
    for mode in ("predict", "train"):
        program = model.program(mode, model.input_shape[1:])
        feeds = spread_out(normal_feeds(program, images, seed), seed)
        assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


cases = (
    networks(),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from((0, *LANES)),
    st.integers(0, 99),
)


@given(*cases)
@settings(max_examples=40, deadline=None)
def test_random_networks(parts, images, instruction_set, lanes, seed):
    check_network(parts, images, instruction_set, lanes, seed)


@pytest.mark.slow
@given(*cases)
@settings(max_examples=1500, deadline=None)
def test_many_random_networks(parts, images, instruction_set, lanes, seed):
    check_network(parts, images, instruction_set, lanes, seed)


def test_images_of_one_pixel():
    parts = [layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(1)]
    model = compiled([layers.Input((1, 1, 1)), *parts, layers.Flatten(), layers.Dense(2)])
    program = model.program("train", (1, 1, 1))
    for images in BATCHES:
        assert_near(program, normal_feeds(program, images), BEST)


def test_tied_weights_that_are_used_twice():
    """Their gradients go through both kernels and add up, as the reference has it."""
    index = np.array([[0, 1, 2, -1], [3, 4, 0, 1], [2, 2, -1, 3], [4, 0, 1, 2]])

    def network(builder, x):
        weights = integer_variable("tied", 5)
        for _ in range(2):
            x = builder.apply("dense", x, builder.tied(weights, index), shape=x.shape)
        return x

    program = program_of(network, (3, 4))
    for lanes in LANES:
        assert_equal(program, integer_feeds(program, 18), BEST, lanes)
    model = compiled([layers.Input((6, 2)), layers.TableConv1D([[1, 0], [1, 1]], 3)])
    x = np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    before = model.predict_on_batch(x)
    model.layers[0].set_weights([2 * w for w in model.layers[0].get_weights()])
    np.testing.assert_array_equal(model.predict_on_batch(x), 2 * before)
