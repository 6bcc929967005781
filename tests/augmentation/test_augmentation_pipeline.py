"""Pipelines: what draws depend on, configurations, and what is handed over."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import convlet
from convlet import augmentation, config
from convlet.augmentation import (
    Augmentation,
    CutMix,
    GaussianNoise,
    MixUp,
    Pipeline,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomElasticTransform,
    RandomErasing,
    RandomFlip,
    RandomGain,
    RandomRotation,
    RandomShear,
    RandomShift,
    RandomStretch,
    RandomTranslation,
    RandomZoom,
)

OF_IMAGES = [
    RandomTranslation(0.2, 0.1),
    RandomRotation(0.1, "constant", fill_value=2.0),
    RandomZoom(0.2),
    RandomZoom(0.2, (-0.1, 0.3), "nearest"),
    RandomShear(0.3, (0.1, 0.2)),
    RandomFlip("vertical", seed=3),
    RandomCrop(7, 6),
    RandomElasticTransform(10, 2, "nearest", "wrap"),
    RandomErasing(1.0, 0.4),
    RandomErasing(fill_value=3.0),
    RandomBrightness(0.2),
    RandomContrast((0.1, 0.9)),
    GaussianNoise((1.0, 3.0)),
    Pipeline([RandomFlip(), Pipeline([RandomCrop(7, 6), RandomBrightness(0.1)])]),
]
OF_SOUNDS = [RandomShift(0.2), RandomStretch((0.1, 0.2)), RandomGain(6), GaussianNoise(1.0)]
MIXING = [MixUp(0.4), CutMix(0.5)]


def samples_for(layer):
    shape = (12, 30, 2) if layer in OF_SOUNDS else (12, 8, 9, 2)
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.fixture
def threads():
    before = config.threads()
    yield config.set_threads
    config.set_threads(before)


@pytest.mark.parametrize("layer", OF_IMAGES + OF_SOUNDS, ids=lambda layer: type(layer).__name__)
def test_a_distortion_depends_on_seed_epoch_and_number_alone(layer, threads):
    x = samples_for(layer)
    numbers = np.arange(100, 112)
    y = layer(x, seed=1, epoch=2, indices=numbers)
    assert y.dtype == np.float32
    order = np.random.default_rng(1).permutation(12)
    again = layer(x[order], seed=1, epoch=2, indices=numbers[order])
    np.testing.assert_array_equal(again, y[order])
    threads(5)
    large = np.repeat(x, 40, axis=0)
    many = layer(large, seed=1, epoch=2, indices=np.repeat(numbers, 40))
    np.testing.assert_array_equal(many[::40], y)
    np.testing.assert_array_equal(many[39::40], y)
    for key in [(2, 2, numbers), (1, 3, numbers), (1, 2, numbers + 1)]:
        assert (layer(x, seed=key[0], epoch=key[1], indices=key[2]) != y).any()


@pytest.mark.parametrize(
    "layer", OF_IMAGES + OF_SOUNDS + MIXING, ids=lambda layer: type(layer).__name__
)
def test_a_configuration_makes_an_equal_one(layer):
    config = json.loads(json.dumps(augmentation.serialize(layer)))
    other = augmentation.get(config)
    assert type(other) is type(layer)
    assert augmentation.serialize(other) == augmentation.serialize(layer)
    x, y = samples_for(layer), np.eye(12)
    for one, two in zip(layer(x, y, seed=4), other(x, y, seed=4), strict=True):
        np.testing.assert_array_equal(one, two)


def test_equal_steps_and_seeds_draw_differently():
    x = np.zeros((50, 2, 2, 1), np.float32)
    wide = (-1000, 1000)
    once = RandomBrightness(0.1, wide)(x, seed=1)
    twice = Pipeline([RandomBrightness(0.1, wide), RandomBrightness(0.1, wide)])(x, seed=1)
    assert abs(np.corrcoef(once[:, 0, 0, 0], (twice - once)[:, 0, 0, 0])[0, 1]) < 0.5
    assert (RandomBrightness(0.1, wide, seed=7)(x, seed=1) != once).any()


def test_without_a_seed_each_call_is_another_and_follows_from_the_library_s():
    x = samples_for(OF_IMAGES[0])
    convlet.utils.set_random_seed(3)
    first, second = RandomRotation(0.2)(x), RandomRotation(0.2)(x)
    assert (first != second).any()
    convlet.utils.set_random_seed(3)
    np.testing.assert_array_equal(RandomRotation(0.2)(x), first)


def test_bytes_and_float64_are_taken_and_nothing_is_written_into():
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 1), np.uint8)
    for layer in [RandomRotation(0.2), RandomErasing((1, 1)), GaussianNoise(3.0)]:
        before = x.copy()
        y = layer(x, seed=1)
        np.testing.assert_array_equal(layer(x.astype(np.float64), seed=1), y)
        np.testing.assert_array_equal(layer(np.asfortranarray(x, np.float32), seed=1), y)
        np.testing.assert_array_equal(x, before)


class Negative(Augmentation):
    """One's own: values with the other sign."""

    def apply(self, samples, draws):
        assert draws.uniform.shape == (len(samples.x), 8)
        return replace(samples, x=-samples.x)


