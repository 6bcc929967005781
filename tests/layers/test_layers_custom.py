"""Layers that users write in Python."""

import numpy as np
import pytest

from convlet import Layer, Sequential, layers, load_model, optimizers


class Scale(Layer):
    """The example of the documentation."""

    def build(self, input_shape):
        self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x, factor):
        return x * factor

    def gradient(self, x, factor, y, output_gradient):
        axes = tuple(range(x.ndim - 1))
        return output_gradient * factor, (output_gradient * x).sum(axis=axes)


class Halve(Layer):
    """Drops every second position: another shape, no weights."""

    def call(self, x):
        return x[:, ::2]

    def gradient(self, x, y, output_gradient):
        input_gradient = np.zeros_like(x)
        input_gradient[:, ::2] = output_gradient
        return input_gradient


class Loud(Layer):
    """Tells whether it is training."""

    def call(self, x, training):
        return x + (1 if training else 0)

    def gradient(self, x, y, output_gradient):
        return output_gradient


def test_it_trains_like_any_other():
    model = Sequential([layers.Input((4, 2)), Halve(), Scale(), layers.Flatten()])
    model.compile("sgd", "mse")
    assert model.output_shape == (None, 4)
    assert list(model.named_weights()) == ["scale/factor"]
    x = np.random.default_rng(0).normal(size=(8, 4, 2))
    history = model.fit(x, 3 * x[:, ::2].reshape(8, 4), epochs=300, verbose=0, batch_size=8)
    np.testing.assert_allclose(model.get_weights()[0], [3, 3], atol=0.3)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]


class Volume(Layer):
    """Multiplies everything by one number."""

    def build(self, input_shape):
        self.add_weight((), "ones", name="factor")

    def call(self, x, factor):
        return x * factor

    def gradient(self, x, factor, y, output_gradient):
        return output_gradient * factor, (output_gradient * x).sum()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_weight_that_is_one_number_keeps_its_shape(momentum, tmp_path):
    model = Sequential([layers.Input((2,)), Volume()])
    model.compile(optimizers.SGD(0.1, momentum), "mse")
    x = np.random.default_rng(0).normal(size=(8, 2))
    model.fit(x, 3 * x, epochs=2, verbose=0, batch_size=8)
    (factor,) = model.get_weights()
    # by hand: g = 2 (w - 3) mean(x²), v = momentum v - 0.1 g
    w, v = 1.0, 0.0
    for _ in range(2):
        v = momentum * v - 0.2 * (w - 3) * np.square(x).mean()
        w += v
    assert factor.shape == ()
    assert factor == pytest.approx(w, rel=1e-5)
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors", {"Volume": Volume})
    for trained in (model, read):
        trained.train_on_batch(x, 3 * x)
    assert read.get_weights()[0] == model.get_weights()[0]


def test_it_is_told_whether_it_is_training():
    x = np.zeros((1, 2))
    assert Loud()(x).sum() == 0
    assert Loud()(x, training=True).sum() == 2


class WrongShape(Layer):
    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        return x[:, 1:]


class WrongGradient(Scale):
    def gradient(self, x, factor, y, output_gradient):
        return output_gradient


class TransposedGradient(Layer):
    def call(self, x):
        return x

    def gradient(self, x, y, output_gradient):
        return output_gradient.T


def test_a_call_of_another_shape_than_announced_is_refused():
    message = r"WrongShape 'wrong_shape': what call returns must have shape \(2, 3\), got \(2, 2\)"
    with pytest.raises(ValueError, match=message):
        WrongShape()(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            WrongGradient(),
            "gradient must return one array for the input and one for each of its 1 weights, got 1",
        ),
        (TransposedGradient(), r"each gradient must have shape \(5, 3\), got \(3, 5\)"),
    ],
)
def test_gradients_of_another_shape_or_number_are_refused(layer, message):
    # the layer before it has weights, so that a gradient is asked for
    model = Sequential([layers.Dense(3, input_shape=(3,)), layer])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(np.zeros((5, 3)), np.zeros((5, 3)))


