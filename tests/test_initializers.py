"""Initializers: limits, variances and fans, seeds and types; SciPy judges the distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from convlet import config, initializers, random
from convlet.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomSigns,
    RandomUniform,
    SigmoidUniform,
    TanhUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    compute_fans,
)

KERNEL = (3, 5, 40, 60)  # 36,000 numbers
FAN_IN, FAN_OUT = 15 * 40, 15 * 60
ALL = [
    Zeros(),
    Ones(),
    Constant(-2.5),
    RandomUniform(-1.0, 2.0, seed=3),
    RandomNormal(1.0, 0.25),
    RandomSigns(),
    TruncatedNormal(1.0, 0.25),
    VarianceScaling(0.5, "fan_out", "untruncated_normal"),
    GlorotUniform(),
    GlorotNormal(seed=4),
    HeUniform(),
    HeNormal(),
    LecunUniform(),
    LecunNormal(),
    TanhUniform(),
    SigmoidUniform(seed=4),
]


def name_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((3, 4), (3, 4)),
        ((5, 2, 8), (10, 40)),
        ((3, 3, 16, 32), (144, 288)),
        ((2, 3, 4, 5, 6), (120, 144)),
    ],
)
def test_fans_are_those_of_keras(shape: tuple, fans: tuple):
    assert compute_fans(shape) == fans


def test_constants():
    np.testing.assert_array_equal(Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(Ones()((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(Constant(-2.5)((2, 3)), np.full((2, 3), -2.5))


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("glorot_uniform", math.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("tanh_uniform", math.sqrt(6) / math.sqrt(FAN_IN + FAN_OUT)),
        ("sigmoid_uniform", 4 * math.sqrt(6) / math.sqrt(FAN_IN + FAN_OUT)),
        ("he_uniform", math.sqrt(6 / FAN_IN)),
        ("lecun_uniform", math.sqrt(3 / FAN_IN)),
    ],
)
def test_uniform_rules_fill_their_interval(name: str, limit: float):
    weights = initializers.get(name)(KERNEL, "float64", seed=1).ravel()
    assert stats.kstest(weights, stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
        ("he_normal", 2 / FAN_IN),
        ("lecun_normal", 1 / FAN_IN),
    ],
)
def test_normal_rules_have_their_variance_after_the_cut(name: str, variance: float):
    weights = initializers.get(name)(KERNEL, "float64", seed=1).ravel()
    whole = math.sqrt(variance) / stats.truncnorm(-2, 2).std()
    assert stats.kstest(weights, stats.truncnorm(-2, 2, scale=whole).cdf).pvalue > 0.01
    assert weights.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize(
    ("initializer", "distribution"),
    [
        (RandomUniform(), stats.uniform(-0.05, 0.1)),
        (RandomUniform(-1.0, 3.0), stats.uniform(-1, 4)),
        (RandomNormal(), stats.norm(0, 0.05)),
        (RandomNormal(1.0, 0.25), stats.norm(1, 0.25)),
        (TruncatedNormal(), stats.truncnorm(-2, 2, scale=0.05)),
        (TruncatedNormal(1.0, 0.25), stats.truncnorm(-2, 2, loc=1, scale=0.25)),
        (
            VarianceScaling(3.0, "fan_out", "untruncated_normal"),
            stats.norm(0, math.sqrt(3 / FAN_OUT)),
        ),
    ],
)
def test_distributions(initializer: Initializer, distribution: object):
    weights = initializer(KERNEL, "float64", seed=2).ravel()
    assert stats.kstest(weights, distribution.cdf).pvalue > 0.01


def test_signs_are_as_often_negative_as_positive():
    signs = RandomSigns()(KERNEL, "float64", seed=1)
    assert set(signs.ravel()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 0.02


def test_the_tanh_rule_is_glorot_uniform_and_the_sigmoid_rule_four_times_that():
    glorot = GlorotUniform()(KERNEL, "float64", seed=5)
    np.testing.assert_array_equal(TanhUniform()(KERNEL, "float64", seed=5), glorot)
    np.testing.assert_array_equal(SigmoidUniform()(KERNEL, "float64", seed=5), 4 * glorot)


@pytest.mark.parametrize("initializer", ALL, ids=name_of)
@pytest.mark.parametrize("shape", [(), (4,), (3, 2), KERNEL])
def test_float32_and_float64_start_alike(initializer: Initializer, shape: tuple):
    single = initializer(shape, "float32", seed=9)
    double = initializer(shape, np.float64, seed=9)
    assert isinstance(single, np.ndarray)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert single.shape == double.shape == shape
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("shape", [(6, 6), (3, 7), (7, 3), (2, 2, 3, 5), (2, 1, 3, 8)])
def test_orthogonal_columns_or_rows(shape: tuple):
    matrix = Orthogonal(gain=2.0)(shape, "float64", seed=1).reshape(-1, shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, 4 * np.eye(matrix.shape[1]), atol=1e-12)


def test_orthogonal_matrices_are_drawn_evenly():
    """Haar measure: the entries' moments, and the determinants' signs, SciPy's as the judge."""
    drawn = np.stack([Orthogonal()((3, 3), "float64", seed=seed) for seed in range(600)])
    signs = np.linalg.det(drawn)
    assert abs(np.mean(signs)) < 0.1
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 1 / 3, atol=0.06)
    known = stats.ortho_group(3, seed=1).rvs(600)
    for ours, scipy_s in zip(drawn.reshape(600, 9).T, known.reshape(600, 9).T, strict=True):
        assert stats.ks_2samp(ours, scipy_s).pvalue > 1e-3


