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

from convlet.ops.take import TakeTable, pad_table, take, take_gradient

Fill = float | str
Pairs = Sequence[tuple[int, int]]


def _table(shape: tuple[int, ...], padding: Pairs, fill: Fill) -> TakeTable:
    return pad_table(shape, padding, "reflect" if fill == "reflect" else "constant", "padding")


def pad(x: np.ndarray, padding: Pairs, fill: Fill = 0.0) -> np.ndarray:
    """Return ``x`` with padding around its grid."""
    constant = 0.0 if isinstance(fill, str) else fill
    return take(x, _table(x.shape[1:], padding, fill), constant)


def pad_gradient(output_gradient: np.ndarray, padding: Pairs, fill: Fill = 0.0) -> np.ndarray:
    """Return ∂J/∂x: constants have no gradient, a mirrored place adds its δ to what it mirrors."""
    *padded, channels = output_gradient.shape[1:]
    grid = [size - sum(pair) for size, pair in zip(padded, padding, strict=True)]
    return take_gradient(output_gradient, _table((*grid, channels), padding, fill))
