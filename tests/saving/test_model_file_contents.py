"""What a model file holds, byte for byte, and files of weights alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open
from saving_cases import (
    OWN,
    assert_equal_models,
    compiled_network,
    digits_like,
    network,
    own_network,
    saved_again,
)

from convlet import Sequential
from convlet.layers import (
    Dense,
    Input,
)
from convlet.models import Model, load_model
from convlet.preprocessing import Preprocessing
from convlet.random import set_random_seed
from numerics import normal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


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
import test_model_file_contents as t
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
