"""What a data set is once it is open, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convlet.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples and labels to train and to test on.

    Parameters
    ----------
    x_train, y_train : ndarray
        Samples and labels, the same number along the first axis.
    x_test, y_test : ndarray or None
        The same, kept apart for testing; None where the source has none.
    class_names : tuple of str or None
        What the labels 0, 1, ... stand for.
    preprocessing : Preprocessing or None
        What makes a sample of an image file.
    name : str
        What to call the data set.
    sampling_rate : int or None
        Frames in a second, if the samples are sounds from files.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray | None
    y_test: np.ndarray | None
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    name: str
    sampling_rate: int | None = None