def test_sizes_left_open_need_a_layer_that_says_its_shape():
    message = r"Halve 'halve': the input has sizes left open, \(None, None, 2\); define compute_"
    with pytest.raises(ValueError, match=message):
        Sequential([layers.Input((None, 2)), Halve()])


def test_a_layer_without_call_or_gradient_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Layer 'layer': a layer of one's own must"):
        Layer()(np.zeros((2, 3)))


def test_thawing_a_layer_leaves_its_untrainable_weights_alone():
    layer = Layer()
    layer.add_weight((1,), trainable=False, name="statistic")
    layer.add_weight((1,), name="factor")
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True
    assert [v.name for v in layer.trainable_weights] == ["factor"]


def test_the_names_of_weights_are_unique_within_a_layer():
    layer = Layer()
    layer.add_weight((1,), name="a")
    with pytest.raises(
        ValueError,
        match="a weight's name must be a new string without '/' and white space, got 'a'",
    ):
        layer.add_weight((1,), name="a")
    with pytest.raises(ValueError, match="the shape of weight 'b' must be a tuple of integers"):
        layer.add_weight((0,), name="b")


class KerasStyle(Layer):
    """Takes no weights in call, as a layer for Keras would not."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")

    def call(self, x):
        return x * self.w


def test_a_call_without_its_weights_is_told_the_right_one():
    message = (
        r"KerasStyle 'keras_style': call must take the input and the 1 weights of the layer, "
        r"call\(self, x, w\)"
    )
    with pytest.raises(ValueError, match=message):
        KerasStyle()(np.zeros((2, 3)))


class InPlace(Layer):
    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        x[x < 0] = 0
        return x


def test_the_arrays_of_others_cannot_be_written_into():
    x = -np.ones((2, 3), np.float32)
    model = Sequential([layers.Input((3,)), InPlace()])
    with pytest.raises(ValueError, match="read-only"):
        model.predict(x, verbose=0)
    assert (x == -1).all()
    dense = layers.Dense(2)
    dense(x)
    with pytest.raises(ValueError, match="read-only"):
        dense.kernel.value[0, 0] = 5


def test_a_prediction_shares_no_memory_with_the_input():
    x = np.ones((2, 3), np.float32)
    model = Sequential([layers.Input((3,)), layers.Flatten()])
    assert not np.shares_memory(model.predict_on_batch(x), x)


class Nothing(Layer):
    def call(self, x):
        return None


def test_a_call_that_returns_nothing_is_named():
    message = r"Nothing 'nothing': call must return an array with the batch axis first, got shape"
    with pytest.raises(ValueError, match=message):
        Nothing()(np.zeros((2, 3)))


class Forgot(Layer):
    def __init__(self):
        pass


def test_a_layer_that_forgot_its_base_is_told():
    with pytest.raises(ValueError, match=r"Forgot: __init__ must begin with super\(\).__init__"):
        Sequential([Forgot()])


class FailsToBuild(Layer):
    def build(self, input_shape):
        self.add_weight((1,), name="w")
        if input_shape[-1] != 3:
            raise ValueError("three channels, please")


def test_a_build_that_failed_can_be_tried_again():
    layer = FailsToBuild()
    with pytest.raises(ValueError, match="three channels"):
        layer.ensure_built((None, 2))
    layer.ensure_built((None, 3))
    assert len(layer.weights) == 1


def test_a_layer_that_was_built_by_hand_is_built():
    """As Keras's users do; what fails leaves nothing behind, and building again loses nothing."""
    layer = layers.Conv2D(2, 3, groups=2)
    with pytest.raises(ValueError, match="groups must divide the input's channels"):
        layer.build((None, 5, 5, 3))
    assert not layer.built
    assert layer.weights == []
    layer.build((None, 5, 5, 4))
    assert layer.built
    kernel = layer.get_weights()[0]
    assert layer(np.ones((1, 5, 5, 4))).shape == (1, 3, 3, 2)
    with pytest.raises(ValueError, match="a weight's name must be a new string"):
        layer.build((None, 5, 5, 4))
    np.testing.assert_array_equal(layer.get_weights()[0], kernel)
