"""Lecture 001, "Deep Learning (2)" (Wang): its worked examples and its back propagation.

Slips of the lecture: its f * g shows 65 where the sum is 63 (SciPy's own output on the next slide
is right); it differentiates the log-likelihood, so its signs are those of ascent; its loop for the
kernel gradient lacks the flip that its formula has.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from convlet.ops import (
    activation,
    activation_gradient,
    average_pool,
    average_pool_gradient,
    bias_gradient,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    convolve,
    correlate,
    dense,
    dense_input_gradient,
    dense_kernel_gradient,
    log_softmax,
    log_softmax_gradient,
    max_pool,
    max_pool_gradient,
    scale,
    softmax,
    softmax_gradient,
    tap_table,
)
from numerics import central_difference, normal

F = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
G = np.array([[1, 2], [3, 4]])

POOLED_DELTA = np.array([[1.0, 3], [2, 4]])
HALVING = tap_table((4, 4), (2, 2), 2)

MAGIC_SQUARE = np.array([[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]])
DELTA = np.array([[0.8, 0.1, -0.6], [0.3, 0.5, 0.7], [-0.4, 0, -0.2]])


def as_batch(image: np.ndarray) -> np.ndarray:
    """Return one image of one channel as a batch."""
    return np.asarray(image, float)[None, ..., None]


def as_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel of one channel and one filter."""
    return np.asarray(kernel, float)[..., None, None]


def test_a_full_connection_of_96_x_96_pixels():
    """Slide "Fully Connected Networks": 10^4 inputs, 100 features, 10^6 parameters, roughly."""
    pixels = 96 * 96
    kernel = np.broadcast_to(0.0, (pixels, 100))
    assert dense(np.zeros((1, pixels)), kernel).shape == (1, 100)
    assert (pixels, kernel.size) == (9216, 921_600)


def test_one_dimensional_example():
    """Slide "1D Convolutions (discrete form)"."""
    f, g = [1, 2, 3, 4, 5], [1, 2, 3]
    np.testing.assert_array_equal(convolve(f, g), [1, 4, 10, 16, 22, 22, 15])
    np.testing.assert_array_equal(convolve(f, g, "valid"), [10, 16, 22])


def test_one_dimensional_example_by_its_three_steps():
    """The same slide: flip g, pad f with zeros, slide and sum."""
    padded, flipped = [0, 0, 1, 2, 3, 4, 5, 0, 0], [3, 2, 1]
    slid = [sum(flipped[i] * padded[n + i] for i in range(3)) for n in range(9 - 3 + 1)]
    np.testing.assert_array_equal(convolve([1, 2, 3, 4, 5], [1, 2, 3]), slid)


def test_two_dimensional_convolution():
    """Slides "Extending to 2D Convolutions", "2D Convolutions in Scipy": 63, printed once as 65."""
    full = [[1, 4, 7, 6], [7, 23, 33, 24], [19, 53, 63, 42], [21, 52, 59, 36]]
    np.testing.assert_array_equal(convolve(F, G), full)
    np.testing.assert_array_equal(convolve(F, G), signal.convolve2d(F, G))
    np.testing.assert_array_equal(convolve(F, G, "valid"), [[23, 33], [53, 63]])
    assert 9 * 1 + 8 * 2 + 6 * 3 + 5 * 4 == 63


def test_two_dimensional_cross_correlation():
    """Slides "Cross correlation", "Cross correlation using scipy and numpy"."""
    full = [[4, 11, 18, 9], [18, 37, 47, 21], [36, 67, 77, 33], [14, 23, 26, 9]]
    np.testing.assert_array_equal(correlate(F, G), full)
    np.testing.assert_array_equal(correlate(F, G, "valid"), [[37, 47], [67, 77]])
    np.testing.assert_array_equal(convolve(F, np.rot90(G, 2)), full)
    np.testing.assert_array_equal(signal.convolve2d(F, np.rot90(G, 2)), full)


