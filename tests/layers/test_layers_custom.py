"""Layers that users write in Python."""

import numpy as np
import pytest

from convlet import Layer, Sequential, layers


class Scale(Layer):
    """The example of the documentation."""

    def build(self, input_shape):
        self.add_weight("factor", (input_shape[-1],), "ones")

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
    layer.add_weight("statistic", (1,), trainable=False)
    layer.add_weight("factor", (1,))
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True
    assert [v.name for v in layer.trainable_weights] == ["factor"]


def test_the_names_of_weights_are_unique_within_a_layer():
    layer = Layer()
    layer.add_weight("a", (1,))
    with pytest.raises(ValueError, match="a weight's name must be a new string, got 'a'"):
        layer.add_weight("a", (1,))
    with pytest.raises(ValueError, match="the shape of weight 'b' must be a tuple of integers"):
        layer.add_weight("b", (0,))
