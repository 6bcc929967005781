"""`PReLU`: the formula for any shape and shared axes, and the inputs that it refuses."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet import Sequential, layers


@st.composite
def shapes_and_shared_axes(draw):
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    axes = draw(st.none() | st.lists(st.integers(1, len(shape)), unique=True))
    return shape, axes


@given(shapes_and_shared_axes(), st.sampled_from(["float32", "float64"]))
@settings(deadline=None, max_examples=60)
def test_negative_inputs_are_scaled(example, dtype):
    shape, axes = example
    layer = layers.PReLU(shared_axes=axes, dtype=dtype)
    layer.ensure_built((None, *shape))
    shared = [1 if n in (axes or ()) else size for n, size in enumerate(shape, start=1)]
    alpha = np.random.default_rng(0).normal(size=shared).astype(dtype)
    layer.set_weights([alpha])
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(dtype)
    np.testing.assert_array_equal(layer(x), np.where(x > 0, x, alpha * x))


def test_what_is_not_a_number_stays_so():
    layer = layers.PReLU("ones", shared_axes=1)
    y = layer(np.array([[np.nan, np.inf, -np.inf, -1.0]]))
    np.testing.assert_array_equal(y, [[np.nan, np.inf, -np.inf, -1.0]])


def test_sizes_that_are_shared_may_differ_from_image_to_image():
    model = Sequential([layers.Input((None, None, 2)), layers.PReLU("ones", shared_axes=(1, 2))])
    model.set_weights([[[[2.0, 0.5]]]])
    for grid in ((3, 4), (1, 5)):
        y = model.predict(np.full((2, *grid, 2), -4.0))
        np.testing.assert_array_equal(y, np.broadcast_to([-8.0, -2.0], (2, *grid, 2)))


@pytest.mark.parametrize("shape", [(4, 3), (3,), (3, 4, 1)])
def test_an_input_for_other_slopes_is_refused(shape):
    layer = layers.PReLU(name="slopes")
    layer.ensure_built((None, 3, 4))
    message = (
        "PReLU 'slopes': the input must be one for slopes of shape (3, 4), which were made, "
        f"got {(2, *shape)}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.compute_output_shape((2, *shape))
