"""Noise and dropout by channel: SciPy's normal distribution, and what draws depend on."""

import numpy as np
from scipy import special, stats

from convlet import ops
from convlet.ops.dropout import random_words
from convlet.ops.noise import standard_normal

KEY = np.array([3, 1], np.uint64)


def test_words_become_normal_numbers_by_scipys_inverse_distribution():
    words = np.array([0, 1, 2**11, 2**20, 2**31 - 1, 2**31, 2**31 + 2**24, 2**32 - 1], np.uint64)
    below = ((words & np.uint64(2**31 - 1)) + 0.5) / 2**32
    expected = special.ndtri(below) * np.where(words < 2**31, -1, 1)
    found = standard_normal(words)
    np.testing.assert_allclose(found, expected, rtol=4e-4)
    central = np.abs(expected) < 5
    np.testing.assert_allclose(found[central], expected[central], rtol=1e-6)


def test_the_noise_is_normal():
    noise = ops.gaussian_noise(np.zeros((200, 100)), KEY, 0.5, 7).ravel()
    assert stats.kstest(noise / 0.5, "norm").pvalue > 0.01
    assert stats.kstest(noise / 0.4, "norm").pvalue < 1e-9


def test_noise_depends_on_key_layer_image_and_unit_alone():
    x = np.zeros((5, 6), np.float32)
    noise = ops.gaussian_noise(x, KEY, 1.0, 7)
    assert noise.dtype == np.float32
    np.testing.assert_array_equal(ops.gaussian_noise(x[:2], KEY, 1.0, 7), noise[:2])
    for key, layer in (([3, 2], 7), ([4, 1], 7), ([3, 1], 8)):
        assert (ops.gaussian_noise(x, np.array(key, np.uint64), 1.0, layer) != noise).all()
    assert len(np.unique(noise)) == noise.size


def test_spatial_dropout_drops_whole_channels_as_dropout_drops_units():
    x = np.arange(1.0, 2 * 3 * 4 * 5 + 1).reshape(2, 3, 4, 5)
    y = ops.spatial_dropout(x, KEY, 0.4, 7)
    kept = random_words(2, 5, 7, KEY) < round(0.6 * 2**32)
    np.testing.assert_allclose(y, x / 0.6 * kept[:, None, None])
    assert 0 < kept.sum() < kept.size
    units = ops.dropout(np.ones((2, 5)), KEY, 0.4, 7)
    np.testing.assert_array_equal(units > 0, kept)
