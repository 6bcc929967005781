"""Layers with kernels laid out from fewer weights: connection tables, group convolutions."""

import numpy as np
import pytest

from convlet import Sequential, layers, optimizers
from convlet.layers.group import ORDERS, _quotient, _turned

# LeCun et al., 1998, table I: which of six maps each of the sixteen filters of C3 sees
C3 = np.zeros((6, 16), int)
for _first in range(6):
    C3[[(_first + k) % 6 for k in range(3)], _first] = 1
    C3[[(_first + k) % 6 for k in range(4)], 6 + _first] = 1
for _first in range(3):
    C3[[(_first + k) % 6 for k in (0, 1, 3, 4)], 12 + _first] = 1
C3[:, 15] = 1


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# --- connection tables ---


def test_c3_of_lenet_5_has_1516_weights():
    layer = layers.TableConv2D(C3, 5)
    layer.ensure_built((None, 14, 14, 6))
    assert layer.compute_output_shape((None, 14, 14, 6)) == (None, 10, 10, 16)
    assert layer.count_params() == 1516


def test_each_filter_sees_its_channels_alone():
    layer = layers.TableConv2D(C3, 3, activation="tanh", dtype="float64")
    x = image(2, 6, 6, 6)
    y = layer(x)
    for filter_number in range(16):
        changed = x.copy()
        changed[..., C3[:, filter_number] == 0] += 1
        np.testing.assert_array_equal(layer(changed)[..., filter_number], y[..., filter_number])
        seen = x.copy()
        seen[..., np.flatnonzero(C3[:, filter_number])[0]] += 1
        assert (layer(seen)[..., filter_number] != y[..., filter_number]).any()


def test_a_full_table_is_an_ordinary_convolution():
    x = image(2, 5, 4, 3)
    table = layers.TableConv2D(np.ones((3, 4)), (2, 3), padding="same", dtype="float64")
    full = layers.Conv2D(4, (2, 3), padding="same", dtype="float64")
    table.ensure_built((None, 5, 4, 3))
    full.ensure_built((None, 5, 4, 3))
    kernel, bias = table.get_weights()
    full.set_weights([kernel.reshape(2, 3, 3, 4), bias + 1])
    table.set_weights([kernel, bias + 1])
    np.testing.assert_array_equal(table(x), full(x))


def test_first_weights_are_those_of_a_full_kernel_where_it_is_connected():
    layer = layers.TableConv1D([[1, 0], [1, 1]], 3, kernel_initializer="he_normal")
    layer.ensure_built((None, 5, 2))
    assert layer.kernel.value.shape == (3, 3)
    spread = np.std([layer.kernel_initializer((3, 2, 2), "float64", s) for s in range(200)])
    drawn = [
        layer.kernel.converted(layer.kernel._initializer((3, 3), "float32", s)) for s in range(200)
    ]
    assert np.std(drawn) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ([1, 0, 1], "a row for each input channel and a column for each filter, got shape (3,)"),
        ([[1, 2]], "connections must be a table of zeros and ones"),
        (np.zeros((0, 2)), "connections must be a table of zeros and ones"),
        ([[1, 0], [1, 0]], "connections must join every filter to some channel, filter 1 has none"),
        ([["a"]], "connections must be an array of numbers"),
    ],
)
def test_tables_that_are_none(connections, message):
    with pytest.raises(ValueError, match="TableConv2D 'table_conv2d': ") as raised:
        layers.TableConv2D(connections, 3)
    assert message in str(raised.value)


def test_an_input_that_does_not_fit_the_table():
    message = "the input must have 2 channels, as many as connections has rows, got 3"
    with pytest.raises(ValueError, match=message):
        layers.TableConv1D([[1], [1]], 3).ensure_built((None, 5, 3))


# --- group convolutions ---


def turned(images, g):
    """Return images (batch, rows, columns, ...) in another orientation."""
    return np.moveaxis(_turned(np.moveaxis(images, 0, -1), g), -1, 0)


def by_orientation(maps, order):
    return maps.reshape(*maps.shape[:3], order, -1)


def turned_maps(maps, g, order):
    """Return what a group convolution must give for an image in orientation g."""
    maps = by_orientation(maps, order)
    turns = [turned(maps[:, :, :, _quotient(g, h)], g) for h in range(order)]
    return np.stack(turns, axis=3)


def group_network(group, **options):
    """Return lifting -> group convolution with a stride -> group convolution, in float64."""
    options = {"dtype": "float64", "bias_initializer": "random_normal"}
    return [
        layers.GroupConv2D(3, 3, group, lifting=True, padding="same", activation="tanh", **options),
        layers.GroupConv2D(2, 5, group, strides=2, padding="same", activation="relu", **options),
        layers.GroupConv2D(2, 2, group, **options),
    ]


