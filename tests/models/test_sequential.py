"""Building chains of layers."""

import re

import numpy as np
import pytest

from convlet import Input, Sequential, applications, clone_model, layers
from networks import blobs, small_network


def test_the_listing_of_lecture_003_runs_as_it_stands():
    """Lecture 003, "LeNet": only the names' origin differs from the slide."""
    from convlet.layers import AveragePooling2D, Conv2D, Dense, Flatten

    input_shape = (28, 28, 1)
    model = Sequential()
    model.add(Conv2D(6, kernel_size=(5, 5), strides=(1, 1), activation='tanh', input_shape=input_shape, padding="valid"))  # fmt: skip  # noqa: E501
    model.add(AveragePooling2D(pool_size=(2, 2), strides=(2, 2), padding='valid'))  # fmt: skip
    model.add(Conv2D(16, kernel_size=(5, 5), strides=(1, 1), activation='tanh', padding='valid'))  # fmt: skip  # noqa: E501
    model.add(AveragePooling2D(pool_size=(2, 2), strides=(2, 2), padding='valid'))  # fmt: skip
    model.add(Flatten())
    model.add(Dense(120, activation='tanh'))  # fmt: skip
    model.add(Dense(84, activation='tanh'))  # fmt: skip
    model.add(Dense(10, activation='softmax'))  # fmt: skip

    assert model.count_params() == 44_426
    assert model.predict(np.zeros((2, 28, 28, 1)), verbose=0).shape == (2, 10)


def test_default_names_are_numbered_within_the_model():
    for _ in range(2):  # and do not depend on what was made before
        model = Sequential([layers.Dense(2, input_shape=(3,)), layers.Dense(2), layers.Flatten()])
        assert [layer.name for layer in model.layers] == ["dense", "dense_1", "flatten"]
        assert list(model.named_weights()) == [
            "dense/kernel",
            "dense/bias",
            "dense_1/kernel",
            "dense_1/bias",
        ]


def test_the_input_s_shape_may_come_from_the_first_data():
    x, y = blobs(5)
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    message = "the input's shape is not known yet; begin with Input(shape), or call build or fit"
    with pytest.raises(ValueError, match=re.escape(message)):
        _ = model.input_shape
    model.fit(x, y, verbose=0)
    assert model.input_shape == (None, 6, 6, 1)
    assert model.output_shape == (None, 3)


def test_build_sets_the_input_s_shape():
    model = Sequential([layers.Conv2D(2, 3), layers.Flatten()])
    model.build((None, 5, 5, 1))
    assert model.output_shape == (None, 18)
    message = "the input's shape is (None, 5, 5, 1) already, it cannot be built for (None, 6, 6, 1)"
    with pytest.raises(ValueError, match=re.escape(message)):
        model.build((None, 6, 6, 1))
    assert model.output_shape == (None, 18)


LAYER = layers.Dense(2)
MISTAKES = [
    (lambda: Sequential(layers.Dense(2)), "layers must be a list of layers, got <Dense 'dense'>"),
    (lambda: Sequential([LAYER]).build(4), "input_shape must be a tuple of integers of at least 1"),
    (lambda: Sequential(["dense"]), "add needs a layer, got 'dense'"),
    (lambda: Sequential([LAYER, LAYER]), "Dense 'dense' is in the model already"),
    (
        lambda: Sequential([layers.Dense(2, name="a"), layers.Flatten(name="a")]),
        "there is a layer named 'a' already",
    ),
    (lambda: Sequential([layers.Flatten(), Input((3,))]), "Input must come first"),
    (lambda: Sequential([Input((3,)), Input((3,))]), "Input must come first"),
    (
        lambda: Sequential([layers.Flatten(), layers.Dense(2, dtype="float64")]),
        "all layers must compute in one float type, float32, got Dense 'dense' with float64",
    ),
    (
        lambda: Sequential([Input((None, 4, 1)), layers.Flatten(), layers.Dense(2)]),
        "Dense 'dense': the input must have shape (batch, ..., channels) with a known number of "
        "channels, got (None, None)",
    ),
    (lambda: Sequential().pop(), "there is no layer to remove"),
    (lambda: small_network().get_layer("x"), "there is no layer 'x'; there are conv2d, max_pool"),
    (lambda: small_network().get_layer(index="a"), "index must be an integer of at least -"),
    (lambda: small_network().get_layer(), "get_layer needs either a name or an index"),
    (lambda: Sequential.from_config({"layers": 3}), "the config's layers must be a list, got 3"),
]


