"""Lecture 000, "Convolutional Neural Networks" (Zhang, after Hofmann): its definitions and numbers.

Slips of the lecture that the tests step around: LeNet-5's C3 is printed with 6 x 6 kernels, its
1600 units need 5 x 5; what it calls same padding (formula 12) is the full convolution's matrix.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import linalg

from convlet import inspection
from convlet.ops import (
    activation,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    convolve,
    correlate,
    dense,
    impulse_response,
    max_pool,
    tap_table,
)
from convlet.ops.filters import binomial
from numerics import central_difference, normal

GAUSSIAN = np.array([1, 4, 6, 4, 1]) / 16


def at(signal: np.ndarray, *position: int) -> float:
    """Return f[t], 0 outside of the support."""
    inside = all(0 <= p < n for p, n in zip(position, signal.shape, strict=True))
    return float(signal[position]) if inside else 0.0


def convolution_matrix(h: np.ndarray, n: int, mode: str = "full") -> np.ndarray:
    """Return the matrix of the map f -> f * h: its columns are the images of the unit vectors."""
    return np.stack([convolve(unit, h, mode) for unit in np.eye(n)], axis=1)


def test_definition_5_discrete_convolution():
    """Formula 6: (f * h)[u] = Σ_t f[t] h[u - t]."""
    f, h = normal(7), normal(4)
    expected = [sum(f[t] * at(h, u - t) for t in range(7)) for u in range(10)]
    np.testing.assert_allclose(convolve(f, h), expected, atol=1e-14)


def test_example_2_gaussian_kernel():
    """Formulas 8 and 9: (6 f[u] + 4 f[u-1] + 4 f[u+1] + f[u-2] + f[u+2]) / 16."""
    f = normal(9)
    expected = [
        (6 * at(f, u) + 4 * at(f, u - 1) + 4 * at(f, u + 1) + at(f, u - 2) + at(f, u + 2)) / 16
        for u in range(9)
    ]
    np.testing.assert_allclose(convolve(f, GAUSSIAN, "same"), expected, atol=1e-14)
    assert GAUSSIAN.sum() == 1
    np.testing.assert_allclose(convolve(np.full(9, 3.0), GAUSSIAN, "valid"), [3.0] * 5)


def test_example_2_is_the_binomial_filter():
    np.testing.assert_array_equal(binomial((5,)), GAUSSIAN)


def test_the_gaussian_kernel_is_the_box_of_two_four_times():
    """Example 2's numbers are the binomial ones."""
    box = np.array([1, 1]) / 2
    np.testing.assert_allclose(convolve(convolve(convolve(box, box), box), box), GAUSSIAN)


def test_definition_6_cross_correlation():
    """Formula 10: Σ_t h[t] f[u + t], where the first overlap is at u = -(4 - 1)."""
    f, h = normal(7), normal(4)
    expected = [sum(h[t] * at(f, u + t) for t in range(4)) for u in range(-3, 7)]
    np.testing.assert_allclose(correlate(f, h), expected, atol=1e-14)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_formula_11_correlation_is_convolution_with_the_flipped_kernel(
    shape: tuple[int, ...], mode: str
):
    f, h = normal(*(5, 6, 4)[: len(shape)]), normal(*shape)
    np.testing.assert_allclose(correlate(f, h, mode), convolve(f, np.flip(h), mode), atol=1e-14)


def test_remark_1_convolution_is_commutative_and_correlation_is_not():
    f, h = normal(6), normal(4)
    np.testing.assert_allclose(convolve(f, h), convolve(h, f), atol=1e-14)
    assert not np.allclose(correlate(f, h), correlate(h, f))


def test_definition_3_linear():
    """Formula 4: T(αf + βg) = αTf + βTg."""
    f, g, h = normal(8), normal(8, seed=1), normal(3)
    left = convolve(2 * f - 3 * g, h)
    np.testing.assert_allclose(left, 2 * convolve(f, h) - 3 * convolve(g, h), atol=1e-13)


def test_definition_4_translation_invariant():
    """Formula 5: the transform of the shifted signal is the shifted transform."""
    f, h = normal(6), normal(3)
    shifted = np.concatenate([np.zeros(2), f])
    np.testing.assert_allclose(
        convolve(shifted, h), np.concatenate([np.zeros(2), convolve(f, h)]), atol=1e-14
    )


def test_theorem_1_a_linear_translation_invariant_transform_is_a_convolution():
    """Example 2's smoothing, written without a convolution."""

    def transform(f: np.ndarray) -> np.ndarray:
        (n,) = f.shape
        return np.array(
            [
                6 * f[u] + 4 * at(f, u - 1) + 4 * at(f, u + 1) + at(f, u - 2) + at(f, u + 2)
                for u in range(n)
            ]
        )

    kernel = impulse_response(transform, (7,)) / 16
    np.testing.assert_allclose(kernel, [0, *GAUSSIAN, 0])
    f = normal(12)
    np.testing.assert_allclose(transform(f) / 16, convolve(f, kernel, "same"), atol=1e-14)


