"""Networks that Keras 3.15 has, too: numbers of weights, and predictions with the same weights.

Weights are drawn by their paths, so a network that names or shapes one of them otherwise predicts
something else. The predictions are those of keras.applications on JAX for two images of 32x32.
"""

import zlib

import numpy as np
import pytest

from convlet import applications

# Keras's numbers of weights at full size, and of the layers without the top
WEIGHTS = {
    "VGG16": (138_357_544, 14_714_688),
    "VGG19": (143_667_240, 20_024_384),
    "ResNet50": (25_636_712, 23_587_712),
    "ResNet101": (44_707_176, 42_658_176),
    "ResNet152": (60_419_944, 58_370_944),
    "MobileNet": (4_253_864, 3_228_864),
    "MobileNetV2": (3_538_984, 2_257_984),
}

# network, arguments, what kernels' variances are multiplied by, Keras's probabilities
PREDICTIONS = [
    (
        "VGG16",
        {},
        2,
        [
            [0.0325592, 0.3656279, 0.3903396, 0.0631909, 0.1482824],
            [0.0279713, 0.3866982, 0.3798786, 0.0591868, 0.1462651],
        ],
    ),
    (
        "ResNet50",
        {},
        1,
        [
            [0.1517291, 0.1659032, 0.1825376, 0.2612453, 0.2385847],
            [0.156029, 0.163772, 0.1786022, 0.2545621, 0.2470346],
        ],
    ),
    (
        "MobileNet",
        {"alpha": 0.5},
        2,
        [
            [0.226621, 0.1770258, 0.2649409, 0.164434, 0.1669783],
            [0.2287003, 0.1766271, 0.2634709, 0.1641454, 0.1670562],
        ],
    ),
    (
        "MobileNetV2",
        {"alpha": 0.5},
        2,
        [
            [0.0196639, 0.0013695, 0.7987204, 0.1720472, 0.008199],
            [0.0130192, 0.0053029, 0.769601, 0.1703673, 0.0417096],
        ],
    ),
]


def drawn(path, shape, gain):
    """Return the value of a weight: a kernel's variance is the gain over the fan-in."""
    numbers = 2 * np.random.RandomState(zlib.crc32(path.encode())).random_sample(shape) - 1
    layer, name = path.split("/")
    if name == "kernel":
        each_channel_by_itself = "conv_dw" in layer or "depthwise" in layer
        fan_in = np.prod(shape[:2] if each_channel_by_itself else shape[:-1])
        return (numbers * np.sqrt(3 * gain / fan_in)).astype(np.float32)
    return ((name in ("gamma", "moving_variance")) + 0.2 * numbers).astype(np.float32)


@pytest.mark.parametrize("name", WEIGHTS)
def test_numbers_of_weights(name):
    make = getattr(applications, name)
    counts = make().count_params(), make(include_top=False).count_params()
    assert counts == WEIGHTS[name]


@pytest.mark.parametrize(("name", "options", "gain", "expected"), PREDICTIONS)
def test_predictions(name, options, gain, expected):
    model = getattr(applications, name)(input_shape=(32, 32, 3), classes=5, **options)
    for path, variable in model.named_weights().items():
        variable.adopt(drawn(path, variable.shape, gain))
    x = 2 * np.random.RandomState(0).random_sample((2, 32, 32, 3)) - 1
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_mobilenet_v2_s_widths_are_multiples_of_8():
    """Keras's numbers of weights for other widths, and sizes that are odd."""
    assert applications.MobileNetV2(alpha=0.35).count_params() == 1_691_208
    assert applications.MobileNetV2(alpha=1.4).count_params() == 6_156_712
    model = applications.MobileNetV2(False, (37, 41, 3), alpha=1.3)
    assert model.get_layer("block_1_pad").output.shape == (None, 21, 23, 144)
    assert model.output_shape == (None, 2, 2, 1664)


def test_normalizations_are_keras_s():
    model = applications.ResNet50()
    assert model.get_layer("conv5_block3_3_bn").epsilon == 1.001e-5
    assert model.get_layer("conv5_block3_3_bn").momentum == 0.99
    assert applications.MobileNetV2().get_layer("block_16_project_BN").momentum == 0.999


def test_sizes_left_open():
    for name in WEIGHTS:
        model = getattr(applications, name)(False, (None, None, 3), "max")
        assert model.layers[-1].name.startswith(("max_pool", "global_max_pooling2d"))
        assert model.output_shape[0] is None
        assert len(model.output_shape) == 2
