"""Activations against SciPy or closed forms, and their derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from scipy import special

from convlet.ops import (
    activation,
    activation_gradient,
    log_softmax,
    log_softmax_gradient,
    softmax,
    softmax_gradient,
)
from convlet.ops.activations import ELEMENTWISE
from numerics import central_difference, normal

Function = Callable[[np.ndarray], np.ndarray]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934

JUDGES: dict[str, Function] = {
    "relu": lambda z: np.where(z < 0, 0, z),
    "relu6": lambda z: np.where(z < 0, 0, np.where(z > 6, 6, z)),
    "leaky_relu": lambda z: z * np.where(z < 0, 0.2, 1),
    "elu": lambda z: np.where(z < 0, special.expm1(np.minimum(z, 0)), z),
    "selu": lambda z: SELU_SCALE * np.where(z < 0, SELU_ALPHA * special.expm1(np.minimum(z, 0)), z),
    "tanh": lambda z: 2 * special.expit(2 * z) - 1,
    "sigmoid": special.expit,
    "hard_sigmoid": lambda z: np.where(z < -3, 0, np.where(z > 3, 1, (z + 3) / 6)),
    "softplus": lambda z: -special.log_expit(-z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "exponential": lambda z: special.expm1(z) + 1,
    "silu": lambda z: z * special.expit(z),
    "gelu": lambda z: z * special.ndtr(z),
    "mish": lambda z: z * np.tanh(-special.log_expit(-z)),
    "rectifier": lambda z: np.where(z < 0, 0, z),
}
KINKS = {
    "relu": [0],
    "relu6": [0, 6],
    "leaky_relu": [0],
    "selu": [0],
    "hard_sigmoid": [-3, 3],
    "rectifier": [0],
}
BENDS = {"elu": [0], "softsign": [0]}  # f' is continuous there, but differences lose digits

NAMES = sorted(ELEMENTWISE)
Z = np.linspace(-9, 9, 289).reshape(17, 17)  # holds -9, -6, -3, 0, 3, 6 and 9 exactly


def gradient_by(name: str, z: np.ndarray, delta: np.ndarray) -> np.ndarray:
    known = activation(z, name) if ELEMENTWISE[name].of_output else z
    return activation_gradient(delta, known, name)


def test_every_activation_has_a_judge():
    assert set(JUDGES) == set(ELEMENTWISE)


@pytest.mark.parametrize("name", NAMES)
def test_values(name: str):
    np.testing.assert_allclose(activation(Z, name), JUDGES[name](Z), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_is_the_central_difference(name: str):
    left_out = np.array((KINKS | BENDS).get(name, []))
    z = Z[(np.abs(Z[..., None] - left_out) > 1e-3).all(axis=-1)]
    step = 1e-5
    difference = (JUDGES[name](z + step) - JUDGES[name](z - step)) / (2 * step)
    delta = normal(z.size)
    np.testing.assert_allclose(
        gradient_by(name, z, delta), delta * difference, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("name", sorted(KINKS))
def test_at_a_kink_the_derivative_is_that_of_one_side(name: str):
    for kink in KINKS[name]:
        z = np.array([kink - 1e-3, kink, kink + 1e-3])
        left, at, right = gradient_by(name, z, np.ones(3))
        assert left != right
        assert min(abs(at - left), abs(at - right)) < 1e-2


# chosen parameters: the function, and where it has kinks
CHOSEN = [
    ("leaky_relu", {"negative_slope": 0.01}, lambda z: np.maximum(z, 0.01 * z), [0]),
    ("elu", {"alpha": 0.3}, lambda z: np.where(z < 0, 0.3 * special.expm1(z), z), [0]),
    (
        "rectifier",
        {"negative_slope": 0.5, "threshold": 1.5, "max_value": 4.0},
        lambda z: np.select([z < 1.5, z < 4], [0.5 * z - 0.75, z], 4.0),
        [1.5, 4],
    ),
]


@pytest.mark.parametrize(("name", "parameters", "judge", "kinks"), CHOSEN)
def test_chosen_parameters(name, parameters, judge, kinks):
    z = Z[(np.abs(Z[..., None] - np.array(kinks)) > 1e-3).all(axis=-1)]
    y, step, delta = activation(z, name, **parameters), 1e-5, normal(z.size)
    np.testing.assert_allclose(y, judge(z), rtol=1e-12, atol=1e-14)
    known = y if ELEMENTWISE[name].of_output else z
    difference = (judge(z + step) - judge(z - step)) / (2 * step)
    np.testing.assert_allclose(
        activation_gradient(delta, known, name, **parameters), delta * difference, atol=1e-9
    )


@pytest.mark.parametrize("name", ["relu", "relu6", "rectifier"])
def test_not_a_number_stays(name):
    assert np.isnan(activation(np.array([np.nan]), name)).all()


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_rectifiers_let_nothing_through_at_zero(name: str):
    assert gradient_by(name, np.zeros(1), np.ones(1)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_large_numbers(name: str, dtype: str):
    """No overflow inside: every value and slope is the limit's, and no warning is given."""
    z = np.array([-1e4, -300, -100, 100, 300, 1e4], dtype)
    y = activation(z, name)
    slope = gradient_by(name, z, np.ones_like(z))
    if name == "exponential":
        assert y[-1] == np.inf, "the one that truly is too large"
        y, slope, z = y[:3], slope[:3], z[:3]
    assert np.isfinite(y).all()
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(y, JUDGES[name](z.astype("float64")), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_the_float_type_stays(name: str, dtype: str):
    z = Z.astype(dtype)
    assert activation(z, name).dtype == dtype
    assert gradient_by(name, z, np.ones_like(z)).dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_as_exact_as_it_can_be(name: str):
    z = Z.astype("float32")
    delta = np.ones_like(z)
    np.testing.assert_allclose(activation(z, name), JUDGES[name](Z), rtol=3e-6, atol=2e-6)
    np.testing.assert_allclose(
        gradient_by(name, z, delta), gradient_by(name, Z, np.ones_like(Z)), rtol=3e-6, atol=2e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_not_a_number_passes_through(name: str):
    z = np.array([1.0, np.nan, -1.0])
    np.testing.assert_array_equal(np.isnan(activation(z, name)), [False, True, False])


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_that_is_not_a_number_passes_back(name: str):
    delta = np.array([np.nan, 1.0])
    np.testing.assert_array_equal(
        np.isnan(gradient_by(name, np.array([0.5, 0.5]), delta)), [True, False]
    )


@pytest.mark.parametrize(
    ("name", "at_minus_infinity", "at_infinity"),
    [
        ("relu", 0, np.inf),
        ("relu6", 0, 6),
        ("leaky_relu", -np.inf, np.inf),
        ("elu", -1, np.inf),
        ("selu", -SELU_ALPHA * SELU_SCALE, np.inf),
        ("tanh", -1, 1),
        ("sigmoid", 0, 1),
        ("hard_sigmoid", 0, 1),
        ("softplus", 0, np.inf),
        ("exponential", 0, np.inf),
    ],
)
def test_infinity_gives_the_limit(name: str, at_minus_infinity: float, at_infinity: float):
    """Not demanded of z·Φ(z) and the like, whose -inf · 0 is not-a-number in every framework."""
    y = activation(np.array([-np.inf, np.inf]), name)
    np.testing.assert_allclose(y, [at_minus_infinity, at_infinity], rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (2, 3, 4, 5)])
def test_any_shape(name: str, shape: tuple[int, ...]):
    z = normal(*shape)
    assert activation(z, name).shape == shape
    assert gradient_by(name, z, normal(*shape)).shape == shape


@pytest.mark.parametrize("name", NAMES)
def test_operands_are_not_written_to(name: str):
    z, delta = Z.copy(), Z.copy()
    gradient_by(name, z, delta)
    np.testing.assert_array_equal(z, Z)
    np.testing.assert_array_equal(delta, Z)


@pytest.mark.parametrize("name", ["relu", "relu6", "tanh", "sigmoid", "elu", "leaky_relu"])
def test_monotonic_ones_never_decrease(name: str):
    """Max pooling may be moved before these."""
    assert (np.diff(activation(Z.ravel(), name)) >= 0).all()


SHAPES = [(5,), (1, 1), (3, 4), (2, 3, 4, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_is_scipys(shape: tuple[int, ...]):
    z = 10 * normal(*shape)
    np.testing.assert_allclose(softmax(z), special.softmax(z, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(log_softmax(z), special.log_softmax(z, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("function", "gradient"), [(softmax, softmax_gradient), (log_softmax, log_softmax_gradient)]
)
def test_softmax_gradient_is_the_central_difference(
    function: Function, gradient: Callable, shape: tuple[int, ...]
):
    z, delta = normal(*shape), normal(*shape, seed=1)
    difference = central_difference(lambda z: float((function(z) * delta).sum()), z)
    np.testing.assert_allclose(gradient(delta, function(z)), difference, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_large_numbers(dtype: str):
    z = np.array([[-1e4, 0, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]], dtype)
    third = 1 / 3
    np.testing.assert_allclose(softmax(z), [[0, 0, 1], [third] * 3, [third] * 3], rtol=1e-6)
    np.testing.assert_allclose(
        log_softmax(z), [[-2e4, -1e4, 0], [np.log(third)] * 3, [np.log(third)] * 3], rtol=1e-6
    )
    assert np.isfinite(softmax_gradient(np.ones_like(z), softmax(z))).all()
    assert np.isfinite(log_softmax_gradient(np.ones_like(z), log_softmax(z))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_keeps_the_float_type(dtype: str):
    z, delta = normal(3, 4, dtype=dtype), normal(3, 4, seed=1, dtype=dtype)
    results = [
        softmax(z),
        softmax_gradient(delta, softmax(z)),
        log_softmax(z),
        log_softmax_gradient(delta, log_softmax(z)),
    ]
    assert {result.dtype.name for result in results} == {dtype}


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_softmax_of_a_row_with_not_a_number(function: Function):
    y = function(np.array([[0.0, np.nan, 1.0], [0.0, 0.0, 1.0]]))
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()


def test_softmax_of_an_impossible_class():
    z = np.array([[-np.inf, 0.0, 0.0]])
    np.testing.assert_allclose(softmax(z), [[0, 0.5, 0.5]])
    np.testing.assert_allclose(log_softmax(z), [[-np.inf, np.log(0.5), np.log(0.5)]])


def test_gelu_is_the_exact_one():
    """Not the approximation by tanh: at 2 they differ in the fourth digit."""
    z = np.array([2.0])
    np.testing.assert_allclose(activation(z, "gelu"), z * 0.5 * (1 + special.erf(z / sqrt(2))))
