"""What treats every number by itself in the C++ core: dropout, scales, biases, sums, reshaping."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.ops import tap_table
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
    squared_error,
)
from numerics import add_dense, add_flatten


def biased(builder, x):
    """Append a bias, so that there is a way back."""
    bias = builder.parameter(integer_variable("bias", x.shape[-1]))
    return builder.apply("add_bias", x, bias, shape=x.shape)


def dropping(rate, layer):
    def network(builder, x):
        x = biased(builder, x)
        return builder.apply("dropout", x, builder.random(), shape=x.shape, rate=rate, layer=layer)

    return network


words = st.integers(0, 2**64 - 1)


@given(
    st.floats(0, 0.999),
    st.integers(0, 2**32 - 1),
    st.tuples(words, words),
    st.integers(1, 11),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=40, deadline=None)
def test_dropout_has_the_masks_of_the_reference(
    rate, layer, key, units, images, instruction_set, lanes
):
    program = program_of(dropping(rate, layer), (units,))
    ones = {name: np.ones_like(array) for name, array in integer_feeds(program, images).items()}
    feeds = ones | {"random": np.array(key, np.uint64)}
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-5)
    program = program_of(dropping(rate, layer), (units,), training=False)
    assert_equal(program, feeds, instruction_set, lanes)


def test_dropouts_threshold_is_that_of_the_rate_in_float64():
    """Unit 14483 of image 53 would be kept if the rate were rounded to float32."""
    units = 14484
    program = program_of(dropping(0.9, 0), (units,), training=False)
    feeds = {"input": np.ones((54, units), np.float32), "random": np.array([0, 62], np.uint64)}
    assert_equal(program, feeds)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("scale", "offset"), [(2.0, -1.0), ([0.5, 2.0, -4.0], [1, 2, 3])])
def test_rescaling_by_numbers_and_by_channels(scale, offset, lanes, instruction_set):
    def network(builder, x):
        attributes = {"scale": np.array(scale), "offset": np.array(offset)}
        return builder.apply("rescale", biased(builder, x), shape=x.shape, **attributes)

    program = program_of(network, (5, 3))
    assert_equal(program, integer_feeds(program, 17), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 9, 15, 16, 17, 33])
def test_biases_and_their_gradients(channels, lanes, instruction_set):
    program = program_of(biased, (3, channels))
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
def test_sums_and_values_that_are_used_twice(lanes, instruction_set):
    def network(builder, x):
        x = add_dense(builder, x, integer_variable("a", 3, 4))
        branch = add_dense(builder, x, integer_variable("b", 4, 4))
        x = builder.apply("add", branch, x, shape=x.shape)
        return builder.apply("add", x, x, shape=x.shape)

    program = program_of(network, (3,))
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
def test_a_value_that_is_used_before_and_after_an_activation(lanes):
    """What is read again may not be written over, nor be fused away."""

    def network(builder, x):
        z = biased(builder, add_dense(builder, x, integer_variable("a", 3, 4)))
        y = builder.apply("activation", z, shape=z.shape, function="relu")
        y = builder.apply("rescale", y, shape=y.shape, scale=-1.0, offset=0.0)
        return builder.apply("add", z, y, shape=z.shape)

    for loss in (None, squared_error()):
        program = program_of(network, (3,), loss)
        assert_equal(program, integer_feeds(program, 18), BEST, lanes)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("lanes", LANES)
def test_reshaping_between_and_behind_other_layers(lanes, training):
    def network(builder, x):
        x = add_flatten(builder, biased(builder, x))
        x = add_dense(builder, x, integer_variable("a", 12, 6))
        shapes = {"input_shape": (6,), "output_shape": (2, 3)}
        return builder.apply("reshape", x, shape=(2, 3), **shapes)

    program = program_of(network, (3, 2, 2), training=training)
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("loss", [None, squared_error()])
@pytest.mark.parametrize("lanes", LANES)
def test_a_network_that_only_reshapes_or_does_nothing(lanes, loss):
    for network in (add_flatten, lambda builder, x: x):
        for training in (True, False):
            program = program_of(network, (3, 2), loss, training)
            assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("first", [False, True])
def test_frozen_variables_and_variables_of_an_unused_branch(first, lanes):
    def network(builder, x):
        add_dense(builder, x, integer_variable("aside", 3, 2))
        x = add_dense(builder, x, integer_variable("a", 3, 4, trainable=not first))
        return add_dense(builder, x, integer_variable("b", 4, 2, trainable=first))

    program = program_of(network, (3,))
    assert len(program.gradients) == 1
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


# --- a variable that is used more than once ---


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [1, 3, 18])
@pytest.mark.parametrize("size", [2, 70])
def test_shared_kernels_and_biases(size, images, lanes, instruction_set):
    """Kernels of 70 by 70 are summed over the whole batch, of 2 by 2 block by block."""
    kernel, bias = integer_variable("shared", size, size), integer_variable("bias", size)

    def network(builder, x):
        for _ in range(3):
            x = add_dense(builder, x, kernel)
            x = builder.apply("add_bias", x, builder.parameter(bias), shape=x.shape)
            x = builder.apply("rescale", x, shape=x.shape, scale=2.0**-6, offset=0.0)
            x = builder.apply("activation", x, shape=x.shape, function="relu")
        return x

    program = program_of(network, (size,))
    feeds = normal_feeds(program, images)
    assert_near(program, feeds, instruction_set, lanes, tolerance=1e-4)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [1, 18, 65])
def test_a_shared_kernel_that_one_use_would_sum_over_the_whole_batch(images, lanes):
    """At ten positions a kernel has few weights for its activations, at one it has many."""
    kernel = integer_variable("shared", 40, 40)

    def network(builder, x):
        x = add_dense(builder, x, kernel)
        table = tap_table((10,), (10,))
        x = builder.apply("max_pool", x, shape=(1, 40), table=table)
        return add_dense(builder, x, kernel)

    program = program_of(network, (10, 40))
    assert_equal(program, integer_feeds(program, images), BEST, lanes)


# --- images that are not there ---


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [16, 32, 64])
@pytest.mark.parametrize("images", [1, 15, 17])
def test_lanes_without_an_image_disturb_no_gradient(images, lanes, instruction_set):
    """An image of zeros would overflow here, though those that are there do not."""

    def network(builder, x):
        x = add_dense(builder, x, integer_variable("kernel", 1, 3))
        x = builder.apply("rescale", x, shape=x.shape, scale=1.0, offset=100.0)
        x = builder.apply("activation", x, shape=x.shape, function="exponential")
        return add_dense(builder, x, integer_variable("second", 3, 2))

    program = program_of(network, (1,))
    feeds = normal_feeds(program, images)
    signs = np.sign(program.variables["kernel/kernel"].value[0, 0]) or 1
    feeds["input"][:] = -signs * 51 + feeds["input"] * 0.1
    program.variables["kernel/kernel"].assign(np.full((1, 3), 2.0 * signs))
    assert_near(program, feeds, instruction_set, lanes)
