"""What real Keras computed, held against the same networks built here with its weights."""

import io
import json
import zipfile

import numpy as np
import pytest

from convlet import Sequential, _native, config, layers, optimizers
from convlet.models import Functional
from convlet.serialization import snake_case
from networks import SHARED

h5py = pytest.importorskip("h5py")

CHAINS = ["lecture_lenet", "lenet_20_50_500", "audio", "video", "mobile"]
GRAPHS = ["inception", "encoder_decoder"]
ARGUMENTS = {
    "activation",
    "depth_multiplier",
    "dilation_rate",
    "epsilon",
    "filters",
    "groups",
    "interpolation",
    "keepdims",
    "kernel_size",
    "name",
    "max_value",
    "momentum",
    "padding",
    "pool_size",
    "size",
    "strides",
    "target_shape",
    "units",
    "use_bias",
}

pytestmark = pytest.mark.skipif(not (SHARED / "keras").is_dir(), reason="no Keras files here")


def described(name):
    """Return what a Keras file says about its network, and its weights."""
    with zipfile.ZipFile(SHARED / f"keras/{name}.keras") as archive:
        config = json.loads(archive.read("config.json"))["config"]
        return config, h5py.File(io.BytesIO(archive.read("model.weights.h5")))


def known_arguments(entry):
    config = {k: v for k, v in entry["config"].items() if k in ARGUMENTS}
    if entry["class_name"] == "InputLayer":
        config["shape"] = entry["config"]["batch_shape"][1:]
    return config


def chain(config):
    (first, *rest) = config["layers"]
    made = [getattr(layers, entry["class_name"])(**known_arguments(entry)) for entry in rest]
    return Sequential([layers.Input(first["config"]["batch_shape"][1:]), *made])


def graph(config):
    """Return the graph of a configuration whose entries are cut down to what our layers know."""
    entries = [
        {
            "class_name": entry["class_name"],
            "config": known_arguments(entry),
            "name": entry["name"],
            "inbound_nodes": entry["inbound_nodes"],
        }
        for entry in config["layers"]
    ]
    return Functional.from_config({**config, "layers": entries})


def rebuilt(name):
    """Return the network that a Keras file describes, with the file's weights."""
    config, weights = described(name)
    model = chain(config) if name in CHAINS else graph(config)
    counts = {}
    for layer in model.layers:
        # the files number the layers of a class from the first
        of_class = snake_case(type(layer).__name__)
        number = counts[of_class] = counts.get(of_class, -1) + 1
        path = f"{of_class}_{number}" if number else of_class
        variables = weights.get(f"layers/{path}/vars", {})
        layer.set_weights([variables[str(n)][()] for n in range(len(variables))])
    return model


@pytest.fixture(scope="module", params=[*CHAINS, *GRAPHS])
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
    prediction = rebuilt(name).predict(expected["x"], verbose=0)
    np.testing.assert_allclose(prediction, expected["prediction"], rtol=1e-5, atol=1e-6)


def test_three_steps_of_training(case):
    name, expected = case
    model = rebuilt(name)
    model.compile(optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    steps = [model.train_on_batch(expected["x"], expected["y"]) for _ in expected["losses"]]
    np.testing.assert_allclose(steps, expected["losses"], rtol=1e-5)
    prediction = model.predict(expected["x"], verbose=0)
    np.testing.assert_allclose(prediction, expected["prediction_after"], atol=1e-5)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_described_as_keras_describes_it(name):
    """Layers in the same order, and with the same connections."""
    config, _ = described(name)
    ours = graph(config).get_config()
    assert [entry["name"] for entry in ours["layers"]] == [e["name"] for e in config["layers"]]
    for own, theirs in zip(ours["layers"], config["layers"], strict=True):
        assert own["inbound_nodes"] == theirs["inbound_nodes"]
    assert ours["input_layers"] == config["input_layers"]
    assert ours["output_layers"] == config["output_layers"]
