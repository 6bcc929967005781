"""`.keras` files: every layer that Keras has, read as it was written; what Keras has not is named.

What real Keras makes of these files is in `tests/interop`, and what it wrote itself in
`tests/models/test_keras_results.py`.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saving_cases import Averaging, Distance, Largest, Scale, assert_equal_models

from convlet import Model, Sequential, initializers, layers, load_model, losses, metrics, optimizers
from convlet.layers import Conv2D, Conv2DTranspose, Dense, Dropout, Flatten, Input
from convlet.preprocessing import Preprocessing
from convlet.saving.keras_classes import LAYERS
from convlet.saving.keras_config import ModelReader, described
from networks import EXAMPLES, MERGING, merging_network

h5py = pytest.importorskip("h5py")

MODELS = {"Sequential", "Functional"}
UNKNOWN = sorted({*EXAMPLES} - {*LAYERS} - MODELS)
KNOWN = sorted({*EXAMPLES} - {*UNKNOWN, "Conv3DTranspose"})  # the example of the last has groups


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.keras"


def example(name: str, dtype: str = "float32") -> Model:
    make, shape = EXAMPLES[name]
    return Sequential([Input(shape, dtype=dtype), make(dtype=dtype)])


def assert_same_file(model: Any, path: Path) -> Any:
    """Save a model, read it, and hold the two and their files against each other."""
    model.save(path)
    read = load_model(path)
    content = path.read_bytes()
    read.save(path)
    assert path.read_bytes() == content
    for old, new in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
        assert old.dtype == new.dtype
    return read


# --- what Keras has ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", KNOWN)
def test_every_layer_is_read_as_it_was_written(path: Path, name: str, dtype: str):
    model = example(name, dtype)
    assert_equal_models(assert_same_file(model, path), model)


@pytest.mark.parametrize("name", MERGING)
def test_every_merging_layer_is_read_as_it_was_written(path: Path, name: str):
    model = merging_network(name)
    assert_equal_models(assert_same_file(model, path), model)


def test_every_layer_of_keras_s_has_an_example():
    assert set(LAYERS) == {*KNOWN, *MERGING, "InputLayer", "Conv3DTranspose"} - MODELS


@pytest.mark.parametrize(
    "initializer",
    [
        "tanh_uniform",
        "sigmoid_uniform",
        "lecun_normal",
        "identity",
        initializers.Constant(2.0),
        initializers.Orthogonal(2.0),
    ],
)
def test_initializers_that_keras_calls_otherwise_draw_the_same(path: Path, initializer: Any):
    model = Sequential([Input((3,)), Dense(4, kernel_initializer=initializer)])
    (read,) = assert_same_file(model, path).layers
    ours = initializers.get(initializer)
    drawn = (init((30, 40), "float32", 5) for init in (ours, read.kernel_initializer))
    np.testing.assert_array_equal(*drawn)


def trained_graph() -> Model:
    """Return a graph with a shared layer and models inside models, which has made two steps."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(4, activation="tanh", name="shared")
    inner = Sequential([Dense(3), Sequential([Dropout(0.5), Dense(4)], name="innermost")])
    x = layers.Add()([shared(a), shared(inner(b)), a])
    y = layers.BatchNormalization(momentum=0.5)(layers.Dense(4)(x))
    model = Model([a, b], {"main": Dense(2, activation="softmax")(y), "aux": Dense(1)(x)})
    model.get_layer("shared").trainable = False
    model.compile(
        optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        {"main": losses.SparseCategoricalCrossentropy(), "aux": None},
        metrics={"main": ["accuracy", metrics.SparseTopKCategoricalAccuracy(1, name="top")]},
        weighted_metrics={"main": "ce"},
    )
    for _ in range(2):
        model.train_on_batch(*data())
    return model


def data() -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    x = [rng.normal(size=(6, 4)).astype("float32") for _ in range(2)]
    return x, {"main": np.arange(6) % 2, "aux": np.zeros((6, 1))}


