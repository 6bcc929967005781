"""Batches with classes in equal or given shares."""

import re

import numpy as np
import pytest

from convlet.utils import BalancedSampler, PyDataset

Y = np.repeat([0, 1, 2], [50, 8, 2])
X = np.arange(60.0)[:, None]


def epoch_of(sampler, epoch=0):
    sampler.epoch = epoch
    batches = [sampler[i] for i in range(len(sampler))]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def test_classes_are_equally_frequent_in_each_batch():
    sampler = BalancedSampler(X, Y, batch_size=12, seed=0)
    assert isinstance(sampler, PyDataset)
    assert len(sampler) == 5
    for number in range(5):
        x, y = sampler[number]
        np.testing.assert_array_equal(np.bincount(y), [4, 4, 4])
        np.testing.assert_array_equal(Y[x[:, 0].astype(int)], y)


def test_no_sample_comes_again_before_all_of_its_class_came():
    x, y = epoch_of(BalancedSampler(X, Y, batch_size=12, seed=0))
    for label, count in ((0, 50), (1, 8), (2, 2)):
        drawn = x[y == label, 0]
        for start in range(0, len(drawn), count):
            part = drawn[start : start + count]
            assert len(set(part)) == len(part)


def test_given_shares():
    sampler = BalancedSampler(X, Y, batch_size=10, shares={0: 5, 1: 3, 2: 2}, seed=0)
    for number in range(len(sampler)):
        counts = np.bincount(sampler[number][1], minlength=3)
        assert np.abs(counts - [5, 3, 2]).max() <= 1
    _, y = epoch_of(sampler)
    np.testing.assert_array_equal(np.bincount(y), [30, 18, 12])


def test_any_beginning_is_balanced_to_one_sample():
    _, y = epoch_of(BalancedSampler(X, Y, batch_size=7, seed=0))
    counts = np.cumsum(y[:, None] == [0, 1, 2], axis=0)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_draws_follow_from_seed_and_epoch():
    one, other = (BalancedSampler(X, Y, seed=3) for _ in range(2))
    np.testing.assert_array_equal(epoch_of(one, 4)[0], epoch_of(other, 4)[0])
    assert (epoch_of(one, 4)[0] != epoch_of(one, 5)[0]).any()
    assert (epoch_of(one, 4)[0] != epoch_of(BalancedSampler(X, Y, seed=4), 4)[0]).any()


def test_epochs_reach_all_samples_of_a_frequent_class():
    sampler = BalancedSampler(X, Y, batch_size=12, seed=0)
    seen = {value for epoch in range(12) for value in epoch_of(sampler, epoch)[0][:, 0]}
    assert seen == set(X[:, 0])


def test_targets_of_any_form_come_with_labels_to_balance():
    targets = np.stack([X[:, 0], Y, Y == 2], axis=1)[:, :, None]
    sampler = BalancedSampler(X, targets, batch_size=12, seed=0, labels=Y[:, None])
    by_labels = BalancedSampler(X, Y, batch_size=12, seed=0)
    for number in range(5):
        x, y = sampler[number]
        np.testing.assert_array_equal(x, by_labels[number][0])
        np.testing.assert_array_equal(y, targets[x[:, 0].astype(int)])
        np.testing.assert_array_equal(np.bincount(y[:, 1, 0].astype(int)), [4, 4, 4])


def test_end():
    with pytest.raises(IndexError):
        BalancedSampler(X, Y)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": Y[:5]}, "y must hold one label for each sample of x, got shapes (5,) and (60, 1)"),
        (
            {"y": np.eye(3)[Y]},
            "y must hold one label for each sample of x, got shapes (60, 3) and (60, 1); other "
            "targets need labels beside them",
        ),
        (
            {"labels": Y[1:]},
            "labels must hold one label for each sample of x, got shapes (59,) and (60, 1)",
        ),
        (
            {"y": Y[1:], "labels": Y},
            "y must hold a target for each of the 60 samples of x, got shape (59,)",
        ),
        ({"y": Y - 1}, "y must hold whole numbers from 0, got -1 to 1"),
        ({"y": Y / 4}, "y must hold whole numbers from 0, got 0.0 to 0.5"),
        ({"shares": {0: 1}}, "shares must be a dict with a share for each of 0, 1, 2, got {0: 1}"),
        (
            {"shares": {0: 1, 1: 1, 2: 0}},
            "shares[2] must be a number of at least 1.17549e-38 and of",
        ),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"workers": -1}, "workers must be an integer of at least 0, got -1"),
    ],
)
def test_what_will_not_do(arguments, message):
    with pytest.raises(ValueError, match=f"^BalancedSampler: {re.escape(message)}"):
        BalancedSampler(**({"x": X, "y": Y} | arguments))
