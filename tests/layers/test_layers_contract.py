"""The contract that every layer keeps: configuration, shapes, float types, a training step."""

import numpy as np
import pytest

from convlet import Sequential, layers, losses, optimizers, random
from networks import EXAMPLES, MERGING


@pytest.fixture(params=sorted(EXAMPLES))
def example(request):
    return EXAMPLES[request.param]


def samples(shape, count=3, dtype="float32"):
    return np.random.default_rng(0).normal(size=(count, *shape)).astype(dtype)


def test_every_layer_that_files_may_name_has_an_example():
    registered = {cls.__name__ for cls in layers.registry._classes.values()}
    assert registered - {"InputLayer"} == {*EXAMPLES, *MERGING}


def test_a_layer_made_from_its_configuration_has_the_same_configuration(example):
    make, _ = example
    layer = make(name="one") if make is not EXAMPLES["Sequential"][0] else make()
    again = layers.registry.get(layers.registry.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_output_has_the_shape_and_type_that_were_announced(example, dtype):
    make, shape = example
    layer = make(dtype=dtype)
    y = layer(samples(shape, dtype=dtype))
    assert y.shape == (3, *layer.compute_output_shape((None, *shape))[1:])
    assert y.dtype == dtype


def test_one_image_gives_what_it_gives_in_a_batch(example):
    make, shape = example
    layer, x = make(), samples(shape)
    np.testing.assert_allclose(layer(x)[1:2], layer(x[1:2]), rtol=1e-6, atol=1e-7)


def test_sizes_left_open_give_the_shapes_of_any_size(example):
    make, shape = example
    layer = make()
    open_shape = (None, *(None,) * (len(shape) - 1), shape[-1])
    layer.ensure_built((None, *shape))
    for announced, known in zip(
        layer.compute_output_shape(open_shape),
        layer.compute_output_shape((None, *shape)),
        strict=True,
    ):
        assert announced in (None, known)


def test_a_training_step_lowers_the_loss_and_moves_every_trainable_weight(example):
    make, shape = example
    random.set_random_seed(0)
    layer = make()
    model = Sequential([layers.Input(shape), layer, layers.Flatten(), layers.Dense(1)])
    model.compile(optimizers.SGD(0.05), "mse")
    x, y = samples(shape), np.array([1.0, -1.0, 0.5])
    before = [variable.value for variable in model.trainable_weights]
    first = model.train_on_batch(x, y)
    assert model.test_on_batch(x, y) < first
    after = [variable.value for variable in model.trainable_weights]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


def test_an_untrainable_layer_keeps_its_weights(example):
    make, shape = example
    layer = make()
    model = Sequential([layers.Input(shape), layer, layers.Flatten(), layers.Dense(1)])
    layer.trainable = False
    model.compile("sgd", losses.MeanSquaredError())
    before = layer.get_weights()
    model.train_on_batch(samples(shape), np.ones(3))
    assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(before)


def test_second_names_are_the_same_classes():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool3D is layers.AveragePooling3D
    assert layers.GlobalMaxPool1D is layers.GlobalMaxPooling1D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
    assert layers.Convolution1D is layers.Conv1D


# Keras's own numbers: layer, input shape, output shape.
SHAPES = [
    (layers.Conv1D(5, 4, padding="same"), (None, 9, 3), (None, 9, 5)),
    (layers.Conv1D(5, 4, strides=3, padding="same"), (None, 10, 3), (None, 4, 5)),
    (layers.Conv1D(5, 3, padding="causal", strides=2), (None, 9, 3), (None, 5, 5)),
    (layers.Conv2D(5, (3, 2), (2, 3)), (None, 9, 10, 3), (None, 4, 3, 5)),
    (layers.Conv2D(5, 3, padding="same"), (None, None, 10, 3), (None, None, 10, 5)),
    (layers.Conv2D(5, 3, dilation_rate=3), (None, 9, 10, 3), (None, 3, 4, 5)),
    (layers.Conv3D(5, 2, 2, "same"), (None, 3, 4, 5, 1), (None, 2, 2, 3, 5)),
    (layers.MaxPooling2D(), (None, 5, 4, 3), (None, 2, 2, 3)),
    (layers.MaxPooling2D(3, 1, "same"), (None, 5, 4, 3), (None, 5, 4, 3)),
    (layers.AveragePooling1D(4, padding="same"), (None, 5, 3), (None, 2, 3)),
    (layers.AveragePooling3D((1, 2, 3)), (None, 5, 4, 7, 3), (None, 5, 2, 2, 3)),
    (layers.SumPooling2D((2, 3), 1), (None, 5, None, 3), (None, 4, None, 3)),
    (layers.StochasticPooling1D(2), (None, 5, 3), (None, 2, 3)),
    (layers.TrainableSubsampling2D(), (None, 5, 4, 3), (None, 2, 2, 3)),
    (layers.OrbitMaxPooling(3), (None, None, 4, 6), (None, None, 4, 2)),
    (layers.OrbitMaxPooling(1), (None, 6), (None, 6)),
    (layers.GlobalMaxPooling3D(), (None, 5, 4, 7, 3), (None, 3)),
    (layers.GlobalAveragePooling2D(keepdims=True), (None, None, 4, 3), (None, 1, 1, 3)),
    (layers.Flatten(), (None, None, 4, 3), (None, None)),
    (layers.Flatten(), (None, 2, 4, 3), (None, 24)),
    (layers.Dense(7), (None, 5, 3), (None, 5, 7)),
]


@pytest.mark.parametrize(("layer", "given", "expected"), SHAPES)
def test_output_shapes(layer, given, expected):
    assert layer.compute_output_shape(given) == expected


def test_dropout_drops_while_training_only():
    layer, x = layers.Dropout(0.5), np.ones((4, 100), np.float32)
    assert (layer(x) == 1).all()
    dropped = layer(x, training=True)
    assert set(np.unique(dropped)) == {0.0, 2.0}


def test_stochastic_pooling_draws_while_training_only():
    layer = layers.StochasticPooling1D(2)
    x = np.tile(np.float32([[1], [3]]), (40, 1, 1))
    np.testing.assert_array_equal(layer(x), np.full((40, 1, 1), 2.5, np.float32))
    assert set(np.unique(layer(x, training=True))) == {1, 3}


def test_weights_can_be_copied_between_layers():
    one, other = layers.Dense(2), layers.Dense(2)
    x = samples((3,))
    assert (one(x) != other(x)).any()
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(one(x), other(x))
