"""Models as ONNX files: checked, run by onnxruntime, and nothing there if that fails."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import networks
from convlet import Model, Sequential, layers
from convlet.engine.operators import OPERATORS
from convlet.layers import Input
from convlet.saving.onnx.translators import TRANSLATORS
from convlet.saving.onnx.writer import LAST

# What no prediction holds: randomness, statistics of a batch, losses; and what is computed once.
NEVER = {
    "batch_normalize",
    "channel_moments",
    "dropout",
    "fold_normalization",
    "gaussian_noise",
    "loss",
    "moving_average",
    "penalty",
    "python",
    "spatial_dropout",
    "stochastic_pool",
    "tie",
}


class Doubling(layers.Layer):
    """A layer of one's own."""

    def call(self, x):
        return 2 * x


def drawn(model):
    """Give a model's weights random values, those of initializers being mostly 0 or 1."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return model


def run(path, *images):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return session.run(None, dict(zip(names, images, strict=True)))


def assert_exported(model, path):
    """Export a model and run the file on five images, where the export's own check takes two."""
    pytest.importorskip("onnxruntime")
    model.export(path)
    generator = np.random.default_rng(2)
    given = model.input_shape if isinstance(model.input_shape, list) else [model.input_shape]
    images = [generator.standard_normal((5, *shape[1:]), np.float32) for shape in given]
    expected = model.predict(images if len(images) > 1 else images[0], verbose=0)
    (computed,) = run(path, *images)
    assert computed.shape == expected.shape
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_every_operator_of_a_prediction_has_a_translator():
    gradients = {rule.operator for operator in OPERATORS.values() for rule in operator.gradients}
    backward = {name for name in OPERATORS if name.endswith("_gradient")} | {"normalization_sums"}
    assert gradients - {None} <= backward | set(TRANSLATORS) | NEVER
    assert set(OPERATORS) - backward == set(TRANSLATORS) | NEVER


@pytest.mark.interop
@pytest.mark.parametrize("name", networks.EXAMPLES)
def test_every_layer(name, tmp_path):
    make, shape = networks.EXAMPLES[name]
    assert_exported(drawn(Sequential([Input(shape), make()])), tmp_path / "x.onnx")


@pytest.mark.interop
@pytest.mark.parametrize("name", networks.MERGING)
def test_every_merging_layer(name, tmp_path):
    assert_exported(drawn(networks.merging_network(name)), tmp_path / "x.onnx")


@pytest.mark.interop
@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
def test_every_activation(activation, tmp_path):
    model = Sequential([Input((3, 4)), layers.Activation(activation)])
    assert_exported(model, tmp_path / "x.onnx")


