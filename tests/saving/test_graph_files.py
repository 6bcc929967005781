"""Graphs as files: shared layers, models inside, several outputs, and what is refused."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saving_cases import assert_equal_models, saved_again

from convlet import Model, Sequential, load_model, optimizers
from convlet.layers import Add, Concatenate, Dense, Dropout, Flatten, Input
from convlet.models import Functional
from networks import MERGING, graph, merging_network
from numerics import normal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def two_outputs() -> Model:
    """Return a compiled model with a shared layer, a model inside, and two weighted losses."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(3, activation="tanh", name="shared")
    inner = Sequential([Dropout(0.5), Dense(3)], name="inner")
    x = Concatenate()([shared(a), inner(shared(b), training=False)])
    aux = Dense(1)(Add()([shared(a), Dense(3)(x)]))
    model = Model([a, b], {"main": Dense(2, activation="softmax")(x), "aux": aux})
    model.compile(
        optimizers.SGD(0.1, momentum=0.9),
        {"main": "sparse_categorical_crossentropy", "aux": "mse"},
        metrics={"main": ["accuracy"]},
        weighted_metrics={"aux": "mae"},
        loss_weights={"aux": 0.3},
    )
    return model


def data() -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    x = [normal(8, 4, dtype="float32"), normal(8, 4, seed=1, dtype="float32")]
    return x, {"main": np.arange(8) % 2, "aux": normal(8, 1, seed=2)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(MERGING))
def test_every_merging_layer_is_read_as_it_was_written(path: Path, name: str, dtype: str):
    model = merging_network(name, dtype)
    model.save(path)
    read = load_model(path)
    assert_equal_models(read, model)
    assert saved_again(read, path) == path.read_bytes()


def test_training_goes_on_where_it_was_saved(path: Path):
    model = two_outputs()
    model.fit(*data(), epochs=2, verbose=0)
    model.save(path)
    read = load_model(path)
    assert type(read) is Functional
    assert read.metrics_names == ["loss", "aux_loss", "main_loss", "aux_mae", "main_accuracy"]
    assert read.compilation.loss_weights == [0.3, 1.0]
    assert read.get_compile_config() == model.get_compile_config()
    assert saved_again(read, path) == path.read_bytes()
    for again in (model, read):
        again.fit(*data(), epochs=2, verbose=0)
    for own, theirs in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(own, theirs)


def test_a_shared_layer_is_one_layer_when_it_is_read(path: Path):
    model = two_outputs()
    model.save(path)
    read = load_model(path)
    assert len(read.weights) == len(model.weights)
    x, _ = data()
    expected = model.predict(x, verbose=0)
    for name, array in read.predict(x, verbose=0).items():
        np.testing.assert_array_equal(array, expected[name])
    node = read.get_layer("inner").inbound_nodes[0]
    assert node.training is False


def test_graphs_inside_chains_and_chains_inside_graphs(path: Path):
    inner = graph(name="graph")
    given = Input((4, 4, 2))
    outer = Model(given, Sequential([Flatten(), Dense(2)], name="chain")(inner(given)))
    for model in (Sequential([Input((4, 4, 2)), inner, Flatten()]), outer):
        model.save(path)
        assert_equal_models(load_model(path), model)
    assert "graph/inner/dense/kernel" in outer.named_weights()


def test_a_layer_in_two_models_would_be_read_as_two(path: Path):
    base = graph(name="base")
    part = Model(base.input, base.get_layer("conv2d").output, name="part")
    given = Input((4, 4, 2))
    both = Model(given, Concatenate()([base(given), part(given)]))
    assert len(both.weights) == len(base.weights)
    with pytest.raises(ValueError, match="are one weight, and a file does not say so"):
        both.save(path)


def test_class_names_must_go_with_each_output_of_several(path: Path):
    x = Input((3,))
    model = Model(x, [Dense(2)(x), Dense(2)(x), Dense(1)(x)])
    model.class_names = ["a", "b"]
    model.save(path)
    assert load_model(path).class_names == ["a", "b"]
    model.class_names = ["a", "b", "c"]
    with pytest.raises(ValueError, match="there are 3 class names for 2 outputs"):
        model.save(path)


