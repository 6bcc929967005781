"""What every contender can be asked for. All is asked with NumPy arrays in Keras's layout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from networks import Network


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

    def peak(self, size: int) -> Callable[[], object]:
        """Return what multiplies two square matrices."""
        raise NotImplementedError


LEARNING_RATE = 0.1
