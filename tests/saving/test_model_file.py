"""A model in a file: what is read is what was written, and training goes on as if never stopped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from convlet import Sequential, initializers, layers, losses, metrics, optimizers
from convlet.layers import (
    Activation,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from convlet.models import Model, load_model
from convlet.preprocessing import Preprocessing
from convlet.random import next_seed, set_random_seed
from networks import EXAMPLES
from numerics import normal

# --- one's own classes ---


class Scale(Layer):
    """A layer with a weight that training changes and one that it leaves alone."""

    def __init__(self, power: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape: tuple) -> None:
        self.add_weight(input_shape[-1:], "ones", name="factor")
        self.add_weight(input_shape[-1:], "he_normal", trainable=False, name="offset")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def call(self, x: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
        return self.power * x * factor + offset

    def gradient(self, x: np.ndarray, factor: np.ndarray, *others: np.ndarray) -> tuple:
        δ = others[-1]
        axes = tuple(range(x.ndim - 1))
        return δ * self.power * factor, (δ * self.power * x).sum(axes), δ.sum(axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.power}


class Distance(losses.Loss):
    """The sum of squares, weighted."""

    def __init__(self, weight: float, name: str | None = None) -> None:
        super().__init__(name)
        self.weight = weight

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return self.weight * ((y_pred - y_true) ** 2).sum(axis=-1)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 2 * self.weight * (y_pred - y_true)


class Largest(metrics.MeanMetric):
    """The largest prediction."""

    def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.max(axis=-1)


class Averaging(optimizers.Optimizer):
    """Steps along the mean of all gradients; its slots have other types, shapes and orders."""

    def slots(self, value: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "sum/all": np.zeros(value.shape[::-1], value.dtype).T,
            "count": np.zeros((), np.int32),
        }

    def update(self, value: np.ndarray, gradient: np.ndarray, slots: dict, iterations: int) -> Any:
        total, count = slots["sum/all"] + gradient, slots["count"] + np.int32(1)
        step = (self.learning_rate * total / count).astype(value.dtype)
        return value - step, {"sum/all": np.asfortranarray(total), "count": count}


class Everywhere(initializers.Initializer):
    """One number, as an array without memory of its own for each element."""

    def values(self, shape: tuple[int, ...], seed: int | None) -> np.ndarray:
        return np.broadcast_to(np.float64(0.25), shape)


OWN = {cls.__name__: cls for cls in (Scale, Distance, Largest, Averaging, Everywhere)}


# --- what the tests share ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def digits_like(samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return images of 6 x 6 pixels, in 2 channels, and labels of 3 classes."""
    return normal(samples, 6, 6, 2, dtype="float32"), np.arange(samples) % 3


def network(**changes: Any) -> Sequential:
    """Return a network with a bit of everything, the same one for the same random seed."""
    inner = Sequential(
        [Conv2D(2, 3, padding="same", activation="relu"), Dropout(0.25), MaxPooling2D(2)],
        name="inner",
    )
    return Sequential(
        [
            Input((6, 6, 2)),
            Rescaling(0.5, offset=[0.5, 1.0]),
            inner,
            Scale(2.0),
            Flatten(),
            Dropout(0.5, seed=3),
            Dense(4, activation="tanh", trainable=False),
            Dense(3, activation=changes.get("activation", "softmax")),
        ],
        name=changes.get("name", "network"),
    )


def compiled_network() -> Sequential:
    model = network()
    model.compile(
        optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        weighted_metrics=[metrics.SparseCategoricalCrossentropy(name="weighted")],
    )
    return model


def described(path: Path) -> dict[str, Any]:
    """Return the JSON in a file."""
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["convlet"])


def assert_equal_models(read: Model, written: Model) -> None:
    """Assert that two models are built alike, hold the same bits, and train the same weights."""
    assert read.get_config() == written.get_config()
    assert read.input_shape == written.input_shape
    assert list(read.named_weights()) == list(written.named_weights())
    for name, variable in written.named_weights().items():
        other = read.named_weights()[name]
        np.testing.assert_array_equal(other.value, variable.value, strict=True, err_msg=name)
        assert other.trainable == variable.trainable, name


def saved_again(model: Model, path: Path) -> bytes:
    """Return the bytes of the file that a model is saved in beside ``path``."""
    other = path.with_name("again.safetensors")
    model.save(other)
    return other.read_bytes()


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
@pytest.mark.parametrize("name", [name for name in REGISTERED if name != "InputLayer"])
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


# --- one's own classes ---


def own_network() -> Sequential:
    model = Sequential([Input((4,)), Scale(3.0), Dense(3, kernel_initializer=Everywhere())])
    model.compile(Averaging(0.01), Distance(0.5), metrics=[Largest()], weighted_metrics=["mae"])
    return model


