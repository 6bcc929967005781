"""Multiply-adds: the lectures' figures, the papers', and counts by hand."""

import pytest

from convlet import Input, Layer, Model, Sequential, applications, layers
from convlet.inspection import multiply_adds
from convlet.inspection.costs import multiply_adds_by_layer


def test_lecture_000s_counts():
    """384 to 384 channels with 3x3 windows: > 1.3 M; 13x13x384 to 4096: > 265 M."""
    convolution = layers.Conv2D(384, 3, padding="same", use_bias=False)
    assert multiply_adds(convolution, (13, 13, 384)) == 13 * 13 * 1_327_104
    assert convolution.count_params() == 1_327_104 > 1.3e6
    connected = Sequential([Input((13, 13, 384)), layers.Flatten(), layers.Dense(4096)])
    assert multiply_adds(connected) == 265_814_016 > 265e6


def test_three_small_windows_beside_a_large_one():
    """Lecture 000, VGG: 3 (3 x 3) = 27 < 49 (7 x 7)."""
    three = Sequential([Input((9, 9, 1)), *(layers.Conv2D(1, 3, padding="same") for _ in range(3))])
    assert multiply_adds(three) == 81 * 27
    assert multiply_adds(layers.Conv2D(1, 7, padding="same"), (9, 9, 1)) == 81 * 49


@pytest.mark.parametrize(
    ("name", "published", "exact"),
    [
        ("VGG16", 15.5e9, 15_470_264_320),  # Canziani et al., 2016
        ("ResNet50", 3.8e9, 3_857_973_248),  # He et al., 2016, table 1
        ("ResNet101", 7.6e9, 7_570_194_432),
        ("ResNet152", 11.3e9, 11_282_415_616),
        ("GoogLeNet", 1.5e9, None),  # Szegedy et al., 2015
        ("MobileNet", 569e6, 568_740_352),  # Howard et al., 2017, table 4
        ("MobileNetV2", 300e6, 300_774_272),  # Sandler et al., 2018, table 4
    ],
)
def test_published_counts(name, published, exact):
    count = multiply_adds(getattr(applications, name)())
    assert count == pytest.approx(published, rel=0.07)
    assert exact in (None, count)


def test_lenet_5_s_connections():
    """LeCun et al., 1998: 122,304, 151,600, 48,120 and 10,164, of which each unit's bias is one."""
    counts = multiply_adds_by_layer(applications.LeNet5())
    biases = {"C1": 28 * 28 * 6, "C3": 10 * 10 * 16, "C5": 120, "F6": 84}
    connections = {name: counts[name] + biases[name] for name in biases}
    assert connections == {"C1": 122_304, "C3": 151_600, "C5": 48_120, "F6": 10_164}


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1D(6, 3, groups=2), (8, 4), 6 * 3 * 2 * 6),
        (layers.Conv2D(4, 3, 2, "same"), (7, 5, 2), 4 * 3 * 9 * 2 * 4),
        (layers.Conv3D(2, 2, dilation_rate=2), (4, 5, 3, 3), 2 * 3 * 1 * 8 * 3 * 2),
        (layers.Conv2DTranspose(3, 3, 2), (4, 5, 2), 4 * 5 * 9 * 2 * 3),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 3), 9 * 9 * 3 * 2),
        (layers.SeparableConv1D(4, 3), (6, 2), 4 * 3 * 2 + 4 * 2 * 4),
        (layers.LocallyConnected2D(3, 2), (4, 3, 2), 3 * 2 * 4 * 2 * 3),
        (layers.TableConv2D([[1, 0], [1, 1]], 3), (5, 5, 2), 9 * 9 * 3),
        (layers.GroupConv2D(2, 3, lifting=True), (5, 5, 3), 9 * 9 * 3 * 4 * 2),
        (layers.Dense(3), (2, 4, 5), 8 * 15),
        (layers.MaxPooling2D(2), (4, 4, 2), 0),
        (layers.BatchNormalization(), (4, 4, 2), 0),
        (layers.Rescaling(2.0), (4,), 0),
    ],
)
def test_layers_by_hand(layer, shape, expected):
    assert multiply_adds(layer, shape) == expected


def test_models_inside_count_under_their_names_and_shared_layers_for_each_call():
    inner = Sequential([layers.Dense(3), layers.Dense(3)], name="inner")
    x, other = Input((3,)), Input((3,))
    y = layers.Add()([inner(x), inner(other), layers.Dense(3, name="last")(x)])
    model = Model([x, other], y)
    counts = multiply_adds_by_layer(model)
    assert counts == {"inner": 2 * 18, "last": 9}
    assert multiply_adds(model) == 45


class Twice(Layer):
    def call(self, x):
        return 2 * x

    def gradient(self, x, y, output_gradient):
        return 2 * output_gradient


def test_layers_of_one_s_own_count_nothing():
    assert multiply_adds(Sequential([Input((3,)), Twice(), layers.Dense(2)])) == 6


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.Dense(2, name="d"), None, r"multiply_adds: Dense 'd' needs an input_shape"),
        (layers.Conv2D(2, 3), (None, 5, 1), "multiply_adds: input_shape must be a tuple of "),
        (
            Sequential([Input((None, 5, 1)), layers.Conv2D(2, 3)]),
            None,
            r"multiply_adds: input_shape must be a tuple of integers of at least 1, got \(None, ",
        ),
        (layers.Conv2D(2, 3), (2, 5, 1), "the window spans 3 positions"),
    ],
)
def test_refusals(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        multiply_adds(layer, shape)