def test_the_identity():
    np.testing.assert_array_equal(Identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])


def test_keras_s_second_names():
    assert type(initializers.get("OrthogonalInitializer")) is Orthogonal
    assert type(initializers.get("orthogonal")) is Orthogonal
    assert type(initializers.get("identity")) is Identity
    assert initializers.OrthogonalInitializer is Orthogonal


@pytest.mark.parametrize("initializer", [Orthogonal(1.5, seed=2), Identity(2.0)], ids=name_of)
def test_configurations_of_matrices_come_back(initializer: Initializer):
    twin = initializers.get(initializers.serialize(initializer))
    assert twin.get_config() == initializer.get_config()
    np.testing.assert_array_equal(twin((3, 4), seed=1), initializer((3, 4), seed=1))


def test_seeds():
    free, fixed = RandomNormal(), RandomNormal(seed=0)
    np.testing.assert_array_equal(free((5,), seed=1), free((5,), seed=1))
    assert (free((5,), seed=1) != free((5,), seed=2)).all()
    np.testing.assert_array_equal(fixed((5,), seed=1), free((5,), seed=0))
    np.testing.assert_array_equal(fixed((5,)), fixed((5,)))
    assert (free((5,)) != free((5,))).all()


def test_without_a_seed_the_program_s_seed_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random, "_sequence", random._sequence)
    random.set_random_seed(4)
    first = GlorotUniform()((3, 3))
    Zeros()((3, 3))  # draws nothing, so that it takes no seed either
    second = GlorotUniform()((3, 3))
    random.set_random_seed(4)
    np.testing.assert_array_equal(GlorotUniform()((3, 3)), first)
    np.testing.assert_array_equal(GlorotUniform()((3, 3)), second)


def test_the_type_left_out_is_floatx(monkeypatch: pytest.MonkeyPatch):
    assert Ones()((2,)).dtype == np.float32
    monkeypatch.setattr(config, "_floatx", "float64")
    assert Ones()((2,)).dtype == np.float64


def test_results_may_be_written_to():
    for initializer in ALL:
        initializer((2, 2), "float64", seed=0)[0, 0] = 7


@pytest.mark.parametrize("initializer", ALL, ids=name_of)
def test_configurations_come_back(initializer: Initializer):
    twin = initializers.get(initializers.serialize(initializer))
    assert initializers.serialize(twin) == initializers.serialize(initializer)
    np.testing.assert_array_equal(twin((3, 4), seed=1), initializer((3, 4), seed=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant("x"), "Constant: value must be a finite number, got 'x'"),
        (lambda: RandomNormal(stddev=-1), "RandomNormal: stddev must be a number of at least 0"),
        (lambda: RandomUniform(1, 0), "RandomUniform: maxval must be a number of at least 1, got"),
        (lambda: RandomUniform(seed=-1), "RandomUniform: seed must be an integer of at least 0"),
        (lambda: VarianceScaling(0), "VarianceScaling: scale must be a number above 0, got 0"),
        (lambda: VarianceScaling(mode="in"), "mode must be one of 'fan_in', 'fan_out', 'fan_avg'"),
        (
            lambda: VarianceScaling(distribution="normal"),
            "distribution must be one of 'truncated_normal', 'untruncated_normal', 'uniform', got",
        ),
        (lambda: Orthogonal()((4,)), "Orthogonal: shape must be one of at least 2 axes, got (4,)"),
        (lambda: Orthogonal("x"), "Orthogonal: gain must be a finite number, got 'x'"),
        (
            lambda: Orthogonal()((10**7, 10**7)),
            "Orthogonal: the array must fit into the ",
        ),
        (lambda: Ones()((10**9, 10**9)), "Ones: the array must fit into the "),
        (lambda: Constant(1e300)((2,)), "Constant: float32 cannot hold numbers that large"),
        (
            lambda: RandomUniform(-1e308, 1e308),
            "RandomUniform: maxval must be a finite distance from minval, got 1e+308",
        ),
        (lambda: Identity()((2, 2, 2)), "Identity: shape must be one of 2 axes, got (2, 2, 2)"),
        (lambda: Ones()((2, 0)), "Ones: shape must be a tuple of integers of at least 1, got"),
        (lambda: Ones()((2,), "int8"), "Ones: dtype must be one of 'float32', 'float64', got 'int"),
        (lambda: Ones()((2,), seed="x"), "Ones: seed must be an integer of at least 0, got 'x'"),
        (lambda: initializers.get("xavier"), "initializer: unknown 'xavier'; known are constant,"),
    ],
)
def test_errors_name_the_argument(make: object, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        make()
    assert message in str(error.value)