def test_one_s_own_classes_are_read_with_custom_objects(path: Path):
    x, y = normal(8, 4), normal(8, 3)
    model = own_network()
    model.fit(x, y, batch_size=4, verbose=0)
    model.save(path)
    read = load_model(path, OWN)
    assert_equal_models(read, model)
    for layer, cls in zip(read.layers, (Scale, Dense), strict=True):
        assert type(layer) is cls
    assert (type(read.optimizer), type(read.loss)) == (Averaging, Distance)
    for weight, slots in model.state.slots.items():
        for slot, value in slots.items():
            np.testing.assert_array_equal(read.state.slots[weight][slot], value, strict=True)
    for trained in (model, read):
        trained.fit(x, y, batch_size=4, verbose=0)
    assert saved_again(read, path) == saved_again(model, path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("Scale", "layer: unknown 'Scale'; known are Averaging, Distance, Everywhere, Largest, "),
        ("Everywhere", "initializer: unknown 'Everywhere'; known are "),
        ("Averaging", "optimizer: unknown 'Averaging'; known are Distance, Everywhere, "),
        ("Distance", "loss: unknown 'Distance'; known are "),
        ("Largest", "metric: unknown 'Largest'; known are "),
    ],
)
def test_a_class_that_is_not_handed_over_is_named(path: Path, missing: str, message: str):
    own_network().save(path)
    known = {name: cls for name, cls in OWN.items() if name != missing}
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{message}"):
        load_model(path, known)


@pytest.mark.parametrize("value", [[Scale], "Scale", 3, Scale])
def test_custom_objects_must_be_a_dict(path: Path, value: Any):
    network().save(path)
    message = "^load_model: custom_objects must be a dict of class names and classes, got "
    with pytest.raises(ValueError, match=message):
        load_model(path, value)


def test_compile_must_be_true_or_false(path: Path):
    network().save(path)
    with pytest.raises(ValueError, match=r"^load_model: compile must be True or False, got 1$"):
        load_model(path, OWN, compile=1)


class Net(Sequential):
    """A model of one's own."""


def test_one_s_own_model_is_read_as_what_it_is(path: Path):
    Net([Input((2,)), Dense(1)]).save(path)
    assert type(load_model(path, {"Net": Net})) is Net
    with pytest.raises(ValueError, match="layer: unknown 'Net'"):
        load_model(path)


class Forgetful(Layer):
    """A layer whose author forgot ``get_config``."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x: np.ndarray) -> np.ndarray:
        return self.factor * x


def test_a_layer_that_does_not_describe_itself_is_not_lost(path: Path):
    model = Sequential([Input((2,)), Forgetful(3.0)])
    try:
        model.save(path)
    except ValueError:
        return  # as well
    x = np.ones((1, 2))
    read = load_model(path, {"Forgetful": Forgetful})
    np.testing.assert_array_equal(read.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_chain_is_made_in_time_proportional_to_its_length(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    length, calls = 50, []
    Sequential([Input((3,)), *[Activation("tanh") for _ in range(length)]]).save(path)
    original = Activation.compute_output_shape
    monkeypatch.setattr(
        Activation, "compute_output_shape", lambda *a: calls.append(1) or original(*a)
    )
    load_model(path)
    assert len(calls) < 5 * length


# --- the file ---


def test_any_safetensors_reader_opens_a_file(path: Path):
    x, y = digits_like()
    model = compiled_network()
    model.fit(x, y, verbose=0)
    model.save(path)
    found = safetensors.numpy.load_file(path)
    weights = {name: variable.value for name, variable in model.named_weights().items()}
    assert "inner/conv2d/kernel" in weights
    state = {
        f"optimizer state/{name}/momentum": model.state.slots[name]["momentum"]
        for name, variable in model.named_weights().items()
        if variable.trainable
    }
    assert found.keys() == (weights | state).keys()
    for name, value in (weights | state).items():
        np.testing.assert_array_equal(found[name], value, strict=True)
    with safe_open(path, framework="np") as file:
        assert list(file.metadata()) == ["convlet"]


def test_weights_alone_stand_under_their_paths(path: Path):
    model = compiled_network()
    model.save_weights(path)
    found = safetensors.numpy.load_file(path)
    assert found.keys() == model.named_weights().keys()
    with safe_open(path, framework="np") as file:
        assert file.metadata() is None


def test_the_description_is_json_with_sorted_keys(path: Path):
    compiled_network().save(path)
    with safe_open(path, framework="np") as file:
        text = file.metadata()["convlet"]
    description = json.loads(text)
    assert list(description) == [
        "class_names",
        "compile",
        "format",
        "model",
        "preprocessing",
        "training",
    ]
    assert description["format"] == 1
    assert text == json.dumps(description, sort_keys=True, separators=(",", ":"))


def seeded(make: Callable[[], Sequential]) -> Sequential:
    """Return a model that begins with the same weights each time."""
    set_random_seed(7)
    return make()


@pytest.mark.parametrize("make", [network, compiled_network, own_network])
def test_equal_models_give_equal_files(path: Path, make: Callable[[], Sequential]):
    first, second = seeded(make), seeded(make)
    first.save(path)
    content = path.read_bytes()
    assert saved_again(first, path) == content
    assert saved_again(second, path) == content
    assert saved_again(load_model(path, OWN), path) == content


def test_a_file_does_not_depend_on_the_process(path: Path, monkeypatch: pytest.MonkeyPatch):
    # names of weights and slots are kept in dicts and sets, whose order may differ
    code = """
