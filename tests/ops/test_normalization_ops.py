"""Normalization's formulas: worked numbers, SciPy and NumPy as judges, differences."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from convlet import ops
from numerics import central_difference, normal

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(lambda s: (3, *s))


def test_worked_numbers():
    x = np.array([[1.0, 10], [3, 10], [5, 40]])
    mean, variance = ops.channel_moments(x)
    np.testing.assert_array_equal(mean, [3, 20])
    np.testing.assert_allclose(variance, [8 / 3, 200])
    y = ops.normalize(x, mean, variance, np.array([2.0, 1]), np.array([1.0, 0]), 4 / 3)
    np.testing.assert_allclose(y[:, 0], [-1, 1, 3])
    np.testing.assert_array_equal(ops.moving_average(mean, np.array([7.0, 0]), 0.75), [4, 15])


@given(shapes)
@settings(max_examples=30, deadline=None)
def test_without_epsilon_it_is_scipys_z_score(shape):
    x = normal(*shape)
    ones = np.ones(shape[-1])
    y = ops.normalize(x, *ops.channel_moments(x), ones, 0 * ones, 0.0)
    expected = stats.zscore(x.reshape(-1, shape[-1]), axis=0).reshape(shape)
    np.testing.assert_allclose(y, expected, atol=1e-9)


@given(shapes)
@settings(max_examples=20, deadline=None)
def test_gradients_through_the_moments_are_differences(shape):
    x, delta, epsilon = normal(*shape), normal(*shape, seed=1), 0.1
    gamma, beta = normal(shape[-1], seed=2), normal(shape[-1], seed=3)

    def loss(x, gamma, beta):
        return (delta * ops.normalize(x, *ops.channel_moments(x), gamma, beta, epsilon)).sum()

    moments = ops.channel_moments(x)
    of_gamma, of_beta = ops.normalization_sums(delta, x, *moments, epsilon)
    of_x = ops.batch_normalize_gradient(delta, x, *moments, gamma, of_gamma, of_beta, epsilon)
    near = {"rtol": 1e-5, "atol": 1e-8}
    numeric = central_difference(lambda v: loss(v, gamma, beta), x)
    np.testing.assert_allclose(of_x, numeric, **near)
    numeric = central_difference(lambda v: loss(x, v, beta), gamma)
    np.testing.assert_allclose(of_gamma, numeric, **near)
    numeric = central_difference(lambda v: loss(x, gamma, v), beta)
    np.testing.assert_allclose(of_beta, numeric, **near)


def test_the_gradient_with_given_statistics_is_a_difference():
    x, delta = normal(4, 3), normal(4, 3, seed=1)
    mean, variance, gamma = normal(3, seed=2), np.array([0.5, 1, 2]), normal(3, seed=3)
    numeric = central_difference(
        lambda v: (delta * ops.normalize(v, mean, variance, gamma, gamma, 0.1)).sum(), x
    )
    found = ops.normalize_gradient(delta, variance, gamma, 0.1)
    np.testing.assert_allclose(found, numeric, rtol=1e-6, atol=1e-9)


# --- within one image ---


@given(st.tuples(*[st.integers(1, 4)] * 4))
@settings(max_examples=30, deadline=None)
def test_standardized_sets_have_scipys_z_scores_and_gradients_that_are_differences(shape):
    images, *sets = shape
    x, delta = normal(images, int(np.prod(sets))), normal(images, int(np.prod(sets)), seed=1)
    together = np.moveaxis(x.reshape(shape), 2, 1).reshape(images, sets[1], -1)
    if sets[0] * sets[2] > 1:
        found = ops.standardize(x, sets, 0.0).reshape(shape)
        found = np.moveaxis(found, 2, 1).reshape(together.shape)
        np.testing.assert_allclose(found, stats.zscore(together, axis=-1), atol=1e-9)
    numeric = central_difference(lambda v: (delta * ops.standardize(v, sets, 0.1)).sum(), x)
    found = ops.standardize_gradient(delta, x, sets, 0.1)
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-8)


def test_local_response_normalization_worked_numbers():
    """Neighbours at distance 1: sums of squares 1 + 4, 1 + 4 + 4, 4 + 4, so s = 6, 10, 9."""
    x = np.array([[1.0, 2, -2]])
    y = ops.local_response_normalization(x, 1, 1.0, 1.0, 0.5)
    np.testing.assert_allclose(y, x / np.sqrt([[6, 10, 9]]))
    alone = ops.local_response_normalization(x, 0, 0.0, 1.0, 0.5)
    np.testing.assert_allclose(alone, [[1, 1, -1]])


@given(st.integers(1, 6), st.integers(0, 10))
@settings(max_examples=30, deadline=None)
def test_local_response_normalization_is_its_formula_and_its_gradient_a_difference(
    channels, radius
):
    x, delta = normal(2, 3, channels), normal(2, 3, channels, seed=1)
    constants = {"depth_radius": radius, "bias": 2.0, "alpha": 0.3, "beta": 0.75}
    there = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels))) <= radius
    expected = x / (2.0 + 0.3 * x**2 @ there) ** 0.75
    np.testing.assert_allclose(ops.local_response_normalization(x, **constants), expected)
    numeric = central_difference(
        lambda v: (delta * ops.local_response_normalization(v, **constants)).sum(), x
    )
    found = ops.local_response_normalization_gradient(delta, x, **constants)
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-8)
