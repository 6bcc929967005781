"""Max pooling goes before a monotone activation: the same numbers, fewer of them to compute."""

import numpy as np
import pytest

from convlet.engine import Builder, plan, planner, reference
from convlet.ops import tap_table
from convlet.ops.activations import ELEMENTWISE
from native_runs import Pull, assert_near
from numerics import add_conv, normal, variable

MONOTONE = [name for name, function in ELEMENTWISE.items() if function.monotone]
OTHERS = [name for name in ELEMENTWISE if name not in MONOTONE]


def network(function, dtype="float64", *, operator="max_pool", read_again=False, last=False):
    """Return conv -> activation -> pooling, planned for training."""
    builder = Builder(training=True)
    x = builder.feed("input", (7, 6, 1))
    x = add_conv(builder, x, variable("kernel", 2, 2, 1, 3, dtype=dtype))
    of_output = ELEMENTWISE[function].of_output
    y = builder.apply(
        "activation" if of_output else "activation_of_input", x, shape=x.shape, function=function
    )
    table = tap_table(x.shape[:-1], (2, 3), 2, "same")
    pooled = builder.apply(operator, y, shape=(*table.output_shape, 3), table=table)
    if read_again:
        again = builder.apply(operator, y, shape=pooled.shape, table=table)
        pooled = builder.apply("add", pooled, again, shape=pooled.shape)
    return plan(builder, y if last else pooled, Pull())


def feeds_for(program, dtype="float64"):
    x = normal(5, 7, 6, 1, dtype=dtype)
    x[0] = np.round(x[0])  # with ties
    output = program.buffers[program.output].shape
    return {
        "input": x,
        "targets": normal(5, *output, seed=1, dtype=dtype),
        "weights": np.ones(5, dtype),
    }


def order(program):
    return [i.operator for i in program.forward if i.operator.startswith(("act", "max", "ave"))]


def unchanged(monkeypatch, *args, **kwargs):
    """Return the network as it is written down."""
    with monkeypatch.context() as patch:
        patch.setattr(planner, "_pool_before_activations", lambda builder, output: None)
        return network(*args, **kwargs)


@pytest.mark.parametrize("function", MONOTONE)
def test_predictions_and_gradients_stay_the_same(function, monkeypatch):
    before, after = unchanged(monkeypatch, function), network(function)
    assert order(before) != order(after)
    one, other = (reference.run(p, feeds_for(p)) for p in (before, after))
    np.testing.assert_array_equal(other[after.output], one[before.output])
    np.testing.assert_allclose(
        other[after.gradients["kernel/kernel"]],
        one[before.gradients["kernel/kernel"]],
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("function", MONOTONE)
def test_the_order_changes_for_monotone_functions(function):
    operators = order(network(function))
    assert operators[0] == "max_pool"
    assert operators[1].startswith("activation")


@pytest.mark.parametrize("function", OTHERS)
def test_it_does_not_for_others(function):
    assert order(network(function))[1] == "max_pool"


def test_functions_that_turn_back_are_known():
    """A function is monotone if it never falls, as far as floats can tell."""
    z = np.linspace(-20, 20, 100001)
    for name, function in ELEMENTWISE.items():
        falls = np.diff(function.function(z)).min() < -1e-12
        assert function.monotone == (not falls), name


def test_nor_where_the_activation_is_read_again_or_is_the_prediction():
    assert order(network("relu", read_again=True))[0] == "activation"
    assert order(network("relu", last=True))[0] == "activation"


def test_nor_before_a_mean():
    assert order(network("relu", operator="average_pool")) == ["activation", "average_pool"]


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_the_c_core_agrees(function):
    program = network(function, "float32")
    for lanes in (1, 16):
        assert_near(program, feeds_for(program, "float32"), lanes=lanes)


def test_buffers_keep_the_names_of_their_layers():
    program = network("relu")
    assert program.output == "/max_pool"
    assert "/max_pool.winner" in program.buffers
    written = [name for i in program.forward for name in i.writes]
    assert len(written) == len(set(written))