def test_training_goes_on_where_it_was_saved(path: Path):
    model = trained_graph()
    read = assert_same_file(model, path)
    assert read.state.iterations == 2
    for _ in range(3):
        assert read.train_on_batch(*data()) == model.train_on_batch(*data())
    for old, new in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_learning_rate_keeps_all_its_digits(path: Path):
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    assert assert_same_file(model, path).optimizer.learning_rate == 0.1
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = members["config.json"].replace(
        b'"learning_rate":0.1', b'"learning_rate":0.5'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    # Keras, too, goes by the optimizer's variable: a callback may have changed it
    assert load_model(path).optimizer.learning_rate == pytest.approx(0.1, abs=1e-8)


def test_a_model_may_be_left_uncompiled(path: Path):
    trained_graph().save(path)
    read = load_model(path, compile=False)
    assert not read.compiled
    assert not assert_same_file(read, path).compiled


def test_class_names_and_preprocessing_come_along(path: Path):
    model = Sequential([Input((6, 6, 1)), Flatten(), Dense(3)])
    model.class_names, model.preprocessing = ["a", "b", "c"], Preprocessing(6, 6, 1, 0, 16)
    read = assert_same_file(model, path)
    assert read.class_names == model.class_names
    assert read.preprocessing == model.preprocessing


def test_the_layout_is_keras_s(path: Path):
    trained_graph().save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        config = json.loads(archive.read("config.json"))
        with archive.open("model.weights.h5") as stream, h5py.File(stream) as file:
            names: list[str] = []
            file.visit(names.append)
    assert (config["module"], config["class_name"]) == ("keras.src.models.functional", "Functional")
    assert "layers/dense_1/vars/1" in names
    assert "layers/sequential/layers/sequential/layers/dense/vars/0" in names
    assert "layers/batch_normalization/vars/3" in names
    # steps and learning rate; inner 4, dense 2, normalization 2, main 2, aux 2, none of the frozen
    velocities = [name for name in names if name.startswith("optimizer/vars/")]
    assert len(velocities) == 2 + 12


def test_a_layer_takes_its_number_from_its_class(path: Path):
    """In the weights file, whatever the layers' names are."""
    model = Sequential(
        [Input((2,)), Dense(3, name="z"), Dense(4, name="a"), Dense(5, name="dense")]
    )
    model.save(path)
    with zipfile.ZipFile(path).open("model.weights.h5") as stream, h5py.File(stream) as file:
        shapes = {name: file[f"layers/{name}/vars/0"].shape for name in file["layers"]}
    assert shapes == {"dense": (2, 3), "dense_1": (3, 4), "dense_2": (4, 5)}


# --- what Keras writes besides ---


def read_config(change: Any) -> Any:
    """Return what our reader makes of a convolution's description that has been changed."""
    model = Sequential([Input((4, 4, 1)), Conv2D(2, 3, activation="relu"), Dropout(0.5)])
    config = described(model)
    change(config["config"]["layers"])
    return layers.registry.get(ModelReader().read(config)).layers


def test_neutral_arguments_may_be_there_or_not():
    def change(entries: list[Any]) -> None:
        conv = entries[1]["config"]
        for key in ("kernel_regularizer", "bias_constraint", "data_format"):
            del conv[key]
        conv["kernel_initializer"]["config"].update(input_axes=None, output_axes=None)
        entries[0]["config"]["sparse"] = False
        entries[2]["shared_object_id"] = 5

    conv, dropout = read_config(change)
    assert isinstance(conv, Conv2D)
    assert isinstance(dropout, Dropout)


def test_the_size_of_the_first_batch_and_numpy_s_arrays_are_read():
    model = Sequential([Input((4, 2)), layers.Rescaling([1.0, 2.0])])
    config = described(model)
    entries = config["config"]["layers"]
    entries[0]["config"]["batch_shape"] = [8, 4, 2]
    scale = {"class_name": "__numpy__", "config": {"value": [3.0, 4.0], "dtype": "float64"}}
    entries[1]["config"]["scale"] = scale
    read = layers.registry.get(ModelReader().read(config))
    assert read.input_shape == (None, 4, 2)
    assert read.layers[0].scale == [3.0, 4.0]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data_format", "channels_first", "Conv2D: data_format is not supported, got 'channels_f"),
        ("activity_regularizer", {}, "a regularizer must be a dict of class_name and config, got"),
        ("kernel_constraint", 0, "Conv2D: kernel_constraint is not supported, got 0"),
    ],
)
def test_arguments_that_ask_for_something_are_refused(key: str, value: object, message: str):
    with pytest.raises(ValueError, match=f"^{message}"):
        read_config(lambda entries: entries[1]["config"].update({key: value}))


# --- what Keras has not ---


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_layer_that_keras_has_not_is_named(path: Path, name: str):
    message = f": Keras has no layer {name}; a .safetensors file can hold the model$"
    with pytest.raises(ValueError, match=message):
        example(name).save(path)
    assert not path.exists()


def refusal(model: Model, path: Path) -> str:
    with pytest.raises(ValueError, match="Keras has no ") as raised:
        model.save(path)
    assert not path.exists()
    return str(raised.value)


def test_arguments_that_keras_has_not_are_named(path: Path):
    model = Sequential([Input((4, 4, 2)), Conv2DTranspose(2, 3, groups=2)])
    assert refusal(model, path) == (
        "Conv2DTranspose 'conv2d_transpose': Keras has no Conv2DTranspose with groups=2; "
        "a .safetensors file can hold the model"
    )


