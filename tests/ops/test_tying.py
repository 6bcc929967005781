"""Weights that stand in several places of a kernel."""

import numpy as np

from convlet import ops
from numerics import central_difference, normal


def test_each_place_holds_its_weight_or_zero():
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    index = np.array([[3, 0, -1], [0, 0, 2]])
    np.testing.assert_array_equal(ops.tie(weights, index), [[4, 1, 0], [1, 1, 3]])


def test_a_weight_adds_up_the_gradients_of_its_places():
    """Lecture 000, formula 15."""
    index = np.array([[3, 0, -1], [0, 0, 2]])
    delta = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    gradient = ops.tie_gradient(delta, index, (2, 2))
    np.testing.assert_array_equal(gradient, [[26, 0], [32, 1]])


def test_the_gradient_is_the_change():
    index = np.random.default_rng(0).integers(-1, 6, (4, 3, 2))
    weights, delta = normal(2, 3), normal(4, 3, 2, seed=1)
    expected = central_difference(lambda w: float((ops.tie(w, index) * delta).sum()), weights)
    found = ops.tie_gradient(delta, index, (2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_the_float_type_is_kept():
    index = np.array([0, 1, -1])
    for dtype in (np.float32, np.float64):
        assert ops.tie(np.ones(2, dtype), index).dtype == dtype
        assert ops.tie_gradient(np.ones(3, dtype), index, (2,)).dtype == dtype
