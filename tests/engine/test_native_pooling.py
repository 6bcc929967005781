"""Pooling in the C++ core: ties, infinities, NaN, windows of any size, fused or not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.engine import fusion
from convlet.engine.tables import winner_type
from convlet.ops import tap_table
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_equal,
    behind_dense,
    integer_feeds,
    integer_variable,
    program_of,
    run_natively,
)
from numerics import add_conv, tables

machines = st.sampled_from(INSTRUCTION_SETS)
lanes_of_a_block = st.sampled_from(LANES)


def pooling(operator, table, channels):
    def network(builder, x):
        shape = (*table.output_shape, channels)
        return builder.apply(operator, x, shape=shape, table=table)

    return network


def check(operator, table, channels, images, instruction_set, lanes):
    network = behind_dense(pooling(operator, table, channels), channels)
    program = program_of(network, (*table.input_shape, 2))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@given(tables(), st.integers(1, 20), st.sampled_from(BATCHES), machines, lanes_of_a_block)
@settings(max_examples=50, deadline=None)
def test_max_pooling_through_any_window(table, channels, images, instruction_set, lanes):
    """Small integers tie in most windows, and windows may hold nothing but padding."""
    check("max_pool", table, channels, images, instruction_set, lanes)


@given(tables(), st.integers(1, 20), st.sampled_from(BATCHES), machines, lanes_of_a_block)
@settings(max_examples=50, deadline=None)
def test_average_pooling_through_any_window(table, channels, images, instruction_set, lanes):
    def network(builder, x):
        return pooling("average_pool", table, channels)(builder, x)

    if not table.counts().all():
        return  # the mean of nothing is NaN
    program = program_of(network, (*table.input_shape, channels), training=False)
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.slow
@given(tables(), st.integers(1, 20), st.integers(1, 130), machines, lanes_of_a_block)
@settings(max_examples=1000, deadline=None)
def test_max_pooling_through_any_window_often(table, channels, images, instruction_set, lanes):
    check("max_pool", table, channels, images, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("window", [2, 4, 8])
def test_gradients_of_means_through_windows_of_a_power_of_two(window, lanes, instruction_set):
    """Quotients by such a count are exact, so the order of the sums does not matter."""
    table = tap_table((9,), (window,), strides=3, dilation_rate=1)
    check("average_pool", table, 5, 17, instruction_set, lanes)


WINDOWS_APART = [
    ((9,), (2,), (2,)),
    ((7,), (1,), (3,)),
    ((83,), (40,), (40,)),
    ((5, 7), (2, 2), (2, 2)),
    ((8, 9), (2, 3), (3, 4)),
    ((7, 7), (3, 3), (3, 3)),
    ((5, 4, 6), (2, 2, 2), (2, 2, 2)),
]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", ["max_pool", "sum_pool"])
@pytest.mark.parametrize(("grid", "window", "strides"), WINDOWS_APART)
def test_windows_that_do_not_overlap(grid, window, strides, operator, lanes, instruction_set):
    """Each writes the gradients of its inputs; those between and behind windows get zeros."""
    table = tap_table(grid, window, strides=strides, dilation_rate=1)
    check(operator, table, 37, 17, instruction_set, lanes)


# --- what is special about a maximum ---


def first_position(table):
    """Return max pooling of a grid with one channel, for prediction or for training."""

    def network(builder, x):
        x = builder.apply("add_bias", x, builder.parameter(integer_variable("b", 1)), shape=x.shape)
        return pooling("max_pool", table, 1)(builder, x)

    return program_of(network, (*table.input_shape, 1))


def check_inputs(table, images, instruction_set, lanes):
    """Hold a pooling of these images, and the way back, against the reference."""
    program = first_position(table)
    feeds = integer_feeds(program, len(images)) | {"input": images.astype(np.float32)[..., None]}
    assert_equal(program, feeds, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_nan_and_infinity_at_every_place_of_a_window(strides, special, lanes, instruction_set):
    images = np.tile(np.arange(9.0)[::-1], (9, 1)).reshape(9, 3, 3)
    for place in range(9):
        images[place].flat[place] = special
    for size in (2, 3):
        table = tap_table((3, 3), (size, size), strides)
        check_inputs(table, images, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
def test_windows_of_nothing_but_special_numbers(lanes, instruction_set):
    images = np.array([[v] * 4 for v in (np.nan, np.inf, -np.inf)] + [[np.nan, np.inf] * 2])
    for strides in (1, 2):
        check_inputs(tap_table((4,), (2,), strides), images, instruction_set, lanes)


def fused(builder, x, *, kernel=1, window=2, padding="valid", activation=None, filters=3):
    """Append a convolution with its pooling behind it, and an activation or none."""
    rank = len(x.shape) - 1
    x = add_conv(builder, x, integer_variable("kernel", *(kernel,) * rank, x.shape[-1], filters))
    table = tap_table(x.shape[:-1], (window,) * rank, window, padding)
    bias = builder.parameter(integer_variable("bias", filters))
    x = builder.apply("add_bias", x, bias, shape=x.shape)
    x = pooling("max_pool", table, filters)(builder, x)
    if activation is None:
        return x
    return builder.apply("activation", x, shape=x.shape, function=activation)


def test_a_pooling_is_fused_with_the_convolution_before_it():
    program = program_of(fused, (4, 4, 1))
    for lanes in (1, 16):
        first = fusion.fuse(program, 16, lanes, 16)[0]
        assert first.operators == ("conv", "add_bias", "max_pool")


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("filters", [1, 5, 6, 7, 12, 13, 16, 17, 33])
def test_convolutions_with_their_pooling(filters, activation, lanes, instruction_set):
    def network(builder, x):
        return fused(builder, x, kernel=2, activation=activation, filters=filters)

    for shape in ((7, 2), (6, 5, 1)):
        program = program_of(network, shape)
        assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_numbers_through_a_convolution_with_its_pooling(special, lanes, instruction_set):
    program = program_of(lambda b, x: fused(b, x, filters=1, activation="relu"), (4, 1))
    images = np.tile(np.float32([1, 0, 1, 0]), (6, 1))
    for place in range(4):
        images[place, place] = special
    images[4], images[5, :2] = special, special
    feeds = integer_feeds(program, 6) | {"input": images[..., None]}
    assert_equal(program, feeds, instruction_set, lanes)


@given(tables(ranks=(1, 2)), st.sampled_from(BATCHES), machines, lanes_of_a_block, st.data())
@settings(max_examples=40, deadline=None)
def test_poolings_behind_a_convolution_through_any_window(
    table, images, instruction_set, lanes, data
):
    """Those whose windows overlap, or hold nothing but padding, are not fused."""

    def network(builder, x):
        x = add_conv(builder, x, integer_variable("kernel", *(1,) * rank, 2, filters))
        return pooling("max_pool", table, filters)(builder, x)

    rank, filters = len(table.input_shape), data.draw(st.integers(1, 14))
    program = program_of(network, (*table.input_shape, 2))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
def test_windows_that_hold_nothing_but_padding(lanes):
    """A bias before them gets no gradient from there."""

    def network(builder, x):
        x = add_conv(builder, x, integer_variable("kernel", 1, 1, 3))
        bias = builder.parameter(integer_variable("bias", 3))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
        return pooling("max_pool", tap_table((4,), (2,), 2, [(4, 2)]), 3)(builder, x)

    program = program_of(network, (4, 1))
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


# --- windows with many taps ---


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("taps", [31, 32, 33, 64, 65, 254, 255, 256, 257, 300])
def test_windows_of_more_taps_than_a_byte_can_number(taps, lanes, instruction_set):
    images = np.zeros((4, taps))
    images[0, -1], images[1, -2], images[2, 0] = 1, 1, 1
    check_inputs(tap_table((taps,), (taps,)), images, instruction_set, lanes)


@pytest.mark.slow
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("taps", [65535, 65536])
def test_windows_of_more_taps_than_two_bytes_can_number(taps, lanes, instruction_set):
    images = np.zeros((3, taps))
    images[0, -1], images[1, -2] = 1, 1
    check_inputs(tap_table((taps,), (taps,)), images, instruction_set, lanes)


@pytest.mark.parametrize(("taps", "kind"), [(255, "uint8"), (256, "uint16"), (65536, "uint32")])
def test_winners_take_the_smallest_type_that_holds_the_taps_and_none(taps, kind):
    assert winner_type(tap_table((taps,), (taps,))) == kind


@pytest.mark.parametrize("taps", [255, 256])
def test_a_window_behind_a_convolution_fuses_as_long_as_a_byte_holds_its_taps(taps):
    program = program_of(lambda b, x: fused(b, x, window=taps), (taps, 1))
    steps = fusion.fuse(program, 16, 16, 16)
    assert ("max_pool" in steps[0].operators) == (taps == 255)
    assert_equal(program, integer_feeds(program, 17))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_pooling_at_the_end_of_a_prediction_keeps_no_winners(instruction_set):
    program = program_of(lambda b, x: fused(b, x), (6, 6, 2), training=False)
    feeds = integer_feeds(program, 20)
    assert list(run_natively(program, feeds, instruction_set)) == [program.output]
    assert_equal(program, feeds, instruction_set)
