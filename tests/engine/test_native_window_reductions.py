"""Sum, L2, log-sum-exp and stochastic pooling in the C++ core, and scales by channel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.ops import log_sum_exp_pool, tap_table
from native_runs import (
    BATCHES,
    INSTRUCTION_SETS,
    LANES,
    assert_equal,
    assert_near,
    behind_dense,
    integer_feeds,
    integer_variable,
    normal_feeds,
    program_of,
    run_natively,
)
from numerics import tables

machines = st.sampled_from(INSTRUCTION_SETS)
lanes_of_a_block = st.sampled_from(LANES)
batches = st.sampled_from(BATCHES) | st.integers(1, 65)
each_machine = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
each_width = pytest.mark.parametrize("lanes", LANES)

NEAR = 2e-6
# operators that take no random numbers, with their attributes
OPERATORS = {
    "sum_pool": {},
    "l2_pool": {},
    "log_sum_exp_pool": {"sharpness": 1.5},
    "stochastic_pool_mean": {},
}
each_operator = pytest.mark.parametrize("operator", OPERATORS)


def pooling(operator, table, **attributes):
    def network(builder, x):
        shape = (*table.output_shape, x.shape[-1])
        return builder.apply(operator, x, shape=shape, table=table, **attributes)

    return network


def drawing(table, layer=7):
    def network(builder, x):
        shape = (*table.output_shape, x.shape[-1])
        return builder.apply(
            "stochastic_pool", x, builder.random(), shape=shape, table=table, layer=layer
        )

    return network


def biased(network):
    """Return the network behind a bias, so that there is a way back that adds up no rounding."""

    def both(builder, x):
        bias = builder.parameter(integer_variable("bias", x.shape[-1]))
        return network(builder, builder.apply("add_bias", x, bias, shape=x.shape))

    return both


@each_operator
@given(tables(), st.integers(1, 20), batches, machines, lanes_of_a_block)
@settings(max_examples=25, deadline=None)
def test_any_window(operator, table, channels, images, instruction_set, lanes):
    """Forward and back; windows may overlap, and may hold nothing but padding."""
    network = pooling(operator, table, **OPERATORS[operator])
    if operator == "log_sum_exp_pool" and not table.counts().all():
        program = program_of(network, (*table.input_shape, channels), training=False)
    else:
        program = program_of(biased(network), (*table.input_shape, channels))
    assert_near(program, normal_feeds(program, images), instruction_set, lanes, tolerance=2e-5)


@given(tables(), st.integers(1, 20), batches, machines, lanes_of_a_block)
@settings(max_examples=40, deadline=None)
def test_sums_of_integers_are_exact(table, channels, images, instruction_set, lanes):
    program = program_of(
        behind_dense(pooling("sum_pool", table), channels), (*table.input_shape, 2)
    )
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@given(tables(), st.integers(1, 20), batches, machines, lanes_of_a_block)
@settings(max_examples=40, deadline=None)
def test_norms_of_integers_have_the_bits_of_the_reference(
    table, channels, images, instruction_set, lanes
):
    """Squares and their sums are exact, and square roots are rounded correctly."""
    network = pooling("l2_pool", table)
    program = program_of(network, (*table.input_shape, channels), training=False)
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@each_machine
@each_width
@each_operator
@pytest.mark.parametrize("images", [1, 17, 65])
def test_windows_apart_to_two_millionths(images, operator, lanes, instruction_set):
    """Where windows do not overlap, no order of sums differs: what is left are the functions."""
    table = tap_table((6, 4), (3, 2), (3, 2))
    network = biased(pooling(operator, table, **OPERATORS[operator]))
    program = program_of(network, (6, 4, 5))
    feeds = normal_feeds(program, images)
    feeds["targets"] = np.sign(feeds["targets"])
    assert_near(program, feeds, instruction_set, lanes, tolerance=NEAR)


@each_machine
@each_width
@each_operator
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_at_every_place_of_a_window(special, operator, lanes, instruction_set):
    images = np.tile(np.arange(9, dtype=np.float32)[::-1], (9, 1)).reshape(9, 3, 3, 1)
    for place in range(9):
        images[place].flat[place] = special
    for size, strides in ((2, 1), (3, 1)):
        network = pooling(operator, tap_table((3, 3), (size, size), strides), **OPERATORS[operator])
        program = program_of(network, (3, 3, 1), training=False)
        assert_near(program, {"input": images}, instruction_set, lanes, tolerance=NEAR)


@each_machine
@each_width
@each_operator
def test_windows_of_special_numbers_alone(operator, lanes, instruction_set):
    rows = [[value] * 4 for value in (np.nan, np.inf, -np.inf, 0.0)] + [[np.inf, -np.inf] * 2]
    images = np.array([*rows, [-np.inf, np.nan] * 2], np.float32)[..., None]
    network = pooling(operator, tap_table((4,), (2,), 2), **OPERATORS[operator])
    program = program_of(network, (4, 1), training=False)
    assert_near(program, {"input": images}, instruction_set, lanes)


@each_machine
@each_width
def test_a_norm_of_zero_has_no_gradient(lanes, instruction_set):
    program = program_of(biased(pooling("l2_pool", tap_table((4,), (2,), 2))), (4, 3))
    feeds = integer_feeds(program, 17) | {"input": np.zeros((17, 4, 3), np.float32)}
    program.variables[next(iter(program.variables))].assign(np.zeros(3))
    assert_equal(program, feeds, instruction_set, lanes)


@each_machine
@each_width
@pytest.mark.parametrize("sharpness", [1e-6, 1e-3, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e37])
def test_log_sum_exp_of_any_sharpness_and_size(size, sharpness, lanes, instruction_set):
    """Held against float64, relative to the largest input: the output may be a mean near 0."""
    table = tap_table((400,), (200,), 200)
    network = pooling("log_sum_exp_pool", table, sharpness=sharpness)
    program = program_of(network, (400, 1), training=False)
    x = normal_feeds(program, 5)["input"] * np.float32(size)
    y = run_natively(program, {"input": x}, instruction_set, lanes)[program.output]
    expected = log_sum_exp_pool(x.astype(np.float64), table, sharpness)
    np.testing.assert_allclose(y, expected, rtol=0, atol=5e-7 * np.abs(x).max())


# --- stochastic pooling ---

words = st.integers(0, 2**64 - 1)


@given(
    tables(),
    st.integers(1, 20),
    batches,
    machines,
    lanes_of_a_block,
    st.tuples(words, words),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_draws_are_those_of_the_reference(
    table, channels, images, instruction_set, lanes, key, layer
):
    """Forward and back, with the same numbers: a draw that differs is no rounding."""
    program = program_of(behind_dense(drawing(table, layer), channels), (*table.input_shape, 2))
    feeds = integer_feeds(program, images) | {"random": np.array(key, np.uint64)}
    assert_equal(program, feeds, instruction_set, lanes)


@each_machine
@each_width
@pytest.mark.parametrize("channels", [1, 3, 100])
def test_draws_among_numbers_that_round(channels, lanes, instruction_set):
    """Weights and their sums are rounded in the same order, so that no draw falls otherwise."""
    program = program_of(biased(drawing(tap_table((24, 24), (3, 3), 2))), (24, 24, channels))
    feeds = integer_feeds(program, 5) | {"input": normal_feeds(program, 5)["input"]}
    assert_equal(program, feeds, instruction_set, lanes)


@each_machine
@each_width
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_draws_with_special_numbers_at_every_place(special, lanes, instruction_set):
    images = np.tile(np.arange(9, dtype=np.float32)[::-1], (9, 1)).reshape(9, 3, 3, 1)
    for place in range(9):
        images[place].flat[place] = special
    images = np.concatenate([images, np.full((1, 3, 3, 1), special, np.float32)])
    for network in (drawing, lambda table: pooling("stochastic_pool_mean", table)):
        for size in (2, 3):
            program = program_of(network(tap_table((3, 3), (size, size))), (3, 3, 1), None, False)
            feeds = {"input": images, "random": np.array([3, 9], np.uint64)}
            feeds = {name: feeds[name] for name in program.feeds}
            assert_near(program, feeds, instruction_set, lanes, tolerance=NEAR)


@each_machine
@each_width
@pytest.mark.parametrize("taps", [255, 256, 300])
def test_draws_from_more_taps_than_a_byte_can_number(taps, lanes, instruction_set):
    program = program_of(biased(drawing(tap_table((taps,), (taps,)))), (taps, 2))
    feeds = integer_feeds(program, 17)
    feeds["input"][:] = np.arange(taps)[:, None] > taps - 20
    assert_equal(program, feeds, instruction_set, lanes)


# --- scales by channel ---


def scaled(builder, x):
    gamma = builder.parameter(integer_variable("gamma", x.shape[-1]))
    return builder.apply("scale", x, gamma, shape=x.shape)


@each_machine
@each_width
@pytest.mark.parametrize("channels", [1, 3, 4, 5, 8, 9, 15, 16, 17, 33])
def test_scales_and_both_their_gradients(channels, lanes, instruction_set):
    for shape in ((channels,), (3, channels), (2, 3, channels)):
        program = program_of(biased(scaled), shape)
        assert len(program.gradients) == 2
        for images in (1, 18):
            assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@each_width
def test_a_scale_that_is_used_twice(lanes):
    """Both gradients go into one sum; what is read again is not written over."""
    gamma = integer_variable("gamma", 3)

    def network(builder, x):
        x = scaled(builder, x)
        y = builder.apply("scale", x, builder.parameter(gamma), shape=x.shape)
        y = builder.apply("scale", y, builder.parameter(gamma), shape=x.shape)
        return builder.apply("add", y, x, shape=x.shape)

    program = program_of(network, (4, 3))
    assert_equal(program, integer_feeds(program, 18), lanes=lanes)
