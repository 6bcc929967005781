"""Models as files: what is written is what is read, for every layer and for whole models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from saving_cases import (
    OWN,
    assert_equal_models,
    compiled_network,
    digits_like,
    network,
    saved_again,
)

from convlet import Sequential, initializers, layers, losses, metrics
from convlet.layers import (
    Activation,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    Rescaling,
)
from convlet.models import load_model
from convlet.preprocessing import Preprocessing
from networks import EXAMPLES, MERGING
from numerics import normal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# --- every layer ---


REGISTERED = sorted(
    {c.__name__ for c in layers.registry._classes.values() if c.__module__.startswith("convlet.")}
)


def check_round_trip(path: Path, model: Sequential, shape: tuple[int, ...]) -> None:
    """Check that a model is read as it was written, to the last bit of what it predicts."""
    model.save(path)
    read = load_model(path)
    assert_equal_models(read, model)
    x = normal(3, *shape)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(read.predict(x, verbose=0), expected, strict=True)
    assert saved_again(read, path) == path.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({*REGISTERED} - {"InputLayer", *MERGING}))
def test_every_layer_is_read_as_it_was_written(path: Path, name: str, dtype: str):
    assert name in EXAMPLES, f"{name} is new: add an example to tests/networks.py"
    make, shape = EXAMPLES[name]
    layer = make(dtype=dtype)
    assert type(layer).__name__ == name
    check_round_trip(path, Sequential([Input(shape, dtype=dtype), layer]), shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv2D(4, (2, 1), dilation_rate=2, groups=2, padding="same"), (4, 5, 2)),
        (layers.Conv2D(2, 2, strides=(2, 1), use_bias=False, trainable=False), (4, 5, 2)),
        (Dense(2, kernel_initializer=initializers.RandomNormal(stddev=2.0, seed=3)), (4,)),
        (Dense(2, bias_initializer="random_uniform", activation="swish", name="d-1"), (4,)),
        (Dropout(0.25), (4,)),
        (Rescaling(np.float32(0.1), offset=np.array([1, 2])), (3, 2)),
        (Activation(None), (3,)),
        (Sequential([Sequential([Flatten(), Dense(2)]), Dense(1)], name="inner"), (4, 3)),
    ],
    ids=lambda value: repr(value),
)
def test_the_options_of_a_layer_are_kept(path: Path, layer: Layer, shape: tuple):
    check_round_trip(path, Sequential([Input(shape, name="images"), layer]), shape)


# --- the whole model ---


def test_a_model_is_read_as_it_was_written(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.class_names = ["zero", "one", "zwei \N{SNOWMAN}"]
    model.preprocessing = Preprocessing(6, 6, 3, -1, 1)
    model.fit(x, y, verbose=0)
    model.save(path)
    read = load_model(path, OWN)
    assert type(read) is Sequential
    assert_equal_models(read, model)
    assert read.class_names == model.class_names
    assert read.preprocessing == model.preprocessing
    assert read.get_compile_config() == model.get_compile_config()
    assert read.state.get_config() == model.state.get_config()
    assert read.state.slots.keys() == model.state.slots.keys() != set()
    weights = np.arange(1.0, 1 + len(x))
    for sample_weight in (None, weights):
        assert read.evaluate(
            x, y, sample_weight=sample_weight, verbose=0, return_dict=True
        ) == model.evaluate(x, y, sample_weight=sample_weight, verbose=0, return_dict=True)
    assert saved_again(read, path) == path.read_bytes()


@pytest.mark.parametrize(
    "loss",
    [
        losses.MeanSquaredError(name="mine"),
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        losses.CategoricalCrossentropy(label_smoothing=0.2),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        "mse",
    ],
    ids=lambda loss: getattr(loss, "name", loss),
)
def test_the_options_of_a_loss_are_kept(path: Path, loss: Any):
    model = network()
    model.compile("sgd", loss)
    model.save(path)
    read = load_model(path, OWN)
    assert losses.serialize(read.loss) == losses.serialize(model.loss)


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("accuracy", None),
        ("ce", None),
        ("mae", None),
        (metrics.BinaryAccuracy, {"threshold": 0.25, "name": "mine"}),
        (metrics.TopKCategoricalAccuracy, {"k": 2}),
        (metrics.CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.1}),
    ],
)
@pytest.mark.parametrize("kind", ["metrics", "weighted_metrics"])
def test_the_options_of_a_metric_are_kept(path: Path, kind: str, metric: Any, options: Any):
    model = network()
    given = metric if options is None else metric(**options)
    model.compile("sgd", "categorical_crossentropy", **{kind: [given]})
    model.save(path)
    read = load_model(path, OWN)
    assert read.get_compile_config() == model.get_compile_config()
    x, y = digits_like()
    y = np.eye(3)[y]
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert read.evaluate(x, y, verbose=0, return_dict=True) == expected


def test_a_metric_that_was_used_before_begins_anew():
    x, y = digits_like()
    model, used = network(), metrics.SparseCategoricalAccuracy()
    used.update_state([0, 0, 0], np.eye(3))
    results = []
    for metric in (metrics.SparseCategoricalAccuracy(), used):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
        results.append(model.evaluate(x, y, verbose=0, return_dict=True))
    assert results[0] == results[1]


@pytest.mark.parametrize("given", [list, tuple, np.array])
def test_class_names_may_come_in_any_sequence(path: Path, given: Callable):
    model = network()
    model.class_names = given(["a", "b", "c"])
    model.save(path)
    assert load_model(path, OWN).class_names == ["a", "b", "c"]


def test_a_model_without_a_single_weight_can_be_saved(path: Path):
    Sequential([Input((2,)), Rescaling(2.0)]).save(path)
    np.testing.assert_array_equal(load_model(path).predict([[1.0, 2.0]], verbose=0), [[2.0, 4.0]])


def test_arrays_are_written_in_order_however_they_lie_in_memory(path: Path):
    # safetensors writes the memory from an array's first element on
    model = compiled_network()
    kernel = model.get_layer("dense_1").kernel
    slot = normal(*kernel.shape[::-1], dtype="float32").T
    model.state.slots = {"dense_1/kernel": {"momentum": slot}}
    model.save(path)
    found = safetensors.numpy.load_file(path)["optimizer state/dense_1/kernel/momentum"]
    np.testing.assert_array_equal(found, slot, strict=True)


def test_a_model_that_was_built_by_its_data_is_read_with_its_input(path: Path):
    model = Sequential([Conv2D(2, 3), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(normal(4, 5, 5, 1), np.zeros(4), verbose=0)
    model.save(path)
    assert_equal_models(load_model(path), model)


def test_open_sizes_stay_open(path: Path):
    model = Sequential([Input((None, None, 1)), Conv2D(2, 3), layers.GlobalMaxPooling2D()])
    model.save(path)
    read = load_model(path)
    assert read.input_shape == (None, None, None, 1)
    for size in (3, 8):
        x = normal(2, size, size + 1, 1)
        np.testing.assert_array_equal(read.predict(x, verbose=0), model.predict(x, verbose=0))


# --- frozen layers ---


def freeze_a_layer(model: Sequential) -> None:
    model.layers[1].layers[0].trainable = False


def freeze_a_nested_model(model: Sequential) -> None:
    model.layers[1].trainable = False


def freeze_all(model: Sequential) -> None:
    model.trainable = False


def thaw_a_layer(model: Sequential) -> None:
    model.layers[5].trainable = True


@pytest.mark.parametrize(
    "change", [freeze_a_layer, freeze_a_nested_model, freeze_all, thaw_a_layer]
)
def test_what_is_frozen_stays_frozen(path: Path, change: Callable[[Sequential], None]):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)  # so that there is state for what is frozen only then
    change(model)
    model.save(path)
    read = load_model(path, OWN)
    assert_equal_models(read, model)
    before = {name: v.value for name, v in read.named_weights().items()}
    read.fit(x, y, verbose=0)
    for name, variable in read.named_weights().items():
        assert np.array_equal(variable.value, before[name]) == (not variable.trainable), name
    assert saved_again(load_model(path, OWN), path) == path.read_bytes()


def test_a_layer_thawed_in_a_frozen_model_stays_thawed(path: Path):
    model = network()
    model.trainable = False
    model.layers[-1].trainable = True
    model.save(path)
    assert_equal_models(load_model(path, OWN), model)


def test_thawing_a_layer_leaves_its_statistics_alone(path: Path):
    model = network()
    model.layers[2].trainable = False
    model.layers[2].trainable = True
    model.save(path)
    assert_equal_models(load_model(path, OWN), model)
