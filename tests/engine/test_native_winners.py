"""Gradients that are summed over the winners of a max pooling alone."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import _native
from convlet.engine import Buffer, Builder, Program, fusion
from convlet.ops import TapTable, tap_table
from native_runs import (
    BATCHES,
    INSTRUCTION_SETS,
    assert_equal,
    assert_near,
    behind_dense,
    integer_feeds,
    integer_variable,
    normal_feeds,
    program_of,
    run_natively,
)
from numerics import add_dense, tables

BOTH = {"conv_input_gradient", "conv_kernel_gradient"}
LANES = (16, 32, 64)
every_machine = pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)


def pooled(
    table: TapTable,
    filters: int,
    window: int = 2,
    activation: str | None = None,
    groups: int = 1,
    channels: int = 3,
) -> Program:
    """Return dense -> convolution -> bias -> max pooling -> activation -> dense, for training."""

    def network(builder: Builder, x: Buffer) -> Buffer:
        rank = len(table.axes)
        kernel = integer_variable("kernel", *table.kernel_shape, x.shape[-1] // groups, filters)
        shape = (*table.output_shape, filters)
        parameter = builder.parameter(kernel)
        x = builder.apply(
            "conv", x, parameter, shape=shape, table=table, groups=groups, algorithm="direct"
        )
        x = builder.apply(
            "add_bias", x, builder.parameter(integer_variable("bias", filters)), shape=x.shape
        )
        pool = tap_table(table.output_shape, (window,) * rank, window, "same")
        shape = (*pool.output_shape, filters)
        x = builder.apply("max_pool", x, shape=shape, table=pool)
        if activation is not None:
            x = builder.apply("activation", x, shape=shape, function=activation)
        return add_dense(builder, x, integer_variable("behind", filters, 2))

    return program_of(behind_dense(network, channels), (*table.input_shape, 2))


def by_winners(program: Program, instruction_set: str) -> set[str]:
    width = _native.register_width(instruction_set)
    steps = fusion.fuse(program, 16, 16, width)
    return {step.instructions[-1].operator for step in steps if step.by_winners}


def check(program: Program, images: int, instruction_set: str, lanes: int) -> None:
    assert by_winners(program, instruction_set) == BOTH
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@every_machine
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("images", BATCHES)
def test_every_number_of_images(images, lanes, instruction_set):
    check(pooled(tap_table((6, 6), (3, 3)), 5, channels=16), images, instruction_set, lanes)


@every_machine
@pytest.mark.parametrize("padding", ["valid", "same", [(2, 1), (0, 3)]])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
def test_every_kernel_stride_and_padding(kernel, strides, padding, instruction_set):
    table = tap_table((9, 8), kernel, strides, padding)
    check(pooled(table, 3, channels=32), 18, instruction_set, 16)


@every_machine
@pytest.mark.parametrize(
    ("shape", "kernel", "dilation"),
    [((12,), (3,), 1), ((9, 8), (2, 2), (2, 1)), ((5, 4, 6), (2, 3, 2), 1), ((9, 8), (3, 1), 1)],
)
def test_every_rank_and_holes_between_the_lines_of_a_kernel(
    shape, kernel, dilation, instruction_set
):
    table = tap_table(shape, kernel, 1, "valid", dilation)
    check(pooled(table, 4, channels=32), 18, instruction_set, 16)


@every_machine
@pytest.mark.parametrize("channels", [16, 17, 31, 32, 33, 85, 86, 100, 171])
def test_lines_below_at_and_above_the_registers(channels, instruction_set):
    """Three taps of 85 channels are 255 floats, 16 registers of AVX-512, and one float less."""
    check(pooled(tap_table((2, 6), (1, 3)), 3, channels=channels), 17, instruction_set, 16)


@every_machine
@pytest.mark.parametrize("window", [3, 4])
@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_windows_of_any_size_and_deltas_that_are_zero(activation, window, instruction_set):
    program = pooled(tap_table((10, 9), (3, 3)), 5, window, activation, channels=16)
    check(program, 33, instruction_set, 16)


@every_machine
def test_more_windows_and_more_filters_than_are_sorted_at_a_time(instruction_set):
    """64 windows, and 1024 deltas."""
    check(pooled(tap_table((40, 36), (1, 2)), 3, channels=32), 3, instruction_set, 16)
    check(pooled(tap_table((4, 6), (1, 2)), 1025, channels=32), 3, instruction_set, 16)


@every_machine
def test_numbers_that_are_no_integers(instruction_set):
    program = pooled(tap_table((8, 8), (3, 3)), 6, activation="tanh", channels=20)
    assert by_winners(program, instruction_set) == BOTH
    assert_near(program, normal_feeds(program, 35), instruction_set, 16)


@given(
    tables(ranks=(1, 2)),
    st.integers(1, 9),
    st.integers(1, 40),
    st.sampled_from(BATCHES),
    st.sampled_from(INSTRUCTION_SETS),
    st.sampled_from(LANES),
)
@settings(max_examples=80, deadline=None)
def test_any_convolution_also_where_it_does_not_pay(
    table, filters, channels, images, machine, lanes
):
    with mock.patch.object(fusion, "_UNALIGNED", 0.0):
        program = pooled(table, filters, channels=channels)
        assert_equal(program, integer_feeds(program, images), machine, lanes)


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        (tap_table((8, 8), (3, 3)), {"groups": 2}),
        (tap_table((9, 9), (3, 3), 1, "valid", (1, 2)), {}),
        (tap_table((8, 8), (3, 3), 1, [(8, 8), (8, 8)]), {}),
        (tap_table((8, 8), (1, 1)), {"channels": 1}),
        (tap_table((8, 8), (3, 3)), {"window": 1}),
    ],
    ids=["groups", "holes in a line", "mostly padding", "short lines", "all outputs win"],
)
def test_where_it_does_not_pay_every_delta_is_summed(table, arguments):
    program = pooled(table, 4, **{"channels": 16, **arguments})
    assert not by_winners(program, INSTRUCTION_SETS[-1])
    assert_equal(program, integer_feeds(program, 18), lanes=16)


def test_a_delta_of_zero_adds_nothing_even_where_an_image_is_infinite():
    """The reference multiplies it with infinity, which is NaN; a loss then is not finite anyway."""
    program = pooled(tap_table((4, 4), (1, 1)), 1, channels=32)
    feeds = integer_feeds(program, 16)
    feeds["targets"][:] = 0
    feeds["input"][3] = np.inf
    results = run_natively(program, feeds, lanes=16)
    (gradient,) = (g for v, g in program.gradients.items() if v.endswith("kernel"))
    assert not results[gradient].any()
