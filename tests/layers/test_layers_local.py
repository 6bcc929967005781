"""Locally connected layers: weights, shapes, first values, errors."""

import numpy as np
import pytest

from convlet import Sequential, layers


def test_weights_have_the_layout_of_keras_2():
    layer = layers.LocallyConnected2D(4, (3, 2), strides=(2, 1))
    layer.ensure_built((None, 7, 5, 3))
    assert layer.compute_output_shape((None, 7, 5, 3)) == (None, 3, 4, 4)
    assert [w.shape for w in layer.weights] == [(12, 18, 4), (3, 4, 4)]


def test_every_position_adds_its_own_bias():
    layer = layers.LocallyConnected1D(2, 1, kernel_initializer="zeros")
    layer.ensure_built((None, 3, 1))
    biases = np.arange(6.0).reshape(3, 2)
    layer.set_weights([np.zeros((3, 1, 2)), biases])
    np.testing.assert_array_equal(layer(np.ones((2, 3, 1))), [biases, biases])


def test_first_weights_have_the_range_of_a_convolutions_kernel():
    layer = layers.LocallyConnected2D(5, 3)
    layer.ensure_built((None, 6, 6, 4))
    limit = (6 / (9 * 4 + 9 * 5)) ** 0.5
    kernel = layer.kernel.value
    assert 0.9 * limit < np.abs(kernel).max() <= limit
    assert not np.array_equal(kernel[0], kernel[1])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (None, None, 4, 2),
            "every position has weights of its own, so the input's sizes must be known, "
            "got (None, None, 4, 2)",
        ),
        ((None, 2, 4, 2), "the window spans 3 positions along spatial axis 0 but the input has 2"),
    ],
)
def test_inputs_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match="LocallyConnected2D 'locally_connected2d': ") as raised:
        layers.LocallyConnected2D(3, 3).ensure_built(shape)
    assert message in str(raised.value)


def test_another_grid_than_the_weights_were_made_for():
    model = Sequential([layers.Input((5, 5, 1)), layers.LocallyConnected2D(2, 3)])
    message = r"grid must be \(5, 5\), for which the weights were made, got \(6, 5\)"
    with pytest.raises(ValueError, match=message):
        model.layers[0](np.zeros((1, 6, 5, 1)))
