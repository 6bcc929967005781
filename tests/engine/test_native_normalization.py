"""Normalization in the C++ core: statistics of any batch in blocks of any width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import Model, config, layers
from convlet.engine import Variable, fusion, reference
from convlet.engine.native import NativeProgram
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_near,
    behind_dense,
    normal_feeds,
    program_of,
    run_natively,
)
from numerics import add_dense, variable


def channel_variable(name, channels):
    """Return a number for each channel, around 1."""
    values = 1 + np.sin(np.arange(channels) + len(name)) / 2
    return Variable(name, (channels,), "float32", lambda *_: values.astype(np.float32), 0)


def batch_normalized(builder, x, epsilon=1e-3):
    channels = x.shape[-1]
    moments = builder.apply_all("channel_moments", x, shape=(channels,), per_image=False)
    affine = [builder.parameter(channel_variable(name, channels)) for name in ("gamma", "beta")]
    return builder.apply("batch_normalize", x, *moments, *affine, shape=x.shape, epsilon=epsilon)


grids = st.lists(st.integers(1, 7), max_size=3).map(tuple)


@given(
    grids,
    st.integers(1, 35),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=60, deadline=None)
def test_batch_normalization_of_any_shape(grid, channels, images, instruction_set, lanes):
    """Behind a layer, so that its input's gradient is asked for, and before one."""

    def network(builder, x):
        y = batch_normalized(builder, x, epsilon=1.0)
        y = builder.apply("activation", y, shape=y.shape, function="tanh")
        return add_dense(builder, y, variable("after", channels, 3, dtype="float32"))

    program = program_of(behind_dense(network, channels), (*grid, 2))
    feeds = normal_feeds(program, images)
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
def test_normalizations_one_behind_the_other_and_beside_each_other(lanes, instruction_set):
    def network(builder, x):
        first, second = batch_normalized(builder, x), batch_normalized(builder, x, 0.5)
        y = builder.apply("add", first, second, shape=x.shape)
        y = builder.apply("activation", y, shape=x.shape, function="sigmoid")
        return builder.apply("add", batch_normalized(builder, y), x, shape=x.shape)

    program = program_of(behind_dense(network, 5), (3, 2))
    feeds = normal_feeds(program, 19)
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [17, 40])
def test_moments_far_from_zero_keep_their_digits(images, lanes, instruction_set):
    """Sums of squares in float32 would have no digit of a variance of 1 around 10,000."""
    x = np.random.default_rng(1).normal(1e4, 1, (images, 4, 3, 5)).astype(np.float32)
    program = program_of(batch_normalized, x.shape[1:], training=False)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + 1e-3)
    gamma, beta = (channel_variable(name, 5).value for name in ("gamma", "beta"))
    found = run_natively(program, {"input": x}, instruction_set, lanes)[program.output]
    np.testing.assert_allclose(found, exact * gamma + beta, atol=5e-3)


@pytest.mark.parametrize("lanes", [16, 32, 64])
def test_lanes_without_an_image_count_in_no_statistic_and_have_no_gradient(lanes):
    """The bias behind and the kernel before would see what such lanes hold."""

    def network(builder, x):
        x = batch_normalized(builder, x)
        bias = builder.parameter(channel_variable("bias", x.shape[-1]))
        return builder.apply("add_bias", x, bias, shape=x.shape)

    program = program_of(behind_dense(network, 3), (2, 2))
    alone = run_natively(program, normal_feeds(program, 5), BEST, 1)
    found = run_natively(program, normal_feeds(program, 5), BEST, lanes)
    for name, array in alone.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_not_a_number_stays_in_its_channel(instruction_set, lanes):
    program = program_of(batch_normalized, (2, 3), training=False)
    x = np.random.default_rng(2).normal(size=(18, 2, 3)).astype(np.float32)
    x[17, 1, 1] = np.nan
    found = run_natively(program, {"input": x}, instruction_set, lanes)[program.output]
    assert np.isnan(found[..., 1]).all()
    assert np.isfinite(found[..., [0, 2]]).all()


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [1, 33, 200])
def test_the_bits_do_not_depend_on_the_number_of_threads(images, lanes):
    program = program_of(behind_dense(batch_normalized, 35), (5, 3))
    feeds, before, found = normal_feeds(program, images), config.threads(), []
    try:
        for threads in (1, 2, 5):
            config.set_threads(threads)
            found.append(NativeProgram(program, images, BEST, lanes).run(feeds))
    finally:
        config.set_threads(before)
    for name, array in found[0].items():
        for other in found[1:]:
            np.testing.assert_array_equal(other[name], array, name)


def test_a_prediction_follows_new_averages():
    """What channels are multiplied by is kept between predictions, until an average changes."""
    layer = layers.BatchNormalization()
    layer.ensure_built((None, 2))
    program = program_of(lambda builder, x: layer.trace(builder, x), (2,), training=False)
    native = NativeProgram(program, 3, BEST)
    feeds = {"input": np.ones((3, 2), np.float32)}
    for mean in ([0, 0], [0, 0], [1, 2]):
        layer.moving_mean.assign(mean)
        expected = reference.run(program, feeds)[program.output]
        np.testing.assert_allclose(native.run(feeds)[program.output], expected, rtol=1e-6)


