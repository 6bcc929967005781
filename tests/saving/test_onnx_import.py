"""ONNX files as models: what PyTorch wrote, and each operator beside `onnx`'s own evaluator."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx_cases import assert_read, images, kinds, node, onnxruntime_computes, write

import networks
from convlet import Sequential, config, layers
from convlet.layers import Input
from convlet.models import load_model
from networks import SHARED

FILES = ["audio", "lenet", "residual", "unet", "video"]


@pytest.fixture(params=["reference", "native"])
def executor(request):
    before = config.executor()
    config.set_executor(request.param)
    yield
    config.set_executor(before)


# --- what PyTorch wrote ---


@pytest.mark.skipif(not (SHARED / "onnx").is_dir(), reason="no ONNX files here")
@pytest.mark.usefixtures("executor")
class TestPyTorch:
    @pytest.mark.parametrize("name", FILES)
    def test_predictions(self, name):
        known = np.load(SHARED / f"onnx/{name}.npz")
        model = load_model(SHARED / f"onnx/{name}.onnx")
        predicted = model.predict(np.moveaxis(known["x"], 1, -1), verbose=0)
        expected = np.moveaxis(known["y"], 1, -1)
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6 * np.abs(expected).max())

    @pytest.mark.parametrize("name", FILES)
    def test_training_goes_on(self, name):
        known = np.load(SHARED / f"onnx/{name}.npz")
        model = load_model(SHARED / f"onnx/{name}.onnx")
        x, y = np.moveaxis(known["x"], 1, -1), np.moveaxis(known["y"], 1, -1)
        model.compile("sgd", "mse")
        others = y[::-1] + 0.1 * images(y.shape)
        losses = model.fit(x, others, epochs=3, verbose=0).history["loss"]
        assert losses[0] == pytest.approx(np.mean((y - others) ** 2), rel=1e-4)
        assert losses[2] < losses[1] < losses[0]

    def test_no_number_moves_at_run_time(self):
        model = load_model(SHARED / "onnx/lenet.onnx")
        assert "take" not in {i.operator for i in model.program("predict", (28, 28, 1)).forward}


# --- windows ---


def random_window(data, operators):
    """Return a random convolution or pooling: its node, an image's shape, its weights."""
    rank, small = data.draw(st.integers(1, 3)), st.integers(1, 3)

    def numbers(strategy):
        return [data.draw(strategy) for _ in range(rank)]

    kind, window, strides = data.draw(st.sampled_from(operators)), numbers(small), numbers(small)
    pads = numbers(st.integers(0, 2)) + numbers(st.integers(0, 2))
    options = {"kernel_shape": window, "strides": strides, "pads": pads}
    grid = numbers(st.integers(6, 8))
    if not kind.startswith("Conv"):
        assume(all(pad < taps for pad, taps in zip(pads, window * 2, strict=True)))
        choice = {"MaxPool": "ceil_mode", "AveragePool": "count_include_pad"}[kind]
        least = int(kind == "AveragePool" and any(pads))
        options[choice] = data.draw(st.integers(least, 1))
        return node(kind, ["x"], **options), (4, *grid), {}
    groups = data.draw(st.sampled_from([1, 2]))
    if kind == "Conv" or max(strides) == 1:
        options["dilations"] = numbers(st.integers(1, 2))
    shape = (6, 4 // groups, *window) if kind == "Conv" else (4, 3, *window)
    bias = 6 if kind == "Conv" else 3 * groups
    constants = {"w": images(shape, 1), "b": images((bias,), 2)}
    return node(kind, ["x", "w", "b"], group=groups, **options), (4, *grid), constants


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_convolutions(data, tmp_path_factory):
    window, shape, constants = random_window(data, ["Conv"])
    assert_read(tmp_path_factory.mktemp("x") / "x.onnx", [window], shape, constants)


@pytest.mark.interop
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_windows_beside_onnxruntime(data, tmp_path_factory):
    """The evaluator fails for poolings that are padded, and knows 2-D transposed ones alone."""
    pytest.importorskip("onnxruntime")
    operators = ["Conv", "ConvTranspose", "MaxPool", "AveragePool"]
    window, shape, constants = random_window(data, operators)
    path = tmp_path_factory.mktemp("x") / "x.onnx"
    assert_read(path, [window], shape, constants, judge=onnxruntime_computes)


@pytest.mark.parametrize(
    ("operator", "options", "layer"),
    [
        ("MaxPool", {"pads": [1, 1, 1, 1]}, ["MaxPooling2D"]),
        ("MaxPool", {"pads": [0, 0, 1, 1], "strides": [2, 2]}, ["MaxPooling2D"]),
        ("MaxPool", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, ["MaxPooling2D"]),
        ("AveragePool", {"pads": [1, 1, 1, 1]}, ["AveragePooling2D"]),
        (
            "AveragePool",
            {"pads": [1, 1, 1, 1], "count_include_pad": 1},
            ["ZeroPadding2D", "AveragePooling2D"],
        ),
    ],
)
def test_padding_that_a_layer_knows(operator, options, layer, tmp_path):
    pool = node(operator, ["x"], kernel_shape=[3, 3], **options)
    assert kinds(assert_read(tmp_path / "x.onnx", [pool], (2, 6, 6))) == layer


def test_a_maximum_behind_relu_is_padded_with_zeros(tmp_path):
    pool = node("MaxPool", ["r"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    model = assert_read(tmp_path / "x.onnx", [node("Relu", ["x"], "r"), pool], (2, 6, 6))
    assert kinds(model) == ["Activation", "ZeroPadding2D", "MaxPooling2D"]


# --- one operator each ---

SINGLE = {
    "Abs of nothing: Identity": [node("Identity", ["x"])],
    "Clip": [node("Clip", ["x", "zero", "one"])],
    "Clip to 6": [node("Clip", ["x", "zero", "six"])],
    "Concat": [node("Relu", ["x"], "r"), node("Concat", ["x", "r"], axis=-3)],
    "Concat of rows": [node("Concat", ["x", "x"], axis=2)],
    "Div": [node("Div", ["x", "six"])],
    "Dropout": [node("Dropout", ["x", "half"])],
    "Elu": [node("Elu", ["x"], alpha=0.5)],
    "Exp": [node("Exp", ["x"])],
    "Gelu": [node("Gelu", ["x"])],
    "GlobalAveragePool": [node("GlobalAveragePool", ["x"])],
    "GlobalMaxPool": [node("GlobalMaxPool", ["x"])],
    "HardSigmoid": [node("HardSigmoid", ["x"], alpha=1 / 6)],
    "LRN": [node("LRN", ["x"], size=3, alpha=0.3, beta=0.6, bias=1.5)],
    "LeakyRelu": [node("LeakyRelu", ["x"])],
    "Max": [node("Relu", ["x"], "r"), node("Max", ["x", "r", "x"])],
    "Mean": [node("Relu", ["x"], "r"), node("Mean", ["x", "r"])],
    "Mish": [node("Mish", ["x"])],
    "PRelu": [node("PRelu", ["x", "slopes"])],
    "Pad": [node("Pad", ["x", "pads"])],
    "Pad along named axes": [node("Pad", ["x", "pair", "", "rows"])],
    "ReduceMax of rows": [node("ReduceMax", ["x", "rows"])],
    "ReduceMean of the grid": [node("ReduceMean", ["x", "grid"], keepdims=0)],
    "Resize": [node("Resize", ["x", "", "scales"], mode="nearest")],
    "Resize to sizes": [node("Resize", ["x", "", "", "sizes"], mode="nearest")],
    "Selu": [node("Selu", ["x"])],
    "Sigmoid": [node("Sigmoid", ["x"])],
    "Slice": [node("Slice", ["x", "one_1", "minus_1", "rows"])],
    "Softmax": [node("Softmax", ["x"], axis=1)],
    "Softmax over columns": [node("LogSoftmax", ["x"])],
    "Softplus": [node("Softplus", ["x"])],
    "Softsign": [node("Softsign", ["x"])],
    "Sub": [node("Sub", ["six", "x"], "z"), node("Sub", ["z", "per_channel"])],
    "Sub of images": [node("Tanh", ["x"], "r"), node("Sub", ["r", "x"])],
    "Mul and Add": [node("Mul", ["x", "per_channel"], "z"), node("Add", ["z", "six"])],
    "Mul by a gate": [node("GlobalAveragePool", ["x"], "gate"), node("Mul", ["x", "gate"])],
    "Squeeze and back": [node("Unsqueeze", ["x", "two"], "z"), node("Squeeze", ["z", "two"])],
    "Transpose": [node("Transpose", ["x"], perm=[0, 1, 3, 2])],
    "Reshape of the grid": [node("Reshape", ["x", "rows_together"])],
    "Reshape through everything": [node("Reshape", ["x", "otherwise"])],
    "BatchNormalization": [node("BatchNormalization", ["x", "g", "b", "m", "v"], epsilon=0.1)],
}
CONSTANTS = {
    **{"zero": np.float32(0), "one": np.float32(1), "six": np.float32(6), "half": np.float32(0.5)},
    "pads": [0, 0, 1, 2, 0, 0, 0, 1],
    "pair": [2, 1],
    "rows": [2],
    "two": [2],
    "grid": [-1, 2],
    "scales": np.float32([1, 1, 2, 3]),
    "sizes": [3, 3, 8, 10],
    "one_1": [1],
    "minus_1": [-1],
    "slopes": images((3, 1, 1), 3),
    "per_channel": images((3, 1, 1), 4),
    "rows_together": [0, 3, -1],
    "otherwise": [-1, 10, 3, 2],
    **{name: images((3,), seed) for seed, name in enumerate("gbm")},
    "v": np.abs(images((3,), 9)),
}


@pytest.mark.parametrize("name", SINGLE)
def test_an_operator(name, tmp_path):
    read = {constant for one in SINGLE[name] for constant in one.input}
    constants = {key: value for key, value in CONSTANTS.items() if key in read}
    assert_read(tmp_path / "x.onnx", SINGLE[name], (3, 4, 5), constants)


# --- layouts ---


def flattened(*behind):
    return [node("Conv", ["x", "w"], "c"), node("Flatten", ["c"], "f"), *behind]


WEIGHTS = {"w": images((4, 2, 3, 3), 1), "k": images((24, 5), 2), "b": images((5,), 3)}


@pytest.mark.parametrize(
    "nodes",
    [
        flattened(node("Gemm", ["f", "k", "b"], alpha=0.5, beta=2.0)),
        flattened(node("MatMul", ["f", "k"], "p"), node("Add", ["b", "p"])),
        flattened(node("Relu", ["f"], "r"), node("Mul", ["r", "n"], "m"), node("Gemm", ["m", "k"])),
        flattened(
            node("BatchNormalization", ["f", "n", "n", "n", "v"], "m"), node("Gemm", ["m", "k"])
        ),
    ],
    ids=["gemm", "matmul", "number by number", "normalization"],
)
def test_a_flattened_image_puts_the_kernel_behind_it_into_our_order(nodes, tmp_path):
    """The numbers of an image stand in another order here, and none is moved at run time."""
    read = {name for one in nodes for name in one.input}
    constants = {"n": images((24,), 5), "v": np.abs(images((24,), 6)), **WEIGHTS}
    constants = {name: constants[name] for name in constants if name in read}
    model = assert_read(tmp_path / "x.onnx", nodes, (2, 4, 5), constants)
    assert "Permute" not in kinds(model)
    assert kinds(model)[-1] == "Dense"


@pytest.mark.parametrize("last", ["Identity", "Softmax", "Flatten"])
def test_a_flattened_image_that_comes_out_stands_in_the_file_s_order(last, tmp_path):
    assert_read(tmp_path / "x.onnx", flattened(node(last, ["f"])), (2, 4, 5), {"w": WEIGHTS["w"]})


def test_a_shape_that_is_computed(tmp_path):
    """Older exports work the flattened shape out of the image's own."""
    nodes = [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "zero"], "n"),
        node("Unsqueeze", ["n", "zero_1"], "n1"),
        node("Concat", ["n1", "rest"], "t", axis=0),
        node("Reshape", ["x", "t"]),
    ]
    constants = {"zero": np.int64(0), "zero_1": [0], "rest": [-1]}
    assert kinds(assert_read(tmp_path / "x.onnx", nodes, (1, 4, 5), constants)) == ["Flatten"]


def test_a_bias_that_stands_in_a_node_of_its_own(tmp_path):
    nodes = [node("Conv", ["x", "w"], "c"), node("Add", ["c", "b"])]
    constants = {"w": WEIGHTS["w"], "b": images((4, 1, 1))}
    model = assert_read(tmp_path / "x.onnx", nodes, (2, 4, 5), constants)
    assert kinds(model) == ["Conv2D"]
    assert model.layers[1].use_bias
    both = [*nodes[:1], node("Add", ["c", "b"], "d"), node("Add", ["d", "c"])]
    assert "Rescaling" in kinds(assert_read(tmp_path / "x.onnx", both, (2, 4, 5), constants))


def test_images_that_come_with_their_channels_last_stay_so(tmp_path):
    turn, back = [0, 3, 1, 2], [0, 2, 3, 1]
    nodes = [
        node("Transpose", ["x"], "t", perm=turn),
        node("Conv", ["t", "w"], "c"),
        node("Transpose", ["c"], perm=back),
    ]
    write(tmp_path / "x.onnx", nodes, [None, 6, 5, 2], {"w": WEIGHTS["w"]})
    model = load_model(tmp_path / "x.onnx")
    assert (model.input_shape, model.output_shape) == ((None, 6, 5, 2), (None, 4, 3, 4))
    assert kinds(model) == ["Conv2D"]


def test_open_sizes_stay_open(tmp_path):
    nodes = [node("Conv", ["x", "w"], "c", pads=[1, 1, 1, 1]), node("GlobalMaxPool", ["c"])]
    write(tmp_path / "x.onnx", nodes, ["n", 2, "height", "width"], {"w": WEIGHTS["w"]})
    model = load_model(tmp_path / "x.onnx")
    assert model.input_shape == (None, None, None, 2)
    assert model.predict(images((2, 7, 9, 2)), verbose=0).shape == (2, 1, 1, 4)


# --- there and back ---

# What is exported as operators that have no layer of one of these names.
ONE_WAY = {
    "GroupNormalization",
    "LayerNormalization",
    "PReLU",
    "ReLU",
    *(f"{name}{rank}D" for rank in (1, 2, 3) for name in ("LocallyConnected", "L2Pooling")),
    *(f"{name}{rank}D" for rank in (1, 2, 3) for name in ("LogSumExpPooling", "StochasticPooling")),
    "UpSampling2D",
}


@pytest.mark.interop
@pytest.mark.parametrize("name", networks.EXAMPLES)
def test_there_and_back(name, tmp_path):
    pytest.importorskip("onnxruntime")
    make, shape = networks.EXAMPLES[name]
    model = Sequential([Input(shape), make()])
    model.export(tmp_path / "x.onnx")
    if name in ONE_WAY:
        with pytest.raises(ValueError, match="is not read"):
            load_model(tmp_path / "x.onnx")
        return
    x = images((3, *shape))
    expected = model.predict(x, verbose=0)
    predicted = load_model(tmp_path / "x.onnx").predict(x, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.interop
def test_a_whole_network_there_and_back_is_as_simple_as_it_was(tmp_path):
    pytest.importorskip("onnxruntime")
    model = networks.small_network()
    model.export(tmp_path / "x.onnx")
    loaded = load_model(tmp_path / "x.onnx")
    of_it = ["Conv2D", "MaxPooling2D", "Activation", "Reshape", "Dense", "Activation"]
    assert kinds(loaded) == of_it
    assert loaded.count_params() == model.count_params()


def test_layers_that_are_read_have_the_names_of_layers():
    assert all(hasattr(layers, name) for name in ONE_WAY)