def test_formula_12_the_matrix_of_a_convolution():
    """(n + m - 1) x n entries; the lecture calls it same padding, it is the full convolution's."""
    h = np.array([1.0, 2, 3])
    expected = [
        [1, 0, 0, 0],
        [2, 1, 0, 0],
        [3, 2, 1, 0],
        [0, 3, 2, 1],
        [0, 0, 3, 2],
        [0, 0, 0, 3],
    ]
    matrix = convolution_matrix(h, 4)
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(matrix, linalg.convolution_matrix(h, 4, "full"))
    turned = np.flip(h)[:, None, None]  # networks' convolution is correlation
    of_network = inspection.conv_matrix(turned, (4, 1), padding=[(2, 2)])
    np.testing.assert_array_equal(of_network, expected)
    f = normal(4)
    np.testing.assert_allclose(matrix @ f, convolve(f, h), atol=1e-14)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_formula_13_the_matrix_is_toeplitz(mode: str):
    """H_ij = c_{i-j}: all diagonals are constant."""
    matrix = convolution_matrix(normal(3), 6, mode)
    np.testing.assert_array_equal(matrix[1:, 1:], matrix[:-1, :-1])


def test_remark_4_sparse_with_m_degrees_of_freedom():
    """A Toeplitz matrix of its size has n + k - 1 numbers; m of these are the kernel, others 0."""
    n, m = 10, 3
    h = normal(m)
    matrix = convolution_matrix(h, n)
    k = n + m - 1
    diagonals = [matrix.diagonal(-offset) for offset in range(-(n - 1), k)]
    assert len(diagonals) == n + k - 1
    assert sorted(d[0] for d in diagonals if d.any()) == sorted(h)
    assert (np.count_nonzero(matrix, axis=0) == m).all(), "a band of width m"
    units = [convolution_matrix(unit, n).ravel() for unit in np.eye(m)]
    assert np.linalg.matrix_rank(units) == m


def test_formula_14_two_dimensions():
    F, G = normal(4, 5), normal(2, 3)
    expected = np.zeros((5, 7))
    for i, j, k, q in itertools.product(*map(range, (5, 7, 2, 3))):
        expected[i, j] += at(F, i - k, j - q) * G[k, q]
    np.testing.assert_allclose(convolve(F, G), expected, atol=1e-14)


def test_border_handling_valid_keeps_windows_inside():
    """Slide "Border Handling": n - m + 1 values, the middle of the full convolution's."""
    f, h = normal(9), normal(3)
    np.testing.assert_allclose(convolve(f, h, "valid"), convolve(f, h)[2:-2], atol=1e-14)


def test_backpropagation_exploits_sparseness():
    """∂x_i / ∂x_j = 0 outside the receptive field { j : W_ij ≠ 0 }."""
    table = tap_table((8,), (3,))
    kernel = normal(3, 1, 1)
    jacobian = np.stack(
        [conv_input_gradient(unit[None, :, None], kernel, table)[0, :, 0] for unit in np.eye(6)]
    )
    for i, j in np.ndindex(6, 8):
        assert (jacobian[i, j] != 0) == (j in table.positions()[i])


def test_formula_15_a_shared_weight_adds_up_its_uses():
    """∂R/∂h_j = Σ_i ∂R/∂x_i ∂x_i/∂h_j, with R = Σ sin(x_i)."""
    table = tap_table((8,), (3,))
    f, kernel = normal(1, 8, 1), normal(3, 1, 1)
    x = conv(f, kernel, table)
    expected = [sum(np.cos(x[0, i, 0]) * f[0, i + j, 0] for i in range(6)) for j in range(3)]
    gradient = conv_kernel_gradient(f, np.cos(x), table)
    np.testing.assert_allclose(gradient[:, 0, 0], expected)
    difference = central_difference(lambda h: np.sin(conv(f, h, table)).sum(), kernel)
    np.testing.assert_allclose(gradient, difference, atol=1e-9)


@pytest.mark.parametrize(("shape", "window"), [((16,), (5,)), ((7,), (4,)), ((6, 9), (3, 2))])
def test_formula_16_fourier_transform(shape: tuple[int, ...], window: tuple[int, ...]):
    """F * h = F^-1(Ff · Fh), both padded with zeros to the full length."""
    f, h = normal(*shape), normal(*window)
    full = [n + m - 1 for n, m in zip(shape, window, strict=True)]
    axes = range(len(full))
    transformed = np.fft.fftn(f, full, axes) * np.fft.fftn(h, full, axes)
    np.testing.assert_allclose(
        convolve(f, h), np.fft.ifftn(transformed, full, axes).real, atol=1e-12
    )


@pytest.mark.parametrize("r", [1, 2, 3])
def test_definition_8_max_pooling_in_one_dimension(r: int):
    """Formula 17: max { x_{i+k} : 0 <= k < r }, at every i: stride 1."""
    x = normal(8)
    y, _ = max_pool(x[None, :, None], tap_table((8,), (r,)))
    np.testing.assert_array_equal(y[0, :, 0], [max(x[i : i + r]) for i in range(9 - r)])


