"""One-hot targets."""

from __future__ import annotations

import numpy as np

from convlet import arguments


def one_hot(owner: str, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return one-hot targets, float32 of shape (..., classes), for labels from 0 to classes - 1.

    Raises
    ------
    ValueError
        If they do not fit into memory.
    """
    shape = (*labels.shape, classes)
    arguments.fits_memory(owner, "one-hot targets", shape, np.float32, "labels as they are")
    targets = np.zeros(shape, np.float32)
    np.put_along_axis(targets, labels[..., np.newaxis].astype(np.int64), 1, axis=-1)
    return targets
