"""Brightness, contrast, gain, noise and erasing, against their formulas and distributions."""

import math

import numpy as np
import pytest
from scipy import stats

from convlet import _native, config
from convlet.augmentation import (
    GaussianNoise,
    RandomBrightness,
    RandomContrast,
    RandomErasing,
    RandomGain,
)


@pytest.fixture
def settings():
    before = config.executor(), config.instruction_set(), config.threads()
    yield
    config.set_executor(before[0])
    config.set_instruction_set(before[1])
    config.set_threads(before[2])


def samples(*shape, scale=255.0):
    return np.random.default_rng(0).uniform(0, scale, shape).astype(np.float32)


def test_brightness_adds_a_part_of_the_range_and_is_cut_to_it():
    x = samples(4, 3, 3, 2)
    y = RandomBrightness((0.2, 0.2))(x)
    np.testing.assert_allclose(y, np.minimum(x + 51, 255), rtol=1e-6)
    y = RandomBrightness((-0.5, -0.5), value_range=(-1, 1))(x / 255)
    np.testing.assert_allclose(y, x / 255 - 1, rtol=1e-4, atol=1e-6)


def test_brightness_is_uniform_and_one_number_for_each_sample():
    y = RandomBrightness(0.3)(np.full((500, 2, 2, 1), 100, np.float32), seed=1)
    assert (y == y[:, :1, :1]).all()
    assert stats.kstest(y[:, 0, 0, 0] - 100, stats.uniform(-76.5, 153).cdf).pvalue > 1e-3


def test_contrast_is_about_each_channel_s_mean():
    x = samples(2, 4, 5, 3) / 4 + 100
    y = RandomContrast((0, 0.0))(x)
    np.testing.assert_allclose(y, x, rtol=1e-6)
    y = RandomContrast((1.0, 0.0), seed=2)(np.repeat(x[:1], 300, axis=0), seed=3)
    deviation = (y - x[:1].mean(axis=(1, 2))[:, None, None]) / (x[:1] - x[:1].mean(axis=(1, 2)))
    contrast = deviation.reshape(300, -1)
    np.testing.assert_allclose(contrast, contrast[:, :1] * np.ones((1, 60)), atol=2e-3)
    assert stats.kstest(contrast[:, 0], stats.uniform(0, 1).cdf).pvalue > 1e-3


def test_gain_is_in_decibels():
    sound = samples(3, 8, 1)
    np.testing.assert_allclose(RandomGain((20, 20))(sound), 10 * sound, rtol=1e-6)
    np.testing.assert_allclose(RandomGain((-6, -6))(sound), 0.501187 * sound, rtol=1e-5)


@pytest.mark.parametrize("shape", [(40, 25, 3), (20, 7, 11, 1)])
def test_noise_is_normal(shape):
    x = samples(*shape)
    noise = (GaussianNoise(2.5)(x, seed=8) - x).ravel()
    assert stats.kstest(noise, stats.norm(0, 2.5).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 4 / math.sqrt(noise.size)


def test_a_range_of_noise_is_drawn_from_for_each_sample():
    x = samples(400, 20, 20, 1)
    noise = GaussianNoise((1.0, 3.0))(x, seed=8) - x
    deviations = noise.std(axis=(1, 2, 3))
    assert stats.kstest(deviations, stats.uniform(1, 2).cdf).pvalue > 1e-3
    # the level is drawn apart from the numbers that it multiplies
    first = noise[:, 0, 0, 0] / deviations
    assert abs(np.corrcoef(deviations, first)[0, 1]) < 4 / math.sqrt(len(x))
    np.testing.assert_array_equal(GaussianNoise(0)(x), x)


@pytest.mark.parametrize(
    "layer", [GaussianNoise((0.3, 0.7)), RandomErasing(), RandomErasing(0.6, (0.3, 1), 3.0)]
)
def test_the_core_draws_what_numpy_draws(layer, settings):
    x = samples(5, 9, 13, 2)
    config.set_executor("reference")
    expected = layer(x, seed=3, epoch=2)
    config.set_executor("native")
    config.set_threads(3)
    for name in _native.available_instruction_sets():
        config.set_instruction_set(name)
        np.testing.assert_allclose(layer(x, seed=3, epoch=2), expected, atol=2e-4)


def erased_boxes(y, background):
    for image in y[..., 0]:
        rows, columns = np.nonzero(image != background)
        if rows.size:
            yield rows.min(), rows.max() + 1, columns.min(), columns.max() + 1, rows.size


def test_what_is_erased_is_a_rectangle_inside_the_image():
    y = RandomErasing(1.0, (0.25, 0.25), 7.0)(np.zeros((400, 20, 30, 1), np.float32), seed=1)
    found = list(erased_boxes(y, 0))
    for first_row, last_row, first, last, size in found:
        assert size == (last_row - first_row) * (last - first)
        assert (last_row - first_row, last - first) == (10, 15)
    # a probability from 0 to 1 for each image, so half of the images
    assert 150 < len(found) < 250
    assert {box[0] for box in found} == set(range(1, 11))
    assert set(np.unique(y)) == {0, 7}


def test_probability_and_size_are_drawn_from_their_ranges():
    x = np.zeros((300, 100, 100, 1), np.float32)
    always = list(erased_boxes(RandomErasing((1, 1), (0.04, 0.36), 1.0)(x, seed=2), 0))
    assert len(always) == 300
    squares = [((box[1] - box[0]) / 100) ** 2 for box in always]
    assert stats.kstest(squares, stats.uniform(0.04, 0.32).cdf).pvalue > 1e-3
    assert not list(erased_boxes(RandomErasing((0, 0), (0.04, 0.36), 1.0)(x, seed=2), 0))


def test_by_default_noise_is_filled_in_and_cut_to_the_range():
    x = np.full((20, 30, 30, 1), -1, np.float32)
    y = RandomErasing((1, 1), (1, 1), value_range=(0, 10))(x, seed=2)
    assert y.min() == 0
    assert y.max() == 10
    inside = y[(y > 0) & (y < 10)] / 10
    half_normal = stats.truncnorm(0, 1)
    assert stats.kstest(inside, half_normal.cdf).pvalue > 1e-3


WRONG = [
    (lambda: RandomBrightness(1.5), "RandomBrightness: factor must be a number of at least -1"),
    (lambda: RandomBrightness(0.1, (1, 1)), "RandomBrightness: value_range must be a smaller and "
     r"a larger number, got \(1, 1\)"),
    (lambda: RandomContrast(0.1, 255), "RandomContrast: value_range must be a tuple of two numbers,"
     " got 255"),
    (lambda: RandomContrast((0, 1, 2)), "RandomContrast: factor must be a number or a tuple"),
    (lambda: RandomContrast(-0.1), "RandomContrast: factor must be a number of at least 0"),
    (lambda: RandomGain(1e9), "RandomGain: decibels must be a number of at least -120"),
    (lambda: GaussianNoise(-1), "GaussianNoise: stddev must be a number of at least 0"),
    (lambda: GaussianNoise((0, -1)), "GaussianNoise: stddev must be a number of at least 0 and"),
    (lambda: GaussianNoise((1, 2, 3)), r"GaussianNoise: stddev must be a number or a tuple of two"),
    (lambda: RandomErasing(2), "RandomErasing: factor must be a number of at least 0 and of at "
     "most 1, got 2"),
    (lambda: RandomErasing(fill_value="grey"), "RandomErasing: fill_value must be a finite number"),
    (lambda: RandomErasing()(np.zeros((2, 9, 1))), r"RandomErasing: x must have shape \(samples, "
     r"rows, columns, channels\), got samples of shape \(9, 1\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
