"""Stochastic pooling of any rank: a position of each window, drawn by its activation.

Zeiler and Fergus, *Stochastic pooling for regularization of deep convolutional neural networks*,
2013. With a = max(x, 0), position i of a window is drawn with probability p_i = a_i / Σ a, and its
activation is the output: while training. Otherwise the output is what a draw gives on average,
Σ p_i a_i. Where no activation is above 0, nobody is drawn and both are 0.

The draw is a random number keyed by seed, layer, step, image and unit of the output, as in
`convlet.ops.dropout`. Arrays are those of `convlet.ops.pooling`; padding takes no part. Among
infinite activations each is as probable as the other. Not-a-number anywhere in a window makes its
output not-a-number, with nobody drawn.
"""

from __future__ import annotations

import numpy as np

from convlet.ops.dropout import random_words
from convlet.ops.pooling import max_pool_gradient
from convlet.ops.taps import TapTable

_ALL = slice(None)


def _largest(x: np.ndarray, table: TapTable) -> np.ndarray:
    """Return m, the largest activation of each window: at least 0, not-a-number stays."""
    largest = np.zeros((len(x), *table.output_shape, x.shape[-1]), x.dtype)
    for _, outputs, inputs in table:
        window = (_ALL, *outputs)
        largest[window] = np.maximum(largest[window], x[(_ALL, *inputs)])
    return largest


def _weights(x: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return a / m, numbers from 0 to 1: sums of them do not overflow, also where m is infinite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(x > 0, np.where(x == largest, 1, x / largest), 0).astype(x.dtype)


def _sums(x: np.ndarray, largest: np.ndarray, table: TapTable, power: int) -> np.ndarray:
    """Return Σ (a / m)^power of each window."""
    total = np.zeros_like(largest)
    for _, outputs, inputs in table:
        window = (_ALL, *outputs)
        total[window] += _weights(x[(_ALL, *inputs)], largest[window]) ** power
    return total


def stochastic_pool(
    x: np.ndarray, random: np.ndarray, table: TapTable, layer: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawn activation of each window and the number of the tap that held it.

    It is the first tap with which the sum of the weights exceeds u Σ a, u being a random number
    from 0 to below 1, of 24 bits: float32 holds it exactly. Where nobody is drawn the number is
    that of the taps.

    Parameters
    ----------
    x : ndarray, shape (batch, *table.input_shape, channels)
    random : ndarray of uint64, shape (2,)
        The run's seed and the number of the training step.
    table : TapTable
    layer : int
        A number of 32 bits that tells this layer from others.
    """
    largest = _largest(x, table)
    words = random_words(len(x), int(np.prod(largest.shape[1:])), layer, random)
    u = (words >> np.uint64(8)).astype(x.dtype).reshape(largest.shape) / x.dtype.type(2**24)
    threshold = u * _sums(x, largest, table, 1)
    y = np.where(np.isnan(largest), largest, 0).astype(x.dtype)
    winner = np.full(y.shape, table.taps, np.min_scalar_type(table.taps))
    so_far = np.zeros_like(y)
    for tap, outputs, inputs in table:
        window, value = (_ALL, *outputs), x[(_ALL, *inputs)]
        so_far[window] += _weights(value, largest[window])
        drawn = (so_far[window] > threshold[window]) & (winner[window] == table.taps)
        y[window] = np.where(drawn, value, y[window])
        winner[window] = np.where(drawn, winner.dtype.type(table.number(tap)), winner[window])
    return y, winner


def stochastic_pool_gradient(
    output_gradient: np.ndarray, winner: np.ndarray, table: TapTable, layer: int
) -> np.ndarray:
    """Return ∂J/∂x for the draw as it fell: each δ goes to the position that was drawn."""
    return max_pool_gradient(output_gradient, winner, table)


def stochastic_pool_mean(x: np.ndarray, table: TapTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of all draws, Σ p a = m Σ (a / m)² / Σ (a / m), of each window, and Σ a."""
    largest = _largest(x, table)
    weights = _sums(x, largest, table, 1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = _sums(x, largest, table, 2) / weights
        return np.where(largest > 0, largest * share, largest), largest * weights


def stochastic_pool_mean_gradient(
    output_gradient: np.ndarray, x: np.ndarray, y: np.ndarray, total: np.ndarray, table: TapTable
) -> np.ndarray:
    """Return ∂J/∂x = Σ δ (2 x - y) / Σ a over the windows that hold x, for x > 0, and 0 otherwise.

    It is the quotient rule on Σ a² / Σ a.
    """
    input_gradient = np.zeros_like(x)
    for _, outputs, inputs in table:
        window, value = (_ALL, *outputs), x[(_ALL, *inputs)]
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(value > 0, (value + value - y[window]) / total[window], 0)
            input_gradient[(_ALL, *inputs)] += output_gradient[window] * slope
    return input_gradient
