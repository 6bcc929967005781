"""Max, average and sum pooling of any rank, and their gradients: the tap table, other reductions.

Lecture 000, definition 8: x^max_i = max { x_{i+k} : 0 <= k < r }. Lecture 001: going back, the mean
spreads δ evenly over its window (δ ⊗ 1 / n, Kronecker's product), the maximum hands all of it to
the unit that was chosen. Lecture 003: the sum is another of the "simple mathematical functions".

Padding takes no part: it is never the maximum and is not counted in the mean, as in Keras.

Arrays
------
x : (batch, *table.input_shape, channels)
y, winner : (batch, *table.output_shape, channels)
"""

from __future__ import annotations

import numpy as np

from convlet.ops.taps import TapTable

_ALL = slice(None)


def max_pool(x: np.ndarray, table: TapTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the maximum of each window and the number of the tap that held it.

    A tie goes to the first tap in row-major order. Not-a-number anywhere in a window makes its
    maximum not-a-number, held by the first such tap.
    """
    shape = (len(x), *table.output_shape, x.shape[-1])
    unset = table.taps
    y = np.full(shape, -np.inf, x.dtype)
    winner = np.full(shape, unset, np.min_scalar_type(unset))
    for tap, outputs, inputs in table:
        window, number = (_ALL, *outputs), table.number(tap)
        candidate, best = x[(_ALL, *inputs)], y[window]
        # `unset` lets a window of nothing but -inf have a winner, too
        better = (candidate > best) | (winner[window] == unset)
        better |= np.isnan(candidate) & ~np.isnan(best)
        y[window] = np.where(better, candidate, best)
        winner[window] = np.where(better, winner.dtype.type(number), winner[window])
    return y, winner


def max_pool_gradient(
    output_gradient: np.ndarray, winner: np.ndarray, table: TapTable
) -> np.ndarray:
    """Return ∂J/∂x: each δ goes to the position that its window's winning tap read."""
    shape = (len(output_gradient), *table.input_shape, output_gradient.shape[-1])
    input_gradient = np.zeros(shape, output_gradient.dtype)
    for tap, outputs, inputs in table:
        window = (_ALL, *outputs)
        chosen = winner[window] == table.number(tap)
        input_gradient[(_ALL, *inputs)] += np.where(chosen, output_gradient[window], 0)
    return input_gradient


def sum_pool(x: np.ndarray, table: TapTable) -> np.ndarray:
    """Return the sum of the input positions in each window."""
    total = np.zeros((len(x), *table.output_shape, x.shape[-1]), x.dtype)
    for _, outputs, inputs in table:
        total[(_ALL, *outputs)] += x[(_ALL, *inputs)]
    return total


def sum_pool_gradient(output_gradient: np.ndarray, table: TapTable) -> np.ndarray:
    """Return ∂J/∂x: each δ goes to every position of its window."""
    shape = (len(output_gradient), *table.input_shape, output_gradient.shape[-1])
    input_gradient = np.zeros(shape, output_gradient.dtype)
    for _, outputs, inputs in table:
        input_gradient[(_ALL, *inputs)] += output_gradient[(_ALL, *outputs)]
    return input_gradient


def average_pool(x: np.ndarray, table: TapTable) -> np.ndarray:
    """Return the mean of the input positions in each window."""
    return sum_pool(x, table) / table.counts()[..., None].astype(x.dtype)


def average_pool_gradient(output_gradient: np.ndarray, table: TapTable) -> np.ndarray:
    """Return ∂J/∂x: each δ, divided by its window's count, goes to every position of the window."""
    share = output_gradient / table.counts()[..., None].astype(output_gradient.dtype)
    return sum_pool_gradient(share, table)
