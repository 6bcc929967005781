"""Moving numbers in the C++ core: random tables, runs, sums in order, special numbers, threads."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import config
from convlet.engine import reference, tables
from convlet.ops import (
    TakeTable,
    crop_table,
    pad_table,
    repeat_table,
    take,
    transpose_table,
)
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_equal,
    behind_dense,
    integer_feeds,
    integer_variable,
    normal_feeds,
    program_of,
    run_natively,
)
from numerics import take_tables

machines = st.sampled_from(INSTRUCTION_SETS)
lanes_of_a_block = st.sampled_from(LANES)

TABLES = {
    "padding": pad_table((5, 4, 3), [(2, 1), (0, 3)]),
    "reflection": pad_table((5, 2, 3), [(9, 4), (3, 3)], "reflect"),
    "edge": pad_table((5, 2, 3), [(9, 4), (3, 3)], "edge"),
    "cropping": crop_table((6, 5, 3), [(1, 2), (0, 3)]),
    "upsampling": repeat_table((3, 4, 3), (2, 3)),
    "upsampling of one channel": repeat_table((3, 4, 1), (2, 3)),
    "permutation": transpose_table((3, 4, 17), (2, 0, 1)),
    "permutation of positions": transpose_table((3, 4, 17), (1, 0, 2)),
    "channels": pad_table((4, 5), [(0, 0), (3, 20)]),
}


def taking(table, fill=0.0):
    def network(builder, x):
        return builder.apply("take", x, shape=table.output_shape, table=table, fill=fill)

    return network


def biased(table, fill=0.0):
    """Return taking behind a bias for each number: with one image, its gradient is that of x."""

    def network(builder, x):
        bias = builder.parameter(integer_variable("bias", x.shape[-1]))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
        return taking(table, fill)(builder, x)

    return network


def flat(table):
    """Return the same table for images with one axis."""
    size = int(np.prod(table.input_shape))
    numbers = take(np.arange(size).reshape(1, *table.input_shape), table, -1)
    return TakeTable((size,), (numbers.reshape(-1).astype(np.int32),))


def check(table, fill, images, instruction_set, lanes):
    network = behind_dense(taking(table, fill), table.input_shape[-1])
    program = program_of(network, (*table.input_shape[:-1], 2))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


@given(
    take_tables((1, 2, 3, 16, 33)),
    st.sampled_from([0.0, -3.0, np.inf]),
    st.sampled_from(BATCHES),
    machines,
    lanes_of_a_block,
)
@settings(max_examples=60, deadline=None)
def test_any_table(table, fill, images, instruction_set, lanes):
    check(table, fill, images, instruction_set, lanes)


@pytest.mark.slow
@given(take_tables((1, 2, 3, 16, 33)), st.integers(1, 65), machines, lanes_of_a_block)
@settings(max_examples=1000, deadline=None)
def test_any_table_often(table, images, instruction_set, lanes):
    check(table, 1.0, images, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", TABLES)
def test_the_tables_that_layers_make(name, lanes, instruction_set):
    for images in (1, 17, 65):
        check(TABLES[name], -2.0, images, instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", TABLES)
def test_sums_are_taken_in_the_order_of_the_outputs(name, lanes, instruction_set):
    """Of numbers that no order gives the same sum of; one image, so that nothing else is added."""
    table = flat(TABLES[name])
    program = program_of(biased(table), table.input_shape)
    assert_equal(program, normal_feeds(program, 1), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_passes_and_touches_nothing_else(special, lanes, instruction_set):
    for name in ("padding", "upsampling", "permutation"):
        table = flat(TABLES[name])
        program = program_of(biased(table), table.input_shape)
        feeds = integer_feeds(program, 3)
        feeds["input"][0, 1] = feeds["input"][2, -1] = special
        assert_equal(program, feeds, instruction_set, lanes)
        feeds = integer_feeds(program, 3)
        feeds["targets"][1, ::5] = special  # the gradient of what is taken
        assert_equal(program, feeds, instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
def test_constants_that_are_not_finite(lanes):
    for fill in (np.nan, -np.inf):
        program = program_of(taking(TABLES["padding"], fill), (5, 4, 3), training=False)
        assert_equal(program, integer_feeds(program, 17), BEST, lanes)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("images", [1, 16, 40])
def test_the_same_bits_for_any_number_of_threads(images, lanes):
    """Large enough to be shared by threads; 7 of them cut runs at odd places."""
    before = config.threads()
    for table in (repeat_table((40, 31, 3), (3, 2)), pad_table((60, 61), [(70, 9)], "reflect")):
        network = behind_dense(taking(table), table.input_shape[-1])
        program = program_of(network, (*table.input_shape[:-1], 2))
        feeds = normal_feeds(program, images)
        results = []
        for threads in (1, 2, 7):
            config.set_threads(threads)
            results.append(run_natively(program, feeds, BEST, lanes))
        config.set_threads(before)
        for name, array in results[0].items():
            for other in results[1:]:
                np.testing.assert_array_equal(array.view(np.int32), other[name].view(np.int32))
        expected = reference.run(program, feeds)[program.output]
        np.testing.assert_allclose(results[0][program.output], expected, rtol=1e-5, atol=1e-5)


# --- runs ---


def runs_of(monkeypatch, table, is_gradient):
    """Return the arrays that the C++ core is given for a table."""
    made = []
    monkeypatch.setattr(tables._native, "Moves", lambda *arrays: made.append(arrays))
    tables.native_moves(table, is_gradient)
    return made[0]


def test_padding_copies_whole_lines(monkeypatch):
    table = pad_table((28, 28, 3), [(2, 2), (1, 1)])
    first, first_source, source = runs_of(monkeypatch, table, False)
    lines = np.arange(28)
    np.testing.assert_array_equal(source, 28 * 3 * lines)
    np.testing.assert_array_equal(first[1:-1:2], (2 * 30 + 1 + 30 * lines) * 3)
    assert first[-1] == 32 * 30 * 3
    np.testing.assert_array_equal(np.diff(first_source), [0, 1] * 28 + [0])


def test_the_gradient_of_padding_copies_whole_lines(monkeypatch):
    table = pad_table((28, 28, 3), [(2, 2), (1, 1)])
    first, first_source, source = runs_of(monkeypatch, table, True)
    lines = np.arange(28)
    np.testing.assert_array_equal(first, 28 * 3 * np.arange(29))
    np.testing.assert_array_equal(source, (2 * 30 + 1 + 30 * lines) * 3)
    np.testing.assert_array_equal(first_source, np.arange(29))


def test_rows_that_stay_together_are_one_run(monkeypatch):
    first, _, source = runs_of(monkeypatch, crop_table((9, 5, 3), [(2, 3)]), False)
    assert (first.tolist(), source.tolist()) == ([0, 4 * 15], [2 * 15])


def test_the_gradient_of_upsampling_sums_channels_together(monkeypatch):
    first, first_source, source = runs_of(monkeypatch, repeat_table((2, 5), (3,)), True)
    assert first.tolist() == [0, 5, 10]
    assert first_source.tolist() == [0, 3, 6]
    assert source.tolist() == [0, 5, 10, 15, 20, 25]


def test_moves_live_as_long_as_their_table():
    table = repeat_table((2, 5), (3,))
    assert tables.native_moves(table, False) is tables.native_moves(table, False)
    assert tables.native_moves(table, False) is not tables.native_moves(table, True)
    kept = weakref.ref(table)
    del table
    gc.collect()
    assert kept() is None
