"""Lecture 004, "Lecture 3: Convolutional Neural Networks" (Cochez): its examples and derivation.

The formulas write true convolution, h(t) = Σ_τ x(t - τ) k(τ); the tables are cross-correlations.
Slips of the lecture: an input need not be a multiple of the stride; the last line of the kernel
gradient writes `patches * y'` for the sum over positions of patches times y'.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from convlet.ops import (
    add_bias,
    average_pool,
    conv,
    conv_kernel_gradient,
    convolve,
    correlate,
    max_pool,
    tap_table,
)
from numerics import central_difference, normal

# the slides' x[:, :, 0], x[:, :, 1], x[:, :, 2]
X = np.stack(
    [
        [[1, 1, 0, 2, 1], [2, 1, 0, 2, 0], [2, 2, 1, 2, 2], [0, 2, 2, 1, 2], [2, 1, 0, 0, 2]],
        [[1, 2, 1, 0, 2], [2, 0, 0, 0, 2], [0, 2, 0, 1, 0], [1, 2, 0, 1, 2], [1, 0, 2, 0, 1]],
        [[2, 0, 0, 0, 1], [0, 0, 0, 1, 0], [1, 1, 0, 2, 1], [0, 0, 0, 2, 1], [0, 1, 1, 2, 2]],
    ],
    axis=-1,
).astype(float)
W0 = np.stack(
    [
        [[-1, 0, 0], [-1, -1, 1], [0, 1, -1]],
        [[-1, 0, -1], [1, -1, 0], [0, 1, -1]],
        [[0, -1, -1], [1, 1, -1], [-1, -1, -1]],
    ],
    axis=-1,
).astype(float)
W1 = np.stack(
    [
        [[0, 1, 1], [1, 1, -1], [-1, 1, -1]],
        [[1, -1, 0], [1, 1, 1], [-1, 1, 0]],
        [[0, 1, -1], [0, 1, 1], [1, 0, 0]],
    ],
    axis=-1,
).astype(float)
BIAS = np.array([1.0, 0.0])
O0 = [[5, 0, -2], [-2, -3, 0], [-4, -9, -1]]
O1 = [[8, -1, 7], [4, 4, 8], [4, 9, 7]]

# the previous layer's output volume and the filter over it
VOLUME = np.array(
    [
        [1.2, 0.1],
        [1.6, -0.6],
        [2.3, -0.6],
        [2.9, -0.1],
        [2.4, 0.6],
        [1.5, 0.9],
        [0.2, 0.7],
        [-0.6, 0.5],
    ]
)
FILTER = np.array([[1.0, -1], [-1, -1], [-1, -1], [1, 1]])


def formula(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Return h(t) = Σ_{τ=-m}^{m} x(t - τ) k(τ), with x zero outside."""
    m = len(k) // 2
    h = np.zeros(len(x))
    for t in range(len(x)):
        for tau in range(-m, m + 1):
            if 0 <= t - tau < len(x):
                h[t] += x[t - tau] * k[tau + m]
    return h


def test_one_neuron_on_a_picture_needs_two_million_weights():
    """Part one: 1920 x 1080 ≈ 2M; a filter of 3 x 3 needs 9 at any size."""
    assert 1920 * 1080 == 2_073_600
    assert tap_table((1080, 1920), (1080, 1920)).taps == 2_073_600
    assert tap_table((1080, 1920), (3, 3)).taps == 9


def test_colour_example():
    """Part three: 5 x 5 x 3 image, two 3 x 3 x 3 filters, padding 1, stride 2: both tables."""
    table = tap_table((5, 5), (3, 3), 2, [(1, 1), (1, 1)])
    y = add_bias(conv(X[None], np.stack([W0, W1], axis=-1), table), BIAS)
    assert y.shape == (1, 3, 3, 2)
    np.testing.assert_array_equal(y[0, ..., 0], O0)
    np.testing.assert_array_equal(y[0, ..., 1], O1)


def test_colour_example_is_padded_as_same():
    """Three positions are ceil(5 / 2), and Keras's 'same' pads one on either side, too."""
    explicit = tap_table((5, 5), (3, 3), 2, [(1, 1), (1, 1)])
    assert tap_table((5, 5), (3, 3), 2, "same") == explicit


def test_colour_example_is_not_a_true_convolution():
    """With its filters flipped the example does not come out."""
    table = tap_table((5, 5), (3, 3), 2, [(1, 1), (1, 1)])
    flipped = np.flip(np.stack([W0, W1], axis=-1), axis=(0, 1))
    assert not (add_bias(conv(X[None], flipped, table), BIAS)[0, ..., 0] == O0).all()


def test_filter_at_a_further_layer():
    """Part two, "Filters at further layers": all five printed values, the valid correlation."""
    y = conv(VOLUME[None], FILTER[..., None], tap_table((8,), (4,)))
    np.testing.assert_allclose(y[0, :, 0], [1.2, 0.7, -0.5, -1.5, -1.6], atol=1e-12)


def test_filter_at_a_further_layer_is_a_sum_over_both_dimensions():
    """The same table: the filter's second dimension is the number of filters before."""
    both = sum(correlate(VOLUME[:, c], FILTER[:, c], "valid") for c in range(2))
    np.testing.assert_allclose(both, [1.2, 0.7, -0.5, -1.5, -1.6], atol=1e-12)


def test_multiple_filters_make_an_output_volume():
    """Part two, "Multiple filters": the output becomes a matrix, a column for each filter."""
    x, kernel = normal(1, 12, 1), normal(3, 1, 4)
    volume = conv(x, kernel, tap_table((12,), (3,)))
    assert volume.shape == (1, 10, 4)
    for number in range(4):
        column = correlate(x[0, :, 0], kernel[:, 0, number], "valid")
        np.testing.assert_allclose(volume[0, :, number], column)


