"""scikit-learn's digits as a data set."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from convlet.datasets import digits


def test_shapes_types_and_split():
    (x_train, y_train), (x_test, y_test) = digits.load_data()

    assert (x_train.shape, y_train.shape) == ((1440, 8, 8), (1440,))
    assert (x_test.shape, y_test.shape) == ((357, 8, 8), (357,))
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    source = load_digits()
    test = [i for i in range(1797) if i % 50 >= 40]
    np.testing.assert_array_equal(x_test, source.images[test])
    np.testing.assert_array_equal(y_test, source.target[test])
    np.testing.assert_array_equal(x_train, np.delete(source.images, test, axis=0))
    np.testing.assert_array_equal(y_train, np.delete(source.target, test))
    assert np.bincount(y_test).min() >= 33
    assert (x_train.min(), x_train.max()) == (0, 16)


def test_missing_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    message = r'^the digits data set needs scikit-learn: pip install "convlet\[learn\]"$'
    with pytest.raises(ImportError, match=message):
        digits.load_data()


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, convlet.datasets, convlet.preprocessing;"
        "print(sorted({'sklearn', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert output.stdout == "[]\n"
