"""Pooling layers by their purpose: trainable subsampling, and invariance over an orbit."""

import numpy as np
import pytest
from scipy import signal

from convlet import Sequential, layers, random
from convlet.config import executor, set_executor
from networks import blobs
from numerics import normal


@pytest.fixture(params=["reference", "native"], autouse=True)
def each_executor(request):
    before = executor()
    set_executor(request.param)
    yield
    set_executor(before)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


BETA, BIAS = np.array([2.0, -0.5]), np.array([0.25, 1.0])


@pytest.mark.parametrize("position", ["before", "after"])
def test_trainable_subsampling_by_its_formula(position):
    """f(β mean + b), or β mean of f(x + b), map by map."""
    x = normal(3, 4, 6, 2)
    windows = x.reshape(3, 2, 2, 3, 2, 2)
    layer = layers.TrainableSubsampling2D(activation_position=position)
    layer.ensure_built((None, 4, 6, 2))
    layer.set_weights([BETA, BIAS])
    if position == "after":
        expected = sigmoid(BETA * windows.mean(axis=(2, 4)) + BIAS)
    else:
        expected = BETA * sigmoid(windows + BIAS).mean(axis=(2, 4))
    np.testing.assert_allclose(layer(x), expected, rtol=2e-6)


def test_trainable_subsampling_begins_as_the_mean():
    x = normal(2, 5, 4, 3)
    layer = layers.TrainableSubsampling2D(2, 1, "same", activation=None)
    np.testing.assert_allclose(layer(x), layers.AveragePooling2D(2, 1, "same")(x), rtol=1e-6)
    assert layer.count_params() == 6


def test_a_network_with_trainable_subsampling_learns():
    random.set_random_seed(1)
    x, y = blobs(120)
    model = Sequential(
        [
            layers.Conv2D(6, 3, activation="tanh", input_shape=(6, 6, 1)),
            layers.TrainableSubsampling2D(activation="tanh"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=30, batch_size=8, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9
    assert (model.layers[1].coefficient.value != 1).all()


def test_orbits_are_ordered_by_transformation_first():
    x = normal(3, 4, 5, 6)
    expected = x.reshape(3, 4, 5, 3, 2).max(axis=-2)
    np.testing.assert_array_equal(layers.OrbitMaxPooling(3)(x), expected.astype("float32"))
    vector = normal(2, 6)
    np.testing.assert_array_equal(
        layers.OrbitMaxPooling(6)(vector)[:, 0], vector.max(1).astype("f")
    )


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_numbers_in_an_orbit(special):
    x = np.zeros((4, 4))
    np.fill_diagonal(x, special)
    expected = x.max(axis=1, keepdims=True).astype("float32")
    np.testing.assert_array_equal(layers.OrbitMaxPooling(4)(x), expected)


def test_proposition_1_for_cyclic_shifts():
    """Lecture 000, formula 18: f(τ x) for every shift τ are the units of one Dense layer."""
    filters = normal(8, 3)
    shifted = [np.roll(filters[:, f], tau) for tau in range(8) for f in range(3)]
    dense = layers.Dense(24, use_bias=False, activation="tanh")
    dense.ensure_built((None, 8))
    dense.set_weights([np.transpose(shifted)])
    x = normal(8)
    orbit = np.array([np.roll(x, tau) for tau in range(8)])
    before, y = dense(orbit), layers.OrbitMaxPooling(8)(dense(orbit))
    assert np.ptp(before, axis=0).min() > 0.1, "no unit alone is invariant"
    np.testing.assert_allclose(y, np.broadcast_to(y[:1], y.shape), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[0], np.tanh((orbit @ filters).max(axis=0)), rtol=1e-5, atol=1e-6)


def rotated_kernels(filters):
    """Return the kernel of a convolution with every filter in four rotations."""
    turned = [np.rot90(filters, turn) for turn in range(4)]
    return np.concatenate(turned, axis=-1)[:, :, None]


def test_proposition_1_for_rotations_by_90_degrees():
    """A filter as large as the image, in four rotations: their maximum does not see a rotation."""
    image, filters = normal(5, 5), normal(5, 5, 3)
    images = np.array([np.rot90(image, turn) for turn in range(4)])[..., None]
    conv = layers.Conv2D(12, 5, use_bias=False)
    conv.ensure_built((None, 5, 5, 1))
    conv.set_weights([rotated_kernels(filters)])
    before, y = conv(images), layers.OrbitMaxPooling(4)(conv(images))
    assert np.ptp(before, axis=0).min() > 0.1
    np.testing.assert_allclose(y, np.broadcast_to(y[:1], y.shape), rtol=1e-5, atol=1e-6)


def test_a_network_of_rotated_filters_is_invariant():
    """At every position the maximum turns with the image; over all positions it stays."""
    image, filters = normal(7, 7), normal(3, 3, 2)
    images = np.array([np.rot90(image, turn) for turn in range(4)])[..., None]
    conv = layers.GroupConv2D(2, 3, lifting=True, use_bias=False, input_shape=(7, 7, 1))
    model = Sequential([conv, layers.OrbitMaxPooling(4), layers.GlobalMaxPooling2D()])
    conv.set_weights([filters[:, :, None]])
    maps = layers.OrbitMaxPooling(4)(conv(images))
    for turn in range(4):
        np.testing.assert_allclose(maps[turn], np.rot90(maps[0], turn), rtol=1e-5, atol=1e-6)
    y = model.predict(images, verbose=0)
    expected = [
        max(
            signal.correlate2d(image, np.rot90(filters[..., f], t), "valid").max() for t in range(4)
        )
        for f in range(2)
    ]
    np.testing.assert_allclose(y, [expected] * 4, rtol=1e-5)