def test_definition_8_max_pooling_in_two_dimensions():
    """Formula 17: max { x_{i+k,j+l} : 0 <= k, l < r }."""
    x = normal(6, 5)
    y, _ = max_pool(x[None, ..., None], tap_table((6, 5), (3, 3)))
    expected = [[x[i : i + 3, j : j + 3].max() for j in range(3)] for i in range(4)]
    np.testing.assert_array_equal(y[0, ..., 0], expected)


def test_proposition_1_the_maximum_over_a_group_is_invariant():
    """Formula 18, for the cyclic shifts: f(x) is one neuron, f_T(x) its maximum over all shifts."""
    h, x = normal(3), normal(8)
    wrapped = tap_table((10,), (3,))
    over_all = tap_table((8,), (8,))

    def maximum_over_shifts(x: np.ndarray) -> float:
        cyclic = np.concatenate([x, x[:2]])[None, :, None]
        y, _ = max_pool(conv(cyclic, h[:, None, None], wrapped), over_all)
        return y.item()

    expected = max(float(np.roll(x, shift)[:3] @ h) for shift in range(8))
    for shift in range(8):
        assert maximum_over_shifts(np.roll(x, shift)) == pytest.approx(expected)


def test_sub_sampling_by_two_halves_the_grid():
    """Slide "Sub-Sampling": max-pool, filter 2 x 2, stride 2 x 2."""
    assert tap_table((28, 28), (2, 2), (2, 2)).output_shape == (14, 14)


def test_formula_19_kernels_are_a_linear_map_of_the_window():
    """h: R^(r² d) -> R^k, applied to the patch under the window."""
    r, d, k = 3, 4, 5
    x, kernel = normal(1, r, r, d), normal(r, r, d, k)
    y = conv(x, kernel, tap_table((r, r), (r, r)))
    np.testing.assert_allclose(y.ravel(), x.ravel() @ kernel.reshape(r * r * d, k), atol=1e-13)


def test_formula_20_stacked_feature_maps():
    """y[r][s, t] = Σ_u Σ_Δ w[r, u][Δs, Δt] x[u][s + Δs, t + Δt], term by term."""
    x, w = normal(3, 6, 7), normal(4, 3, 2, 3)  # the lecture's order: channels first
    expected = np.zeros((4, 5, 5))
    for r, s, t, u, ds, dt in itertools.product(*map(range, (4, 5, 5, 3, 2, 3))):
        expected[r, s, t] += w[r, u, ds, dt] * x[u, s + ds, t + dt]
    y = conv(np.moveaxis(x, 0, -1)[None], w.transpose(2, 3, 1, 0), tap_table((6, 7), (2, 3)))
    np.testing.assert_allclose(np.moveaxis(y[0], -1, 0), expected, atol=1e-13)


def test_formula_21_number_of_parameters_of_alexnet():
    """Slide "AlexNet": #r · #u · #Δs · #Δt > 1.3 M, against > 265 M fully connected."""
    layer = tap_table((13, 13), (3, 3), padding="same")
    assert layer.output_shape == (13, 13)
    assert 384 * 384 * layer.taps == 1_327_104 > 1.3e6
    assert int(np.prod(layer.output_shape)) * 384 * 4096 == 265_814_016 > 265e6


def test_lenet_5_units():
    """C1 has 6 channels, 4704 units; C3 16 channels, 1600 units, with 5 x 5 kernels, not 6 x 6."""
    c1 = tap_table((32, 32), (5, 5)).output_shape
    s2 = tap_table(c1, (2, 2), 2).output_shape
    c3 = tap_table(s2, (5, 5)).output_shape
    s4 = tap_table(c3, (2, 2), 2).output_shape
    c5 = tap_table(s4, (5, 5)).output_shape
    assert [c1, s2, c3, s4, c5] == [(28, 28), (14, 14), (10, 10), (5, 5), (1, 1)]
    assert 6 * np.prod(c1) == 4704
    assert 16 * np.prod(c3) == 1600
    as_printed = tap_table(s2, (6, 6)).output_shape
    assert 16 * np.prod(as_printed) == 1296


def test_vgg_three_small_windows_see_as_much_as_a_large_one():
    """Slide "VGG": 3 · (3 x 3) = 27 < 49 = 7 x 7."""
    small = np.ones((3, 3))
    stacked = convolve(convolve(small, small), small)
    assert stacked.shape == (7, 7)
    assert (stacked > 0).all()
    assert 3 * small.size == 27 < stacked.size == 49


def test_formula_22_a_1x1_convolution_is_one_dense_layer_at_every_place():
    """x⁺_ij = σ(W x_ij), W of m x k shared by all i, j: no convolution at all."""
    m, k = 3, 8
    W, x = normal(m, k), normal(2, 5, 4, k)
    y = activation(conv(x, W.T[None, None], tap_table((5, 4), (1, 1))), "sigmoid")
    np.testing.assert_allclose(y, activation(dense(x, W.T), "sigmoid"))
    np.testing.assert_allclose(y[1, 2, 3], 1 / (1 + np.exp(-W @ x[1, 2, 3])))
