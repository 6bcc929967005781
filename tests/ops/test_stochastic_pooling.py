"""Stochastic pooling: which position is drawn, how often, and what a draw gives on average."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings

from convlet.ops import (
    TapTable,
    stochastic_pool,
    stochastic_pool_gradient,
    stochastic_pool_mean,
    stochastic_pool_mean_gradient,
    tap_table,
)
from convlet.ops.dropout import random_words
from numerics import central_difference, distinct, normal, tables, windows_by_loops

INFINITY = float("inf")
NAN = float("nan")
WHOLE = tap_table((4,), (4,))


def key(seed: int = 1, step: int = 0) -> np.ndarray:
    return np.array([seed, step], np.uint64)


def images_of(*values: float, images: int = 1) -> np.ndarray:
    """Return the same image of one channel along one axis, several times."""
    return np.tile(np.array(values, float), (images, 1))[..., None]


@given(tables())
@settings(deadline=None, max_examples=40)
def test_a_draw_is_the_first_tap_whose_sum_exceeds_the_random_number(table: TapTable):
    x = np.round(normal(3, *table.input_shape, 2), 1)
    y, winner = stochastic_pool(x, key(), table, 5)
    words = random_words(3, y[0].size, 5, key()).reshape(y.shape)
    for place, window in windows_by_loops(x, table).items():
        activations = np.array([max(value, 0) for _, value in window])
        if activations.sum() == 0:
            assert (winner[place], y[place]) == (table.taps, 0)
            continue
        u = (int(words[place]) // 256) / 2**24
        sums = np.cumsum(activations) / activations.sum()
        number, value = window[int(np.argmax(sums > u))]
        assert (winner[place], y[place]) == (number, value)


@given(tables())
@settings(deadline=None, max_examples=40)
def test_the_mean_is_weighted_by_probabilities(table: TapTable):
    x = normal(2, *table.input_shape, 2)
    y = stochastic_pool_mean(x, table)[0]
    for place, window in windows_by_loops(x, table).items():
        a = np.array([max(value, 0) for _, value in window])
        expected = (a / a.sum() * a).sum() if a.sum() > 0 else 0
        np.testing.assert_allclose(y[place], expected, rtol=1e-13)


def test_zeiler_and_fergus_example():
    """Their figure 1: activations 1.6 and 2.4 among zeros, probabilities 0.4 and 0.6."""
    table = tap_table((3, 3), (3, 3))
    x = np.zeros((20_000, 3, 3, 1))
    x[:, 0, 0], x[:, 1, 2] = 1.6, 2.4
    y, winner = stochastic_pool(x, key(3), table, 0)
    assert set(np.unique(winner)) == {0, 5}
    assert abs((winner == 0).mean() - 0.4) < 5 * sqrt(0.4 * 0.6 / len(x))
    assert abs(y.mean() - 2.08) < 5 * 0.8 * sqrt(0.4 * 0.6 / len(x))
    np.testing.assert_allclose(stochastic_pool_mean(x[:1], table)[0].item(), 2.08, rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e37])
def test_positions_are_drawn_by_their_activations(scale: float):
    """A chi-square test of 40,000 draws; 16.3 is exceeded by chance once in a thousand times."""
    x = (images_of(4, -1, 1, 3, images=40_000) * scale).astype("float32")
    _, winner = stochastic_pool(x, key(11), WHOLE, 0)
    counts = np.bincount(winner.ravel(), minlength=4)
    assert counts[1] == 0
    expected = len(x) * np.array([4, 1, 3]) / 8
    assert ((counts[[0, 2, 3]] - expected) ** 2 / expected).sum() < 16.3


def test_an_average_over_draws_is_the_mean_of_prediction():
    table = tap_table((6, 5), (3, 2), 2, "same")
    x = np.repeat(normal(1, 6, 5, 3), 4000, axis=0)
    mean = stochastic_pool_mean(x[:1], table)[0][0]
    drawn, _ = stochastic_pool(x, key(2), table, 9)
    sigma = drawn.std(axis=0) / sqrt(len(x))
    assert (np.abs(drawn.mean(axis=0) - mean) <= 5.5 * sigma + 1e-12).all()


def test_where_no_activation_is_above_zero_nobody_is_drawn():
    for values in ([0, 0, 0, 0], [-1, 0, -2, -INFINITY]):
        x = images_of(*values)
        y, winner = stochastic_pool(x, key(), WHOLE, 0)
        assert (y.item(), winner.item()) == (0, 4)
        assert stochastic_pool_mean(x, WHOLE)[0].item() == 0
        assert not stochastic_pool_gradient(np.ones_like(y), winner, WHOLE, 0).any()


def test_a_window_of_padding_alone_is_zero():
    table = tap_table((2,), (1,), 2, [(2, 1)])
    y, winner = stochastic_pool(images_of(3, 4), key(), table, 0)
    assert (y[0, 0, 0], winner[0, 0, 0]) == (0, 1)
    assert stochastic_pool_mean(images_of(3, 4), table)[0][0, 0, 0] == 0


@pytest.mark.parametrize("place", range(4))
def test_values_that_are_not_finite_at_every_place(place: int):
    for value, expected in ((NAN, NAN), (INFINITY, INFINITY)):
        x = images_of(1, 2, 3, 4)
        x[0, place] = value
        y, winner = stochastic_pool(x, key(), WHOLE, 0)
        np.testing.assert_equal(y.item(), expected)
        assert winner.item() == (4 if np.isnan(value) else place)
        np.testing.assert_equal(stochastic_pool_mean(x, WHOLE)[0].item(), expected)
    x[0, place] = -INFINITY
    _, winner = stochastic_pool(np.repeat(x, 100, axis=0), key(), WHOLE, 0)
    assert set(np.unique(winner)) == {0, 1, 2, 3} - {place}


def test_infinite_activations_are_drawn_alike():
    _, winner = stochastic_pool(images_of(INFINITY, 5, INFINITY, 5, images=2000), key(), WHOLE, 0)
    assert set(np.unique(winner)) == {0, 2}
    assert abs((winner == 0).mean() - 0.5) < 5 * 0.5 / sqrt(2000)


def test_gradient_is_the_central_difference_for_the_draw_as_it_fell():
    table = tap_table((4, 5), (2, 3), 1, "same")
    x, delta = distinct(2, 4, 5, 2) / 100, normal(2, *table.output_shape, 2)

    def total(x: np.ndarray) -> float:
        return float((stochastic_pool(x, key(), table, 0)[0] * delta).sum())

    _, winner = stochastic_pool(x, key(), table, 0)
    gradient = stochastic_pool_gradient(delta, winner, table, 0)
    difference = central_difference(total, x, step=1e-9)
    np.testing.assert_allclose(gradient, difference, atol=1e-5)


@given(tables())
@settings(deadline=None, max_examples=40)
def test_gradient_of_the_mean_is_the_central_difference(table: TapTable):
    x = distinct(1, *table.input_shape, 2) + 0.25  # none is 0, where the slope jumps
    delta = normal(1, *table.output_shape, 2)
    y, total = stochastic_pool_mean(x, table)
    gradient = stochastic_pool_mean_gradient(delta, x, y, total, table)
    difference = central_difference(
        lambda x: float((stochastic_pool_mean(x, table)[0] * delta).sum()), x
    )
    np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"seed": 1 + 2**32}, {"step": 1}, {"layer": 1}, {"layer": 2**32 - 1}]
)
def test_seed_step_and_layer_each_give_other_draws(other: dict[str, int]):
    def winners(seed: int = 1, step: int = 0, layer: int = 0) -> np.ndarray:
        return stochastic_pool(images_of(1, 1, 1, 1, images=2000), key(seed, step), WHOLE, layer)[1]

    same = (winners() == winners(**other)).mean()
    assert abs(same - 0.25) < 5 * sqrt(0.25 * 0.75 / 2000), "as if drawn independently"
    np.testing.assert_array_equal(winners(), winners())


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_an_images_draws_do_not_depend_on_the_batch_size(batch: int):
    table = tap_table((6, 6), (2, 2), 2)
    x = np.abs(normal(32, 6, 6, 3))
    all_of_them, some = (stochastic_pool(a, key(), table, 0)[1] for a in (x, x[:batch]))
    np.testing.assert_array_equal(all_of_them[:batch], some)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays_and_so_do_the_draws(dtype: str):
    table = tap_table((5, 5), (2, 3), 2, "same")
    x = normal(2, 5, 5, 3)
    y, winner = stochastic_pool(x.astype(dtype), key(), table, 0)
    assert y.dtype == stochastic_pool_mean(x.astype(dtype), table)[0].dtype == dtype
    assert winner.dtype == "uint8"
    np.testing.assert_array_equal(winner, stochastic_pool(x, key(), table, 0)[1])