@pytest.mark.interop
@pytest.mark.parametrize(
    "layer",
    [
        layers.BatchNormalization(),
        layers.BatchNormalization(axis=1),
        layers.LocalResponseNormalization(1),
        layers.Permute((2, 1)),
        layers.UpSampling2D(3, interpolation="bilinear"),
        layers.ZeroPadding2D(4),
        layers.MaxPooling2D(5, 1, "same"),
        layers.Conv2DTranspose(2, 2, 4),
        layers.Conv2DTranspose(2, 3, 2, "same", output_padding=0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_the_examples_do_not_show(layer, tmp_path):
    shape = (3, 2) if isinstance(layer, layers.Permute) else (4, 3, 2)
    assert_exported(drawn(Sequential([Input(shape), layer])), tmp_path / "x.onnx")


@pytest.mark.interop
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_windows(data, tmp_path_factory):
    rank = data.draw(st.integers(1, 3))
    sizes = st.integers(1, 3)
    kind = data.draw(st.sampled_from(["Conv", "ConvTranspose", "MaxPooling", "AveragePooling"]))
    options = {"padding": data.draw(st.sampled_from(["valid", "same"]))}
    options["strides"] = [data.draw(sizes) for _ in range(rank)]
    window = [data.draw(sizes) for _ in range(rank)]
    if kind.startswith("Conv"):
        if max(options["strides"]) == 1:
            options["dilation_rate"] = [data.draw(st.integers(1, 2)) for _ in range(rank)]
        options["groups"] = data.draw(st.sampled_from([1, 2]))
        made = getattr(layers, kind.replace("Conv", f"Conv{rank}D"))(4, window, **options)
    else:
        made = getattr(layers, f"{kind}{rank}D")(window, **options)
    grid = [data.draw(st.integers(5, 7)) for _ in range(rank)]
    assert_exported(Sequential([Input((*grid, 2)), made]), tmp_path_factory.mktemp("x") / "x.onnx")


@pytest.mark.interop
def test_several_inputs_and_outputs_keep_their_names(tmp_path):
    left, right = Input((3, 3, 1), name="left"), Input((4,), name="right")
    near = layers.Conv2D(2, 2, name="near")(left)
    far = layers.Dense(3, name="far")(right)
    model = Model({"a": left, "b": right}, {"a": near, "c": far, "d": right})
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    model.export(tmp_path / "x.onnx")
    graph = onnx.load(tmp_path / "x.onnx").graph
    assert [value.name for value in graph.input] == ["a", "b"]
    assert [value.name for value in graph.output] == ["a_output", "c", "d"]
    dimensions = graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dimensions] == ["batch", 3, 3, 1]


@pytest.mark.interop
def test_equal_models_are_equal_files(tmp_path):
    pytest.importorskip("onnxruntime")
    for name in ("a.onnx", "b.onnx"):
        drawn(networks.graph()).export(tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.interop
def test_a_model_in_float64_is_written_in_float32(tmp_path):
    assert_exported(networks.small_network("float64"), tmp_path / "x.onnx")


# --- what is refused ---


def refused(model, path, words):
    with pytest.raises(ValueError, match=words):
        model.export(path)
    assert list(path.parent.iterdir()) == []


def test_a_file_of_another_name(tmp_path):
    refused(networks.small_network(), tmp_path / "x.pt", "the file's name must end in .onnx")


@pytest.mark.interop
def test_python_layers_open_sizes_and_unknown_shapes(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "x.onnx"
    own = Sequential([Input((2,)), Doubling(name="twice")], name="s")
    refused(own, path, "layer 'twice' cannot be exported, since ONNX knows no Python code")
    sizes = Sequential([Input((None, 2)), layers.Conv1D(1, 1)], name="s")
    words = r"export needs an Input whose sizes are all known, got \(None, 2\)"
    refused(sizes, path, words)
    refused(Sequential([layers.Dense(1)], name="s"), path, "call build or fit first")


@pytest.mark.interop
def test_a_file_that_computes_otherwise_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    model = Sequential([Input((3,)), layers.Softmax()], name="s")
    words = "nothing was written, since onnxruntime computes output 'softmax' otherwise"

    def nothing_done(writer, step):
        writer.put(step.writes[0], step.reads[0], LAST)

    monkeypatch.setitem(TRANSLATORS, "softmax", nothing_done)
    refused(model, tmp_path / "x.onnx", words)


@pytest.mark.interop
def test_a_file_that_onnxruntime_cannot_run_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")

    def in_rank_1(writer, step):
        x = writer.node("LRN", writer.read(step.reads[0], LAST), size=3)
        writer.put(step.writes[0], x, LAST)

    monkeypatch.setitem(TRANSLATORS, "softmax", in_rank_1)
    model = Sequential([Input((3,)), layers.Softmax()], name="s")
    refused(model, tmp_path / "x.onnx", "nothing was written, since onnxruntime cannot run it")


@pytest.mark.interop
def test_more_than_a_file_holds(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("convlet.saving.onnx.export._MOST_BYTES", 100)
    words = "an ONNX file holds at most 2 GB, and the weights take"
    refused(networks.small_network(), tmp_path / "x.onnx", words)


def test_without_the_packages_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"need the package onnx; pip install 'convlet\[onnx\]'"):
        networks.small_network().export(tmp_path / "x.onnx")
