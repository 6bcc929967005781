"""Seeds and one-hot targets."""

import numpy as np
import pytest

from convlet import utils


def test_one_hot_targets():
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    for labels in ([0, 2, 1], np.array([[0], [2], [1]]), np.array([0, 2, 1], np.uint8)):
        given = utils.to_categorical(labels)
        assert given.dtype == np.float32
        np.testing.assert_array_equal(given, expected)
    assert utils.to_categorical([[0, 1], [1, 0]], 4).shape == (2, 2, 4)


def test_one_hot_targets_of_many_classes_take_no_more_memory_than_they_have():
    given = utils.to_categorical([3, 10**6])
    assert given.shape == (2, 10**6 + 1)
    assert (given.argmax(axis=1) == [3, 10**6]).all()
    assert given.sum() == 2
    with pytest.raises(ValueError, match="to_categorical: one-hot targets must fit into"):
        utils.to_categorical([0], 10**13)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 3], 3, "to_categorical: labels must be from 0 to 2, got 0 to 3"),
        ([-1, 1], None, "to_categorical: labels must be from 0 to 1, got -1 to 1"),
        ([0.5], None, "x must hold at least one integer label, got dtype float64"),
        ([], None, "x must hold at least one integer label"),
        ([0], 0, "num_classes must be an integer of at least 1, got 0"),
    ],
)
def test_labels_that_are_none(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None])
def test_a_seed_is_an_integer_from_0(seed):
    message = "set_random_seed: seed must be an integer of at least 0"
    with pytest.raises(ValueError, match=message):
        utils.set_random_seed(seed)
