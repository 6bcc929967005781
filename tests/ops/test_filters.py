"""Named filters: SciPy's, the lecture's numbers, and what defines each."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from convlet.ops import convolve, functions
from convlet.ops.filters import binomial, gabor, gabor_bank, gaussian, laplacian, sobel
from numerics import normal


@pytest.mark.parametrize("sigma", [0.5, 1.0, (2.0, 0.8)])
def test_gaussian_is_scipys(sigma: Any):
    impulse = np.zeros((9, 7))
    impulse[4, 3] = 1
    expected = ndimage.gaussian_filter(impulse, sigma, mode="constant", radius=(4, 3))
    np.testing.assert_allclose(gaussian((9, 7), sigma), expected, atol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 5, (4,), (3, 1, 2)])
def test_gaussian_and_binomial_sum_to_1_and_are_symmetric(size: Any):
    for kernel in (gaussian(size, 0.7), binomial(size)):
        assert kernel.shape == ((size, size) if isinstance(size, int) else size)
        np.testing.assert_allclose(kernel.sum(), 1)
        np.testing.assert_allclose(kernel, np.flip(kernel))


def test_a_narrow_gaussian_is_an_impulse():
    np.testing.assert_array_equal(gaussian((5,), 1e-6), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(gaussian((4,), 1e-3), [0, 0.5, 0.5, 0])


@pytest.mark.parametrize("size", [2, 3, 5, 9])
def test_binomial_has_its_variance(size: int):
    kernel, x = binomial((size,)), np.arange(size) - (size - 1) / 2
    np.testing.assert_allclose((kernel * x**2).sum(), (size - 1) / 4)


@pytest.mark.parametrize("shape", [(9,), (6, 7), (4, 5, 6)])
def test_sobel_and_laplacian_are_scipys(shape: tuple[int, ...]):
    f, rank = normal(*shape), len(shape)
    inside = (slice(1, -1),) * rank
    for axis in range(rank):
        np.testing.assert_allclose(
            convolve(f, sobel(axis, rank), "valid"), ndimage.sobel(f, axis)[inside], atol=1e-12
        )
    np.testing.assert_allclose(
        convolve(f, laplacian(rank), "valid"), ndimage.laplace(f)[inside], atol=1e-12
    )


def test_laplacian_tables():
    np.testing.assert_array_equal(laplacian(), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    np.testing.assert_array_equal(laplacian(diagonals=True), [[1, 1, 1], [1, -8, 1], [1, 1, 1]])


def test_gabor_is_its_formula():
    sigma, gamma, wavelength, tau, phase = 2.0, 0.6, 5.0, 0.7, 0.4
    kernel = gabor((7, 9), wavelength, tau, phase, sigma=sigma, aspect_ratio=gamma)
    assert kernel.shape == (7, 9)
    for row, column in np.ndindex(7, 9):
        x, y = column - 4, row - 3
        along = x * math.cos(tau) + y * math.sin(tau)
        across = -x * math.sin(tau) + y * math.cos(tau)
        expected = math.exp(-(along**2 + gamma**2 * across**2) / (2 * sigma**2))
        expected *= math.cos(2 * math.pi * along / wavelength + phase)
        np.testing.assert_allclose(kernel[row, column], expected, atol=1e-14)


@pytest.mark.parametrize("octaves", [0.5, 1.0, 1.5])
def test_gabors_bandwidth_is_between_the_halves_of_its_spectrum(octaves: float):
    """Ask the Fourier transform along the wave; the even filter's other half is far away."""
    wavelength, n = 12.0, 401
    wave = gabor((1, n), wavelength, bandwidth=octaves)[0]
    frequencies = np.linspace(0.3, 1.9, 4001) / wavelength
    places = np.arange(n) - n // 2
    spectrum = np.abs(np.exp(-2j * np.pi * np.outer(frequencies, places)) @ wave)
    strong = frequencies[spectrum >= spectrum.max() / 2]
    np.testing.assert_allclose(np.log2(strong[-1] / strong[0]), octaves, atol=0.02)