def test_convolution_of_networks_is_the_valid_cross_correlation():
    """Slide "Cross correlation (Convolutions)"."""
    y = conv(as_batch(F), as_kernel(G), tap_table((3, 3), (2, 2)))
    np.testing.assert_array_equal(y[0, ..., 0], [[37, 47], [67, 77]])


def test_the_feature_of_a_cross():
    """Slide "Cross correlation (Convolutions)", the picture: the first value is 4."""
    image = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    cross = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    feature = correlate(image, cross, "valid")
    assert feature[0, 0] == 4
    np.testing.assert_array_equal(feature, [[4, 3, 4], [2, 4, 3], [2, 3, 4]])
    np.testing.assert_array_equal(feature, signal.correlate2d(image, cross, "valid"))


def test_sizes_of_8x8_features_of_a_96x96_image():
    """Slides "Cross correlation (Convolutions)" and "Pooling"."""
    table = tap_table((96, 96), (8, 8))
    assert table.output_shape == (89, 89)
    assert table.taps == 64
    assert 100 * table.taps == 6400
    assert np.prod(table.output_shape) == 7921
    assert 7921 * 400 == 3_168_400


@pytest.mark.parametrize(("r", "c", "a", "b"), [(96, 96, 8, 8), (10, 20, 3, 5), (4, 4, 4, 4)])
def test_size_of_the_convolved_features(r: int, c: int, a: int, b: int):
    """Slide "Cross correlation (Convolutions)": (r - a + 1) x (c - b + 1)."""
    assert tap_table((r, c), (a, b)).output_shape == (r - a + 1, c - b + 1)


def test_pooled_feature_is_the_same_after_a_small_translation():
    """Slide "Pooling": translation invariance, while the largest stays within its region."""
    image = np.zeros((4, 4))
    image[0, 0] = 1
    pooled, _ = max_pool(as_batch(image), HALVING)
    shifted, _ = max_pool(as_batch(np.roll(image, (1, 1), (0, 1))), HALVING)
    np.testing.assert_array_equal(pooled, shifted)


def test_output_layers_delta():
    """Back propagation (1): δ_i = 1(y = i) - p(y = i) for the log-likelihood, -δ for the loss."""
    z = normal(1, 5)
    y = np.eye(5)[[2]]
    p = softmax(z)
    ascent = log_softmax_gradient(y, log_softmax(z))
    np.testing.assert_allclose(ascent, y - p)
    difference = central_difference(lambda z: float(log_softmax(z)[0, 2]), z)
    np.testing.assert_allclose(ascent, difference, atol=1e-9)
    by_the_loss = softmax_gradient(-y / p, p)  # J = -ln p, so ∂J/∂p = -1(y = i) / p
    np.testing.assert_allclose(by_the_loss, p - y, atol=1e-14)


def test_delta_of_a_fully_connected_layer():
    """Back propagation (2): δ^l = (W^(l+1))ᵀ δ^(l+1) • f'(z^l)."""
    z, W, above = normal(4), normal(3, 4), normal(3)
    a = activation(z, "sigmoid")
    expected = W.T @ above * a * (1 - a)
    through_w = dense_input_gradient(above[None], W.T)
    delta = activation_gradient(through_w, a[None], "sigmoid")[0]
    np.testing.assert_allclose(delta, expected)
    difference = central_difference(lambda z: float(above @ (W @ activation(z, "sigmoid"))), z)
    np.testing.assert_allclose(delta, difference, atol=1e-9)


def test_weight_gradient_of_a_fully_connected_layer():
    """Back propagation (3): ∂J/∂W = a δᵀ, as (inputs, units), and ∂J/∂b = δ."""
    a, delta = normal(1, 4), normal(1, 3)
    np.testing.assert_allclose(dense_kernel_gradient(a, delta), np.outer(a, delta))
    np.testing.assert_array_equal(bias_gradient(delta), delta[0])


