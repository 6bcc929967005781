"""What real Keras computed, held against its files as `load_model` reads them."""

import json
import zipfile

import numpy as np
import pytest

from convlet import _native, config, load_model
from networks import SHARED

pytest.importorskip("h5py")

NAMES = [
    "audio",
    "encoder_decoder",
    "inception",
    "lecture_lenet",
    "lenet_20_50_500",
    "mobile",
    "residual",
    "video",
]
GRAPHS = ["encoder_decoder", "inception", "residual"]

pytestmark = pytest.mark.skipif(not (SHARED / "keras").is_dir(), reason="no Keras files here")


def read(name):
    return load_model(SHARED / f"keras/{name}.keras")


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    return request.param, np.load(SHARED / f"keras/{request.param}.npz")


@pytest.fixture(autouse=True, params=["reference", *_native.available_instruction_sets()])
def executor(request):
    """Compute by the reference, and by the C++ core with each of its instruction sets."""
    before = config.executor(), config.instruction_set()
    if request.param == "reference":
        config.set_executor("reference")
    else:
        config.set_executor("native")
        config.set_instruction_set(request.param)
    yield
    config.set_executor(before[0])
    config.set_instruction_set(before[1])


def test_predictions(case):
    name, expected = case
    prediction = read(name).predict(expected["x"], verbose=0)
    np.testing.assert_allclose(prediction, expected["prediction"], rtol=1e-5, atol=1e-6)


def test_three_steps_of_training(case):
    name, expected = case
    model = read(name)
    steps = [model.train_on_batch(expected["x"], expected["y"]) for _ in expected["losses"]]
    np.testing.assert_allclose(steps, expected["losses"], rtol=1e-5)
    prediction = model.predict(expected["x"], verbose=0)
    np.testing.assert_allclose(prediction, expected["prediction_after"], atol=1e-5)


def test_saved_again_it_goes_on_with_the_same_bits(case, tmp_path):
    name, expected = case
    model, path = read(name), tmp_path / "again.keras"
    model.train_on_batch(expected["x"], expected["y"])
    model.save(path)
    again = load_model(path)
    for _ in range(2):
        np.testing.assert_array_equal(
            again.predict(expected["x"], verbose=0), model.predict(expected["x"], verbose=0)
        )
        assert again.train_on_batch(expected["x"], expected["y"]) == model.train_on_batch(
            expected["x"], expected["y"]
        )


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_described_as_keras_describes_it(name):
    """Layers in the same order, and with the same connections."""
    with zipfile.ZipFile(SHARED / f"keras/{name}.keras") as archive:
        described = json.loads(archive.read("config.json"))["config"]
    ours = read(name).get_config()
    assert [entry["name"] for entry in ours["layers"]] == [e["name"] for e in described["layers"]]
    for own, theirs in zip(ours["layers"], described["layers"], strict=True):
        places = [[node["args"] for node in entry["inbound_nodes"]] for entry in (own, theirs)]
        assert places[0] == places[1]
    assert ours["input_layers"] == described["input_layers"]
    assert ours["output_layers"] == described["output_layers"]
