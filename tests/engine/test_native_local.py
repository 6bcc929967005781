"""Locally connected layers in the C++ core, exactly, with small integers."""

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
    behind_dense,
    integer_feeds,
    integer_variable,
    program_of,
    run_natively,
)
from numerics import tables


def local(table, channels, filters):
    def network(builder, x):
        positions = int(np.prod(table.output_shape))
        kernel = integer_variable("kernel", positions, table.taps * channels, filters)
        shape = (*table.output_shape, filters)
        return builder.apply("local_conv", x, builder.parameter(kernel), shape=shape, table=table)

    return program_of(behind_dense(network, channels), (*table.input_shape, 2))


@given(
    tables(),
    st.integers(1, 20),
    st.integers(1, 35),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=60, deadline=None)
def test_any_window(table, channels, filters, images, instruction_set, lanes):
    program = local(table, channels, filters)
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 64, 65])
def test_rows_and_channels_below_at_and_above_a_tile(size, lanes, instruction_set):
    for channels, filters in ((size, 3), (3, size)):
        program = local(tap_table((4, 3), (2, 2)), channels, filters)
        assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_special_numbers_reach_whoever_reads_them(special, lanes):
    program = local(tap_table((5,), (2,)), 1, 2)
    feeds = integer_feeds(program, 5)
    feeds["input"][range(5), range(5)] = special
    assert_equal(program, feeds, BEST, lanes)


def test_the_bits_of_an_image_do_not_depend_on_its_batch():
    table = tap_table((6, 6), (3, 3), 1, "same")
    program = local(table, 3, 5)
    images = np.random.default_rng(0).normal(size=(33, 6, 6, 2)).astype(np.float32)

    def prediction(batch):
        feeds = integer_feeds(program, len(batch)) | {"input": batch}
        return run_natively(program, feeds)[program.output]

    together = prediction(images)
    for count in (1, 2, 15, 16, 17):
        np.testing.assert_array_equal(prediction(images[:count]), together[:count])