@pytest.mark.parametrize("m", [0, 1, 2, 4])
def test_formal_definition(m: int):
    """Part two-b: h(t) = Σ_{τ=-m}^{m} x(t - τ) k(τ)."""
    x, k = normal(9), normal(2 * m + 1)
    np.testing.assert_allclose(convolve(x, k, "same"), formula(x, k))


@pytest.mark.parametrize("m", [0, 1, 2])
def test_kernel_gradient(m: int):
    """Part five: k_i' = Σ_t y_t' x_{t-i}, for i = -m ... m, by loops."""
    x, k, delta = normal(9), normal(2 * m + 1), normal(9, seed=1)
    expected = np.zeros(2 * m + 1)
    for i in range(-m, m + 1):
        for t in range(9):
            if 0 <= t - i < 9:
                expected[i + m] += delta[t] * x[t - i]
    difference = central_difference(lambda k: float(convolve(x, k, "same") @ delta), k, step=1.0)
    np.testing.assert_allclose(expected, difference)
    # networks hold the kernel flipped: their weight Δ is the lecture's k(-Δ)
    table = tap_table((9,), (2 * m + 1,), padding="same")
    gradient = conv_kernel_gradient(x[None, :, None], delta[None, :, None], table)
    np.testing.assert_allclose(np.flip(gradient[:, 0, 0]), expected)


def test_kernel_gradient_takes_the_whole_sequence_into_account():
    """Part two-b: moving any one input changes the gradient of every inner weight."""
    delta = np.ones((1, 9, 1))
    table = tap_table((9,), (3,), padding="same")
    for t in range(9):
        x = np.zeros((1, 9, 1))
        x[0, t] = 1
        assert conv_kernel_gradient(x, delta, table)[1, 0, 0] == 1


def test_vectorized_with_patches():
    """Part five: y = patches k, and k' = the sum over positions of patches times y'."""
    x, k, delta = normal(9), normal(3), normal(7)
    table = tap_table((9,), (3,))
    patches = x[table.positions()]
    y = conv(x[None, :, None], k[:, None, None], table)[0, :, 0]
    np.testing.assert_allclose(patches @ k, y)
    gradient = conv_kernel_gradient(x[None, :, None], delta[None, :, None], table)[:, 0, 0]
    np.testing.assert_allclose((patches * delta[:, None]).sum(axis=0), gradient)
    assert (patches * delta[:, None]).shape != k.shape, "what the slide writes lacks the sum"


@pytest.mark.parametrize("shape", [(12,), (8, 9), (6, 7, 5)])
def test_translation_equivariance(shape: tuple[int, ...]):
    """Part three: (x * k)(t - t0) is the convolution of the translated input, in any dimension."""
    k = normal(*(3,) * len(shape))
    x = np.pad(normal(*shape), 4)
    axes = tuple(range(len(shape)))
    shifts = tuple(range(1, 1 + len(shape)))
    np.testing.assert_allclose(
        convolve(np.roll(x, shifts, axes), k, "same"),
        np.roll(convolve(x, k, "same"), shifts, axes),
        atol=1e-12,
    )


def test_no_equivariance_to_rotation_or_scale():
    """Part three: the convolution is not; with the filter rotated as well, it is."""
    x, k = normal(8, 8), normal(3, 3)
    y = correlate(x, k, "valid")
    rotated = correlate(np.rot90(x), k, "valid")
    assert not np.allclose(rotated, np.rot90(y))
    np.testing.assert_allclose(correlate(np.rot90(x), np.rot90(k), "valid"), np.rot90(y))
    twice = np.ones((2, 2))
    enlarged = correlate(np.kron(x, twice), k, "same")
    assert not np.allclose(enlarged, np.kron(correlate(x, k, "same"), twice))


@pytest.mark.parametrize("taps", [1, 3, 5, 7])
def test_padding_preserves_the_dimension(taps: int):
    """Part two, "Padding": (filter length - 1) / 2 on either side."""
    half = (taps - 1) // 2
    table = tap_table((9,), (taps,), padding=[(half, half)])
    assert table.output_shape == (9,)
    assert table == tap_table((9,), (taps,), padding="same")


@pytest.mark.parametrize("taps", [1, 2, 3, 5])
def test_without_padding_the_dimension_is_reduced(taps: int):
    """Part two, "Padding": ignoring the boundaries loses filter length - 1 positions."""
    assert tap_table((9,), (taps,)).output_shape == (9 - taps + 1,)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [7, 8, 9, 12])
def test_the_dimension_is_reduced_by_the_stride(size: int, stride: int):
    """Part two, "Stride": by that factor; the input need not be a multiple of it."""
    x, k = normal(1, size, 1), normal(3, 1, 1)
    table = tap_table((size,), (3,), stride, "same")
    assert table.output_shape == (ceil(size / stride),)
    valid = tap_table((size,), (3,), stride)
    assert valid.output_shape == ((size - 3) // stride + 1,)
    np.testing.assert_allclose(conv(x, k, valid), conv(x, k, tap_table((size,), (3,)))[:, ::stride])


@pytest.mark.parametrize("size", [8, 9])
def test_pooling_with_stride_equal_to_its_size(size: int):
    """Part two, "Pooling": max or average; what does not fill a last window is left out."""
    x = normal(1, size, 1)
    table = tap_table((size,), (2,), 2)
    pairs = x[0, :8, 0].reshape(4, 2)
    np.testing.assert_array_equal(max_pool(x, table)[0][0, :, 0], pairs.max(axis=1))
    np.testing.assert_allclose(average_pool(x, table)[0, :, 0], pairs.mean(axis=1))