def test_gabors_default_bandwidth_is_1():
    np.testing.assert_array_equal(gabor(9, 4.0), gabor(9, 4.0, bandwidth=1.0))
    sigma = 4 / math.pi * math.sqrt(math.log(2) / 2) * 3
    np.testing.assert_allclose(gabor(9, 4.0), gabor(9, 4.0, sigma=sigma))


def test_gabor_turns():
    """A quarter turn is NumPy's the other way round, as y points down."""
    kernel = gabor(9, 4.0, 0.3, 0.5)
    np.testing.assert_allclose(
        gabor(9, 4.0, 0.3 + math.pi / 2, 0.5), np.rot90(kernel, -1), atol=1e-14
    )
    np.testing.assert_allclose(gabor(9, 4.0, 0.3 + math.pi, 0.5), np.flip(kernel), atol=1e-14)


def test_gabor_bank_prefers_the_wave_that_it_was_made_for():
    bank = gabor_bank(25, [4.0, 8.0], orientations=4)
    assert bank.shape == (25, 25, 1, 2 * 4 * 2)
    np.testing.assert_array_equal(bank[:, :, 0, 11], gabor(25, 8.0, math.pi / 4, math.pi / 2))
    y, x = np.mgrid[:40, :40]
    for which, (wavelength, turn) in enumerate((w, n) for w in (4.0, 8.0) for n in range(4)):
        tau = math.pi * turn / 4
        wave = np.cos(2 * np.pi * (x * math.cos(tau) + y * math.sin(tau)) / wavelength)
        answers = functions.conv(wave[None, ..., None], bank / np.abs(bank).sum(axis=(0, 1)))
        energy = (answers**2).reshape(-1, 8, 2).sum(axis=(0, 2))
        assert energy.argmax() == which


WRONG = {
    "size": (lambda: gaussian(0), "gaussian: size must be an integer of at least 1, got 0"),
    "no size": (
        lambda: gaussian(()),
        "gaussian: size must be an integer or a tuple of integers, got ()",
    ),
    "large size": (lambda: gaussian(10**8), "gaussian: the filter must fit into the "),
    "sigma": (
        lambda: gaussian(3, 0),
        "gaussian: sigma must be a number of at least 1e-06 and of at most 1e+09, got 0",
    ),
    "sigmas": (
        lambda: gaussian(3, [1, 2, 3]),
        "gaussian: sigma must be a number above 0 or 2 such numbers, got [1, 2, 3]",
    ),
    "binomial": (lambda: binomial(1001), "binomial: size must be at most 1000, got 1001"),
    "axis": (lambda: sobel(2), "sobel: axis must be an axis below rank (2), got 2"),
    "rank": (lambda: sobel(0, 9), "sobel: rank must be at most 8, got 9"),
    "diagonals": (
        lambda: laplacian(2, 1),
        "laplacian: diagonals must be True or False, got 1",
    ),
    "gabor's size": (
        lambda: gabor((3, 3, 3), 2),
        "gabor: size must be an integer or a tuple of two, got (3, 3, 3)",
    ),
    "wavelength": (
        lambda: gabor(3, math.nan),
        "gabor: wavelength must be a number of at least 1e-06 and of at most 1e+09, got nan",
    ),
    "orientation": (
        lambda: gabor(3, 2, "up"),
        "gabor: orientation must be a finite number, got 'up'",
    ),
    "both": (
        lambda: gabor(3, 2, sigma=1, bandwidth=1),
        "gabor: give sigma or bandwidth, one follows from the other, got sigma=1 and bandwidth=1",
    ),
    "bandwidth": (
        lambda: gabor(3, 2, bandwidth=0),
        "gabor: bandwidth must be a number of at least 0.01 and of at most 100, got 0",
    ),
    "wavelengths": (
        lambda: gabor_bank(3, []),
        "gabor_bank: wavelengths must be a list of at least one number, got []",
    ),
    "one wavelength": (
        lambda: gabor_bank(3, 4.0),
        "gabor_bank: wavelengths must be a list of at least one number, got 4.0",
    ),
    "bank": (
        lambda: gabor_bank(99, [4.0], 10**12),
        "gabor_bank: the bank must fit into the ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name: str):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()
