"""LeNets: the lectures' numbers of weights, shapes, and what they refuse."""

import numpy as np
import pytest

import convlet
from convlet import Sequential, applications, load_model
from convlet.applications import BY_NAME, SERIES, LectureLeNet, LeNet20_50_500, SmallLeNet
from convlet.layers import Dropout, Rescaling

NETWORKS = sorted(set(BY_NAME) - set(SERIES))


def shapes_of(model):
    """Return the shape after each layer, without the batch axis."""
    shapes, shape = [], model.input_shape
    for layer in model.layers:
        shape = layer.compute_output_shape(shape)
        shapes.append(shape[1:])
    return shapes


def test_lecture_003s_listing():
    model = LectureLeNet()
    assert model.count_params() == 44_426
    assert shapes_of(model) == [
        (24, 24, 6),
        (12, 12, 6),
        (8, 8, 16),
        (4, 4, 16),
        (256,),
        (120,),
        (84,),
        (10,),
    ]


def test_lecture_001s_network():
    """Lecture 001: 28x28 => 20 x 24x24 => 20 x 12x12 => 50 x 8x8 => 50 x 4x4; 800, 500, 10."""
    model = LeNet20_50_500()
    assert model.count_params() == 431_080
    assert shapes_of(model) == [
        (24, 24, 20),
        (12, 12, 20),
        (8, 8, 50),
        (4, 4, 50),
        (800,),
        (500,),
        (10,),
    ]


def test_lecture_001s_initial_weights():
    """Uniform within sqrt(6 / (fan_in + fan_out)), biases 0."""
    model = LeNet20_50_500()
    for layer, (fan_in, fan_out) in {"conv2d": (25, 500), "dense": (800, 500)}.items():
        kernel, bias = model.get_layer(layer).get_weights()
        limit = np.sqrt(6 / (fan_in + fan_out))
        assert 0.98 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert not bias.any()


def test_small_network():
    model = SmallLeNet()
    assert model.count_params() == 53_002
    without_dropout = [
        shape
        for layer, shape in zip(model.layers, shapes_of(model), strict=True)
        if not isinstance(layer, Dropout)
    ]
    assert without_dropout == [
        (8, 8, 32),
        (4, 4, 32),
        (4, 4, 64),
        (2, 2, 64),
        (256,),
        (128,),
        (10,),
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(name):
    model = BY_NAME[name](input_shape=(20, 24, 3), classes=7)
    assert isinstance(model, Sequential)
    assert model.name == name
    assert not model.compiled
    assert (model.input_shape, model.output_shape) == ((None, 20, 24, 3), (None, 7))
    probabilities = model.predict(np.zeros((2, 20, 24, 3)), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_scale_multiplies_the_input(name):
    plain, scaled = BY_NAME[name]((16, 16, 1)), BY_NAME[name]((16, 16, 1), scale=0.25)
    assert isinstance(scaled.layers[0], Rescaling)
    assert len(scaled.layers) == len(plain.layers) + 1
    scaled.set_weights(plain.get_weights())
    x = np.arange(256.0).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(scaled.predict(x, verbose=0), plain.predict(x * 0.25, verbose=0))


@pytest.mark.parametrize("name", NETWORKS)
def test_goes_through_a_file(name, tmp_path):
    model = BY_NAME[name]((16, 16, 1), scale=0.5)
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.name == name
    x = np.ones((1, 16, 16, 1))
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("name", "smallest"), [("small-lenet", 4), ("lecture-lenet", 16), ("lenet-20-50-500", 16)]
)
def test_smallest_images(name, smallest):
    assert BY_NAME[name]((smallest, smallest, 1)).output_shape == (None, 10)
    with pytest.raises(ValueError, match=r"the window spans .* use a smaller window"):
        BY_NAME[name]((smallest, smallest - 1, 1))


def test_names_are_those_of_the_functions():
    assert all(getattr(applications, network.__name__) is network for network in BY_NAME.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_small_network_reads_the_digits(seed):
    """Trained as the demo does it; about ten seconds for each seed."""
    convlet.utils.set_random_seed(seed)
    data = convlet.datasets.open_dataset("digits")
    model = SmallLeNet(scale=1 / 16)
    sgd = convlet.optimizers.SGD(0.02, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(data.x_train, data.y_train, epochs=30, verbose=0)
    _, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
    assert accuracy >= 0.98
