"""Padding that holds something: a constant, or the signal mirrored at its border.

The tap table knows padding that contributes nothing, which is padding with zeros. Any other is put
around the signal here, and what slides a window over it then needs no padding.

Arrays
------
x : (batch, *grid, channels)
padding : a pair (begin, end) for each axis of the grid
fill : a number, or "reflect", which mirrors the signal without repeating its border (NumPy's word)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Fill = float | str
Pairs = Sequence[tuple[int, int]]


def reflected_positions(size: int, begin: int, end: int) -> np.ndarray:
    """Return which of ``size`` positions stands at each place of the padded axis: 2 1 [0 1 2] 1 0.

    Padding wider than the signal is mirrored again at the other border.
    """
    period = max(2 * (size - 1), 1)
    there_and_back = np.arange(-begin, size + end) % period
    return np.minimum(there_and_back, period - there_and_back)


def pad(x: np.ndarray, padding: Pairs, fill: Fill = 0.0) -> np.ndarray:
    """Return ``x`` with padding around its grid."""
    if fill != "reflect":
        return np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=fill)
    for axis, (begin, end) in enumerate(padding, start=1):
        x = np.take(x, reflected_positions(x.shape[axis], begin, end), axis)
    return x


def pad_gradient(output_gradient: np.ndarray, padding: Pairs, fill: Fill = 0.0) -> np.ndarray:
    """Return ∂J/∂x: constants have no gradient, a mirrored place adds its δ to what it mirrors."""
    if fill != "reflect":
        inside = [
            slice(begin, size - end)
            for size, (begin, end) in zip(output_gradient.shape[1:-1], padding, strict=True)
        ]
        return output_gradient[(slice(None), *inside)]
    for axis, (begin, end) in enumerate(padding, start=1):
        delta = np.moveaxis(output_gradient, axis, 0)
        size = len(delta) - begin - end
        folded = np.zeros((size, *delta.shape[1:]), delta.dtype)
        np.add.at(folded, reflected_positions(size, begin, end), delta)
        output_gradient = np.moveaxis(folded, 0, axis)
    return output_gradient