def test_the_configuration_has_keras_s_form():
    """As Keras 3.15 writes this graph, but for what a layer's own configuration holds."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(3, name="d")
    config = Model([a, b], {"sum": Add(name="s")([shared(a), shared(b)])}, name="m").get_config()

    def tensor(shape: list[int | None], *place: Any) -> dict[str, Any]:
        config = {"shape": shape, "dtype": "float32", "keras_history": list(place)}
        return {"class_name": "__keras_tensor__", "config": config}

    def call(argument: Any) -> dict[str, Any]:
        return {"args": [argument], "kwargs": {}}

    nodes = {entry["name"]: entry["inbound_nodes"] for entry in config["layers"]}
    assert nodes == {
        "a": [],
        "b": [],
        "d": [call(tensor([None, 4], "a", 0, 0)), call(tensor([None, 4], "b", 0, 0))],
        "s": [call([tensor([None, 3], "d", 0, 0), tensor([None, 3], "d", 1, 0)])],
    }
    assert (config["name"], config["trainable"]) == ("m", True)
    assert config["input_layers"] == [["a", 0, 0], ["b", 0, 0]]
    assert config["output_layers"] == {"sum": ["s", 0, 0]}


# --- what is refused ---


def small_config() -> dict[str, Any]:
    x = Input((4,), name="x")
    y = Dense(4, name="one")(x)
    return copy.deepcopy(Model(x, Dense(4, name="two")(y)).get_config())


def place_of(config: dict[str, Any], layer: int, value: Any) -> None:
    """Let a layer read another tensor."""
    node = config["layers"][layer]["inbound_nodes"][0]
    node["args"][0]["config"]["keras_history"] = value


DAMAGES = [
    (lambda c: place_of(c, 1, ["two", 0, 0]), "the layers go round in a circle through 'one'"),
    (lambda c: place_of(c, 1, ["one", 0, 0]), "the layers go round in a circle through 'one'"),
    (lambda c: place_of(c, 1, ["z", 0, 0]), "'one' reads call 0 of 'z', which is not there"),
    (lambda c: place_of(c, 2, ["one", 0, 1]), "there is no output 1 of call 0 of 'one'"),
    (
        lambda c: place_of(c, 2, ["one", -1, 0]),
        "a tensor's place must be [name, call, output], got ['one', -1, 0]",
    ),
    (lambda c: c.update(layers={}), "the config's layers must be a list, got {}"),
    (
        lambda c: c.update(output_layers=["q", 0, 0]),
        "there is no output 0 of call 0 of 'q'",
    ),
    (
        lambda c: c.update(output_layers=7),
        "input_layers and output_layers must be places, got 7",
    ),
    (
        lambda c: c["layers"].append(c["layers"][1]),
        "there are two layers named 'one'",
    ),
    (lambda c: c["layers"][1].update(name="1"), "the entry of Dense 'one' is damaged"),
    (
        lambda c: c["layers"][1]["inbound_nodes"][0].update(kwargs={"mask": 1}),
        "Dense 'one' is called with 'mask', which is not known",
    ),
    (
        lambda c: c["layers"][1]["inbound_nodes"][0].update(args=[[]]),
        "an inbound node of Dense 'one' is damaged",
    ),
    (
        lambda c: c["layers"][0].update(inbound_nodes=c["layers"][1]["inbound_nodes"]),
        "InputLayer 'x' cannot be called",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_configuration(damage: Any, message: str):
    config = small_config()
    Functional.from_config(copy.deepcopy(config))
    damage(config)
    with pytest.raises(ValueError, match=f"^Functional: {re.escape(message)}$"):
        Functional.from_config(config)


def test_keras_s_empty_arguments_are_no_damage():
    config = small_config()
    config["layers"][1]["inbound_nodes"][0]["kwargs"] = {"mask": None, "training": False}
    assert Functional.from_config(config).get_layer("one").inbound_nodes[0].training is False