# --- within one image ---


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 18)),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=40, deadline=None)
def test_sets_of_any_shape(sets, images, instruction_set, lanes):
    def network(builder, x):
        return builder.apply("standardize", x, shape=x.shape, sets=sets, epsilon=1.0)

    program = program_of(behind_dense(network, sets[2]), (*sets[:2], 2))
    feeds = normal_feeds(program, images)
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


@given(
    st.integers(0, 6),
    st.integers(1, 19),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=40, deadline=None)
def test_neighbouring_channels(radius, channels, images, instruction_set, lanes):
    constants = {"depth_radius": radius, "bias": 2.0, "alpha": 0.2, "beta": 0.75}

    def network(builder, x):
        return builder.apply("local_response_normalization", x, shape=x.shape, **constants)

    program = program_of(behind_dense(network, channels), (3, 2))
    feeds = normal_feeds(program, images)
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


def test_a_radius_of_any_size_is_that_of_all_channels():
    def network(builder, x):
        constants = {"depth_radius": 10**30, "bias": 2.0, "alpha": 0.2, "beta": 0.75}
        return builder.apply("local_response_normalization", x, shape=x.shape, **constants)

    program = program_of(behind_dense(network, 5), (2,))
    assert_near(program, normal_feeds(program, 3))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_an_image_is_normalized_alone_as_in_any_block(instruction_set):
    parts = [
        layers.LayerNormalization(),
        layers.LocalResponseNormalization(2),
        layers.GroupNormalization(2),
        layers.LayerNormalization([1, 2]),
    ]
    x = np.random.default_rng(3).normal(size=(33, 5, 6)).astype(np.float32)

    def network(builder, x):
        for part in parts:
            part.ensure_built((None, 5, 6))
            x = part.trace(builder, x)
        return x

    program = program_of(network, (5, 6), training=False)
    alone = [run_natively(program, {"input": i[None]}, instruction_set, 1) for i in x]
    for lanes in LANES:
        found = run_natively(program, {"input": x}, instruction_set, lanes)[program.output]
        expected = np.concatenate([one[program.output] for one in alone])
        np.testing.assert_array_equal(found, expected)


# --- what is drawn ---

words = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("operator", "amount"),
    [("spatial_dropout", {"rate": 0.4}), ("gaussian_noise", {"stddev": 0.7})],
)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(words, words),
    st.tuples(st.integers(1, 5), st.integers(1, 11)),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=25, deadline=None)
def test_draws_are_those_of_the_reference(
    operator, amount, layer, key, shape, images, instruction_set, lanes
):
    def network(builder, x):
        options = {"shape": x.shape, "layer": layer, **amount}
        return builder.apply(operator, x, builder.random(), **options)

    program = program_of(behind_dense(network, shape[1]), (shape[0], 2))
    feeds = normal_feeds(program, images) | {"random": np.array(key, np.uint64)}
    assert_near(program, feeds, instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_convolution_that_normalizes_follows_new_averages_and_new_kernels(instruction_set, lanes):
    convolution, layer = layers.Conv1D(5, 2, use_bias=False), layers.BatchNormalization()
    convolution.ensure_built((None, 4, 3))
    layer.ensure_built((None, 3, 5))

    def network(builder, x):
        y = layer.trace(builder, convolution.trace(builder, x))
        return builder.apply("activation", y, shape=y.shape, function="tanh")

    program = program_of(network, (4, 3), training=False)
    native, feeds = NativeProgram(program, 18, instruction_set, lanes), normal_feeds(program, 18)
    for changed in (layer.moving_mean, layer.moving_variance, layer.gamma, convolution.kernel):
        changed.assign(changed.value + 0.5)
        for _ in range(2):
            found, expected = native.run(feeds), reference.run(program, feeds)
            np.testing.assert_allclose(
                found[program.output], expected[program.output], rtol=1e-4, atol=1e-5
            )


def test_what_is_behind_a_normalization_is_done_with_it():
    x = layers.Input((6, 6, 4))
    y = layers.Conv2D(4, 3, padding="same")(x)
    shortcut = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(shortcut))
    y = layers.ReLU()(layers.Add()([y, shortcut]))
    model = Model(x, layers.Dense(2)(layers.Flatten()(y)))
    model.compile("sgd", "mse")
    steps = fusion.fuse(model.program("train", (6, 6, 4)), 32, 16, 16)
    operators = [step.operators for step in steps]
    assert ("batch_normalize", "activation") in operators
    assert ("batch_normalize", "add", "activation") in operators
    assert ("conv_input_gradient", "add") in operators
    rng = np.random.default_rng(0)
    data = rng.standard_normal((33, 6, 6, 4)), rng.standard_normal((33, 2))
    before = model.get_weights()
    loss = model.train_on_batch(*data), model.train_on_batch(*data)
    model.set_weights(before)
    config.set_executor("reference")
    try:
        by_reference = model.train_on_batch(*data), model.train_on_batch(*data)
    finally:
        config.set_executor("native")
    np.testing.assert_allclose(loss, by_reference, rtol=1e-5)