def test_one_s_own_stands_among_the_others():
    x = samples_for(OF_IMAGES[0])
    y = Pipeline([RandomFlip("vertical"), Negative(), RandomFlip("vertical")])(x, seed=2)
    known = [{image.tobytes(), image[::-1].tobytes()} for image in -x]
    assert all(image.tobytes() in two for image, two in zip(y, known, strict=True))


class Tinted(Augmentation):
    """One's own: a normal number for each sample and channel, added."""

    def apply(self, samples, draws):
        tint = draws.normal((samples.x.shape[-1],))
        return replace(samples, x=samples.x + tint[:, None, None])


def test_one_s_own_gets_normal_numbers():
    x = np.zeros((500, 2, 3, 3), np.float32)
    tint = Tinted()(x, seed=1)
    assert (tint == tint[:, :1, :1]).all()
    tint = tint[:, 0, 0]
    assert tint.dtype == np.float32
    assert stats.kstest(tint.ravel(), stats.norm().cdf).pvalue > 1e-3
    assert abs(np.corrcoef(tint.T) - np.eye(3)).max() < 4 / math.sqrt(500)
    np.testing.assert_array_equal(
        Tinted()(x[:5], seed=1, indices=range(5, 10))[:, 0, 0], tint[5:10]
    )
    assert (Tinted()(x, seed=1, epoch=1)[:, 0, 0] != tint).any(axis=1).all()


class Halved(Augmentation):
    """One's own, of another type and not in one piece."""

    def apply(self, samples, draws):
        return replace(samples, x=samples.x.astype(np.float64).transpose(0, 2, 1, 3) / 2)


def test_one_s_own_may_give_any_type_and_order():
    x = np.random.default_rng(0).uniform(1, 2, (6, 8, 8, 1)).astype(np.float32)
    rest = [RandomErasing((1, 1), (0.3, 0.3), 0.0), RandomRotation((0.25, 0.25))]
    halved = np.ascontiguousarray(x.transpose(0, 2, 1, 3)) / 2
    y = Pipeline([Halved(), *rest])(x, seed=3)
    assert y.dtype == np.float32
    assert (y == 0).any(axis=(1, 2, 3)).all()
    assert (y[y > 0.01] >= 0.49).all()
    np.testing.assert_allclose(Pipeline([Halved(), rest[1]])(x), rest[1](halved), atol=1e-6)


class Wrong(Augmentation):
    """One's own that gives what it is told to."""

    def __init__(self, given):
        super().__init__()
        self.given = given

    def apply(self, samples, draws):
        return self.given(samples)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda samples: None, r"the samples, dataclasses.replace\(samples, x=...\), got None"),
        (lambda samples: replace(samples, x=samples.x[:, ::2]), r"x of shape \(12, 8, 9, 2\), got"),
        (
            lambda samples: replace(samples, y=samples.y[:, :3]),
            r"y of shape \(12, 12\), got \(12, 3",
        ),
    ],
)
def test_what_one_s_own_gives_is_looked_at(given, message):
    with pytest.raises(ValueError, match=f"^Wrong: apply must return {message}"):
        Pipeline([RandomFlip(), Wrong(given)])(samples_for(OF_IMAGES[0]), np.eye(12), seed=1)


@pytest.mark.filterwarnings("error")
def test_what_is_too_large_becomes_infinite_without_a_warning():
    x = np.full((1, 3, 3, 1), 3e38)
    assert RandomGain((120, 120))(x).max() == np.inf
    RandomContrast(0.5)(x)


def test_mistakes_are_named():
    x = samples_for(OF_IMAGES[0])
    flip = RandomFlip()
    wrong = [
        (lambda: Pipeline([]), r"Pipeline: layers must be one augmentation at least, got \[\]"),
        (lambda: Pipeline(flip), "Pipeline: layers must be a list of augmentations, got <"),
        (lambda: Pipeline([1]), "augmentation: expected a name, an Augmentation or a dict"),
        (lambda: flip(x, seed=-1), "RandomFlip: seed must be an integer of at least 0, got -1"),
        (lambda: flip(x, epoch=1.5), r"RandomFlip: epoch must be an integer of at least 0, got 1"),
        (lambda: flip(x, indices=[1]), "RandomFlip: indices must be 12 integers of at least 0"),
        (lambda: flip(x, indices=-np.arange(12)), "RandomFlip: indices must be 12 integers"),
        (lambda: flip(x[:0]), r"RandomFlip: x must have shape .* hold something, got shape \(0, 8"),
        (lambda: flip("images"), "RandomFlip: x must be an array of numbers, got one of <U6"),
        (lambda: GaussianNoise(1)(x[0, 0]), r"GaussianNoise: x must have shape \(samples, steps, "
         r"channels\) or \(samples, rows, columns, channels\), got samples of shape \(2,\)"),
        (lambda: Pipeline([flip, RandomShift(0.1)])(x), r"RandomShift: x must have shape \(samples,"
         r" steps, channels\), got samples of shape \(8, 9, 2\)"),
        (lambda: RandomShift(0)(np.zeros((1, 5_000_000, 1), np.int8)), "RandomShift: samples must "
         "have at most 4194304 points along an axis"),
    ]  # fmt: skip
    for call, message in wrong:
        with pytest.raises(ValueError, match=message):
            call()
