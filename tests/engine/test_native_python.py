"""Layers and losses written in Python, as phases of their own between those of the C++ core."""

import itertools

import numpy as np
import pytest

from convlet import Layer, Sequential, layers, losses, random
from convlet.engine import reference
from convlet.engine.native import NativeProgram
from native_runs import (
    BATCHES,
    BEST,
    INSTRUCTION_SETS,
    LANES,
    assert_equal,
    assert_near,
    integer_feeds,
    integer_variable,
    normal_feeds,
    program_of,
)
from numerics import add_dense


class Wave(Layer):
    """sin(x) * scale, with a weight for every channel."""

    def build(self, input_shape):
        self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x, scale):
        return np.sin(x) * scale

    def gradient(self, x, scale, y, output_gradient):
        by_scale = (output_gradient * np.sin(x)).sum(axis=tuple(range(x.ndim - 1)))
        return output_gradient * np.cos(x) * scale, by_scale


class Reverse(Layer):
    """The positions backwards, and in a memory order that is not C's."""

    def call(self, x):
        return x[:, ::-1]

    def gradient(self, x, y, output_gradient):
        return output_gradient[:, ::-1]


class Centre(Layer):
    """Subtracts the mean over the batch: it must see all images at once, and none besides."""

    def call(self, x):
        return x - x.mean(axis=0)

    def gradient(self, x, y, output_gradient):
        return output_gradient - output_gradient.mean(axis=0)


class InFloat64(Layer):
    """Returns another float type than it was given."""

    def call(self, x):
        return x.astype(np.float64) * 2

    def gradient(self, x, y, output_gradient):
        return output_gradient.astype(np.float64) * 2


class Unaligned(Layer):
    """Returns arrays at odd addresses, as a view into bytes may have them."""

    def call(self, x):
        return moved_by_a_byte(x)

    def gradient(self, x, y, output_gradient):
        return moved_by_a_byte(output_gradient)


def moved_by_a_byte(x):
    return np.frombuffer(b"?" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)


def native_layer():
    return layers.Conv1D(3, 2, activation="tanh", padding="same")


ORDERS = {
    "first": [Wave, native_layer],
    "last": [native_layer, Wave],
    "in the middle": [native_layer, Wave, native_layer],
    "two in a row": [native_layer, Wave, Reverse, native_layer],
    "two apart": [Reverse, native_layer, Wave, native_layer, Centre],
    "alone": [Wave],
    "of the whole batch": [native_layer, Centre, native_layer],
    "in another type": [native_layer, InFloat64, native_layer],
    "at odd addresses": [native_layer, Unaligned, native_layer],
    "before and behind reshaping": [layers.Flatten, Wave, lambda: layers.Dense(2), Wave],
    "behind dropout": [lambda: layers.Dropout(0.4, seed=1), Wave, native_layer],
}


def model_of(makers, loss):
    random.set_random_seed(7)
    model = Sequential([layers.Input((5, 2)), *(make() for make in makers)])
    model.compile("sgd", loss)
    return model


LOSSES = {
    "of the library": losses.MeanSquaredError(),
    "custom": losses.CustomLoss(
        lambda t, p: ((p - t) ** 2).mean(axis=-1), lambda t, p: 2 * (p - t) / p.shape[-1]
    ),
    "of the whole batch": losses.CustomLoss(
        lambda t, p: (p - p.mean(axis=0)).sum(axis=-1), lambda t, p: np.ones_like(p)
    ),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_layers_of_ones_own_anywhere(loss, order):
    model = model_of(ORDERS[order], LOSSES[loss])
    for mode, lanes in itertools.product(("predict", "evaluate", "train"), LANES):
        program = model.program(mode, (5, 2))
        assert_near(program, normal_feeds(program, 18), BEST, lanes)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("images", BATCHES)
def test_in_any_batch(images, instruction_set):
    program = model_of(ORDERS["two apart"], LOSSES["custom"]).program("train", (5, 2))
    assert_near(program, normal_feeds(program, images), instruction_set)


def test_a_plan_is_run_again_with_other_numbers():
    program = model_of(ORDERS["two apart"], LOSSES["custom"]).program("train", (5, 2))
    native = NativeProgram(program, 17, BEST)
    for seed in range(3):
        feeds = normal_feeds(program, 17, seed)
        results, expected = native.run(feeds), reference.run(program, feeds)
        for name, array in expected.items():
            np.testing.assert_allclose(results[name], array, rtol=1e-4, atol=1e-5)


def test_what_a_run_returned_stays_as_it_is():
    program = model_of(ORDERS["in the middle"], LOSSES["of the library"]).program("train", (5, 2))
    native = NativeProgram(program, 5, BEST)
    first = native.run(normal_feeds(program, 5, 1))
    copies = {name: array.copy() for name, array in first.items()}
    native.run(normal_feeds(program, 5, 2))
    for name, array in copies.items():
        np.testing.assert_array_equal(first[name], array)


class Double:
    """An integer layer for the builder: 2 x + weight."""

    owner = "Double 'double'"

    def call(self, x, weight):
        return 2 * x + weight

    def gradient(self, x, weight, y, output_gradient):
        return 2 * output_gradient, output_gradient.sum(axis=0)


@pytest.mark.parametrize("lanes", LANES)
def test_a_layer_of_ones_own_that_is_used_three_times_adds_up_its_gradients(lanes):
    weight = integer_variable("weight", 3)

    def network(builder, x):
        for _ in range(3):
            attributes = {"layer": Double(), "output_shape": (3,), "keywords": {}}
            x = builder.apply("python", x, builder.parameter(weight), shape=(3,), **attributes)
            x = add_dense(builder, x, integer_variable("dense", 3, 3))
        return x

    program = program_of(network, (3,))
    assert_equal(program, integer_feeds(program, 18), BEST, lanes)


class Fails(Layer):
    """Fails while it is told to."""

    failing = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        if self.failing:
            raise RuntimeError("not today")
        return x

    def gradient(self, x, y, output_gradient):
        return output_gradient


def test_after_an_error_in_python_code_the_same_model_runs():
    layer = Fails()
    model = Sequential([layers.Input((4,)), layers.Dense(3), layer])
    x = np.ones((3, 4))
    with pytest.raises(RuntimeError, match="not today"):
        model.predict(x, verbose=0)
    layer.failing = False
    np.testing.assert_allclose(model.predict(x, verbose=0), x @ model.get_weights()[0], rtol=1e-6)


class Overflowing(Layer):
    """1 / x, which is finite for the images that are there."""

    def call(self, x):
        return 1 / x

    def gradient(self, x, y, output_gradient):
        return -output_gradient / (x * x)


@pytest.mark.parametrize("lanes", LANES)
def test_it_never_sees_lanes_without_an_image(lanes):
    random.set_random_seed(1)
    model = Sequential([layers.Input((3,)), layers.Dense(3, use_bias=False), Overflowing()])
    model.compile("sgd", "mse")
    program = model.program("train", (3,))
    assert_near(program, normal_feeds(program, 17), BEST, lanes, tolerance=1e-4)