def test_mean_pooling_spreads_delta_evenly():
    """Slide (4): up-sampling for mean-pooling, divided by the size of the window."""
    expected = [
        [0.25, 0.25, 0.75, 0.75],
        [0.25, 0.25, 0.75, 0.75],
        [0.5, 0.5, 1, 1],
        [0.5, 0.5, 1, 1],
    ]
    gradient = average_pool_gradient(as_batch(POOLED_DELTA), HALVING)[0, ..., 0]
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_mean_poolings_gradient_is_kroneckers_product(n: int):
    """Slide (4): up(x) = x ⊗ 1_{n x n}, here divided by n²."""
    delta = normal(3, 4)
    table = tap_table((3 * n, 4 * n), (n, n), n)
    gradient = average_pool_gradient(as_batch(delta), table)[0, ..., 0]
    np.testing.assert_allclose(gradient, np.kron(delta, np.ones((n, n))) / n**2)
    up = [[1, 1, 3, 3], [1, 1, 3, 3], [2, 2, 4, 4], [2, 2, 4, 4]]
    np.testing.assert_array_equal(np.kron(POOLED_DELTA, np.ones((2, 2))), up)


def test_max_pooling_hands_delta_to_the_chosen_unit():
    """Slide (4): up-sampling for max-pooling; the input's maxima lie where the table shows."""
    routed = np.array([[0, 0, 0, 3], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 4, 0]])
    x = as_batch(np.where(routed > 0, 9.0, normal(4, 4)))
    _, winner = max_pool(x, HALVING)
    np.testing.assert_array_equal(winner[0, ..., 0], [[3, 1], [0, 2]])
    gradient = max_pool_gradient(as_batch(POOLED_DELTA), winner, HALVING)
    np.testing.assert_array_equal(gradient[0, ..., 0], routed)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_delta_of_a_convolution_before_a_pooling(pooling: str):
    """Slide (4): δ^l = upsample(δ^(l+1)) • f'(z^l), the activation between the two."""
    z, above = normal(1, 4, 4, 2), normal(1, 2, 2, 2)

    def pooled(z: np.ndarray) -> np.ndarray:
        a = activation(z, "tanh")
        return average_pool(a, HALVING) if pooling == "mean" else max_pool(a, HALVING)[0]

    a = activation(z, "tanh")
    if pooling == "mean":
        upsampled = average_pool_gradient(above, HALVING)
    else:
        upsampled = max_pool_gradient(above, max_pool(a, HALVING)[1], HALVING)
    delta = upsampled * (1 - np.tanh(z) ** 2)
    np.testing.assert_allclose(activation_gradient(upsampled, a, "tanh"), delta)
    difference = central_difference(lambda z: float((pooled(z) * above).sum()), z)
    np.testing.assert_allclose(delta, difference, atol=1e-9)


@pytest.mark.parametrize("position", ["before", "after"])
def test_delta_of_a_subsampling_has_its_coefficient(position: str):
    """Slide (4): δ_j^l = β_j^(l+1) upsample(δ_j^(l+1)) • f'(z_j^l), the activation before it.

    "Either before or after the pooling layer, there is an additive bias and sigmoidal
    nonlinearity": behind it, f' is taken of what it makes.
    """
    z, above, beta = normal(1, 4, 4, 2), normal(1, 2, 2, 2), np.array([0.5, -2.0])

    def subsampled(z: np.ndarray) -> np.ndarray:
        if position == "before":
            return scale(average_pool(activation(z, "sigmoid"), HALVING), beta)
        return activation(scale(average_pool(z, HALVING), beta), "sigmoid")

    if position == "before":
        slope = activation_gradient(np.ones_like(z), activation(z, "sigmoid"), "sigmoid")
        delta = beta * np.kron(above, np.ones((1, 2, 2, 1))) / 4 * slope
    else:
        behind = activation_gradient(above, subsampled(z), "sigmoid")
        delta = beta * np.kron(behind, np.ones((1, 2, 2, 1))) / 4
    difference = central_difference(lambda z: float((subsampled(z) * above).sum()), z)
    np.testing.assert_allclose(delta, difference, atol=1e-9)