@pytest.mark.parametrize(("make", "message"), MISTAKES)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_layer_that_does_not_fit_is_not_added():
    model = Sequential([Input((4, 4, 1))])
    with pytest.raises(ValueError, match="the window spans 5 positions"):
        model.add(layers.Conv2D(2, 5))
    assert model.layers == []


def test_a_layer_that_was_refused_is_as_it_was():
    conv, dense = layers.Conv2D(2, 5), layers.Dense(2, name="taken")
    model = Sequential([Input((4, 4, 1)), layers.Flatten(name="taken")])
    with pytest.raises(ValueError, match="there is a layer named 'taken' already"):
        model.add(dense)
    with pytest.raises(ValueError, match="the window spans 5 positions"):
        Sequential([Input((4, 4, 1)), conv])
    assert not conv.built
    assert not dense.built
    assert Sequential([Input((9, 9, 3)), conv]).output_shape == (None, 5, 5, 2)


def test_the_input_shape_of_a_layer_that_was_refused_is_forgotten():
    model = Sequential()
    with pytest.raises(ValueError, match="the window spans 5 positions"):
        model.add(layers.Conv2D(2, 5, input_shape=(4, 4, 1)))
    model.add(layers.Conv2D(2, 5, input_shape=(9, 9, 3)))
    assert model.input_shape == (None, 9, 9, 3)


def test_pop_and_add():
    model = small_network()
    assert model.pop().name == "dense"
    assert model.output_shape == (None, 16)
    model.add(layers.Dense(7))
    assert model.output_shape == (None, 7)


def test_get_layer():
    model = small_network()
    assert model.get_layer("conv2d") is model.layers[0]
    assert model.get_layer(index=1) is model.layers[1]
    assert model.get_layer(index=-1) is model.layers[-1]


def test_a_model_inside_a_model():
    x, y = blobs(6)
    inner = Sequential([layers.Conv2D(2, 3, activation="relu"), layers.Flatten()])
    model = Sequential([Input((6, 6, 1)), inner, layers.Dense(3, activation="softmax")])
    assert next(iter(model.named_weights())) == "sequential/conv2d/kernel"
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = inner.get_weights()
    model.fit(x, y, verbose=0)
    assert (before[0] != inner.get_weights()[0]).any()
    assert inner.predict(x, verbose=0).shape == (6, 32)


def test_a_clone_has_the_same_layers_and_weights_of_its_own():
    model = small_network()
    clone = clone_model(model)
    assert clone.get_config() == model.get_config()
    assert (clone.get_weights()[0] != model.get_weights()[0]).any()
    assert not clone.compiled


