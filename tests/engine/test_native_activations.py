"""Activation functions and softmax in the C++ core: accuracy, infinities, NaN, gradients."""

import numpy as np
import pytest

from convlet import ops
from convlet.ops.activations import ELEMENTWISE
from native_runs import (
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_near,
    integer_variable,
    normal_feeds,
    program_of,
    run_natively,
)

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], np.float32)
TINY = np.finfo(np.float32).tiny  # the smallest normal number


def the_whole_range():
    """Return numbers of every size, densely around 0 and up to where e^x is no float any more."""
    sizes = np.geomspace(TINY, 1e38, 4000)
    line = np.linspace(-100, 100, 20011)
    edges = [87.3365, 87.3366, 87.34, 88.7, 88.72, 88.722, 88.7228, 88.72284, 88.73, 89.0, 104.0]
    return np.concatenate([line, sizes, -sizes, edges, np.negative(edges)]).astype(np.float32)


def applied(operator, x, instruction_set=BEST, lanes=1, **attributes):
    """Return what an operator makes of images of one row of channels."""

    def network(builder, feed):
        return builder.apply(operator, feed, shape=feed.shape, **attributes)

    program = program_of(network, x.shape[1:], training=False)
    return run_natively(program, {"input": x}, instruction_set, lanes)[program.output]


def activated(function, x, instruction_set=BEST):
    return applied("activation", x[None], instruction_set, function=function)[0]


# Near -3 hard_sigmoid is the difference of two halves; far below 0 silu and mish are products of a
# large number and one that is flushed to zero, and gelu's exact value is not known any better.
ABSOLUTE = {"hard_sigmoid": 3e-8, "silu": 2e-36, "mish": 2e-36, "gelu": 1e-12}


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("function", ELEMENTWISE)
def test_they_are_exact_to_a_millionth_over_the_whole_range(function, instruction_set):
    x = the_whole_range()
    with np.errstate(over="ignore", invalid="ignore"):
        exact = ops.activation(x.astype(np.float64), function)
        exact = np.where(np.abs(exact) > np.finfo(np.float32).max, np.sign(exact) * np.inf, exact)
    result = activated(function, x, instruction_set)
    np.testing.assert_allclose(result, exact, rtol=1e-6, atol=TINY + ABSOLUTE.get(function, 0))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("function", ELEMENTWISE)
def test_zeros_infinities_and_nan_give_what_they_give_in_the_reference(function, instruction_set):
    with np.errstate(invalid="ignore"):
        expected = ops.activation(SPECIAL, function)
    np.testing.assert_array_equal(activated(function, SPECIAL, instruction_set), expected)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("function", ELEMENTWISE)
@pytest.mark.parametrize("behind_bias", [True, False])
def test_gradients(behind_bias, function, instruction_set):
    """Behind a bias the activation is a step of its own, behind a dense layer it may be fused."""

    def network(builder, x):
        bias = builder.parameter(integer_variable("bias", *x.shape[-1:]))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
        kernel = builder.parameter(integer_variable("kernel", x.shape[-1], x.shape[-1]))
        if not behind_bias:
            x = builder.apply("dense", x, kernel, shape=x.shape)
        of_output = ELEMENTWISE[function].of_output
        operator = "activation" if of_output else "activation_of_input"
        return builder.apply(operator, x, shape=x.shape, function=function)

    program = program_of(network, (3, 7))
    for lanes in LANES:
        assert_near(program, normal_feeds(program, 18), instruction_set, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("function", ["relu", "relu6", "hard_sigmoid", "leaky_relu"])
def test_gradients_at_the_corners(function, instruction_set):
    def network(builder, x):
        bias = builder.parameter(integer_variable("bias", x.shape[-1]))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
        return builder.apply("activation", x, shape=x.shape, function=function)

    program = program_of(network, (13,))
    corners = np.arange(-6, 7, dtype=np.float32) - program.variables["/bias"].value
    feeds = normal_feeds(program, 3) | {"input": np.tile(corners, (3, 1))}
    assert_near(program, feeds, instruction_set)


@pytest.mark.parametrize("function", ["relu", "tanh", "gelu"])
def test_an_activation_is_the_same_bits_wherever_it_stands_in_a_vector(function):
    x = np.random.default_rng(0).normal(size=37).astype(np.float32)
    for instruction_set in INSTRUCTION_SETS:
        whole = activated(function, x, instruction_set)
        parts = [activated(function, x[n : n + 1], instruction_set)[0] for n in range(37)]
        np.testing.assert_array_equal(whole, parts)


# --- softmax ---

LOGITS = np.array(
    [
        [0, 0, 0],
        [1, 2, 3],
        [-1000, 0, 1000],
        [88, 89, 90],
        [-200, -200.5, -201],
        [-np.inf, 0, 1],
        [np.nan, 0, 1],
        [0, np.nan, 1],
        [0, 1, np.nan],
        [np.inf, 0, 1],
        [3e38, -3e38, 0],
    ],
    np.float32,
)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("operator", ["softmax", "log_softmax"])
def test_softmax_of_large_small_and_special_numbers(operator, lanes, instruction_set):
    with np.errstate(all="ignore"):
        exact = getattr(ops, operator)(LOGITS.astype(np.float64)).astype(np.float32)
    result = applied(operator, LOGITS, instruction_set, lanes)
    np.testing.assert_allclose(result, exact, rtol=1e-6, atol=TINY)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("channels", [1, 2, 3, 10, 17, 1000])
@pytest.mark.parametrize("operator", ["softmax", "log_softmax"])
def test_softmax_and_its_gradient(operator, channels, lanes, instruction_set):
    def network(builder, x):
        bias = builder.parameter(integer_variable("bias", channels))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
        return builder.apply(operator, x, shape=x.shape)

    program = program_of(network, (2, channels))
    assert_near(program, normal_feeds(program, 19), instruction_set, lanes)


CHOSEN = [
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.3}),
    ("rectifier", {"negative_slope": 0.5, "threshold": 1.5, "max_value": 4.0}),
]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize(("function", "parameters"), CHOSEN)
@pytest.mark.parametrize("fused", [True, False])
def test_chosen_parameters(fused, function, parameters, instruction_set):
    def network(builder, x):
        kernel = builder.parameter(integer_variable("kernel", x.shape[-1], x.shape[-1]))
        x = builder.apply("dense", x, kernel, shape=x.shape)
        if not fused:
            x = builder.apply("softmax", x, shape=x.shape)
        operator = "activation" if ELEMENTWISE[function].of_output else "activation_of_input"
        return builder.apply(operator, x, shape=x.shape, function=function, **parameters)

    program = program_of(network, (3, 7))
    for lanes in LANES:
        feeds = normal_feeds(program, 18)
        assert_near(program, feeds | {"input": feeds["input"] * 2}, instruction_set, lanes)
    program = program_of(network, (3, 7), training=False)
    for special in (np.nan, np.inf, -np.inf):
        feeds = normal_feeds(program, 3)
        feeds["input"][1, 1, 1] = special
        assert_near(program, feeds, instruction_set, 16)
