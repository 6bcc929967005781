"""Convolutions of each channel by itself in the C++ core, exactly, with small integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import config
from convlet.engine import fusion
from convlet.ops import tap_table, transposed_tap_table
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
from numerics import tables


def depthwise(table, channels, bias=True, activation=None, pool=False, operator="conv"):
    """Return dense -> depthwise convolution -> bias -> pooling -> activation, for training."""

    def network(builder, x):
        kernel = builder.parameter(integer_variable("kernel", *table.kernel_shape, 1, channels))
        grid = table.input_shape if operator == "conv_transpose" else table.output_shape
        shape = (*grid, channels)
        x = builder.apply(operator, x, kernel, shape=shape, table=table, groups=channels)
        if bias:
            biases = builder.parameter(integer_variable("bias", channels))
            x = builder.apply("add_bias", x, biases, shape=shape)
        if pool:
            windows = tap_table(grid, (2,) * len(grid), 2, "same")
            shape = (*windows.output_shape, channels)
            x = builder.apply("max_pool", x, shape=shape, table=windows)
        if activation:
            x = builder.apply("activation", x, shape=shape, function=activation)
        return x

    grid = table.output_shape if operator == "conv_transpose" else table.input_shape
    return program_of(behind_dense(network, channels), (*grid, 2))


@given(
    tables(),
    st.integers(2, 40),
    st.booleans(),
    st.sampled_from([None, "relu"]),
    st.booleans(),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=80, deadline=None)
def test_any_window(table, channels, bias, activation, pool, images, instruction_set, lanes):
    program = depthwise(table, channels, bias, activation, pool)
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("width", [*range(5, 14), 19, 23])
@pytest.mark.parametrize("taps", [1, 2, 3, 5, 6])
def test_outputs_side_by_side(taps, width, lanes, instruction_set):
    for padding, stride in (("same", 1), ("valid", 1), ("same", (1, 2)), ("same", (2, 1))):
        if padding == "same" or width >= taps:
            table = tap_table((4, width), (2, taps), stride, padding)
            program = depthwise(table, 5, activation="relu")
            assert_equal(program, integer_feeds(program, 3), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("width", [*range(3, 9), 12, 13, 14])
@pytest.mark.parametrize("strides", [1, 2, (1, 2), (2, 1), 3])
def test_windows_of_3_by_3(strides, width, lanes, instruction_set):
    """These go down the image with rows of sums in registers; heights begin at one row of them."""
    for height in (3, 4, 5, 6, 9):
        for padding in ("same", "valid"):
            table = tap_table((height, width), (3, 3), strides, padding)
            program = depthwise(table, 5, activation="relu")
            assert_equal(program, integer_feeds(program, 3), instruction_set, lanes)


def test_windows_of_3_by_3_on_an_image_larger_than_the_cache():
    program = depthwise(tap_table((150, 151), (3, 3), 1, "same"), 50)
    assert_equal(program, integer_feeds(program, 1), BEST, 1)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", [2, 4, 5, 8, 9, 15, 16, 17, 33])
def test_channels_below_at_and_above_a_vector(channels, lanes, instruction_set):
    program = depthwise(tap_table((6, 11), (3, 3), 1, "same"), channels)
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("window", [(1, 1), (2, 4), (3, 3), (1, 9), (2, 5), (5, 5)])
def test_taps_below_at_and_above_those_summed_at_once(window, lanes):
    program = depthwise(tap_table((9, 12), window, 1, "same"), 3)
    for images in (1, 17):
        assert_equal(program, integer_feeds(program, images), BEST, lanes)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("positions", [7, 8, 9, 63, 64, 65, 129])
def test_outputs_below_at_and_above_a_tile(positions, lanes):
    program = depthwise(tap_table((positions + 1,), (2,)), 3)
    assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", [1, 16])
def test_transposed(lanes, instruction_set):
    table = transposed_tap_table((3, 4), (3, 2), (2, 3))
    program = depthwise(table, 5, operator="conv_transpose")
    assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


def test_a_pooling_behind_it_is_a_step_of_its_own():
    program = depthwise(tap_table((6, 6), (3, 3)), 4, pool=True)
    for lanes in (1, 16):
        operators = [step.operators for step in fusion.fuse(program, 16, lanes, 16)]
        assert ("conv", "add_bias") in operators
        assert ("max_pool",) in operators
        assert ("conv_kernel_gradient",) in operators


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("lanes", [1, 16])
def test_special_numbers_stay_in_their_channel(special, lanes):
    def network(builder, x):
        kernel = builder.parameter(integer_variable("kernel", 2, 1, 3))
        return builder.apply("conv", x, kernel, shape=(4, 3), table=tap_table((5,), (2,)), groups=3)

    program = program_of(network, (5, 3), training=False)
    feeds = integer_feeds(program, 5)
    feeds["input"][range(5), range(5), 1] = special
    assert_equal(program, feeds, BEST, lanes)


def test_the_bits_of_an_image_do_not_depend_on_its_batch():
    program = depthwise(tap_table((7, 7), (3, 3), 1, "same"), 20)
    images = np.random.default_rng(0).normal(size=(33, 7, 7, 2)).astype(np.float32)

    def prediction(batch, lanes):
        feeds = integer_feeds(program, len(batch)) | {"input": batch}
        return run_natively(program, feeds, BEST, lanes)[program.output]

    together = prediction(images, 32)
    for count, lanes in ((1, 1), (5, 1), (16, 16), (33, 16)):
        np.testing.assert_array_equal(prediction(images[:count], lanes), together[:count])


@pytest.fixture
def threads():
    before = config.threads()
    yield
    config.set_threads(before)


@pytest.mark.usefixtures("threads")
def test_an_image_that_threads_cut_in_the_middle_of_its_lines_has_the_same_bits():
    program = depthwise(tap_table((11, 13), (3, 3), 1, "same"), 20, activation="relu")
    feeds = integer_feeds(program, 1)
    feeds["input"] = np.random.default_rng(0).normal(size=(1, 11, 13, 2)).astype(np.float32)
    results = []
    for count in (1, 2, 3, 4):
        config.set_threads(count)
        results.append(run_natively(program, feeds, BEST, 1))
    for others in results[1:]:
        for name, result in results[0].items():
            np.testing.assert_array_equal(others[name], result)