def test_bias_gradient_is_the_sum_of_delta():
    """Slide (4): ∂J/∂b_j = Σ_uv (δ_j)_uv."""
    assert bias_gradient(as_batch(DELTA)).item() == pytest.approx(DELTA.sum())


def test_kernel_gradient_of_the_magic_square():
    """Slide (4): a ∘ δ = a * rot90(δ, 2), without padding; sums over the patches, then SciPy."""
    gradient = conv_kernel_gradient(
        as_batch(MAGIC_SQUARE), as_batch(DELTA), tap_table((4, 4), (2, 2))
    )[..., 0, 0]
    patches = [[MAGIC_SQUARE[i : i + 3, j : j + 3] for j in range(2)] for i in range(2)]
    by_patches = [[(patch * DELTA).sum() for patch in row] for row in patches]
    np.testing.assert_allclose(gradient, by_patches)
    np.testing.assert_allclose(
        gradient, signal.convolve2d(MAGIC_SQUARE, np.rot90(DELTA, 2), "valid")
    )
    np.testing.assert_allclose(gradient, [[20.4, 2.8], [4.9, 12.7]])


def test_kernel_gradient_in_the_lectures_loop_lacks_the_flip():
    """Slide "update_W_b": convolve2d(x, delta) is not the gradient, the formula above it is."""
    gradient = correlate(MAGIC_SQUARE, DELTA, "valid")
    assert not np.allclose(signal.convolve2d(MAGIC_SQUARE, DELTA, "valid"), gradient)
    difference = central_difference(
        lambda kernel: float((correlate(MAGIC_SQUARE, kernel, "valid") * DELTA).sum()),
        np.zeros((2, 2)),
        step=1.0,
    )
    np.testing.assert_allclose(gradient, difference)


def test_delta_of_a_pooling_before_a_convolution_is_a_real_convolution():
    """Slide (5), written out for a 2 x 2 δ and a 2 x 2 kernel, term by term."""
    d11, d12, d21, d22 = normal(4)
    k11, k12, k21, k22 = normal(4, seed=1)
    expected = [
        [d11 * k11, d11 * k12 + d12 * k11, d12 * k12],
        [
            d11 * k21 + d21 * k11,
            d11 * k22 + d12 * k21 + d21 * k12 + d22 * k11,
            d12 * k22 + d22 * k12,
        ],
        [d21 * k21, d21 * k22 + d22 * k21, d22 * k22],
    ]
    delta, kernel = np.array([[d11, d12], [d21, d22]]), np.array([[k11, k12], [k21, k22]])
    table = tap_table((3, 3), (2, 2))
    gradient = conv_input_gradient(as_batch(delta), as_kernel(kernel), table)[0, ..., 0]
    np.testing.assert_allclose(gradient, expected)
    np.testing.assert_allclose(convolve(delta, kernel), expected)
    padded = np.pad(delta, 1)
    flipped = np.array([[k22, k21], [k12, k11]])
    np.testing.assert_allclose(correlate(padded, flipped, "valid"), expected)


def test_delta_of_a_pooling_is_a_sum_of_shifted_kernels():
    """Slide (5), first line: δ_11 [K at the first corner] + δ_12 [K at the second] + ..."""
    delta, kernel = normal(2, 2), normal(2, 2, seed=1)
    total = sum(
        delta[u, v] * np.pad(kernel, [(u, 1 - u), (v, 1 - v)]) for u in range(2) for v in range(2)
    )
    np.testing.assert_allclose(convolve(delta, kernel), total)


def test_the_20_50_500_network():
    """Slides "Practice on MNIST dataset" and "Bottle neck": 28 -> 24 -> 12 -> 8 -> 4, 800 units."""
    grids = [(28, 28)]
    for _ in range(2):
        grids.append(tap_table(grids[-1], (5, 5)).output_shape)
        grids.append(tap_table(grids[-1], (2, 2), 2).output_shape)
    assert grids == [(28, 28), (24, 24), (12, 12), (8, 8), (4, 4)]
    assert 50 * np.prod(grids[-1]) == 800
    hidden = dense(np.zeros((2, 800)), np.zeros((800, 500)))
    assert dense(hidden, np.zeros((500, 10))).shape == (2, 10)