def through(network, x):
    for layer in network:
        x = layer(x)
    return x


@pytest.mark.parametrize("group", ORDERS)
def test_maps_turn_with_the_image(group):
    network, x = group_network(group), image(2, 9, 9, 2)
    y = through(network, x)
    for g in range(ORDERS[group]):
        found = by_orientation(through(network, turned(x, g)), ORDERS[group])
        np.testing.assert_allclose(found, turned_maps(y, g, ORDERS[group]), atol=1e-13)


@pytest.mark.parametrize("group", ORDERS)
def test_in_float32_by_the_native_executor_it_is_exact_for_integers(group):
    network = [
        layers.GroupConv2D(4, 3, group, lifting=True),
        layers.GroupConv2D(3, 3, group, padding="same"),
    ]
    for layer, channels in zip(network, (2, 4 * ORDERS[group]), strict=True):
        layer.ensure_built((None, 8, 8, channels))
        generator = np.random.default_rng(channels)
        layer.set_weights([generator.integers(-3, 4, w.shape) for w in layer.weights])
    x = np.random.default_rng(1).integers(-4, 5, (17, 8, 8, 2)).astype(np.float32)
    y = through(network, x)
    for g in range(ORDERS[group]):
        found = by_orientation(through(network, np.ascontiguousarray(turned(x, g))), ORDERS[group])
        np.testing.assert_array_equal(found, turned_maps(y, g, ORDERS[group]))


def test_p4m_knows_mirror_images_and_p4_does_not():
    x = image(1, 7, 7, 1)
    for group, differs in (("p4", True), ("p4m", False)):
        network = group_network(group)[:1]
        best = [through(network, view).max() for view in (x, turned(x, 4))]
        assert (abs(best[0] - best[1]) > 1e-9) == differs


def test_orientations_form_a_group():
    x = image(1, 3, 3, 1)
    for g in range(8):
        for h in range(8):
            np.testing.assert_array_equal(turned(turned(x, _quotient(g, h)), g), turned(x, h))


def test_weights_are_shared_by_all_orientations():
    layer = layers.GroupConv2D(5, 3, "p4m")
    layer.ensure_built((None, 6, 6, 16))
    assert [w.shape for w in layer.weights] == [(3, 3, 16, 5), (5,)]
    assert layer.compute_output_shape((None, 6, 6, 16)) == (None, 4, 4, 40)


def test_a_group_convolution_learns_alike_from_turned_images():
    """All four views of an image give the same gradient, so training on one is training on all."""
    x, y = image(4, 6, 6, 1), np.array([0, 1, 2, 0])
    weights = []
    for g in range(4):
        lift = layers.GroupConv2D(2, 3, "p4", lifting=True, dtype="float64")
        model = Sequential([layers.Input((6, 6, 1), dtype="float64"), lift])
        model.add(layers.Activation("tanh", dtype="float64"))
        model.add(layers.GlobalMaxPooling2D(dtype="float64"))
        model.add(layers.Dense(3, activation="softmax", dtype="float64"))
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        kernel = image(3, 3, 1, 2, seed=1)
        # each orientation of a filter weighs the same, so that the network is invariant
        lift.set_weights([kernel, np.zeros(2)])
        model.layers[-1].set_weights([np.tile(image(2, 3, seed=2), (4, 1)), np.zeros(3)])
        model.train_on_batch(turned(x, g), y)
        weights.append(lift.get_weights()[0])
    for other in weights[1:]:
        np.testing.assert_allclose(other, weights[0], atol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": "p5"}, "group must be one of 'p4', 'p4m', got 'p5'"),
        ({"kernel_size": (3, 2)}, "kernel_size must be the same for rows and columns"),
        ({"strides": (1, 2)}, "strides must be the same for rows and columns"),
        ({"dilation_rate": (1, 2)}, "dilation_rate must be the same for rows and columns"),
        ({"lifting": 1}, "lifting must be True or False, got 1"),
        ({"filters": 0}, "filters must be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments_of_group_convolutions(arguments, message):
    with pytest.raises(ValueError, match="GroupConv2D 'group_conv2d': ") as raised:
        layers.GroupConv2D(**{"filters": 2, "kernel_size": 3, **arguments})
    assert message in str(raised.value)


def test_an_input_without_orientations():
    message = "must have a multiple of 4 channels, its maps in all orientations of p4, got 3; "
    with pytest.raises(ValueError, match=f"{message}lifting=True takes an ordinary image"):
        layers.GroupConv2D(2, 3).ensure_built((None, 6, 6, 3))
