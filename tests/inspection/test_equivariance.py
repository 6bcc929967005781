"""Equivariance measured: nothing for what is equivariant, much for what is not."""

import numpy as np
import pytest

from convlet import Sequential, layers
from convlet.inspection import equivariance_error, rotation, scaling, translation
from convlet.layers.group import ORDERS

F64 = {"dtype": "float64"}
EXACT = 1e-13


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# --- the transformations themselves ---


def test_translation_shifts_and_brings_in_zeros():
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(translation((0, 1))(x)[0, ..., 0], [[0, 0, 1], [0, 3, 4]])
    np.testing.assert_array_equal(translation((-1, 0))(x)[0, ..., 0], [[3, 4, 5], [0, 0, 0]])
    np.testing.assert_array_equal(translation((0, -5))(x), 0)
    np.testing.assert_array_equal(translation((0, 0))(x), x)


def test_rotation_by_right_angles_is_exact():
    x = images(2, 5, 5, 3)
    np.testing.assert_array_equal(rotation(90)(x), np.rot90(x, axes=(1, 2)))
    np.testing.assert_array_equal(rotation(-180)(x), x[:, ::-1, ::-1])
    np.testing.assert_array_equal(rotation(360.0)(x), x)


def test_rotation_by_any_angle_turns_the_same_way():
    """Nine turns by ten degrees are nearly one by ninety, for an image that is smooth."""
    axis = np.linspace(-1, 1, 41)
    blob = np.exp(-20 * ((axis[:, None] - 0.3) ** 2 + axis**2))[None, ..., None]
    x = blob
    for _ in range(9):
        x = rotation(10)(x)
    assert np.abs(x - rotation(90)(blob)).max() < 2e-3
    assert np.abs(x - rotation(-90)(blob)).max() > 0.5


def test_scaling_enlarges_about_the_middle():
    axis = np.linspace(-1, 1, 41)
    x = np.exp(-((axis[:, None] / 0.2) ** 2) - (axis / 0.1) ** 2)[None, ..., None]
    larger = np.exp(-((axis[:, None] / 0.4) ** 2) - (axis / 0.2) ** 2)[None, ..., None]
    assert np.abs(scaling(2)(x) - larger).max() < 5e-3
    assert scaling(1)(x) == pytest.approx(x)


# --- layers ---


def test_a_convolution_is_equivariant_to_translations_away_from_the_border():
    layer = layers.Conv2D(3, 3, padding="same", activation="tanh", **F64)
    x = images(2, 9, 9, 2)
    shift = translation((2, -1))
    assert equivariance_error(layer, shift, x, margin=3) < EXACT
    assert equivariance_error(layer, shift, x) > 0.01


def test_behind_a_stride_the_output_shifts_by_fewer_positions():
    layer = layers.Conv1D(2, 3, strides=2, **F64)
    x = images(2, 21, 1)
    error = equivariance_error(layer, translation([4]), x, translation([2]), margin=2)
    assert error < EXACT
    assert equivariance_error(layer, translation([3]), x, translation([1]), margin=2) > 0.1


def test_a_locally_connected_layer_is_not():
    layer = layers.LocallyConnected2D(2, 3, padding="same", **F64)
    assert equivariance_error(layer, translation((1, 0)), images(2, 7, 7, 1), margin=2) > 0.1


@pytest.mark.parametrize("group", ORDERS)
@pytest.mark.parametrize("operation", ["max", "mean"])
def test_group_convolutions_and_their_pooling_turn_with_the_image(group, operation):
    network = Sequential(
        [
            layers.Input((8, 8, 1), **F64),
            layers.GroupConv2D(3, 3, group, True, padding="same", activation="tanh", **F64),
            layers.GroupConv2D(2, 3, group, padding="same", **F64),
            layers.GroupPooling2D(group, operation, **F64),
        ]
    )
    x = images(3, 8, 8, 1)
    for degrees in (90, 180, 270):
        assert equivariance_error(network, rotation(degrees), x) < EXACT
    mirrored = equivariance_error(network, lambda v: v[:, :, ::-1], x)
    assert (mirrored < EXACT) == (group == "p4m")
    plain = layers.Conv2D(2, 3, padding="same", **F64)
    assert equivariance_error(plain, rotation(90), x) > 0.1


def test_numbers_behind_a_global_pooling_are_invariant():
    network = Sequential(
        [
            layers.Input((7, 7, 2), **F64),
            layers.GroupConv2D(3, 3, "p4", lifting=True, **F64),
            layers.GroupPooling2D("p4", **F64),
            layers.GlobalMaxPooling2D(**F64),
        ]
    )
    assert equivariance_error(network, rotation(90), images(2, 7, 7, 2)) < EXACT


def test_other_angles_and_scales_are_nearly_so_for_smooth_images():
    axis = np.linspace(-1, 1, 33)
    x = np.exp(-8 * (axis[:, None] ** 2 + 3 * axis**2))[None, ..., None]
    round_kernel = np.outer([1, 2, 1], [1, 2, 1]).reshape(3, 3, 1, 1) / 16.0
    layer = layers.Conv2D(1, 3, padding="same", use_bias=False, **F64)
    layer.ensure_built((None, 33, 33, 1))
    layer.set_weights([round_kernel])
    assert equivariance_error(layer, rotation(30), x, margin=4) < 0.01
    assert 1e-4 < equivariance_error(layer, scaling(1.5), x, margin=4) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: translation((1.5,)), "translation: shift must be integers, one for each axis"),
        (lambda: translation(3), "translation: shift must be integers, one for each axis"),
        (lambda: translation((1,))(np.zeros((1, 2, 2, 1))), "samples must have 1 axes between"),
        (lambda: rotation("90"), "rotation: degrees must be a finite number"),
        (lambda: rotation(90)(np.zeros((1, 3, 1))), "samples must have 2 axes between"),
        (lambda: scaling(0), "scaling: factor must be a number above 0, got 0"),
        (
            lambda: equivariance_error(layers.Flatten(), lambda v: v[:, 1:], np.zeros((1, 3, 1))),
            "transform must keep the shape (1, 3, 1), got (1, 2, 1)",
        ),
        (
            lambda: equivariance_error(
                layers.Conv1D(1, 1), lambda v: v, np.ones((1, 4, 1)), margin=2
            ),
            "margin must leave something of the output's grid (4,), got 2",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is what is tested
        call()
    assert message in str(raised.value)
