"""Mean, variance and covariance of data that comes in batches, in float64.

Batches are put together by the formula of Chan, Golub and LeVeque, *Updating formulae and a
pairwise algorithm for computing sample variances*, 1979: with δ the difference of two means,

    S = S₁ + S₂ + δ δᵀ n₁ n₂ / (n₁ + n₂)

for the sums of squares (or products) about the means, which loses no digits to large means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from convlet import arguments

_NUMBERS_AT_ONCE = 2**22  # 32 MB in float64


class Moments:
    """Moments of rows of numbers, added up batch by batch.

    Parameters
    ----------
    numbers : int
        Of a row.
    products : bool
        Whether to sum the products of each two numbers, not the squares alone.

    Attributes
    ----------
    count : int
        Rows so far.
    mean : ndarray, shape (numbers,)
    scatter : ndarray, shape (numbers,), or (numbers, numbers) with products
        Sums of squares, or products, about the mean.
    """

    def __init__(self, numbers: int, products: bool = False) -> None:
        self.products = products
        self.count = 0
        self.mean = np.zeros(numbers)
        self.scatter = np.zeros((numbers, numbers) if products else numbers)

    def add(self, rows: np.ndarray) -> None:
        """Add rows, an array of shape (n, numbers) in float64, n at least 1."""
        mean = rows.mean(axis=0)
        centred, total = rows - mean, self.count + len(rows)
        difference, weight = mean - self.mean, self.count * len(rows) / total
        if self.products:
            self.scatter += centred.T @ centred + weight * np.outer(difference, difference)
        else:
            self.scatter += (centred**2).sum(axis=0) + weight * difference**2
        self.mean += difference * (len(rows) / total)
        self.count = total


def batches_of(owner: str, data: Any) -> Iterator[np.ndarray]:
    """Yield what `adapt` was given, batch by batch, as float64.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    data : ndarray or iterable of ndarray
        Samples along the first axis. Of a batch that is a tuple, such as (x, y), the first counts.

    Raises
    ------
    ValueError
        If it is neither, or there are numbers that are not finite.
    """
    for batch in _parts(owner, data):
        x = batch[0] if isinstance(batch, tuple) and batch else batch
        if not isinstance(x, np.ndarray) or x.ndim == 0:
            raise ValueError(
                f"{owner}: adapt: data must be an array of samples or an iterable of such arrays, "
                f"got one of {type(x).__name__}"
            )
        numbers = arguments.numbers(owner, "adapt: data", x).astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(f"{owner}: adapt: data must hold finite numbers alone")
        if numbers.size:
            yield numbers


def _parts(owner: str, data: Any) -> Iterable[Any]:
    """Return batches; an array is cut into some of about 32 MB."""
    if not isinstance(data, np.ndarray):
        if not isinstance(data, Iterable) or isinstance(data, (str, bytes, dict)):
            raise ValueError(
                f"{owner}: adapt: data must be an array of samples or an iterable of such arrays, "
                f"got {type(data).__name__}"
            )
        return data
    if data.size == 0 or data.ndim == 0:
        return [data]
    rows = max(1, _NUMBERS_AT_ONCE * len(data) // data.size)
    return (data[first : first + rows] for first in range(0, len(data), rows))
