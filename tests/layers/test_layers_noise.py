"""Layers that draw while training: what they draw, when, and what they refuse."""

import re

import numpy as np
import pytest
from scipy import stats

from convlet import Sequential, config, layers, optimizers, random

KINDS = [
    (layers.SpatialDropout1D, (5, 3)),
    (layers.SpatialDropout2D, (2, 4, 3)),
    (layers.SpatialDropout3D, (2, 3, 1, 3)),
]


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_whole_channels_are_dropped_while_training_only(kind, shape):
    layer, x = kind(0.5), np.ones((40, *shape), np.float32)
    np.testing.assert_array_equal(layer(x), x)
    channels = layer(x, training=True).reshape(40, -1, 3)
    np.testing.assert_array_equal(channels, np.broadcast_to(channels[:, :1], channels.shape))
    assert set(np.unique(channels)) == {0.0, 2.0}
    np.testing.assert_array_equal(kind(0)(x, training=True), x)


def test_noise_is_added_while_training_only():
    layer, x = layers.GaussianNoise(0.1), np.full((50, 60), 3, np.float32)
    np.testing.assert_array_equal(layer(x), x)
    noise = layer(x, training=True) - x
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.1], atol=0.005)
    np.testing.assert_array_equal(layers.GaussianNoise(0)(x, training=True), x)


@pytest.mark.parametrize("executor", ["reference", "native"])
def test_gaussian_dropout_multiplies_by_noise_of_mean_1(executor, monkeypatch):
    monkeypatch.setattr(config, "_executor", executor)
    layer, x = layers.GaussianDropout(0.2), np.full((100, 400), 3, np.float32)
    np.testing.assert_array_equal(layer(x), x)
    factors = (layer(x, training=True) / 3).ravel()
    stddev = np.sqrt(0.2 / 0.8)  # Srivastava et al., section 10
    assert stats.kstest(factors, stats.norm(1, stddev).cdf).pvalue > 0.001
    np.testing.assert_array_equal(layers.GaussianDropout(0)(x, training=True), x)


@pytest.mark.parametrize("executor", ["reference", "native"])
def test_alpha_dropout_drops_to_selu_s_limit_and_keeps_mean_and_variance(executor, monkeypatch):
    monkeypatch.setattr(config, "_executor", executor)
    layer = layers.AlphaDropout(0.3)
    x = np.random.default_rng(0).standard_normal((100, 400)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), x)
    y = layer(x, training=True)
    limit = -1.0507009873554805 * 1.6732632423543772
    a = (0.7 + limit**2 * 0.7 * 0.3) ** -0.5  # Klambauer et al., formulas 4 and 5, q = 0.7
    b = -a * 0.3 * limit
    dropped = np.abs(y - (a * limit + b)) < 1e-6
    np.testing.assert_allclose(y[~dropped], (a * x + b)[~dropped], rtol=1e-4, atol=2e-6)
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose([y.mean(), y.var()], [0, 1], atol=0.02)
    np.testing.assert_array_equal(layers.AlphaDropout(0)(x, training=True), x)


def test_each_layer_and_each_seed_has_its_own_noise():
    def trained(**options):
        random.set_random_seed(1)
        noise = layers.GaussianNoise(0.5, **options)
        model = Sequential([layers.Input((3,)), noise, layers.Dense(1)])
        model.compile(optimizers.SGD(0.1), "mse")
        model.train_on_batch(np.ones((4, 3)), np.ones(4))
        return model.get_weights()[0]

    np.testing.assert_array_equal(trained(name="a"), trained(name="a"))
    assert (trained(name="a") != trained(name="b")).all()
    assert (trained(name="a", seed=1) != trained(name="a", seed=2)).all()


REFUSED = [
    (
        lambda: layers.SpatialDropout2D(1),
        "SpatialDropout2D 'spatial_dropout2d': rate must be a number of at least 0 and below 1",
    ),
    (lambda: layers.SpatialDropout1D(0.1, seed=-1), "seed must be an integer of at least 0"),
    (
        lambda: layers.SpatialDropout1D(0.1)(np.ones((2, 3))),
        "the input must have shape (batch, 1 spatial axis, channels), 3 axes in all, got (None, 3)",
    ),
    (
        lambda: layers.SpatialDropout3D(0.1, data_format="channels_first"),
        "data_format must be 'channels_last', got 'channels_first'",
    ),
    (
        lambda: layers.GaussianNoise(1.5),
        "GaussianNoise 'gaussian_noise': stddev must be a number of at least 0 and of at most 1, "
        "got 1.5",
    ),
    (
        lambda: layers.GaussianDropout(1),
        "GaussianDropout 'gaussian_dropout': rate must be a number of at least 0 and below 1, got",
    ),
    (lambda: layers.AlphaDropout(-0.1), "AlphaDropout 'alpha_dropout': rate must be a number of"),
    (lambda: layers.AlphaDropout(0.1, seed=-2), "seed must be an integer of at least 0, got -2"),
    (lambda: layers.AlphaDropout(0.1, noise_shape=(1,)), "noise_shape is not supported, got (1,)"),
    (lambda: layers.GaussianNoise(0.1, seed=1.0), "seed must be an integer of at least 0"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
