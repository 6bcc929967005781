"""Geometric augmentations: what each does with a known draw, and the C++ core beside NumPy."""

import math
import zlib

import numpy as np
import pytest
from scipy import ndimage, stats

from convlet import _native, config
from convlet.augmentation import (
    Pipeline,
    RandomCrop,
    RandomElasticTransform,
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomShift,
    RandomStretch,
    RandomTranslation,
    RandomZoom,
)
from convlet.augmentation.base import FILL_MODES
from convlet.ops.warp import displacement_fields, gaussian_taps

IMAGE = np.arange(5 * 7, dtype=np.float32).reshape(1, 5, 7, 1)


@pytest.fixture
def executors():
    """Call a function under NumPy, and in the C++ core with every instruction set and 3 threads."""
    before = config.executor(), config.instruction_set(), config.threads()

    def run(function):
        config.set_executor("reference")
        reference = function()
        config.set_executor("native")
        config.set_threads(3)
        for name in _native.available_instruction_sets():
            config.set_instruction_set(name)
            yield reference, function()

    yield run
    config.set_executor(before[0])
    config.set_instruction_set(before[1])
    config.set_threads(before[2])


def test_translation_goes_down_and_to_the_right():
    y = RandomTranslation((0.4, 0.4), (2 / 7, 2 / 7), fill_mode="wrap")(IMAGE)
    np.testing.assert_allclose(y, np.roll(IMAGE, (2, 2), axis=(1, 2)), atol=1e-4)


def test_what_comes_in_is_as_fill_mode_says():
    row = np.array([1, 2, 3, 4], np.float32).reshape(1, 1, 4, 1)
    come_in = {
        "constant": [9, 9, 1, 2],
        "nearest": [1, 1, 1, 2],
        "reflect": [2, 1, 1, 2],
        "wrap": [3, 4, 1, 2],
    }
    for mode, expected in come_in.items():
        y = RandomTranslation(0, (0.5, 0.5), fill_mode=mode, fill_value=9)(row)
        np.testing.assert_array_equal(y.ravel(), expected)


def test_a_positive_rotation_is_counter_clockwise():
    image = np.random.default_rng(0).random((1, 6, 6, 2), dtype=np.float32)
    for quarters in (1, 2, 3, -1):
        y = RandomRotation((quarters / 4, quarters / 4))(image)
        np.testing.assert_allclose(y[0], np.rot90(image[0], quarters), atol=1e-5)


def test_a_positive_zoom_shows_more():
    column = np.arange(9, dtype=np.float32).reshape(1, 1, 9, 1)
    wide = RandomZoom((0.5, 0.5), fill_mode="constant", fill_value=-1)(column).ravel()
    np.testing.assert_allclose(wide[2:7], [1, 2.5, 4, 5.5, 7], atol=1e-5)
    assert wide[0] == wide[8] == -1
    near = RandomZoom((0.9, 0.9), (-0.5, -0.5))(column).ravel()
    np.testing.assert_allclose(near, 4 + 0.5 * (np.arange(9) - 4), atol=1e-5)


def test_shear_moves_rows_to_either_side():
    x = np.zeros((64, 4, 9, 1), np.float32)
    x[:, :, 4] = 1
    y = RandomShear((1, 1), fill_mode="constant")(x, seed=3)[..., 0].argmax(axis=2)
    assert {tuple(columns) for columns in y.tolist()} == {(4, 5, 6, 7), (4, 3, 2, 1)}
    down = RandomShear(0, (0.5, 0.5), fill_mode="nearest")(x.transpose(0, 2, 1, 3), seed=3)
    places = (down[..., 0] * np.arange(9)[:, None]).sum(axis=1)
    assert {tuple(rows) for rows in places.round(4).tolist()} == {
        (4, 4.5, 5, 5.5),
        (4, 3.5, 3, 2.5),
    }


@pytest.mark.parametrize(
    ("mode", "kinds"), [("horizontal", 2), ("vertical", 2), ("horizontal_and_vertical", 4)]
)
def test_flips_are_exact_and_even(mode, kinds):
    x = np.repeat(IMAGE, 400, axis=0)
    y = RandomFlip(mode)(x, seed=1)
    flipped = [IMAGE[0], IMAGE[0, :, ::-1], IMAGE[0, ::-1], IMAGE[0, ::-1, ::-1]]
    counts = [sum(np.array_equal(image, other) for image in y) for other in flipped]
    assert sum(counts) == 400
    assert np.count_nonzero(counts) == kinds
    assert min(count for count in counts if count) > 400 / kinds - 5 * math.sqrt(100)
    if kinds == 2:
        assert counts[1 if mode == "horizontal" else 2]


