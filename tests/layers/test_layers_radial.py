"""Radial basis units: squared distances, and what the layer refuses."""

import numpy as np
import pytest

from convlet import Input
from convlet.layers import RadialBasis


def test_squared_distances_by_hand():
    """From (1, 2) to (1, -1) and (-1, 1): 0 + 9 and 4 + 1."""
    layer = RadialBasis(2)
    layer(np.zeros((1, 2)))
    layer.set_weights([[[1, -1], [-1, 1]]])
    np.testing.assert_array_equal(layer(np.array([[1, 2]])), [[9, 5]])


def test_squared_distances_are_scipy_s():
    distance = pytest.importorskip("scipy.spatial.distance")
    layer, x = RadialBasis(7, "he_normal", dtype="float64"), np.random.default_rng(0).random((5, 3))
    y = layer(x)
    expected = distance.cdist(x, layer.centers.value, "sqeuclidean")
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_centres_are_signs():
    layer = RadialBasis(20)
    layer.ensure_built((None, 50))
    assert set(layer.centers.value.ravel()) == {-1, 1}
    assert abs(layer.centers.value.mean()) < 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RadialBasis(0), "units must be an integer of at least 1, got 0"),
        (
            lambda: RadialBasis(2, name="r")(Input((3, 3))),
            r"RadialBasis 'r': the input must have shape \(batch, features\) with a known number "
            r"of features, got \(None, 3, 3\)",
        ),
        (lambda: RadialBasis(2)(Input((None,))), r"a known number of features, got \(None, None\)"),
        (lambda: RadialBasis(10**9)(Input((10**9,))), "the shape of an image must be that of at "),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_another_size_than_the_centres():
    layer = RadialBasis(2, name="r")
    layer(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"^RadialBasis 'r': the input must have 3 features, as "):
        layer(np.zeros((1, 4)))
