"""Lecture 002, "Lecture Notes 15: Convolutional Neural Networks" (CSE 5523): Jacobians.

Slips of the lecture: its discrete convolution is correlation; the filter's length is J - I + 1, not
J - I; the example's signal is printed with 7 entries and has J = 6; some rows of the last matrix
are printed with 8 entries and have J = 9.
"""

from __future__ import annotations

import numpy as np

from convlet import inspection
from convlet.ops import (
    TapTable,
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    correlate,
    tap_table,
)
from numerics import central_difference, normal

I, J = 4, 6  # noqa: E741 (the letters of the lecture)
TABLE = tap_table((J,), (J - I + 1,))


def jacobian_for_signal(kernel: np.ndarray, table: TapTable) -> np.ndarray:
    """Return ∂(f * g) / ∂f: row i is what a δ of 1 at output i sends back."""
    rows = []
    for unit in np.eye(int(np.prod(table.output_shape))):
        delta = unit.reshape(1, *table.output_shape, 1)
        rows.append(conv_input_gradient(delta, kernel[..., None, None], table).ravel())
    return np.array(rows)


def jacobian_for_filter(signal: np.ndarray, table: TapTable) -> np.ndarray:
    """Return ∂(f * g) / ∂g: row i is the kernel gradient for a δ of 1 at output i."""
    rows = []
    for unit in np.eye(int(np.prod(table.output_shape))):
        delta = unit.reshape(1, *table.output_shape, 1)
        rows.append(conv_kernel_gradient(signal[None, ..., None], delta, table).ravel())
    return np.array(rows)


def test_the_filter_has_j_minus_i_plus_1_entries():
    """Section 15.1 says g in R^(J-I); with I = 4 and J = 6 the example's filter has 3."""
    assert TABLE.output_shape == (I,)
    assert TABLE.kernel_shape == (3,) == (J - I + 1,)


def test_foj_example():
    """Section 15.1, the example, for the signal with J = 6 entries."""
    f, g = np.array([0, 1, 1, 0, 0, 0]), np.array([2, 3, 1])
    np.testing.assert_array_equal(correlate(f, g, "valid"), [4, 5, 2, 0])
    as_printed = np.array([0, 1, 1, 0, 0, 0, 0])
    assert len(correlate(as_printed, g, "valid")) == 5, "not the 4 that are shown"


def test_discrete_definition():
    """Section 15.1: Σ_{j=i}^{i+J-I} f[j] g[1+j-i], counted from 1."""
    f, g = normal(J), normal(J - I + 1)
    expected = [
        sum(f[j - 1] * g[1 + j - i - 1] for j in range(i, i + J - I + 1)) for i in range(1, I + 1)
    ]
    np.testing.assert_allclose(correlate(f, g, "valid"), expected)
    np.testing.assert_allclose(conv(f[None, :, None], g[:, None, None], TABLE)[0, :, 0], expected)


def test_jacobian_for_the_signal():
    """Section 15.2: the band matrix of the filter."""
    g1, g2, g3 = g = normal(3)
    expected = [
        [g1, g2, g3, 0, 0, 0],
        [0, g1, g2, g3, 0, 0],
        [0, 0, g1, g2, g3, 0],
        [0, 0, 0, g1, g2, g3],
    ]
    np.testing.assert_array_equal(jacobian_for_signal(g, TABLE), expected)
    np.testing.assert_array_equal(inspection.conv_matrix(g[:, None, None], (J, 1)), expected)


def test_jacobian_for_the_signal_by_its_formula():
    """Section 15.2: g[1+j-i] if 0 <= j - i <= J - I, otherwise 0."""
    g = normal(3)
    expected = [[g[j - i] if 0 <= j - i <= J - I else 0 for j in range(J)] for i in range(I)]
    np.testing.assert_array_equal(jacobian_for_signal(g, TABLE), expected)


def test_jacobian_for_the_filter():
    """Section 15.3: the signal's windows, one a row."""
    f1, f2, f3, f4, f5, f6 = f = normal(6)
    expected = [[f1, f2, f3], [f2, f3, f4], [f3, f4, f5], [f4, f5, f6]]
    np.testing.assert_array_equal(jacobian_for_filter(f, TABLE), expected)
    jacobian = inspection.conv_kernel_jacobian(f[:, None], (J - I + 1, 1, 1))
    np.testing.assert_array_equal(jacobian, expected)


def test_jacobians_multiply_to_the_convolution():
    """It is linear in either operand: J_f f = J_g g = f * g."""
    f, g = normal(J), normal(3)
    np.testing.assert_allclose(jacobian_for_signal(g, TABLE) @ f, correlate(f, g, "valid"))
    np.testing.assert_allclose(jacobian_for_filter(f, TABLE) @ g, correlate(f, g, "valid"))


def test_with_these_jacobians_we_can_backprop_error_to_either_operand():
    """End of section 15.3: δ times each Jacobian is the gradient."""
    f, g, delta = normal(J), normal(3), normal(I)
    of_f = central_difference(lambda f: float(correlate(f, g, "valid") @ delta), f, step=1.0)
    of_g = central_difference(lambda g: float(correlate(f, g, "valid") @ delta), g, step=1.0)
    np.testing.assert_allclose(delta @ jacobian_for_signal(g, TABLE), of_f)
    np.testing.assert_allclose(delta @ jacobian_for_filter(f, TABLE), of_g)


def test_two_dimensions():
    """Section 15.4: a 2 x 2 pattern around a 3 x 3 image, I = 4 and J = 9, so 9 entries a row."""
    (w11, w12), (w21, w22) = W = normal(2, 2)
    expected = [
        [w11, w12, 0, w21, w22, 0, 0, 0, 0],
        [0, w11, w12, 0, w21, w22, 0, 0, 0],
        [0, 0, 0, w11, w12, 0, w21, w22, 0],
        [0, 0, 0, 0, w11, w12, 0, w21, w22],
    ]
    np.testing.assert_array_equal(jacobian_for_signal(W, tap_table((3, 3), (2, 2))), expected)
    matrix = inspection.conv_matrix(W[..., None, None], (3, 3, 1))
    np.testing.assert_array_equal(matrix, expected)
