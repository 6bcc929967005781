"""Lecture 003, "Convolutional Neural Networks" (Tennakoon, COSC2779): its tables.

The Sobel table is true convolution (the kernel flipped) of inputs printed to two digits, so it
holds to 0.03; all that follows it is cross-correlation, and exact. Its LeNet reads 28 x 28 images,
lecture 000's reads 32 x 32.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage, signal

from convlet.ops import (
    conv,
    conv_input_gradient,
    convolve,
    correlate,
    max_pool,
    sum_pool,
    tap_table,
)
from convlet.ops.filters import sobel
from numerics import normal

BRIGHTNESS = np.array(
    [
        [0.80, 0.74, 0.60, 0.50, 0.47, 0.55],
        [0.81, 0.73, 0.58, 0.45, 0.41, 0.46],
        [0.81, 0.73, 0.58, 0.43, 0.35, 0.38],
        [0.81, 0.73, 0.58, 0.43, 0.31, 0.31],
        [0.82, 0.73, 0.61, 0.44, 0.29, 0.27],
        [0.83, 0.75, 0.62, 0.44, 0.27, 0.25],
    ]
)
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
EDGES = np.array(
    [
        [-0.89, -1.09, -0.71, 0.02],
        [-0.92, -1.18, -0.91, -0.20],
        [-0.90, -1.20, -1.11, -0.44],
        [-0.87, -1.21, -1.26, -0.63],
    ]
)
IMAGE = np.array(
    [
        [1, 6, 2, 8, 1, 2, 7],
        [1, 6, 2, 8, 1, 2, 5],
        [0, 5, 8, 1, 5, 7, 1],
        [1, 7, 1, 3, 5, 8, 0],
        [5, 2, 4, 4, 5, 8, 4],
        [8, 2, 3, 7, 3, 8, 2],
        [1, 2, 3, 6, 5, 9, 6],
    ]
)
ONES = np.ones((3, 3))


def sums_of_windows(strides: int = 1, padding: str = "valid") -> np.ndarray:
    """Return the image under the filter of ones."""
    table = tap_table((7, 7), (3, 3), strides, padding)
    return conv(IMAGE[None, ..., None].astype(float), ONES[..., None, None], table)[0, ..., 0]


def test_sobel_edges():
    """Slides "2D Convolution in Traditional Computer Vision": the table, to 0.03."""
    edges = convolve(BRIGHTNESS, SOBEL, "valid")
    np.testing.assert_allclose(edges, EDGES, atol=0.03)
    np.testing.assert_allclose(edges, signal.convolve2d(BRIGHTNESS, SOBEL, "valid"))


def test_sobel_is_the_filter_of_that_name():
    np.testing.assert_array_equal(sobel(), SOBEL)
    np.testing.assert_allclose(convolve(BRIGHTNESS, sobel(axis=1), "valid"), EDGES, atol=0.03)


def test_sobel_edges_are_not_a_correlation():
    """The kernel is laid over the image unflipped on the slide; then every sign is the other."""
    np.testing.assert_allclose(correlate(BRIGHTNESS, SOBEL, "valid"), -EDGES, atol=0.03)


def test_formula_of_traditional_computer_vision():
    """I_o(i, j) = Σ_{p=-1}^{1} Σ_{q=-1}^{1} w_{p,q} I_in(i - p, j - q)."""
    expected = np.zeros((4, 4))
    for i, j, p, q in itertools.product(range(1, 5), range(1, 5), (-1, 0, 1), (-1, 0, 1)):
        expected[i - 1, j - 1] += SOBEL[p + 1, q + 1] * BRIGHTNESS[i - p, j - q]
    np.testing.assert_allclose(convolve(BRIGHTNESS, SOBEL, "valid"), expected, atol=1e-14)


def test_filter_of_ones():
    """Slides "2D Convolution": 31, 46, 36 at the beginning of the first row."""
    y = sums_of_windows()
    np.testing.assert_array_equal(y[0, :3], [31, 46, 36])
    np.testing.assert_array_equal(y, signal.correlate2d(IMAGE, ONES, "valid"))


def test_zero_padding():
    """Slides "Padding": the output is as large as the input; 14 in the corner, 31 46 36 inside."""
    y = sums_of_windows(padding="same")
    assert y.shape == IMAGE.shape
    assert y[0, 0] == 14
    np.testing.assert_array_equal(y[1, 1:4], [31, 46, 36])
    np.testing.assert_array_equal(y, signal.correlate2d(IMAGE, ONES, "same"))


def test_stride_of_two():
    """Slide on strides: 31 and 36 are neighbours; the output is downsized to 3 x 3."""
    y = sums_of_windows(strides=2)
    assert y.shape == (3, 3)
    np.testing.assert_array_equal(y[0, :2], [31, 36])
    np.testing.assert_array_equal(y, sums_of_windows()[::2, ::2])


def test_pooling_table():
    """Slide "2D Pooling": 2 x 2 and stride 2; the last row and column of 7 x 7 are left out."""
    table = tap_table((7, 7), (2, 2), 2)
    y, _ = max_pool(IMAGE[None, ..., None].astype(float), table)
    assert table.output_shape == (3, 3)
    np.testing.assert_array_equal(y[0, 0, :, 0], [6, 8, 2])
    assert y[0, 1, 0, 0] == 7
    np.testing.assert_array_equal(y[0, ..., 0], [[6, 8, 2], [7, 8, 8], [8, 7, 8]])


def test_pooling_table_with_stride_one():
    """Lecture 000, definition 8, of the same table: every window, and the slide's among them."""
    y, _ = max_pool(IMAGE[None, ..., None].astype(float), tap_table((7, 7), (2, 2)))
    y = y[0, ..., 0]
    np.testing.assert_array_equal(y[0], [6, 6, 8, 8, 2, 7])
    np.testing.assert_array_equal(y, ndimage.maximum_filter(IMAGE, 2)[1:, 1:])
    np.testing.assert_array_equal(y[::2, ::2], [[6, 8, 2], [7, 8, 8], [8, 7, 8]])


