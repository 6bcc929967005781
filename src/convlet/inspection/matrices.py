"""Convolutions, layers and models as matrices.

A convolution is linear in the signal and linear in the kernel, so it is a matrix in two ways.
Lecture 000, formula 12: the matrix that the signal is multiplied by, Toeplitz where the stride is
1. Lecture 002, sections 15.2 to 15.4: these matrices are the Jacobians with respect to the signal
and to the filter, and their transposed ones carry δ back.

Arrays are flattened in row-major order: a signal (*grid, channels), an output (*output grid,
filters), a kernel (*window, channels / groups, filters).

The first two read the matrix off the tap table. `matrix` and `jacobian` know nothing of what is
inside a layer: one lets it answer to impulses, the other lets the engine carry a δ back from each
output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments
from convlet.engine import Builder, plan, run
from convlet.layers.layer import Layer
from convlet.ops.functions import PerAxis, pairs_and_unpadded, read_fill, window_table
from convlet.ops.padding import Fill, pad
from convlet.ops.taps import Padding, TapTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_AT_ONCE = 128  # impulses, or rows of a Jacobian, in one batch
_ENTRY = 3  # numbers of 64 bits that an entry takes while a matrix is put together


def conv_matrix(
    kernel: np.ndarray,
    input_shape: Sequence[int],
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    fill: Fill = 0.0,
    sparse: bool = False,
) -> np.ndarray | csr_array:
    """Return the matrix H of a convolution: H times the flattened signal is the flattened output.

    It is the Jacobian with respect to the signal; H transposed, times δ, is the input gradient.

    Parameters
    ----------
    kernel : ndarray, shape (*window, channels / groups, filters)
    input_shape : sequence of int
        (*grid, channels).
    strides, padding, dilation_rate, groups
        As `convlet.ops.functions.conv` has them.
    fill : 0 or "reflect"
        What the padding holds. Another constant would make the convolution affine.
    sparse : bool
        Whether to return a matrix of `scipy.sparse`, which holds nothing but what is not 0.

    Returns
    -------
    ndarray or scipy.sparse.csr_array, shape (outputs * filters, positions * channels)

    Raises
    ------
    ValueError
        If an argument is not of its form, shapes do not fit, or the matrix does not fit into
        memory.
    """
    owner = "conv_matrix"
    (kernel,) = arguments.floats(owner, kernel=kernel)
    fill = read_fill(owner, fill)
    if fill not in (0, "reflect"):
        requirement = "0 or 'reflect', with which the convolution is linear"
        raise arguments.invalid(owner, "fill", requirement, fill)
    sample = arguments.shape(owner, "input_shape", input_shape)
    table = window_table(owner, sample, kernel.shape, strides, padding, dilation_rate, groups)
    *_, channels, filters = kernel.shape
    shape = (math.prod(table.output_shape) * filters, math.prod(sample))
    _check_sizes(owner, shape, table, kernel.shape, kernel.dtype, sparse)
    read = _read_positions(table, fill)
    output, tap = np.nonzero(read >= 0)
    u, r = np.ogrid[:channels, :filters]
    first_channel = r // (filters // groups) * channels
    rows = output[:, None, None] * filters + r
    columns = read[output, tap][:, None, None] * sample[-1] + first_channel + u
    entries = kernel.reshape(-1, channels, filters)[tap]
    return _assembled(rows, columns, entries, shape, sparse)


def conv_kernel_jacobian(
    x: np.ndarray,
    kernel_shape: Sequence[int],
    strides: PerAxis = 1,
    padding: Padding = "valid",
    dilation_rate: PerAxis = 1,
    groups: int = 1,
    fill: Fill = 0.0,
    sparse: bool = False,
) -> np.ndarray | csr_array:
    """Return the Jacobian of a convolution with respect to the kernel: the windows of the signal.

    It, times the flattened kernel, is the flattened output; transposed, times δ, it is the kernel
    gradient.

    Parameters
    ----------
    x : ndarray, shape (*grid, channels)
        One signal.
    kernel_shape : sequence of int
        (*window, channels / groups, filters).
    strides, padding, dilation_rate, groups, fill
        As `convlet.ops.functions.conv` has them.
    sparse : bool
        Whether to return a matrix of `scipy.sparse`.

    Returns
    -------
    ndarray or scipy.sparse.csr_array, shape (outputs * filters, taps * channels / groups * filters)

    Raises
    ------
    ValueError
        As for `conv_matrix`.
    """
    owner = "conv_kernel_jacobian"
    (x,) = arguments.floats(owner, x=x)
    fill = read_fill(owner, fill)
    kernel_shape = arguments.shape(owner, "the kernel's shape", kernel_shape)
    table = window_table(owner, x.shape, kernel_shape, strides, padding, dilation_rate, groups)
    *_, channels, filters = kernel_shape
    shape = (math.prod(table.output_shape) * filters, math.prod(kernel_shape))
    _check_sizes(owner, shape, table, kernel_shape, x.dtype, sparse)
    pairs, unpadded = pairs_and_unpadded(table)
    padded = pad(x[None], pairs, fill).reshape(-1, x.shape[-1])
    read = unpadded.positions()
    output, tap = np.nonzero(read >= 0)
    u, r = np.ogrid[:channels, :filters]
    first_channel = r // (filters // groups) * channels
    rows = output[:, None, None] * filters + r
    columns = (tap[:, None, None] * channels + u) * filters + r
    entries = padded[read[output, tap][:, None, None], first_channel + u]
    return _assembled(rows, columns, entries, shape, sparse)


def _check_sizes(
    owner: str,
    shape: tuple[int, int],
    table: TapTable,
    kernel_shape: Sequence[int],
    dtype: Any,
    sparse: bool,
) -> None:
    """Raise a ValueError if the matrix, or what it is put together from, is too large."""
    if not sparse:
        instead = "sparse=True or a smaller input"
        arguments.fits_memory(owner, "the dense matrix", shape, dtype, instead)
    entries = math.prod(table.output_shape) * math.prod(kernel_shape)
    padded = math.prod(axis.size + axis.begin + axis.end for axis in table.axes)
    numbers = (max(entries, padded), _ENTRY)
    arguments.fits_memory(owner, "what is not 0", numbers, np.float64, "a smaller input")


def _read_positions(table: TapTable, fill: Fill) -> np.ndarray:
    """Return `TapTable.positions`, with the mirrored positions in the padding if it mirrors."""
    if fill != "reflect":
        return table.positions()
    pairs, unpadded = pairs_and_unpadded(table)
    grid = np.arange(math.prod(table.input_shape)).reshape(1, *table.input_shape, 1)
    return pad(grid, pairs, fill).ravel()[unpadded.positions()]


def _assembled(
    rows: np.ndarray,
    columns: np.ndarray,
    entries: np.ndarray,
    shape: tuple[int, int],
    sparse: bool,
) -> np.ndarray | csr_array:
    """Return a matrix with these entries; those that fall on one place add up."""
    rows, columns, entries = np.broadcast_arrays(rows, columns, entries)
    if sparse:
        try:
            from scipy.sparse import coo_array
        except ImportError:
            raise ImportError("sparse matrices are SciPy's: pip install 'convlet[learn]'") from None
        places = rows.ravel(), columns.ravel()
        return coo_array((entries.ravel(), places), shape).tocsr()
    matrix = np.zeros(shape, entries.dtype)
    np.add.at(matrix, (rows, columns), entries)
    return matrix


def matrix(layer: Layer, input_shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix and offset of a layer or model that is affine: y = matrix x + offset.

    The offset is its answer to zeros, each column its answer to an impulse, less the offset. It is
    taken as in prediction: dropout does nothing.

    Parameters
    ----------
    layer : Layer
        A layer or a model; it is built if need be.
    input_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    matrix : ndarray, shape (outputs, inputs)
    offset : ndarray, shape (outputs,)
        Both in the layer's float type.

    Raises
    ------
    ValueError
        If the layer cannot take the input, is not affine, or the matrix does not fit into memory.
    """
    inputs, shape = _shape_of_matrix("matrix", layer, input_shape)
    zeros = np.zeros((1, *inputs), layer.dtype)
    offset = layer(zeros).reshape(-1)
    result = np.empty(shape, layer.dtype)
    for start in range(0, shape[1], _AT_ONCE):
        count = min(_AT_ONCE, shape[1] - start)
        impulses = np.zeros((count, shape[1]), layer.dtype)
        impulses[np.arange(count), start + np.arange(count)] = 1
        answers = layer(impulses.reshape(count, *inputs)).reshape(count, -1)
        result[:, start : start + count] = (answers - offset).T
    _check_affine(layer, inputs, result, offset)
    return result, offset