def test_crops_are_parts_of_the_image_from_everywhere():
    y = RandomCrop(3, 5)(np.repeat(IMAGE, 300, axis=0), seed=2)
    assert y.shape == (300, 3, 5, 1)
    corners = y[:, 0, 0, 0].astype(int)
    for image, corner in zip(y, corners, strict=True):
        row, column = divmod(corner, 7)
        np.testing.assert_array_equal(image, IMAGE[0, row : row + 3, column : column + 5])
    places = np.unique(corners, return_counts=True)
    assert places[0].tolist() == [0, 1, 2, 7, 8, 9, 14, 15, 16]
    assert stats.chisquare(places[1]).pvalue > 1e-3


def test_draws_are_uniform():
    row = np.arange(101, dtype=np.float32).reshape(1, 1, 101, 1)
    y = RandomTranslation(0, (-0.1, 0.3))(np.repeat(row, 1000, axis=0), seed=4)
    shifts = (50 - y[:, 0, 50, 0]) / 101
    assert stats.kstest(shifts, stats.uniform(-0.1, 0.4).cdf).pvalue > 1e-3


def test_elastic_displacements_are_smoothed_noise_times_alpha():
    rows, columns = np.mgrid[:30, :24].astype(np.float32)
    x = np.stack([rows, columns], axis=-1)[None]
    layer = RandomElasticTransform(alpha=8, sigma=3)
    y = layer(x, seed=5, indices=[12])
    draw = (5, 0, zlib.crc32(b"0 RandomElasticTransform None"))  # the operation in place 0
    fields = 8 * displacement_fields(np.array([12]), (30, 24), gaussian_taps(3), draw)
    moved = (y - x)[0, 3:-3, 3:-3]
    np.testing.assert_allclose(moved, fields[0].transpose(1, 2, 0)[3:-3, 3:-3], atol=1e-4)
    assert moved.std() == pytest.approx(
        math.sqrt(1 / 3) / (2 * 3 * math.sqrt(math.pi)) * 8, rel=0.4
    )


def test_a_shift_of_sound_delays_and_a_stretch_speeds_up():
    sound = np.arange(1, 11, dtype=np.float32).reshape(1, 10, 1)
    late = RandomShift((0.2, 0.2))(sound).ravel()
    np.testing.assert_allclose(late, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8], atol=1e-5)
    fast = RandomStretch((0.5, 0.5), fill_mode="nearest")(sound).ravel()
    expected = np.clip(5.5 + 1.5 * (np.arange(10) - 4.5), 1, 10)
    np.testing.assert_allclose(fast, expected, atol=1e-5)


def test_a_long_sound_is_shifted_to_the_sample():
    sound = np.random.default_rng(0).normal(size=(1, 1_000_000, 1)).astype(np.float32)
    y = RandomShift((0.25, 0.25))(sound)
    np.testing.assert_array_equal(y[:, 250_000:], sound[:, :750_000])


def chain(border):
    return [
        RandomFlip("horizontal"),
        RandomRotation(0.1, **border),
        RandomZoom(0.3, 0.2, **border),
        RandomElasticTransform(9, 2, **border),
        RandomShear(0.3, 0.2, **border),
        RandomTranslation(0.4, 0.5, **border),
    ]


@pytest.mark.parametrize("mode", FILL_MODES)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_the_core_warps_as_numpy_does(mode, interpolation, executors):
    border = {"fill_mode": mode, "interpolation": interpolation, "fill_value": 0.3}
    for shape in [(3, 5, 1, 1), (2, 9, 15, 1), (2, 8, 16, 3), (1, 33, 17, 2)]:
        x = np.random.default_rng(1).random(shape, dtype=np.float32)
        for reference, native in executors(lambda: Pipeline(chain(border))(x, seed=7)):  # noqa: B023
            if interpolation == "bilinear":
                np.testing.assert_allclose(native, reference, atol=2e-5)
            else:  # a place half way between two pixels may be read on either side
                assert (native != reference).mean() < 0.01


def test_a_smoothing_wider_than_the_image_is_numpy_s(executors):
    x = np.random.default_rng(1).random((1, 5, 6, 1), dtype=np.float32)
    layer = RandomElasticTransform(100, 30)
    for reference, native in executors(lambda: layer(x, seed=7)):
        np.testing.assert_allclose(native, reference, atol=2e-5)
        assert abs(reference - x).max() > 0.01


def test_steps_that_follow_each_other_are_one_warp():
    """Interpolating once: a turn by 45 degrees and back gives the image."""
    image = np.random.default_rng(0).random((1, 20, 20, 1), dtype=np.float32)
    there, back = RandomRotation((0.125, 0.125)), RandomRotation((-0.125, -0.125))
    np.testing.assert_allclose(Pipeline([there, back])(image), image, atol=1e-4)
    assert abs(back(there(image)) - image).max() > 0.1
    other = RandomRotation((-0.125, -0.125), fill_mode="constant")
    np.testing.assert_allclose(Pipeline([there, other])(image), other(there(image)), atol=1e-6)