def test_sum_pooling_is_the_filter_of_ones():
    """Slide "Pooling Operation": "simple mathematical functions like max, sum , etc."."""
    y = sum_pool(IMAGE[None, ..., None].astype(float), tap_table((7, 7), (3, 3)))[0, ..., 0]
    np.testing.assert_array_equal(y[0, :3], [31, 46, 36])
    np.testing.assert_array_equal(y, sums_of_windows())


def test_pooling_is_done_for_each_channel_separately():
    """Slide "2D Pooling"."""
    table = tap_table((6, 6), (2, 2), 2)
    x = normal(1, 6, 6, 3)
    y, _ = max_pool(x, table)
    for channel in range(3):
        one, _ = max_pool(x[..., channel : channel + 1], table)
        np.testing.assert_array_equal(y[..., channel], one[..., 0])


def test_six_weights_and_two_biases():
    """Slide "Parameter Sharing": two layers of five neurons, against (25 + 5) + (25 + 5)."""
    layer = tap_table((5,), (3,), padding="same")
    assert layer.output_shape == layer.input_shape == (5,)
    weights, biases = 2 * layer.taps, 2
    assert (weights, biases) == (6, 2)
    fully_connected = layer.output_shape[0] * layer.input_shape[0] + layer.output_shape[0]
    assert fully_connected == 25 + 5


def test_multiple_input_channels_and_multiple_filters():
    """Slides of these names: the kernel has the input's channels, the output has C_O."""
    x, kernel = normal(2, 7, 7, 3), normal(3, 3, 3, 4)
    y = conv(x, kernel, tap_table((7, 7), (3, 3), padding="same"))
    assert y.shape == (2, 7, 7, 4)
    for image, filter_ in itertools.product(range(2), range(4)):
        expected = sum(
            signal.correlate2d(x[image, ..., c], kernel[..., c, filter_], "same") for c in range(3)
        )
        np.testing.assert_allclose(y[image, ..., filter_], expected)


def test_convolution_is_equivariant_to_translation():
    """Slides "Invariance to Translation": a shifted image gives the shifted features."""
    padded = np.pad(IMAGE, 3)
    shifted = np.roll(padded, (1, 2), (0, 1))
    np.testing.assert_array_equal(
        correlate(shifted, SOBEL, "same"), np.roll(correlate(padded, SOBEL, "same"), (1, 2), (0, 1))
    )


def test_lenets_shapes():
    """Slide "LeNet": 28 x 28 images in Keras, valid convolutions of 5 x 5, pooling of 2 x 2."""
    grids = [(28, 28)]
    for window, stride in [(5, 1), (2, 2), (5, 1), (2, 2)]:
        grids.append(tap_table(grids[-1], (window, window), stride).output_shape)
    assert grids[1:] == [(24, 24), (12, 12), (8, 8), (4, 4)]
    assert 16 * np.prod(grids[-1]) == 256


def test_a_strided_convolution_can_replace_convolution_and_pooling():
    """Slides "Variants of the Basic Convolution": the same shapes."""
    same = tap_table((8, 8), (3, 3), padding="same").output_shape
    pooled = tap_table(same, (2, 2), 2).output_shape
    assert tap_table((8, 8), (3, 3), 2, "same").output_shape == pooled == (4, 4)


def test_the_receptive_field_grows_with_depth():
    """3 x 3 in each layer: one feature sees 3, 5, 7 pixels across."""
    for layers in range(1, 4):
        delta = np.ones((1, 1, 1, 1))
        for depth in range(layers):
            size = 3 + 2 * depth
            table = tap_table((size, size), (3, 3))
            delta = conv_input_gradient(delta, np.ones((3, 3, 1, 1)), table)
        assert delta.shape == (1, 1 + 2 * layers, 1 + 2 * layers, 1)
        assert (delta > 0).all()


def test_dilation_widens_the_field_at_the_same_cost():
    """Slide "Dilated Convolutions": 3 x 3 taps see 5 x 5 pixels at dilation 2, 9 x 9 at 4."""
    for dilation, field in [(1, 3), (2, 5), (4, 9)]:
        table = tap_table((field, field), (3, 3), dilation_rate=dilation)
        assert (table.output_shape, table.taps) == ((1, 1), 9)


def test_a_transposed_convolution_enlarges():
    """Slide "Transpose Convolution": the table of a strided convolution, read backwards."""
    table = tap_table((9, 9), (3, 3), 2)
    small, kernel = normal(1, 4, 4, 2), normal(3, 3, 5, 2)
    large = conv_input_gradient(small, kernel, table)
    assert large.shape == (1, 9, 9, 5)
    x = normal(1, 9, 9, 5)
    np.testing.assert_allclose(np.vdot(conv(x, kernel, table), small), np.vdot(x, large))
