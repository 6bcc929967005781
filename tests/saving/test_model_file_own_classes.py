"""Models with classes of one's own, and what cannot be saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saving_cases import (
    OWN,
    Averaging,
    Distance,
    Scale,
    assert_equal_models,
    network,
    own_network,
    saved_again,
)

from convlet import Sequential, losses
from convlet.layers import (
    Activation,
    Dense,
    Input,
    Layer,
)
from convlet.models import load_model
from numerics import normal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# --- one's own classes ---


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
