"""Padding, cropping, upsampling, shapes and axes: Keras's numbers, shapes, and errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from convlet import Sequential, layers
from convlet.saving import load_model

L = layers


def counted(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


# --- the worked values of Keras's documentation ---


def test_zero_padding_1d():
    y = L.ZeroPadding1D(padding=2)(counted(2, 2, 3))
    assert y.tolist() == [
        [[0, 0, 0], [0, 0, 0], [0, 1, 2], [3, 4, 5], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [6, 7, 8], [9, 10, 11], [0, 0, 0], [0, 0, 0]],
    ]


def test_zero_padding_2d():
    y = L.ZeroPadding2D(padding=1)(counted(1, 1, 2, 2))
    zeros = [[0, 0]] * 4
    assert y.tolist() == [[zeros, [[0, 0], [0, 1], [2, 3], [0, 0]], zeros]]


def test_cropping_1d():
    assert L.Cropping1D(cropping=1)(counted(2, 3, 2)).tolist() == [[[2, 3]], [[8, 9]]]


def test_up_sampling_1d():
    y = L.UpSampling1D(size=2)(counted(2, 2, 3))
    assert y.tolist() == [
        [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]],
        [[6, 7, 8], [6, 7, 8], [9, 10, 11], [9, 10, 11]],
    ]


def test_up_sampling_2d():
    y = L.UpSampling2D(size=(1, 2))(counted(2, 2, 1, 3))
    assert y.tolist() == [
        [[[0, 1, 2], [0, 1, 2]], [[3, 4, 5], [3, 4, 5]]],
        [[[6, 7, 8], [6, 7, 8]], [[9, 10, 11], [9, 10, 11]]],
    ]


# Keras's own numbers: layer, input shape, output shape.
SHAPES = [
    (L.ZeroPadding1D(), (None, 3, 2), (None, 5, 2)),
    (L.ZeroPadding1D((1, 4)), (None, None, 2), (None, None, 2)),
    (L.ZeroPadding2D(), (None, 3, 4, 2), (None, 5, 6, 2)),
    (L.ZeroPadding2D((1, 2)), (None, 3, None, 2), (None, 5, None, 2)),
    (L.ZeroPadding3D(2), (1, 1, 2, 2, 3), (1, 5, 6, 6, 3)),
    (L.ZeroPadding3D(), (None, 1, 2, 2, 3), (None, 3, 4, 4, 3)),
    (L.ZeroPadding3D(((1, 2), (3, 4), (0, 2))), (None, 3, 5, 7, 2), (None, 6, 12, 9, 2)),
    (L.Cropping1D(), (None, 5, 2), (None, 3, 2)),
    (L.Cropping2D(), (None, 5, 4, 2), (None, 5, 4, 2)),
    (L.Cropping2D(((2, 2), (4, 4))), (None, 28, 28, 3), (None, 24, 20, 3)),
    (L.Cropping2D(((1, 2), (3, 4))), (None, None, 9, 5), (None, None, 2, 5)),
    (L.Cropping3D((2, 4, 2)), (None, 28, 28, 10, 3), (None, 24, 20, 6, 3)),
    (L.Cropping3D(), (None, 3, 4, 5, 3), (None, 1, 2, 3, 3)),
    (L.UpSampling1D(), (None, 3, 2), (None, 6, 2)),
    (L.UpSampling2D(), (None, 3, None, 2), (None, 6, None, 2)),
    (L.UpSampling2D((2, 3), None, "bilinear"), (None, 3, None, 2), (None, 6, None, 2)),
    (L.UpSampling3D((2, 1, 3)), (None, 2, 3, 4, 1), (None, 4, 3, 12, 1)),
    (L.UpSampling3D(), (None, 1, 2, 3, 1), (None, 2, 4, 6, 1)),
    (L.Reshape((3, 4)), (None, 12), (None, 3, 4)),
    (L.Reshape((-1, 2, 2)), (None, 3, 4), (None, 3, 2, 2)),
    (L.Reshape((8, 1)), (None, 2, 4), (None, 8, 1)),
    (L.Reshape((-1, 8)), (4, 6, None, 3), (4, None, 8)),
    (L.Reshape((5, 8)), (None, None, 3), (None, 5, 8)),
    (L.Reshape([-1]), (None, 3, 5), (None, 15)),
    (L.Permute((2, 1)), (None, 10, 64), (None, 64, 10)),
    (L.Permute((3, 1, 2)), (None, 4, None, 6), (None, 6, 4, None)),
]


@pytest.mark.parametrize(("layer", "given", "expected"), SHAPES)
def test_output_shapes(layer, given, expected):
    assert layer.compute_output_shape(given) == expected


# --- against NumPy ---

sides = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(st.lists(sides, min_size=1, max_size=3), st.sampled_from(["float32", "float64"]))
@settings(deadline=None, max_examples=40)
def test_zeros_are_put_around_and_cut_off_again(pairs, dtype):
    rank = len(pairs)
    pad = (L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D)[rank - 1]
    crop = (L.Cropping1D, L.Cropping2D, L.Cropping3D)[rank - 1]
    argument = pairs[0] if rank == 1 else pairs
    x = counted(2, 3, 2, 4, 2)[(slice(None), *(slice(None),) * rank, *(0,) * (3 - rank))]
    x = (x + 1).astype(dtype)
    padded = pad(argument, dtype=dtype)(x)
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), *pairs, (0, 0)]))
    np.testing.assert_array_equal(crop(argument, dtype=dtype)(padded), x)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (L.UpSampling1D(3), (3,)),
        (L.UpSampling2D(), (2, 2)),
        (L.UpSampling2D((3, 1), interpolation="nearest"), (3, 1)),
        (L.UpSampling3D((2, 1, 3)), (2, 1, 3)),
    ],
)
def test_every_position_is_repeated(layer, size):
    x = counted(2, *(3, 2, 4)[: len(size)], 2)
    y = x
    for axis, factor in enumerate(size, start=1):
        y = np.repeat(y, factor, axis)
    np.testing.assert_array_equal(layer(x), y)


@given(
    st.tuples(*[st.integers(1, 5)] * 2),
    st.tuples(*[st.integers(1, 5)] * 2, st.sampled_from([1, 2, 17])),
    st.sampled_from(["float32", "float64"]),
)
@settings(deadline=None, max_examples=40)
def test_bilinear_upsampling_is_that_of_scipy(size, shape, dtype):
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(dtype)
    y = L.UpSampling2D(size, interpolation="bilinear", dtype=dtype)(x)
    zoom = (1, *size, 1)
    expected = ndimage.zoom(x.astype(float), zoom, order=1, mode="nearest", grid_mode=True)
    tolerance = 1e-6 if dtype == "float32" else 1e-14  # of numbers up to 4
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance)


def test_a_bilinear_kernel_that_does_not_fit_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr("convlet.arguments._memory", lambda: 10**9)
    layer = L.UpSampling2D(5000, interpolation="bilinear")
    message = "bilinear upsampling by such a size would take 11.6 GB, this machine has 1 GB"
    with pytest.raises(ValueError, match=message):
        layer.compute_output_shape((None, 1, 1, 1))


def test_the_bilinear_kernel_is_no_weight(tmp_path):
    up = L.UpSampling2D(interpolation="bilinear")
    model = Sequential([L.Input((3, 2, 2)), up])
    assert model.count_params() == 0
    assert up.weights == []
    model.save(tmp_path / "model.safetensors")
    x = counted(2, 3, 2, 2)
    np.testing.assert_array_equal(load_model(tmp_path / "model.safetensors").predict(x), up(x))


@pytest.mark.parametrize("dims", [(1,), (2, 1), (1, 2), (3, 1, 2), (4, 2, 1, 3)])
def test_axes_are_permuted(dims):
    x = counted(2, *(3, 2, 4, 5)[: len(dims)])
    np.testing.assert_array_equal(L.Permute(dims)(x), x.transpose(0, *dims))


@pytest.mark.parametrize("target", [(24,), (4, 6), (-1, 3), (2, -1, 4), (2, 3, 4, 1)])
def test_the_same_numbers_in_another_shape(target):
    x = counted(3, 2, 3, 4)
    np.testing.assert_array_equal(L.Reshape(target)(x), x.reshape(3, *target))


def test_the_numbers_of_one_image_stay_apart_from_those_of_others():
    x = counted(3, 2, 4)
    for layer in (L.ZeroPadding1D(), L.Cropping1D((1, 0)), L.UpSampling1D(), L.Permute((2, 1))):
        for image in range(3):
            np.testing.assert_array_equal(layer(x)[image], layer(x[image : image + 1])[0])


def test_a_padded_convolution_is_the_one_that_pads_itself():
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype(np.float32)
    same = L.Conv2D(3, 3, padding="same")
    y = same(x)
    valid = L.Conv2D(3, 3)
    padded = L.ZeroPadding2D(1)(x)
    valid(padded)
    valid.set_weights(same.get_weights())
    np.testing.assert_array_equal(valid(padded), y)


# --- configurations ---


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (L.ZeroPadding1D(), {"padding": [1, 1]}),
        (L.ZeroPadding2D((1, 2)), {"padding": [[1, 1], [2, 2]]}),
        (L.Cropping1D((0, 2)), {"cropping": [0, 2]}),
        (L.Cropping2D(), {"cropping": [[0, 0], [0, 0]]}),
        (L.Cropping3D(), {"cropping": [[1, 1], [1, 1], [1, 1]]}),
        (L.UpSampling1D(), {"size": [2]}),
        (L.UpSampling2D(3), {"size": [3, 3], "interpolation": "nearest"}),
        (L.UpSampling2D((1, 2), interpolation="bilinear"), {"interpolation": "bilinear"}),
        (L.Reshape((-1, 2)), {"target_shape": [-1, 2]}),
        (L.Permute((2, 1)), {"dims": [2, 1]}),
    ],
)
def test_configurations_have_keras_s_form(layer, expected):
    config = layer.get_config()
    assert {name: config[name] for name in expected} == expected


# --- bad arguments and inputs ---

ARGUMENTS = [
    (
        lambda: L.ZeroPadding1D(-1),
        "ZeroPadding1D 'zero_padding1d': padding must be an integer of at least 0 or a tuple of 2 "
        "such integers, got -1",
    ),
    (lambda: L.ZeroPadding1D((1, 2, 3)), "padding must be an integer of at least 0 or a tuple of"),
    (
        lambda: L.ZeroPadding2D((1, 2, 3)),
        "ZeroPadding2D 'zero_padding2d': padding must be an integer of at least 0, a tuple of 2 "
        "such integers or a tuple of 2 pairs of them (begin, end), got (1, 2, 3)",
    ),
    (lambda: L.ZeroPadding2D(((1, 2), (3, -4))), "(begin, end), got ((1, 2), (3, -4))"),
    (lambda: L.ZeroPadding2D(((1, 2), (3, 4, 5))), "(begin, end), got ((1, 2), (3, 4, 5))"),
    (lambda: L.ZeroPadding2D(1.5), "(begin, end), got 1.5"),
    (lambda: L.ZeroPadding2D(True), "(begin, end), got True"),
    (lambda: L.ZeroPadding2D(None), "(begin, end), got None"),
    (lambda: L.ZeroPadding2D(b"12"), "(begin, end), got b'12'"),
    (lambda: L.ZeroPadding3D((1, 2)), "a tuple of 3 pairs of them (begin, end), got (1, 2)"),
    (
        lambda: L.ZeroPadding2D(1, "channels_first"),
        "data_format must be 'channels_last', got 'channels_first'",
    ),
    (lambda: L.Cropping2D((1, "2")), "Cropping2D 'cropping2d': cropping must be an integer of at"),
    (lambda: L.Cropping1D([1]), "cropping must be an integer of at least 0 or a tuple of 2 such"),
    (
        lambda: L.UpSampling1D(0),
        "UpSampling1D 'up_sampling1d': size must be an integer of at least",
    ),
    (lambda: L.UpSampling2D((2, 2, 2)), "size must be an integer of at least 1 or a tuple of 2"),
    (
        lambda: L.UpSampling2D(interpolation="bicubic"),
        "UpSampling2D 'up_sampling2d': interpolation must be one of 'nearest', 'bilinear', "
        "got 'bicubic'",
    ),
    (
        lambda: L.Reshape((-1, 3, -1)),
        "Reshape 'reshape': target_shape must be a tuple of integers of at least 1, "
        "one of which may be -1, got (-1, 3, -1)",
    ),
    (lambda: L.Reshape((0, 3)), "one of which may be -1, got (0, 3)"),
    (lambda: L.Reshape((-2,)), "one of which may be -1, got (-2,)"),
    (lambda: L.Reshape(()), "one of which may be -1, got ()"),
    (lambda: L.Reshape(12), "one of which may be -1, got 12"),
    (lambda: L.Reshape((None, 3)), "one of which may be -1, got (None, 3)"),
    (lambda: L.Reshape("12"), "one of which may be -1, got '12'"),
    (
        lambda: L.Permute((0, 1, 2)),
        "Permute 'permute': dims must be a tuple that holds each of the numbers 1 to its length "
        "once, got (0, 1, 2)",
    ),
    (lambda: L.Permute((1, 4, 2)), "once, got (1, 4, 2)"),
    (lambda: L.Permute((1, 1)), "once, got (1, 1)"),
    (lambda: L.Permute(()), "once, got ()"),
    (lambda: L.Permute(2), "once, got 2"),
    (lambda: L.Permute(b"\1\2"), "once, got b'"),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS)
def test_a_bad_argument_is_named_with_what_would_do(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


INPUTS = [
    (
        L.ZeroPadding2D(),
        (5, 3),
        "ZeroPadding2D 'zero_padding2d': the input must have shape (batch, 2 spatial axes, "
        "channels), 4 axes in all, got (None, 5, 3)",
    ),
    (
        L.Cropping2D(((0, 0), (2, 3))),
        (7, 5, 1),
        "Cropping2D 'cropping2d': cropping must leave at least 1 position along axis 1, "
        "which has 5, got (2, 3)",
    ),
    (
        L.Reshape((4, 2)),
        (3, 2),
        "Reshape 'reshape': target_shape must hold the input's 6 numbers, "
        "got (4, 2) and an input of shape (None, 3, 2)",
    ),
    (L.Reshape((4, -1)), (3, 2), "target_shape must hold the input's 6 numbers, got (4, -1)"),
    (L.Reshape((12,)), (3, 2), "target_shape must hold the input's 6 numbers, got (12,)"),
    (
        L.Permute((2, 1)),
        (4, 5, 6),
        "Permute 'permute': the input must have 2 axes beside the batch, as many as dims=(2, 1), "
        "got (None, 4, 5, 6)",
    ),
    (
        L.ZeroPadding1D((0, 10**9)),
        (5, 1),
        "ZeroPadding1D 'zero_padding1d': the shape of an image must be that of at most 2**27 "
        "numbers, got (1000000005, 1)",
    ),
    (L.ZeroPadding2D(10**30), (5, 5, 1), "must be that of at most 2**27 numbers, got"),
    (L.ZeroPadding2D(10**30), (None, 5, 1), "must be that of at most 2**27 numbers, got"),
    (
        L.UpSampling2D(10**4, interpolation="bilinear"),
        (5, 5, 1),
        "must be that of at most 2**27 numbers, got (50000, 50000, 1)",
    ),
    (L.UpSampling3D(10**4), (5, 5, 5, 1), "must be that of at most 2**27 numbers, got"),
    (L.Cropping1D(10**9), (10**10, 1), "must be that of at most 2**27 numbers, got"),
    (L.Permute((2, 1)), (10**9, 10**9), "must be that of at most 2**27 numbers, got"),
]


@pytest.mark.parametrize(("layer", "shape", "message"), INPUTS)
def test_an_input_that_does_not_fit_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sequential([L.Input(shape), layer])
