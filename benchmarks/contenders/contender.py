"""What every contender can be asked for. All is asked with NumPy arrays in Keras's layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from networks import Network
from operators import Operator


class BaseContender:
    """A library in its own process, with as many threads as it is told.

    A method that a contender lacks is a kind of case that its entry does not name. What a method
    returns is called again and again and timed; making it is not.

    Parameters
    ----------
    threads : int
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def version(self) -> str:
        """Return the libraries and their versions."""
        raise NotImplementedError

    def training(
        self, network: Network, weights: list[np.ndarray], x: np.ndarray, y: np.ndarray
    ) -> Callable[[], float]:
        """Return what makes a step of gradient descent on a batch and gives the loss before it."""
        raise NotImplementedError

    def inference(
        self, network: Network, weights: list[np.ndarray], x: np.ndarray
    ) -> Callable[[], np.ndarray]:
        """Return what predicts a batch."""
        raise NotImplementedError

    def fit(
        self, network: Network, weights: list[np.ndarray], batch: int
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        """Return what trains for an epoch on shuffled data and gives the accuracy meanwhile."""
        raise NotImplementedError

    def operator(self, operator: Operator) -> tuple[Callable[[], dict[str, float]], list[float]]:
        """Return what times each pass of an operator once, in seconds, and its results' sizes.

        The sizes are mean absolute values: of the output y for `operator_data`'s input and kernel,
        and of each gradient for the output's gradient 2 y / filters.
        """
        raise NotImplementedError

    def peak(self, size: int) -> Callable[[], object]:
        """Return what multiplies two square matrices."""
        raise NotImplementedError


def operator_data(operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Return an input and a kernel in Keras's layout, the same for all contenders."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((operator.batch, *operator.grid, operator.channels), np.float32)
    ends = (operator.channels // operator.groups, operator.filters)
    if operator.kind == "conv_transpose":
        ends = (operator.filters, operator.channels)
    kernel = 0.1 * generator.standard_normal((*operator.kernel, *ends), np.float32)
    return x, kernel