import sys
import test_model_file as t
model = t.seeded(t.compiled_network)
model.fit(*t.digits_like(), verbose=0)
model.save(sys.argv[1])
"""
    model = seeded(compiled_network)
    model.fit(*digits_like(), verbose=0)
    model.save(path)
    other = path.with_name("other.safetensors")
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    subprocess.run([sys.executable, "-c", code, other], check=True)
    assert other.read_bytes() == path.read_bytes()


def change_weight(model: Sequential) -> None:
    bias = model.layers[-1].bias
    bias.assign(np.nextafter(bias.value, 1))


def change_class_names(model: Sequential) -> None:
    model.class_names = ["a", "b", "c"]


def change_preprocessing(model: Sequential) -> None:
    model.preprocessing = Preprocessing(6, 6, 3, 0, 255)


def change_trainable(model: Sequential) -> None:
    model.layers[0].trainable = False


def change_rate(model: Sequential) -> None:
    model.optimizer.learning_rate = 0.5


def change_state(model: Sequential) -> None:
    model.state.slots = {"dense_1/bias": {"momentum": np.zeros(3, "float32")}}


@pytest.mark.parametrize(
    "change",
    [
        change_weight,
        change_class_names,
        change_preprocessing,
        change_trainable,
        change_rate,
        change_state,
    ],
)
def test_different_models_give_different_files(path: Path, change: Callable[[Sequential], None]):
    model = seeded(compiled_network)
    model.save(path)
    change(model)
    assert saved_again(model, path) != path.read_bytes()


@pytest.mark.parametrize("changes", [{"name": "other"}, {"activation": "linear"}])
def test_differently_built_models_give_different_files(path: Path, changes: dict):
    seeded(network).save(path)
    assert saved_again(seeded(lambda: network(**changes)), path) != path.read_bytes()


# --- what cannot be saved ---


class Undescribed(Scale):
    """A layer whose configuration is no JSON."""

    value: Any = np.float32(1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power": self.value}


class Unlimited(Undescribed):
    """A layer whose configuration holds what JSON does not know."""

    value = float("nan")


class Endless(Undescribed):
    """A layer whose configuration holds itself."""

    value: list = []  # noqa: RUF012
    value.append(value)


def with_layer(layer: Layer) -> Callable[[], Sequential]:
    return lambda: Sequential([Input((2,)), layer])


def with_attribute(name: str, value: Any) -> Callable[[], Sequential]:
    def make() -> Sequential:
        model = network()
        setattr(model, name, value)
        return model

    return make


def with_functions_for_a_loss() -> Sequential:
    model = network()
    model.compile("sgd", losses.CustomLoss(lambda t, y: y[:, 0], lambda t, y: y))
    return model


def with_a_shared_layer() -> Sequential:
    shared = Dense(2, name="shared")
    inner = [Sequential([shared], name=name) for name in ("first", "second")]
    return Sequential([Input((2,)), *inner])


def nested(levels: int) -> Sequential:
    model: Layer = Dense(1)
    for _ in range(levels):
        model = Sequential([model])
    return Sequential([Input((2,)), model])


NOT_JSON = "get_config of every layer, loss and metric must return JSON types and finite numbers: "


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Sequential([Dense(2)]),
            "Sequential 'sequential': there is nothing to save before the input's shape is known; "
            "call build or fit first$",
        ),
        (with_layer(Undescribed()), f"Sequential 'sequential': {NOT_JSON}Object of type float32"),
        (with_layer(Unlimited()), f"{NOT_JSON}Out of range float values"),
        (with_layer(Endless()), f"{NOT_JSON}Circular reference"),
        (with_functions_for_a_loss, "CustomLoss 'custom_loss': functions cannot be written in a f"),
        (
            with_attribute("class_names", "abc"),
            "Sequential 'network': class_names must be a list of strings, got 'abc'$",
        ),
        (
            with_attribute("class_names", [0, 1, 2]),
            r"Sequential 'network': class_names must be a list of strings, got \[0, 1, 2\]$",
        ),
        (
            with_attribute("class_names", ["a", "b"]),
            "Sequential 'network': there are 2 class names for 3 outputs$",
        ),
        (
            with_attribute("preprocessing", {"height": 6}),
            "Sequential 'network': preprocessing must be a Preprocessing or None, got {'height'",
        ),
        (
            with_a_shared_layer,
            "'first/shared/kernel' and 'second/shared/kernel' are one weight, and a file does not "
            "say so; save_weights can write it$",
        ),
        (
            lambda: nested(40),
            "models inside models are nested too deep for a file, more than 100 levels of JSON$",
        ),
    ],
)
def test_what_could_not_be_read_again_is_not_written(
    path: Path, make: Callable[[], Sequential], message: str
):
    path.write_bytes(b"old")
    model = make()
    with pytest.raises(ValueError, match=message):
        model.save(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_weights_are_not_saved_before_there_are_any(path: Path):
    message = "^Sequential 'sequential': there is nothing to save before the input's shape is known"
    with pytest.raises(ValueError, match=message):
        Sequential([Dense(2)]).save_weights(path)
    assert not path.exists()


def test_models_inside_models_are_read_to_a_depth_that_nobody_needs(path: Path):
    model = nested(30)
    model.save(path)
    assert_equal_models(load_model(path), model)


# --- weights alone ---


def values_of(model: Model) -> dict[str, np.ndarray]:
    return {name: variable.value for name, variable in model.named_weights().items()}


@pytest.mark.parametrize("save", ["save", "save_weights"])
def test_weights_are_read_from_files_of_both_kinds(path: Path, save: str):
    model, other = compiled_network(), network()
    model.fit(*digits_like(), verbose=0)
    getattr(model, save)(path)
    other.load_weights(path)
    assert_equal_models(other, model)


@pytest.mark.parametrize("stored", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_are_converted_to_the_model_s_float_type(path: Path, stored: str, dtype: str):
    values = {"dense/kernel": normal(2, 3, dtype=stored), "dense/bias": np.ones(3, stored)}
    safetensors.numpy.save_file(values, path, metadata={"format": "pt"})
    model = Sequential([Input((2,), dtype=dtype), Dense(3, dtype=dtype)])
    model.load_weights(path)
    for name, value in values_of(model).items():
        np.testing.assert_array_equal(value, values[name].astype(dtype), strict=True)


def test_no_number_stays_no_number(path: Path):
    signalling = np.full(3, 0x7FF0000000000001, np.uint64).view(np.float64)
    values = {"dense/kernel": np.zeros((2, 3)), "dense/bias": signalling}
    safetensors.numpy.save_file(values, path)
    model = Sequential([Input((2,)), Dense(3)])
    model.load_weights(path)
    assert np.isnan(model.layers[0].bias.value).all()


def without_the_last(values: dict) -> None:
    values.pop("dense_1/bias")


def with_one_more(values: dict) -> None:
    values["dense_2/bias"] = np.zeros(3, "float32")


def with_another_shape(values: dict) -> None:
    values["dense_1/bias"] = np.zeros((1, 3), "float32")


def with_integers(values: dict) -> None:
    values["dense_1/bias"] = np.zeros(3, "int64")


def with_a_great_number(values: dict) -> None:
    values["dense_1/bias"] = np.array([0, 1e300, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without_the_last,
            "there is no weight 'dense_1/bias'; there are 'dense/bias', 'dense/kernel', "
            "'dense_1/kernel', 'inner/conv2d/bias', 'inner/conv2d/kernel', ...",
        ),
        (with_one_more, "the model has no weights for 'dense_2/bias'"),
        (with_another_shape, "weight 'dense_1/bias' has shape (1, 3), needed is (3,)"),
        (with_integers, "weight 'dense_1/bias' has type int64, needed is a float type"),
        (
            with_a_great_number,
            "weight 'dense_1/bias' holds numbers that are too large for float32",
        ),
    ],
)
def test_all_weights_are_read_or_none(path: Path, change: Callable[[dict], None], message: str):
    model = network()
    before = values_of(model)
    values = {name: np.ones_like(value) for name, value in before.items()}
    change(values)
    safetensors.numpy.save_file(values, path)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        model.load_weights(path)
    assert values_of(model).keys() == before.keys()
    for name, value in values_of(model).items():
        assert value is before[name]


def test_weights_cannot_be_read_before_the_shapes_are_known(path: Path):
    network().save_weights(path)
    message = (
        "^Sequential 'sequential': weights cannot be loaded before the input's shape is known; "
        "call build first$"
    )
    with pytest.raises(ValueError, match=message):
        Sequential([Dense(2)]).load_weights(path)


def test_a_file_of_weights_is_no_model(path: Path):
    network().save_weights(path)
    message = "the file holds no model, perhaps weights alone; see load_weights$"
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: {message}"):
        load_model(path)
