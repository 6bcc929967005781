"""MixUp and CutMix: shares, partners and targets."""

import numpy as np
import pytest
from scipy import stats

from convlet.augmentation import CutMix, MixUp


def numbered(count, *shape):
    """Return samples that hold their own number, and one-hot targets of it."""
    x = np.broadcast_to(np.arange(count, dtype=np.float32).reshape(-1, *(1,) * len(shape)),
                        (count, *shape))  # fmt: skip
    return x, np.eye(count)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 2.5, 20.0])
def test_shares_are_drawn_from_a_beta_distribution(alpha):
    u = np.linspace(0.0005, 0.9995, 500)
    expected = stats.beta.ppf(u, alpha, alpha)
    np.testing.assert_allclose(MixUp(alpha).shares(u), expected, atol=2e-4)


@pytest.mark.parametrize("shape", [(3, 2, 1), (4, 1)])
def test_mixup_mixes_samples_as_targets(shape):
    x, y = numbered(200, *shape)
    mixed, targets = MixUp(1.0)(x, y, seed=1)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed.reshape(200, -1), (targets @ np.arange(200))[:, None] *
                               np.ones(mixed[0].size), rtol=1e-5)  # fmt: skip
    shares = targets[np.arange(200), np.arange(200)]
    assert stats.kstest(shares, stats.uniform(0, 1).cdf).pvalue > 1e-3
    others = targets.copy()
    np.fill_diagonal(others, 0)
    partners = others.argmax(axis=1)
    assert (np.count_nonzero(others, axis=1) == 1).all()
    assert sorted(partners) == list(range(200))  # each is a partner once
    assert (partners - np.arange(200) == 1).sum() < 10


def test_cutmix_mixes_targets_as_areas():
    x, y = numbered(100, 16, 16, 2)
    mixed, targets = CutMix()(x, y, seed=2)
    own = (mixed == x).all(axis=-1)
    shares = own.mean(axis=(1, 2))
    np.testing.assert_allclose(targets[np.arange(100), np.arange(100)], shares, atol=1e-6)
    assert stats.kstest(shares, stats.uniform(0, 1).cdf).pvalue > 1e-3
    for image, kept, target, number in zip(mixed, own, targets, range(100), strict=True):
        rows, columns = np.nonzero(~kept)
        if rows.size == 0:
            continue
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert rows.size == height * width
        assert abs(height - width) <= 1
        (partner,) = {int(value) for value in image[~kept].ravel()}
        assert target[partner] == pytest.approx(1 - target[number], abs=1e-6)


def test_a_single_sample_is_mixed_with_itself():
    x, y = numbered(1, 4, 4, 1)
    for layer in (MixUp(), CutMix()):
        mixed, targets = layer(x + 3, y, seed=1)
        np.testing.assert_allclose(mixed, x + 3, rtol=1e-6)
        np.testing.assert_allclose(targets, y, rtol=1e-6)


def test_mistakes_are_named():
    x, y = numbered(3, 4, 4, 1)
    with pytest.raises(ValueError, match="MixUp: y must be given, as it is mixed like the samples"):
        MixUp()(x)
    message = r"CutMix: y must be one-hot, of shape \(samples, classes\), got shape \(3,\); utils"
    with pytest.raises(ValueError, match=message):
        CutMix()(x, [0, 1, 2])
    with pytest.raises(ValueError, match="MixUp: x and y must have as many samples, got 3 and"):
        MixUp()(x, y[:2])
    with pytest.raises(ValueError, match=r"MixUp: alpha must be a number of at least 0\.01 and"):
        MixUp(0)
    with pytest.raises(ValueError, match=r"CutMix: x must have shape \(samples, rows, columns"):
        CutMix()(x[:, 0], y)
