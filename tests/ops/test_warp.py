"""Warps and displacement fields of convlet.ops.warp, held against SciPy."""

import numpy as np
import pytest
from scipy import ndimage, stats

from convlet.ops.warp import displacement_fields, draw_words, gaussian_taps, warp

# ours, and what SciPy calls them: each of the four pixels is filled by itself
MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "reflect": "reflect",
    "wrap": "grid-wrap",
}


def random_matrices(rng, count):
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    return identity + rng.uniform(-0.6, 0.6, (count, 2, 3)) * [1, 1, 9]


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
def test_affine_warps_are_those_of_scipy(fill_mode, interpolation, order):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 7, 5, 2))
    matrices = random_matrices(rng, 3)
    y = warp(x, matrices, None, (6, 9), interpolation, fill_mode, 0.7)
    for n in range(3):
        for c in range(2):
            expected = ndimage.affine_transform(
                x[n, :, :, c],
                matrices[n, :, :2],
                matrices[n, :, 2],
                output_shape=(6, 9),
                order=order,
                mode=MODES[fill_mode],
                cval=0.7,
            )
            np.testing.assert_allclose(y[n, :, :, c], expected, atol=1e-12)


@pytest.mark.parametrize("fill_mode", MODES)
def test_displaced_places_are_read_as_scipy_reads_them(fill_mode):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 6, 8, 1))
    matrices, displacements = random_matrices(rng, 2), rng.normal(0, 3, (2, 2, 6, 8))
    y = warp(x, matrices, displacements, None, "bilinear", fill_mode, -1.0)
    rows, columns = np.mgrid[:6, :8]
    for n, m in enumerate(matrices):
        places = [m[i, 0] * rows + m[i, 1] * columns + m[i, 2] for i in range(2)]
        expected = ndimage.map_coordinates(
            x[n, :, :, 0], places + displacements[n], order=1, mode=MODES[fill_mode], cval=-1.0
        )
        np.testing.assert_allclose(y[n, :, :, 0], expected, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 4.0])
def test_fields_are_noise_smoothed_as_scipy_smooths(sigma):
    images, draw = np.array([3, 70_000]), (11, 2, 99)
    noise = displacement_fields(images, (9, 14), np.ones(1), draw)
    fields = displacement_fields(images, (9, 14), gaussian_taps(sigma), draw)
    for n in range(2):
        for axis in range(2):
            expected = ndimage.gaussian_filter(noise[n, axis], sigma, mode="constant", truncate=3.0)
            np.testing.assert_allclose(fields[n, axis], expected, atol=1e-14)


def test_noise_is_uniform_from_minus_1_to_1_and_not_correlated():
    noise = displacement_fields(np.arange(40), (25, 20), np.ones(1), (5, 0, 1))
    assert stats.kstest(noise.ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-3
    rows, columns = noise[:, 0].ravel(), noise[:, 1].ravel()
    for a, b in [(rows, columns), (rows[1:], rows[:-1]), (rows[500:], rows[:-500])]:
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(len(a))


def test_words_depend_on_image_seed_epoch_and_operation():
    first = draw_words(np.array([7]), 3, (1, 2, 3))
    assert first.shape == (1, 12)
    assert len(np.unique(first)) == 12
    for image, draw in [(8, (1, 2, 3)), (7, (2, 2, 3)), (7, (1, 3, 3)), (7, (1, 2, 4))]:
        assert not np.intersect1d(first, draw_words(np.array([image]), 3, draw)).size
    both = draw_words(np.array([9, 7]), 3, (1, 2, 3))
    np.testing.assert_array_equal(both[1:], first)