def test_how_we_compute_is_not_written(path: Path):
    model = Sequential([Input((4, 4, 2)), Conv2D(2, 3, algorithm="fft")])
    model.save(path)
    assert b"fft" not in zipfile.ZipFile(path).read("config.json")


def test_training_for_a_single_call_is_refused(path: Path):
    """Keras overrides it in `fit`, so the model would be another one there."""
    given = Input((3,))
    model = Model(given, Dropout(0.5)(given, training=False))
    assert refusal(model, path).startswith("Dropout 'dropout': Keras has no training for a single ")


def test_one_s_own_classes_are_named(path: Path):
    def model(*extra: Any) -> Sequential:
        return Sequential([Input((3,)), Dense(2), *extra])

    assert "Keras has no layer Scale;" in refusal(model(Scale()), path)
    compiled = model()
    for arguments, what in (
        (("sgd", Distance(1.0)), "loss Distance"),
        (("sgd", "mse", [Largest()]), "metric Largest"),
        ((Averaging(0.1), "mse"), "optimizer Averaging"),
    ):
        compiled.compile(*arguments)
        assert f"Keras has no {what};" in refusal(compiled, path)


def test_a_class_of_one_s_own_that_has_keras_s_name_is_named(path: Path):
    own = type("Dense", (Dense,), {})
    assert "Keras has no layer Dense;" in refusal(Sequential([Input((3,)), own(2)]), path)


def test_a_weight_in_two_places_is_refused(path: Path):
    shared = Dense(2)
    given = Input((2,))
    model = Model(given, Sequential([shared], name="inner")(shared(given)))
    with pytest.raises(ValueError, match="are one weight, and a file does not say so"):
        model.save(path)


# --- weights alone ---


@pytest.mark.parametrize("suffix", [".npz", ".weights.h5", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_are_read_as_they_were_written(tmp_path: Path, suffix: str, dtype: str):
    path = tmp_path / f"model{suffix}"
    model, other = example("Functional", dtype), example("Functional", dtype)
    model.save_weights(path)
    content = path.read_bytes()
    other.load_weights(path)
    for old, new in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    other.save_weights(path)
    assert path.read_bytes() == content


def test_an_npz_file_has_the_weights_by_their_paths(tmp_path: Path):
    model = example("Sequential")
    model.save_weights(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        assert set(file) == {"sequential/conv2d/kernel", "sequential/conv2d/bias"}
        np.testing.assert_array_equal(file["sequential/conv2d/kernel"], model.get_weights()[0])


def test_an_npz_file_of_numpy_s_own_is_read(tmp_path: Path):
    model = Sequential([Input((3,)), Dense(2)])
    arrays = {"dense/kernel": np.ones((3, 2)), "dense/bias": np.arange(2.0)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "model.npz", **arrays)
        model.load_weights(tmp_path / "model.npz")
        np.testing.assert_array_equal(model.get_weights()[1], [0, 1])


NPZ: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"dense/kernel": np.ones((3, 2))}, "there is no weight 'dense/bias'"),
    "more": (
        {"dense/kernel": np.ones((3, 2)), "dense/bias": np.ones(2), "x": np.ones(1)},
        "the model has no weights for 'x'",
    ),
    "a shape": (
        {"dense/kernel": np.ones((2, 3)), "dense/bias": np.ones(2)},
        r"weight 'dense/kernel' has shape \(2, 3\), needed is \(3, 2\)",
    ),
    "integers": (
        {"dense/kernel": np.ones((3, 2), int), "dense/bias": np.ones(2)},
        "weight 'dense/kernel' has type int64, needed is a float type",
    ),
    "too many": (
        {"dense/kernel": np.ones((3, 2)), "dense/bias": np.ones(10**5)},
        "'dense/bias.npy' has 800128 bytes, and 65562 are the most that it may need",
    ),
    "a pickle": (
        {"dense/kernel": np.array([[print] * 2] * 3), "dense/bias": np.ones(2)},
        "array 'dense/kernel': the array must hold numbers or booleans, got dtype object",
    ),
}


@pytest.mark.parametrize("name", NPZ)
def test_an_npz_file_must_be_that_of_the_weights(tmp_path: Path, name: str):
    arrays, message = NPZ[name]
    np.savez(tmp_path / "model.npz", **arrays)
    model = Sequential([Input((3,)), Dense(2)])
    with pytest.raises(ValueError, match=f"model.npz: {message}"):
        model.load_weights(tmp_path / "model.npz")


def test_the_weights_of_a_keras_file_are_read_alone(path: Path):
    model, other = example("Functional"), example("Functional")
    model.save(path)
    other.load_weights(path)
    for old, new in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
