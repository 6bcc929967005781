"""Matrices of convolutions, layers and models: against the operators, SciPy, and each other."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse

import convlet
from convlet import Sequential, inspection, layers
from convlet.ops import functions
from networks import EXAMPLES, small_network
from numerics import normal


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, dict]:
    """Draw a signal, a kernel, and the other arguments."""
    rank = draw(st.integers(1, 3))
    largest = (0, 7, 5, 3)[rank]

    def per_axis(most: int, least: int = 1) -> list[int]:
        return draw(st.lists(st.integers(least, most), min_size=rank, max_size=rank))

    window, dilation = per_axis(3 if rank < 3 else 2), per_axis(2)
    least = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    grid = [max(n, m) for n, m in zip(per_axis(largest), least, strict=True)]
    pair = st.tuples(st.integers(0, 5), st.integers(0, 5))
    padding = draw(
        st.sampled_from(["valid", "same"]) | st.lists(pair, min_size=rank, max_size=rank)
    )
    groups, channels, filters = (draw(st.integers(1, 2)) for _ in range(3))
    arguments = {
        "strides": per_axis(3),
        "padding": padding,
        "dilation_rate": dilation,
        "groups": groups,
        "fill": draw(st.sampled_from([0.0, "reflect"])),
    }
    return normal(*grid, channels * groups), normal(*window, channels, filters * groups), arguments


@given(convolutions(), st.booleans())
@settings(deadline=None, max_examples=120)
def test_the_matrix_of_a_convolution(case: tuple, is_sparse: bool):
    """H x is the convolution, Hᵀ δ the input gradient."""
    x, kernel, arguments = case
    y = functions.conv(x[None], kernel, **arguments)
    delta = normal(*y.shape, seed=1)
    H = inspection.conv_matrix(kernel, x.shape, sparse=is_sparse, **arguments)
    assert sparse.issparse(H) == is_sparse
    assert H.shape == (y.size, x.size)
    np.testing.assert_allclose(H @ x.ravel(), y.ravel(), atol=1e-12)
    gradient = functions.conv_input_gradient(delta, kernel, x.shape, **arguments)
    np.testing.assert_allclose(H.T @ delta.ravel(), gradient.ravel(), atol=1e-12)


@given(convolutions(), st.booleans(), st.sampled_from([None, 1.5]))
@settings(deadline=None, max_examples=120)
def test_the_jacobian_with_respect_to_the_kernel(case: tuple, is_sparse: bool, fill: Any):
    """J k is the convolution, Jᵀ δ the kernel gradient, whatever the padding holds."""
    x, kernel, arguments = case
    arguments["fill"] = arguments["fill"] if fill is None else fill
    y = functions.conv(x[None], kernel, **arguments)
    delta = normal(*y.shape, seed=1)
    J = inspection.conv_kernel_jacobian(x, kernel.shape, sparse=is_sparse, **arguments)
    assert sparse.issparse(J) == is_sparse
    assert J.shape == (y.size, kernel.size)
    np.testing.assert_allclose(J @ kernel.ravel(), y.ravel(), atol=1e-12)
    gradient = functions.conv_kernel_gradient(x[None], delta, kernel.shape, **arguments)
    np.testing.assert_allclose(J.T @ delta.ravel(), gradient.ravel(), atol=1e-12)


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_the_toeplitz_matrix_is_scipys(mode: str):
    """A network's convolution is the mathematician's with the kernel turned round."""
    h = normal(4)
    padding = [(3, 3)] if mode == "full" else "valid"
    H = inspection.conv_matrix(np.flip(h)[:, None, None], (9, 1), padding=padding)
    np.testing.assert_array_equal(H, linalg.convolution_matrix(h, 9, mode))


def test_a_sparse_matrix_holds_what_is_not_0():
    H = inspection.conv_matrix(normal(3, 3, 1, 1), (200, 200, 1), padding="same", sparse=True)
    assert H.shape == (40_000, 40_000)
    assert H.nnz == (3 * 200 - 2) ** 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    kernel, x = normal(3, 2, 2, dtype=dtype), normal(5, 2, dtype=dtype)
    assert inspection.conv_matrix(kernel, (5, 2)).dtype == dtype
    assert inspection.conv_matrix(kernel, (5, 2), sparse=True).dtype == dtype
    assert inspection.conv_kernel_jacobian(x, kernel.shape).dtype == dtype


AFFINE = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Conv1D",
    "Conv1DTranspose",
    "Conv3D",
    "DepthwiseConv1D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "LocallyConnected1D",
    "Rescaling",
    "SeparableConv2D",
    "Sequential",
    "TableConv1D",
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", AFFINE)
def test_matrix_and_offset_of_a_layer(name: str, dtype: str):
    make, shape = EXAMPLES[name]
    layer = make(dtype=dtype)
    matrix, offset = inspection.matrix(layer, shape)
    x = normal(*shape, seed=5, dtype=dtype)
    y = layer(x[None])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert matrix.dtype == offset.dtype == dtype
    np.testing.assert_allclose(matrix @ x.ravel() + offset, y.ravel(), atol=tolerance)
    np.testing.assert_allclose(inspection.jacobian(layer, x), matrix, atol=tolerance)


def test_the_matrix_of_a_convolutional_layer_is_the_convolutions():
    layer = layers.Conv2D(3, (3, 2), (2, 1), "same", dtype="float64")
    matrix, offset = inspection.matrix(layer, (5, 4, 2))
    layer.set_weights([layer.get_weights()[0], [1, 2, 3]])
    matrix_with_bias, offset_with_bias = inspection.matrix(layer, (5, 4, 2))
    H = inspection.conv_matrix(layer.get_weights()[0], (5, 4, 2), (2, 1), "same")
    np.testing.assert_allclose(matrix, H, atol=1e-15)
    np.testing.assert_allclose(matrix_with_bias, H, atol=1e-14)
    np.testing.assert_array_equal(offset, np.zeros(len(H)))
    np.testing.assert_array_equal(offset_with_bias, np.tile([1, 2, 3], len(H) // 3))


def test_more_columns_and_rows_than_one_batch():
    layer = layers.Dense(300, dtype="float64")
    matrix, _ = inspection.matrix(layer, (310,))
    np.testing.assert_allclose(matrix, layer.get_weights()[0].T, atol=1e-15)
    np.testing.assert_allclose(inspection.jacobian(layer, normal(310)), matrix, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_jacobian_of_a_network_is_its_difference_quotient(dtype: str):
    """With relu, max pooling, softmax and a dropout that does nothing."""
    model = small_network(dtype, dropout=0.5)
    x = normal(6, 6, 1, seed=2)
    jacobian = inspection.jacobian(model, x)
    assert jacobian.shape == (3, 36)
    assert jacobian.dtype == dtype
    twin = small_network("float64")
    twin.set_weights(model.get_weights())
    step = 1e-5
    for column, direction in enumerate(np.eye(36)):
        h = step * direction.reshape(6, 6, 1)
        difference = (twin((x + h)[None]) - twin((x - h)[None]))[0] / (2 * step)
        tolerance = 1e-5 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(jacobian[:, column], difference, atol=tolerance)


def test_the_jacobian_leaves_the_weights_alone():
    model = small_network()
    before = model.get_weights()
    names = list(model.named_weights())
    inspection.jacobian(model, normal(6, 6, 1))
    assert list(model.named_weights()) == names
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_jacobian_of_a_layer_of_ones_own():
    class Square(convlet.Layer):
        def call(self, x: np.ndarray) -> np.ndarray:
            return x**2

        def gradient(self, x: np.ndarray, y: np.ndarray, delta: np.ndarray) -> np.ndarray:
            return 2 * x * delta

    x = normal(2, 3)
    np.testing.assert_allclose(
        inspection.jacobian(Square(dtype="float64"), x), np.diag(2 * x.ravel())
    )


@pytest.mark.parametrize(
    "layer",
    [
        layers.Activation("relu"),
        layers.MaxPooling1D(2),
        layers.Dense(3, activation="tanh"),
        Sequential([layers.Conv1D(2, 2), layers.Activation("softmax")]),
    ],
)
def test_what_is_not_affine_has_no_matrix(layer: convlet.Layer):
    message = (
        rf"^matrix: {re.escape(layer.owner)} must be affine, got one that differs from its matrix "
        r"by [\d.e-]+ on noise; for the matrix at one point use inspection\.jacobian$"
    )
    with pytest.raises(ValueError, match=message):
        inspection.matrix(layer, (6, 4))


WRONG = {
    "not linear": (
        lambda: inspection.conv_matrix(np.ones((3, 1, 1)), (5, 1), padding="same", fill=1),
        r"conv_matrix: fill must be 0 or 'reflect', with which the convolution is linear, got 1\.0",
    ),
    "channels": (
        lambda: inspection.conv_matrix(np.ones((3, 1, 1)), (5, 2)),
        "conv_matrix: the input must have 1 channels for a kernel",
    ),
    "rank": (
        lambda: inspection.conv_kernel_jacobian(np.ones(5), (3, 1, 1)),
        "conv_kernel_jacobian: the input must have 1 spatial axis and channels for a kernel",
    ),
    "a large dense matrix": (
        lambda: inspection.conv_matrix(np.ones((3, 3, 1, 1)), (3000, 3000, 1), padding="same"),
        r"conv_matrix: the dense matrix must fit into the \S+ GB of memory, got 9000000 x 9000000 "
        r"numbers of float64, 6\.48e\+05 GB; use sparse=True or a smaller input$",
    ),
    "a large sparse matrix": (
        lambda: inspection.conv_matrix(np.ones((3, 1, 1)), (10**13, 1), sparse=True),
        "conv_matrix: what is not 0 must fit into",
    ),
    "a large jacobian": (
        lambda: inspection.conv_kernel_jacobian(
            np.broadcast_to(1.0, (10**13, 1)), (3, 1, 1), sparse=True
        ),
        "conv_kernel_jacobian: what is not 0 must fit into",
    ),
    "a large layer": (
        lambda: inspection.matrix(layers.Conv2D(8, 3), (3000, 3000, 3)),
        r"matrix: the dense matrix must fit into the \S+ GB of memory, got 71904032 x 27000000 ",
    ),
    "a large point": (
        lambda: inspection.jacobian(layers.Flatten(), np.broadcast_to(1.0, (3000, 3000))),
        r"jacobian: the dense matrix must fit into the \S+ GB of memory, got 9000000 x 9000000 ",
    ),
    "no layer": (
        lambda: inspection.matrix(np.eye(3), (3,)),
        "matrix: layer must be a layer or a model, got array",
    ),
    "not finite": (
        lambda: inspection.jacobian(layers.Flatten(), [1.0, np.inf]),
        "jacobian: x must be finite, got not-a-number or infinity",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name: str):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_sparse_without_scipy_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r"pip install 'convlet\[learn\]'"):
        inspection.conv_matrix(np.ones((3, 1, 1)), (5, 1), sparse=True)