def test_the_forward_loop():
    """Slide "Bottle neck (1)": z[i, j] = Σ_k correlate2d(x[i, k], W[j, k], 'valid') + b[j]."""
    x, W, b = normal(2, 3, 7, 6), normal(4, 3, 3, 2), normal(4)
    z = np.zeros((2, 4, 5, 5))
    for i, j in np.ndindex(2, 4):
        z[i, j] = b[j] + sum(signal.correlate2d(x[i, k], W[j, k], "valid") for k in range(3))
    y = conv(x.transpose(0, 2, 3, 1), W.transpose(2, 3, 1, 0), tap_table((7, 6), (3, 2))) + b
    np.testing.assert_allclose(y.transpose(0, 3, 1, 2), z)


def test_the_forward_pass_by_fourier_transform():
    """Slide "Bottle neck (1)": multiply the transforms, sum over channels, crop to the valid part.

    The slide transforms W as it is, which gives the real convolution; networks want W flipped.
    """
    x, W = normal(2, 3, 7, 6), normal(4, 3, 3, 2)
    full = (7 + 3 - 1, 6 + 2 - 1)
    transformed = np.fft.fft2(x, full)[:, None] * np.fft.fft2(W[..., ::-1, ::-1], full)
    z = np.fft.ifft2(transformed.sum(axis=2)).real[:, :, 3 - 1 : 7, 2 - 1 : 6]
    y = conv(x.transpose(0, 2, 3, 1), W.transpose(2, 3, 1, 0), tap_table((7, 6), (3, 2)))
    np.testing.assert_allclose(y.transpose(0, 3, 1, 2), z, atol=1e-12)


def test_the_pooling_loop():
    """Slide "Bottle neck (2)": the maximum of each block, and its row and column by argmax."""
    a = normal(2, 3, 6, 4)
    y, winner = max_pool(a.transpose(0, 2, 3, 1), tap_table((6, 4), (2, 2), 2))
    for i, j, k, m in np.ndindex(2, 3, 3, 2):
        block = a[i, j, 2 * k : 2 * k + 2, 2 * m : 2 * m + 2]
        assert y[i, k, m, j] == np.max(block)
        assert winner[i, k, m, j] == np.argmax(block)


def test_the_loop_for_the_pooling_layers_delta():
    """Slide "Bottle neck (4)": δ_i = Σ_j convolve2d(δ_j, K_ij, 'full')."""
    above, W = normal(2, 4, 5, 5), normal(4, 3, 3, 2)
    delta = np.zeros((2, 3, 7, 6))
    for i, j in np.ndindex(2, 3):
        delta[i, j] = sum(signal.convolve2d(above[i, k], W[k, j], "full") for k in range(4))
    gradient = conv_input_gradient(
        above.transpose(0, 2, 3, 1), W.transpose(2, 3, 1, 0), tap_table((7, 6), (3, 2))
    )
    np.testing.assert_allclose(gradient.transpose(0, 3, 1, 2), delta, atol=1e-13)


def test_the_loop_for_the_kernel_gradient_with_its_flip():
    """Slide "Bottle neck (5)": ∂J/∂K = Σ a * rot90(δ, 2), summed over the samples."""
    x, delta = normal(2, 3, 7, 6), normal(2, 4, 5, 5)
    expected = np.zeros((4, 3, 3, 2))
    for j, k, i in np.ndindex(4, 3, 2):
        expected[j, k] += signal.convolve2d(x[i, k], np.rot90(delta[i, j], 2), "valid")
    gradient = conv_kernel_gradient(
        x.transpose(0, 2, 3, 1), delta.transpose(0, 2, 3, 1), tap_table((7, 6), (3, 2))
    )
    np.testing.assert_allclose(gradient.transpose(3, 2, 0, 1), expected, atol=1e-13)