class Own(layers.Layer):
    """A layer of one's own with an argument."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_a_clone_has_layers_of_one_s_own_also_in_inner_models():
    model = Sequential([Input((3,)), Own(5.0), Sequential([Own(7.0)])])
    clone = clone_model(model)
    assert clone.layers[0].factor == 5
    assert clone.layers[1].layers[0].factor == 7


class Subclass(layers.Dense):
    """Has an argument that it forgets."""

    def __init__(self, units, factor=1.0, **kwargs):
        super().__init__(units, **kwargs)
        self.factor = factor


def test_an_argument_that_a_configuration_lacks_is_not_lost_in_silence():
    model = Sequential([Input((3,)), Subclass(2, 5.0)])
    message = "layer Subclass: get_config must return the argument factor, too"
    with pytest.raises(ValueError, match=message):
        clone_model(model)


def test_a_layer_in_two_models_keeps_its_name():
    first, second = layers.Dense(4), layers.Dense(4)
    model = Sequential([Input((4,)), first, second])
    other = Sequential([Input((4,)), second, layers.Dense(4)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert [layer.name for layer in other.layers] == ["dense_1", "dense"]
    with pytest.raises(ValueError, match="there is a layer named 'dense' already; give one of"):
        other.add(first)
    with pytest.raises(AttributeError):
        first.name = "dense_1"


def test_a_change_of_an_inner_model_is_seen_outside():
    inner = Sequential([layers.Dense(4)])
    outer = Sequential([Input((3,)), inner])
    assert outer.predict(np.ones((2, 3)), verbose=0).shape == (2, 4)
    inner.add(layers.Dense(2))
    assert outer.output_shape == (None, 2)
    assert outer.predict(np.ones((2, 3)), verbose=0).shape == (2, 2)


def test_the_float_type_of_a_model_is_kept():
    message = "all layers must compute in one float type, float64, got Dense 'dense' with float32"
    with pytest.raises(ValueError, match=message):
        Sequential([layers.Dense(2)], dtype="float64")
    with pytest.raises(ValueError, match=r"float64, got InputLayer .* with float32"):
        Sequential([layers.Input((4,)), layers.Dense(2, dtype="float64")], dtype="float64")


def test_freezing_a_model_freezes_its_layers():
    model = small_network()
    model.trainable = False
    assert model.trainable_weights == []
    model.trainable = True
    assert len(model.trainable_weights) == 4


def test_the_summary():
    lines = []
    small_network().summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Model: 'sequential'" in text
    for row in [
        r"conv2d \(Conv2D\) +\(None, 4, 4, 4\) +40 +576 +3, 1\n",
        r"max_pooling2d \(MaxPooling2D\) +\(None, 2, 2, 4\) +0 +0 +4, 2\n",
        r"dense \(Dense\) +\(None, 3\) +51 +48 +all\n",
        r"Multiply-adds: 624 an image",
        r"Total params: 91 \(364 B\)",
        r"Non-trainable params: 0 \(0 B\)",
    ]:
        assert re.search(row, text), row


def test_the_summary_of_a_float64_model_says_who_computes_it():
    said = " Computes in float64, by the reference executor: NumPy, formula by formula"
    for dtype in ("float32", "float64"):
        lines = []
        layer = layers.Dense(2, dtype=dtype)
        Sequential([layer]).summary(print_fn=lines.append)
        assert (said in lines) == (dtype == "float64")


def test_the_summary_of_a_model_without_a_shape_says_so():
    lines = []
    Sequential([layers.Dense(2)]).summary(print_fn=lines.append)
    assert re.search(r"dense \(Dense\) +\? +not built +\? +-\n", "\n".join(lines))
    assert "Multiply-adds" not in "".join(lines)


def test_the_summary_of_open_sizes_counts_no_products():
    lines = []
    convolution = layers.Conv2D(4, (3, 5), (1, 2))
    Sequential([Input((None, 9, 1)), convolution]).summary(print_fn=lines.append)
    row = r"conv2d \(Conv2D\) +\(None, None, 3, 4\) +64 +\? +3x5, 1x2\n"
    assert re.search(row, "\n".join(lines))


def test_summaries_fit_100_columns():
    lines = []
    applications.ResNet152().summary(print_fn=lines.append)
    assert max(map(len, lines)) <= 100
    assert " Multiply-adds: 11,282,415,616 an image" in lines


def test_looking_at_a_large_model_allocates_nothing():
    model = Sequential([Input((10**6,)), layers.Dense(10**9)])
    assert model.count_params() == 10**15 + 10**9
    model.summary(print_fn=lambda line: None)
