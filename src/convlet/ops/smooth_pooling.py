"""Poolings between the sum and the maximum, of any rank: L2 and log-sum-exp, and their gradients.

Lecture 000, remark 5: "other functions are possible: average, soft-maximization".

    L2           y = sqrt(Σ x²)                 ∂y/∂x = x / y
    log-sum-exp  y = 1/t log(1/n Σ e^(t x))     ∂y/∂x = e^(t (x - y)) / n

The second, from Pinheiro and Collobert, *From image-level to pixel-level labeling with
convolutional networks*, 2015, has the mean of the n positions of its window where others have the
sum: so its limits are the mean for t -> 0 and the maximum for t -> infinity, and of equal numbers
it is that number for every t.

Arrays are those of `convlet.ops.pooling`; padding takes no part. Not-a-number anywhere in a window
makes its output not-a-number.
"""

from __future__ import annotations

import numpy as np

from convlet.ops.pooling import sum_pool
from convlet.ops.taps import TapTable

_ALL = slice(None)


def l2_pool(x: np.ndarray, table: TapTable) -> np.ndarray:
    """Return the square root of the sum of squares of each window."""
    return np.sqrt(sum_pool(x * x, table))


def l2_pool_gradient(
    output_gradient: np.ndarray, x: np.ndarray, y: np.ndarray, table: TapTable
) -> np.ndarray:
    """Return ∂J/∂x = Σ δ x / y over the windows that hold x; 0 from a window of zeros."""
    input_gradient = np.zeros_like(x)
    for _, outputs, inputs in table:
        delta, norm = output_gradient[(_ALL, *outputs)], y[(_ALL, *outputs)]
        with np.errstate(invalid="ignore"):  # of 0 / 0, which is not taken
            direction = np.where(norm == 0, 0, x[(_ALL, *inputs)] / norm)
        input_gradient[(_ALL, *inputs)] += delta * direction
    return input_gradient


def _counts(table: TapTable, dtype: np.dtype) -> np.ndarray:
    """Return how many positions each window holds, 1 for one of padding alone."""
    return np.maximum(table.counts(), 1)[..., None].astype(dtype)


def log_sum_exp_pool(x: np.ndarray, table: TapTable, sharpness: float) -> np.ndarray:
    """Return 1/t log(1/n Σ e^(t x)) of each window, t being the sharpness.

    With m the maximum, it is m + 1/t log(1/n Σ e^(t (x - m))), where nothing overflows. Where the
    mean is near 1, as it is for small t, it is taken as 1 + 1/n Σ (e^(t (x - m)) - 1), which
    keeps the digits.
    """
    shape = (len(x), *table.output_shape, x.shape[-1])
    largest = np.full(shape, -np.inf, x.dtype)
    for _, outputs, inputs in table:
        window = (_ALL, *outputs)
        largest[window] = np.maximum(largest[window], x[(_ALL, *inputs)])
    t, total, less_one = x.dtype.type(sharpness), np.zeros_like(largest), np.zeros_like(largest)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for _, outputs, inputs in table:
            window, value = (_ALL, *outputs), x[(_ALL, *inputs)]
            # the maximum itself is 0 below itself, also where it is infinite
            below = np.where(value == largest[window], 0, t * (value - largest[window]))
            total[window] += np.exp(below)
            less_one[window] += np.expm1(below)
        n = _counts(table, x.dtype)
        logarithm = np.where(less_one > -n / 2, np.log1p(less_one / n), np.log(total / n))
    return largest + logarithm / t


def log_sum_exp_pool_gradient(
    output_gradient: np.ndarray, x: np.ndarray, y: np.ndarray, table: TapTable, sharpness: float
) -> np.ndarray:
    """Return ∂J/∂x = Σ δ e^(t (x - y)) / n: each δ, shared out by the window's softmax of t x.

    The shares of a window add up to 1. At an infinite maximum they are not-a-number.
    """
    input_gradient = np.zeros_like(x)
    t, counts = x.dtype.type(sharpness), _counts(table, x.dtype)
    for _, outputs, inputs in table:
        delta, soft_maximum = output_gradient[(_ALL, *outputs)], y[(_ALL, *outputs)]
        with np.errstate(invalid="ignore", over="ignore"):
            share = np.exp(t * (x[(_ALL, *inputs)] - soft_maximum)) / counts[outputs]
            input_gradient[(_ALL, *inputs)] += delta * share
    return input_gradient
