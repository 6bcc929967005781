"""Convolutions in the C++ core, by the kernel and by the input, bit for bit as the reference.

All numbers are small integers, so that every sum is exact in whichever order it is added up.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.engine import Buffer, Builder, fusion, reference
from convlet.ops import TapTable, tap_table
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    Pull,
    assert_equal,
    behind_dense,
    integer_feeds,
    integer_variable,
    program_of,
    run_natively,
    squared_error,
)
from numerics import add_conv, add_dense, tables

# below, at and above every tile of rows: 6, 12, 16, and vectors of 4, 8 and 16 rows
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 31, 32, 33, 48, 64, 65, 129]

machines = st.sampled_from(INSTRUCTION_SETS)
lanes_of_a_block = st.sampled_from(LANES)


def convolution(table: TapTable, channels: int, filters: int, groups: int = 1):
    """Return a network of one convolution through a table, with a kernel and a bias."""

    def network(builder: Builder, x: Buffer) -> Buffer:
        kernel = integer_variable("kernel", *table.kernel_shape, channels // groups, filters)
        bias = integer_variable("bias", filters)
        with builder.scope("conv"):
            operand = builder.parameter(kernel)
            shape = (*table.output_shape, filters)
            y = builder.apply(
                "conv", x, operand, shape=shape, table=table, groups=groups, algorithm="direct"
            )
            return builder.apply("add_bias", y, builder.parameter(bias), shape=shape)

    return network


def check(table, channels, filters, groups, images, instruction_set, lanes, loss=None):
    """Hold forward, both gradients of the kernel and the bias, and that by the input."""
    network = behind_dense(convolution(table, channels, filters, groups), channels)
    program = program_of(network, (*table.input_shape, 2), loss or Pull())
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@st.composite
def cases(draw):
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 7))
    return draw(tables()), channels, filters, groups


@given(cases(), st.sampled_from(BATCHES), machines, lanes_of_a_block)
@settings(max_examples=60, deadline=None)
def test_any_window_and_any_groups(case, images, instruction_set, lanes):
    check(*case, images, instruction_set, lanes)


@pytest.mark.slow
@given(cases(), st.integers(1, 130), machines, lanes_of_a_block)
@settings(max_examples=2000, deadline=None)
def test_any_window_and_any_groups_often(case, images, instruction_set, lanes):
    check(*case, images, instruction_set, lanes)


@given(tables(ranks=(0,)), machines, lanes_of_a_block)
@settings(max_examples=3, deadline=None)
def test_a_grid_without_axes(table, instruction_set, lanes):
    check(table, 2, 3, 1, 17, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("filters", SIZES)
def test_any_number_of_filters(filters, lanes, instruction_set):
    def network(builder, x):
        return add_conv(builder, x, integer_variable("kernel", 3, 2, filters), padding="same")

    program = program_of(behind_dense(network, 2), (5, 2))
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", SIZES)
def test_any_number_of_channels(channels, lanes, instruction_set):
    def network(builder, x):
        return add_conv(builder, x, integer_variable("kernel", 2, channels, 3), strides=2)

    program = program_of(behind_dense(network, channels), (5, 2))
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [16, 32])
@pytest.mark.parametrize("few", [1, 2, 3, 4, 5, 6])
def test_few_filters_or_channels_at_any_number_of_positions(few, lanes, instruction_set):
    """So many outputs are summed at once as registers hold."""
    for width in (1, 2, 5, 6, 7, 8, 9, 10, 16, 17):
        for strides in (1, 2):
            table = tap_table((3, width), (2, 3), strides, "same")
            check(table, few, 2, 1, 3, instruction_set, lanes)
            check(table, 2, few, 1, 3, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("images", BATCHES)
def test_any_batch(images, instruction_set):
    def network(builder, x):
        x = add_conv(builder, x, integer_variable("a", 3, 3, 1, 5), padding="same")
        return add_conv(builder, x, integer_variable("b", 2, 2, 5, 4), strides=2)

    program = program_of(network, (6, 5, 1), squared_error())
    for lanes in (0, *LANES):
        assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("groups", [2, 3, 5, 8])
def test_every_channel_its_own_group(groups, lanes, instruction_set):
    def network(builder, x):
        kernel = integer_variable("kernel", 3, 3, 1, 2 * groups)
        return add_conv(builder, x, kernel, groups, padding="same")

    program = program_of(behind_dense(network, groups), (5, 4, 2))
    assert_equal(program, integer_feeds(program, 17), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
def test_grids_of_one_position_read_padding_around_it(lanes, instruction_set):
    def network(builder, x):
        return add_conv(builder, x, integer_variable("kernel", 3, 3, 2, 3), padding="same")

    program = program_of(behind_dense(network, 2), (1, 1, 2))
    assert_equal(program, integer_feeds(program, 19), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [1, 2, 17])
@pytest.mark.parametrize(("inputs", "units"), [(1, 1), (40, 1), (1, 40), (70, 130), (300, 65)])
def test_dense_layers_with_few_and_many_more_weights_than_activations(
    inputs, units, images, lanes, instruction_set
):
    def network(builder, x):
        return add_dense(builder, x, integer_variable("kernel", inputs, units))

    program = program_of(behind_dense(network, inputs), (2,))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
def test_a_dense_layer_at_every_position(lanes):
    def network(builder, x):
        return add_dense(builder, x, integer_variable("kernel", 3, 4))

    program = program_of(behind_dense(network, 3), (3, 2, 2), squared_error())
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", [1, 5, 20])
def test_a_convolution_with_many_more_weights_than_activations(images, lanes, instruction_set):
    def network(builder, x):
        kernel = integer_variable("kernel", 3, 3, 20, 38)
        return add_conv(builder, x, kernel, 2, padding="same", strides=2)

    program = program_of(behind_dense(network, 40), (2, 2, 2))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


HUGE = 1 << 40


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize(
    "window",
    [
        {"strides": HUGE},
        {"dilation_rate": HUGE, "padding": "same"},
        {"dilation_rate": HUGE, "padding": [(HUGE, 0)]},
        {"strides": HUGE, "padding": [(2 * HUGE, 2 * HUGE)]},
    ],
)
def test_strides_and_dilations_of_any_size(window, lanes):
    def network(builder, x):
        return add_conv(builder, x, integer_variable("kernel", 2, 2, 3), **window)

    program = program_of(behind_dense(network, 2), (4, 2))
    assert_equal(program, integer_feeds(program, 3), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_whoever_reads_them_and_nobody_else(special, lanes, instruction_set):
    def network(builder, x):
        x = add_conv(builder, x, integer_variable("kernel", 2, 3, 1, 4), padding="same")
        return builder.apply("activation", x, shape=x.shape, function="relu")

    program = program_of(network, (3, 3, 1))
    feeds = integer_feeds(program, 10)
    for place in range(9):
        feeds["input"][place].flat[place] = special
    with np.errstate(invalid="ignore"):
        expected = reference.run(program, feeds)
    results = run_natively(program, feeds, instruction_set, lanes)
    np.testing.assert_array_equal(results[program.output], expected[program.output])
    kernel = program.gradients["kernel/kernel"]
    np.testing.assert_array_equal(np.isfinite(results[kernel]), np.isfinite(expected[kernel]))


@pytest.mark.parametrize("lanes", [16, 64])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("outputs", [127, 128, 129, 300])
def test_kernel_gradients_in_bands_of_outputs(outputs, groups, lanes):
    """With so many channels a band has the fewest outputs that it may have, 128."""

    def network(builder, x):
        kernel = integer_variable("kernel", 2, 120 // groups, 120)
        return add_conv(builder, x, kernel, groups=groups)

    program = program_of(behind_dense(network, 120), (outputs + 1, 2))
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", [3, 16, 33])
def test_what_goes_past_a_convolution_is_added_at_once(channels, lanes, instruction_set):
    def network(builder, x):
        kernel = integer_variable("kernel", 3, channels, channels)
        y = add_conv(builder, x, kernel, padding="same")
        y = builder.apply("add", x, y, shape=y.shape)
        return builder.apply("activation", y, shape=y.shape, function="relu")

    program = program_of(behind_dense(network, channels), (7, 2))
    operators = [step.operators for step in fusion.fuse(program, 18, lanes, 16)]
    assert ("conv", "add", "activation") in operators
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


def test_a_sum_with_what_comes_later_is_not_done_at_once():
    def network(builder, x):
        first = add_conv(builder, x, integer_variable("first", 3, 2, 2), padding="same")
        second = add_conv(builder, x, integer_variable("second", 3, 2, 2), padding="same")
        return builder.apply("add", first, second, shape=x.shape)

    program = program_of(behind_dense(network, 2), (7, 2))
    operators = [step.operators for step in fusion.fuse(program, 18, 16, 16)]
    assert operators.count(("conv", "add")) == 1
    assert ("conv",) in operators
    assert_equal(program, integer_feeds(program, 18))
