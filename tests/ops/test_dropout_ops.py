"""Dropout: the generator's published numbers, the statistics, and what a mask depends on."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from convlet.ops import dropout
from convlet.ops.dropout import philox
from numerics import normal


def key(seed: int = 1, step: int = 0) -> np.ndarray:
    return np.array([seed, step], np.uint64)


def kept(shape: tuple[int, ...], random: np.ndarray, rate: float = 0.5, layer: int = 0):
    return dropout(np.ones(shape), random, rate, layer) > 0


# kat_vectors of Random123 (Salmon et al., 2011): philox4x32 with 10 rounds
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


@pytest.mark.parametrize(("counter", "key_", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_numbers(counter: str, key_: str, answer: str):
    words = [np.array([int(word, 16)], np.uint64) for word in counter.split()]
    first, second = (int(word, 16) for word in key_.split())
    result = philox(tuple(words), (first, second))
    assert [f"{word.item():08x}" for word in result] == answer.split()


def test_philox_takes_arrays_of_counters():
    counters = np.arange(6, dtype=np.uint64)
    zero = np.zeros(1, np.uint64)
    together = np.stack(philox((counters[None], counters[:, None], zero, zero), (3, 4)))
    assert together.shape == (4, 6, 6)
    one = philox((counters[2:3], counters[5:6], zero, zero), (3, 4))
    np.testing.assert_array_equal(together[:, 5, 2], np.ravel(one))
    assert len(np.unique(together)) == together.size


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_the_fraction_kept(rate: float, seed: int):
    mask = kept((100, 1001), key(seed), rate)
    sigma = sqrt(rate * (1 - rate) / mask.size)
    assert abs(mask.mean() - (1 - rate)) < 5 * sigma


def test_units_and_images_are_kept_independently():
    mask = kept((200, 200), key(7)) * 2.0 - 1
    sigma = 1 / sqrt(mask.size)
    for shift in range(1, 9):
        assert abs((mask[:, shift:] * mask[:, :-shift]).mean()) < 5.5 * sigma
        assert abs((mask[shift:] * mask[:-shift]).mean()) < 5.5 * sigma
    of_units, of_images = mask.sum(axis=0), mask.sum(axis=1)
    assert np.abs([of_units, of_images]).max() < 5.5 * sqrt(200), "no unit or image is favoured"


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.8])
def test_what_is_kept_is_scaled_up(rate: float):
    x = normal(10, 5, 4)
    y = dropout(x, key(), rate, 0)
    assert ((y == 0) | np.isclose(y, x / (1 - rate), rtol=1e-14)).all()
    assert (y == 0).any()
    assert (y != 0).any()


def test_expectations_stay():
    y = dropout(np.full((400, 500), 3.0), key(5), 0.3, 0)
    assert abs(y.mean() - 3) < 5 * 3 * sqrt(0.3 / 0.7 / y.size)


def test_rate_zero_changes_nothing():
    x = normal(6, 7)
    np.testing.assert_array_equal(dropout(x, key(), 0.0, 0), x)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"seed": 1 + 2**32},  # the seed's upper half counts, too
        {"step": 1},
        {"layer": 1},
        {"layer": 2**32 - 1},
    ],
)
def test_seed_step_and_layer_each_give_another_mask(other: dict[str, int]):
    def mask(seed: int = 1, step: int = 0, layer: int = 0) -> np.ndarray:
        return kept((40, 50), key(seed, step), 0.5, layer)

    different = (mask() != mask(**other)).mean()
    assert abs(different - 0.5) < 5 * 0.5 / sqrt(2000), "as if drawn independently"


def test_every_image_has_a_mask_of_its_own():
    masks = kept((50, 64), key())
    assert len(np.unique(masks, axis=0)) == 50


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_an_images_mask_does_not_depend_on_the_batch_size(batch: int):
    big, small = kept((32, 5, 3), key()), kept((batch, 5, 3), key())
    np.testing.assert_array_equal(big[:batch], small)


def test_a_mask_does_not_depend_on_how_units_are_arranged():
    flat = kept((4, 30), key())
    np.testing.assert_array_equal(kept((4, 2, 5, 3), key()).reshape(4, 30), flat)
    np.testing.assert_array_equal(kept((4, 27), key()), flat[:, :27])


def test_the_same_question_has_the_same_answer():
    np.testing.assert_array_equal(kept((9, 9), key()), kept((9, 9), key()))


def test_it_is_its_own_gradient():
    """Linear with a diagonal matrix, so the transpose that goes back is the function itself."""
    x, delta = normal(4, 3, 5), normal(4, 3, 5, seed=1)
    y = dropout(x, key(), 0.4, 3)
    back = dropout(delta, key(), 0.4, 3)
    np.testing.assert_allclose(np.vdot(y, delta), np.vdot(x, back))
    np.testing.assert_array_equal(y == 0, back == 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    x = normal(3, 4, dtype=dtype)
    assert dropout(x, key(), 0.5, 0).dtype == dtype
    np.testing.assert_array_equal(
        dropout(x, key(), 0.5, 0) == 0, dropout(x.astype("float64"), key(), 0.5, 0) == 0
    )


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (3,), (2, 1, 1)])
def test_any_shape(shape: tuple[int, ...]):
    assert dropout(np.ones(shape), key(), 0.5, 0).shape == shape


def test_a_dropped_unit_is_zero_whatever_it_held():
    x = np.full((20, 20), np.nan)
    y = dropout(x, key(), 0.5, 0)
    np.testing.assert_array_equal(y == 0, ~kept((20, 20), key()))
