"""Handwritten digits of 8x8 pixels, which come with scikit-learn: the data set for a first run."""

from __future__ import annotations

import numpy as np

_RUN = 10  # the images mostly come in runs of ten, one of each digit
_TEST_EVERY = 5


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return scikit-learn's handwritten digits, split for training and testing.

    1,797 images by 13 people: of every fifty, in the order in which they were collected, the last
    ten are for testing, 357 in all; the other 1,440 are for training. So both parts hold
    about as many images of each digit, from all of the collection.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 of shape (n, 8, 8) with values 0 to 16 (ink), and labels 0 to 9, uint8 of
        shape (n,).

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Notes
    -----
    Source: E. Alpaydin, C. Kaynak, *Cascading classifiers*, Kybernetika 34, 1998; the test set of
    "Optical Recognition of Handwritten Digits" in the UCI Machine Learning Repository.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'the digits data set needs scikit-learn: pip install "convlet[learn]"'
        ) from error

    digits = load_digits()
    x, y = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    test = np.arange(len(x)) // _RUN % _TEST_EVERY == _TEST_EVERY - 1
    return (x[~test], y[~test]), (x[test], y[test])
