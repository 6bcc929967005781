"""What makes one of several in the C++ core, and programs with several inputs and losses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.engine import Builder, Head, plan_heads, reference
from convlet.losses import MeanSquaredError
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    Pull,
    assert_equal,
    integer_feeds,
    integer_variable,
    program_of,
    run_natively,
    small_integers,
)
from numerics import add_dense

OPERATORS = ["add", "multiply", "maximum", "minimum"]


def merged(operator, positions, channels):
    """Return a network of two branches that an operator makes one of."""

    def network(builder, x):
        first = add_dense(builder, x, integer_variable("a", x.shape[-1], channels))
        second = add_dense(builder, x, integer_variable("b", x.shape[-1], channels))
        return builder.apply(operator, first, second, shape=first.shape)

    return network


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_two_branches(operator, lanes, instruction_set):
    """Small integers: ties are frequent."""
    for positions, channels in ((1, 1), (3, 5), (2, 17)):
        program = program_of(merged(operator, positions, channels), (positions, 2))
        assert_equal(program, integer_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("images", BATCHES)
def test_any_batch(images, operator):
    program = program_of(merged(operator, 3, 4), (3, 2))
    assert_equal(program, integer_feeds(program, images))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_an_array_with_itself(operator, lanes):
    def network(builder, x):
        x = add_dense(builder, x, integer_variable("a", 2, 3))
        return builder.apply(operator, x, x, shape=x.shape)

    program = program_of(network, (2,))
    assert_equal(program, integer_feeds(program, 18), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_infinity_and_what_is_no_number(operator, instruction_set):
    def network(builder, x):
        half = (2,)
        minus = builder.apply("rescale", x, shape=half, scale=-1.0, offset=1.0)
        return builder.apply(operator, x, minus, shape=half)

    program = program_of(network, (2,), training=False)
    feeds = {"input": np.array([[np.nan, 1], [np.inf, 0], [-np.inf, np.nan]], np.float32)}
    assert_equal(program, feeds, instruction_set)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.integers(0, 2),
    st.sampled_from(BATCHES),
    st.sampled_from(LANES),
    st.sampled_from(INSTRUCTION_SETS),
)
@settings(max_examples=60, deadline=None)
def test_arrays_side_by_side(shape, sizes, axis, images, lanes, instruction_set):
    axis %= len(shape)

    def network(builder, x):
        parts = []
        for number, size in enumerate(sizes):
            given = (*shape[:axis], size, *shape[axis + 1 :])
            y = add_dense(builder, x, integer_variable(f"d{number}", 2, int(np.prod(given))))
            shapes = {"input_shape": y.shape, "output_shape": given}
            parts.append(builder.apply("reshape", y, shape=given, **shapes))
        whole = (*shape[:axis], sum(sizes), *shape[axis + 1 :])
        return builder.apply("concatenate", *parts, shape=whole, axis=axis, sizes=sizes)

    program = program_of(network, (2,))
    assert_equal(program, integer_feeds(program, images), instruction_set, lanes)


# --- several inputs, outputs and losses ---


def two_and_two(losses, weights=(1.0, 1.0), training=True):
    """Return a program of two inputs and of two outputs with losses."""
    builder = Builder(training)
    a, b = builder.feed("input:a", (3,)), builder.feed("input:b", (2,))
    shared = integer_variable("shared", 4, 2)
    x = add_dense(builder, a, integer_variable("of_a", 3, 4))
    y = add_dense(builder, b, integer_variable("of_b", 2, 4))
    both = builder.apply("concatenate", x, y, shape=(8,), axis=0, sizes=[4, 4])
    outputs = [add_dense(builder, builder.apply("add", x, y, shape=(4,)), shared), both]
    names = ("main", "aux")
    columns = zip(outputs, losses, weights, names, strict=True)
    return plan_heads(builder, [Head(*head) for head in columns])


def feeds_of(program, images):
    feeds = {name: small_integers(images, *program.buffers[name].shape) for name in program.inputs}
    for output, names in zip(program.outputs, program.loss_feeds, strict=True):
        if names is not None:
            targets, weights = names
            feeds[targets] = small_integers(images, *program.buffers[output].shape, seed=1)
            feeds[weights] = np.arange(images, dtype=np.float32) % 3
    return feeds


LOSSES = {
    "of the core": (MeanSquaredError(), MeanSquaredError()),
    "in Python": (Pull(), Pull()),
    "of both kinds": (MeanSquaredError(), Pull()),
    "one alone": (None, MeanSquaredError()),
}


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 2.0), (0.0, 1.0)])
def test_several_inputs_outputs_and_losses(weights, losses, lanes):
    program = two_and_two(losses, weights)
    assert program.inputs == ("input:a", "input:b")
    feeds = feeds_of(program, 18)
    assert_equal(program, feeds, BEST, lanes)
    outputs = two_and_two((None, None), training=False)
    given = {name: feeds[name] for name in outputs.feeds}
    assert set(run_natively(outputs, given, BEST, lanes)) == set(outputs.outputs)


def test_the_gradient_of_a_weighted_sum_is_the_weighted_sum_of_gradients():
    feeds = feeds_of(two_and_two(LOSSES["of the core"]), 5)

    def gradients(*weights):
        program = two_and_two(LOSSES["of the core"], weights)
        results = reference.run(program, feeds)
        return {path: results[name] for path, name in program.gradients.items()}

    first, second, both = gradients(1.0, 0.0), gradients(0.0, 1.0), gradients(0.5, 3.0)
    assert set(both) == {"shared/shared", "of_a/of_a", "of_b/of_b"}
    for path, found in both.items():
        np.testing.assert_allclose(found, 0.5 * first[path] + 3 * second[path], rtol=1e-5)
        assert path == "shared/shared" or first[path].any()