def test_steps_are_applied_in_their_order():
    image = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    turn, shift = RandomRotation((0.25, 0.25), "wrap"), RandomTranslation(0, (0.25, 0.25), "wrap")
    y = Pipeline([turn, shift])(image[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(y, np.roll(np.rot90(image), 2, axis=1), atol=1e-5)
    y = Pipeline([shift, turn])(image[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(y, np.rot90(np.roll(image, 2, axis=1)), atol=1e-5)


def test_a_field_among_affine_steps_moves_by_what_stands_before_it():
    """A place is M1 (p + d): the field is drawn for the last image, and turned by M1."""
    rows, columns = np.mgrid[:40, :40].astype(np.float32)
    x = np.stack([rows, columns], axis=-1)[None]
    inner = np.s_[:, 3:-3, 3:-3]  # elsewhere the border is mirrored
    turn, still = RandomRotation((0.25, 0.25)), RandomTranslation(0, 0)
    field = RandomElasticTransform(4, 2)
    moved = (field(x, seed=1) - x)[inner]
    assert abs(moved).max() > 0.5
    before = (Pipeline([field, turn])(x, seed=1) - turn(x))[inner]
    np.testing.assert_allclose(before, moved, atol=1e-4)
    moved = (Pipeline([still, field])(x, seed=1) - x)[inner]
    after = (Pipeline([turn, field])(x, seed=1) - turn(x))[inner]
    turned = np.stack([moved[..., 1], -moved[..., 0]], axis=-1)
    np.testing.assert_allclose(after, turned, atol=1e-4)


def test_map_coordinates_is_the_judge_of_a_whole_pipeline():
    image = np.random.default_rng(3).random((12, 10), dtype=np.float32)
    border = {"fill_mode": "constant", "fill_value": 0.5}
    y = Pipeline(
        [RandomZoom((0.2, 0.2), (-0.3, -0.3), **border), RandomRotation((0.1, 0.1), **border)]
    )(image[None, ..., None])[0, ..., 0]
    angle, (cy, cx) = 2 * math.pi * 0.1, (5.5, 4.5)
    rows, columns = np.mgrid[:12, :10]
    # counter-clockwise on a screen whose rows count downwards
    r = cy + math.cos(angle) * (rows - cy) + math.sin(angle) * (columns - cx)
    c = cx - math.sin(angle) * (rows - cy) + math.cos(angle) * (columns - cx)
    places = [cy + 1.2 * (r - cy), cx + 0.7 * (c - cx)]
    expected = ndimage.map_coordinates(image, places, order=1, mode="grid-constant", cval=0.5)
    np.testing.assert_allclose(y, expected, atol=1e-5)


WRONG = [
    (lambda: RandomTranslation(2, 0), "RandomTranslation: height_factor must be a number of at "
     "least -1 and of at most 1, got 2"),
    (lambda: RandomTranslation(0, (0, 1, 2)), "RandomTranslation: width_factor must be a number or "
     r"a tuple of two, got \(0, 1, 2\)"),
    (lambda: RandomRotation("much"), "RandomRotation: factor must be a number of at least -1 and "
     "of at most 1, got 'much'"),
    (lambda: RandomRotation(math.nan), "RandomRotation: factor must be a number of at least -1"),
    (lambda: RandomZoom(0, 0, "mirror"), "RandomZoom: fill_mode must be one of 'constant', "
     "'nearest', 'reflect', 'wrap', got 'mirror'"),
    (lambda: RandomShear(-0.1), "RandomShear: x_factor must be a number of at least 0"),
    (lambda: RandomShear(interpolation="cubic"), "RandomShear: interpolation must be one of "
     "'bilinear', 'nearest', got 'cubic'"),
    (lambda: RandomShear(fill_value=1e300), "RandomShear: fill_value must be a number of at least"),
    (lambda: RandomFlip("diagonal"), "RandomFlip: mode must be one of 'horizontal', 'vertical'"),
    (lambda: RandomCrop(0, 4), "RandomCrop: height must be an integer of at least 1, got 0"),
    (lambda: RandomElasticTransform(sigma=0), "RandomElasticTransform: sigma must be above 0, "
     "got 0"),
    (lambda: RandomElasticTransform(sigma=1e9), "RandomElasticTransform: sigma must be a number "
     "of at least 0 and of at most 1000"),
    (lambda: RandomFlip(seed=-1), "RandomFlip: seed must be an integer of at least 0, got -1"),
    (lambda: RandomCrop(6, 4)(IMAGE), "RandomCrop: images must be at least 6 x 4, got 5 x 7"),
    (lambda: RandomFlip()(IMAGE[0]), r"RandomFlip: x must have shape \(samples, rows, columns, "
     r"channels\), got samples of shape \(7, 1\)"),
    (lambda: RandomShift(0.1)(IMAGE), r"RandomShift: x must have shape \(samples, steps, "
     r"channels\), got samples of shape \(5, 7, 1\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
