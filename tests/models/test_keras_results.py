"""What real Keras computed, held against the same networks built here with its weights."""

import io
import json
import zipfile

import numpy as np
import pytest

from convlet import Sequential, _native, config, layers, optimizers
from networks import SHARED

h5py = pytest.importorskip("h5py")

FILES = ["lecture_lenet", "lenet_20_50_500", "audio", "video"]
ARGUMENTS = {
    "activation",
    "dilation_rate",
    "filters",
    "groups",
    "keepdims",
    "kernel_size",
    "padding",
    "pool_size",
    "strides",
    "units",
    "use_bias",
}

pytestmark = pytest.mark.skipif(not (SHARED / "keras").is_dir(), reason="no Keras files here")


def rebuilt(name):
    """Return the network that a Keras file describes, with the file's weights."""
    with zipfile.ZipFile(SHARED / f"keras/{name}.keras") as archive:
        entries = json.loads(archive.read("config.json"))["config"]["layers"]
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    first, *rest = entries
    model = Sequential([layers.Input(first["config"]["batch_shape"][1:])])
    for entry in rest:
        config = {k: v for k, v in entry["config"].items() if k in ARGUMENTS}
        model.add(getattr(layers, entry["class_name"])(**config))
    for layer in model.layers:
        # Keras's files number the layers of a class from the first, as our default names do
        variables = weights[f"layers/{layer.name}/vars"]
        layer.set_weights([variables[str(n)][()] for n in range(len(variables))])
    return model


@pytest.fixture(scope="module", params=FILES)
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