def _check_affine(
    layer: Layer, inputs: tuple[int, ...], matrix: np.ndarray, offset: np.ndarray
) -> None:
    """Raise a ValueError unless matrix and offset give what the layer makes of noise."""
    noise = np.random.default_rng(0).standard_normal(inputs).astype(layer.dtype)
    expected = matrix @ noise.ravel() + offset
    error = np.abs(layer(noise[None]).ravel() - expected).max()
    scale = np.abs(matrix).max() * np.abs(noise).sum() + np.abs(offset).max()
    if not error <= 32 * np.finfo(layer.dtype).eps * scale:  # not-a-number is refused, too
        raise ValueError(
            f"matrix: {layer.owner} must be affine, got one that differs from its matrix by "
            f"{error:.3g} on noise; for the matrix at one point use inspection.jacobian"
        )


def _shape_of_matrix(
    owner: str, layer: Layer, input_shape: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the input's shape and the matrix's, once the layer is known to take it."""
    if not isinstance(layer, Layer):
        raise arguments.invalid(owner, "layer", "a layer or a model", layer)
    inputs = arguments.shape(owner, "input_shape", input_shape)
    layer.ensure_built((None, *inputs))
    outputs = layer.compute_output_shape((None, *inputs))[1:]
    sizes = [n for n in outputs if n is not None]
    shape = (math.prod(sizes), math.prod(inputs))
    arguments.fits_memory(owner, "the dense matrix", shape, layer.dtype, "a smaller input")
    return inputs, shape


class _Shift(Layer):
    """Adds to each sample of a batch a shift of its own, through which gradients are asked for."""

    def __init__(self, samples: int, sample_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_weight((samples, *sample_shape), "zeros", name="shift")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def call(self, x: np.ndarray, shift: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """Return x + shift, as many samples as shifts."""
        return x + shift

    def gradient(self, x: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return δ for either."""
        output_gradient = others[-1]
        return output_gradient, output_gradient


class _Delta:
    """The loss Σ δ y, whose gradient by y is the δ that stands in for the targets."""

    output_activation: str | None = None

    def call(self, delta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return one value for each target."""
        return (delta * y).sum(axis=-1)

    def gradient(self, delta: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return δ."""
        return delta

    def from_logits_twin(self) -> None:
        """Return None: y is what counts, not what went into its softmax."""


def jacobian(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Return the Jacobian ∂y/∂x of a layer or model at a point, by the engine's gradients.

    Row i is what a δ of 1 at output i sends back. It is taken as in prediction: dropout does
    nothing.

    Parameters
    ----------
    layer : Layer
        A layer or a model; it is built if need be.
    x : ndarray
        One sample, without the batch axis.

    Returns
    -------
    ndarray, shape (outputs, inputs)
        In the layer's float type.

    Raises
    ------
    ValueError
        If the layer cannot take the input, ``x`` has an element that is not finite, or the matrix
        does not fit into memory.
    """
    owner = "jacobian"
    (x,) = arguments.floats(owner, x=x)
    if not np.isfinite(x).all():
        raise ValueError(f"{owner}: x must be finite, got not-a-number or infinity")
    inputs, shape = _shape_of_matrix(owner, layer, x.shape)
    count = min(_AT_ONCE, shape[0])
    shift = _Shift(count, inputs, dtype=layer.dtype)
    builder = Builder()
    feed = builder.feed("input", inputs)
    with builder.scope("shift"):
        shifted = shift.trace(builder, feed)
    with builder.scope(layer.name):
        output = layer.trace(builder, shifted)
    builder.training = True  # only now: the layer is to do what it does in prediction
    program = plan(builder, output, _Delta())
    gradient = program.gradients["shift/shift"]
    feeds = {
        "input": np.broadcast_to(x.astype(layer.dtype), (count, *inputs)).copy(),
        "weights": np.ones((count, *output.shape[:-1]), layer.dtype),
    }
    result = np.empty(shape, layer.dtype)
    for start in range(0, shape[0], count):
        rows = min(count, shape[0] - start)
        deltas = np.zeros((count, shape[0]), layer.dtype)
        deltas[np.arange(rows), start + np.arange(rows)] = 1
        feeds["targets"] = deltas.reshape(count, *output.shape)
        result[start : start + rows] = run(program, feeds)[gradient].reshape(count, -1)[:rows]
    return result
