"""Training goes on after reading a model as if it had not been interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from saving_cases import (
    OWN,
    Distance,
    Scale,
    assert_equal_models,
    compiled_network,
    digits_like,
    network,
    saved_again,
)

from convlet import Sequential
from convlet.layers import (
    Dense,
)
from convlet.models import load_model
from convlet.random import next_seed, set_random_seed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# --- going on ---


def test_training_goes_on_as_if_it_had_never_stopped(path: Path):
    # shuffling and dropout take their numbers from the seed and the counters in the file
    x, y = digits_like()
    set_random_seed(5)
    whole = compiled_network()
    whole_history = whole.fit(x, y, batch_size=16, epochs=3, validation_split=0.2, verbose=0)

    set_random_seed(5)
    model = compiled_network()
    for epoch in range(3):
        history = model.fit(
            x,
            y,
            batch_size=16,
            initial_epoch=epoch,
            epochs=epoch + 1,
            validation_split=0.2,
            verbose=0,
        )
        model.save(path)
        next_seed()  # what else the program draws must not matter
        model = load_model(path, OWN)
    assert {name: values[-1] for name, values in whole_history.history.items()} == {
        name: values[0] for name, values in history.history.items()
    }
    assert saved_again(whole, path) == path.read_bytes()


def test_training_goes_on_in_the_middle_of_an_epoch(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.train_on_batch(x[:16], y[:16])
    model.save(path)
    read = load_model(path, OWN)
    for batch in (slice(16, 32), slice(32, 40)):
        assert read.train_on_batch(x[batch], y[batch]) == model.train_on_batch(x[batch], y[batch])
    assert saved_again(read, path) == saved_again(model, path)
    assert read.state.iterations == 3


def test_a_model_compiled_anew_begins_anew(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    model.save(path)
    read = load_model(path, OWN)
    read.compile("sgd", "sparse_categorical_crossentropy")
    assert read.state.iterations == 0
    assert read.state.slots == {}


def test_a_momentum_may_be_set_between_two_runs(path: Path):
    x, y = digits_like()
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    model.optimizer.momentum = 0.9
    model.save(path)
    read = load_model(path, OWN)
    for trained in (read, model):
        trained.fit(x, y, verbose=0)
    assert saved_again(read, path) == saved_again(model, path)


def without_momentum(model: Sequential) -> None:
    model.optimizer.momentum = 0.0


def with_another_last_layer(model: Sequential) -> None:
    model.pop()
    model.add(Dense(2))


@pytest.mark.parametrize("change", [without_momentum, with_another_last_layer])
def test_what_the_optimizer_cannot_use_any_more_is_left_out(
    path: Path, change: Callable[[Sequential], None]
):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    change(model)
    model.save(path)
    read = load_model(path, OWN)
    assert_equal_models(read, model)
    assert "dense_1/kernel" in read.named_weights()
    assert "dense_1/kernel" not in read.state.slots
    read.fit(x, y % 2, verbose=0)


def test_another_layer_of_the_same_shape_begins_anew_after_loading(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    model.pop()
    model.add(Dense(3, activation="softmax"))
    model.save(path)
    read = load_model(path, OWN)
    for trained in (model, read):
        trained.fit(x, y, verbose=0)
    np.testing.assert_array_equal(read.layers[-1].kernel.value, model.layers[-1].kernel.value)


def test_training_goes_on_with_another_last_layer():
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    with_another_last_layer(model)
    before = model.get_weights()
    model.fit(x, y % 2, verbose=0)
    assert (before[-1] != model.get_weights()[-1]).any()


def test_compile_false_gives_the_network_alone(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    model.save(path)
    own_loss = network()
    own_loss.compile("sgd", Distance(1.0))
    read = load_model(path, OWN, compile=False)
    assert_equal_models(read, model)
    assert not read.compiled
    with pytest.raises(RuntimeError, match=r"Sequential 'network': call compile\(optimizer, loss"):
        read.fit(x, y, verbose=0)
    # a class that only training needs need not be known
    own_loss.save(path)
    assert not load_model(path, {"Scale": Scale}, compile=False).compiled
