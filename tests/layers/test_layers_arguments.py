"""Bad arguments and inputs of layers: each a ValueError of one sentence that says what would do."""

import re

import numpy as np
import pytest

from convlet import Sequential, constraints, layers

L = layers

ARGUMENTS = [
    (lambda: L.Conv2D(0, 3), "Conv2D 'conv2d': filters must be an integer of at least 1, got 0"),
    (lambda: L.Conv2D(-4, 3), "Conv2D 'conv2d': filters must be an integer of at least 1, got -4"),
    (lambda: L.Conv2D(True, 3), "filters must be an integer of at least 1, got True"),
    (lambda: L.Conv2D(8.0, 3), "filters must be an integer of at least 1, got 8.0"),
    (lambda: L.Conv2D("8", 3), "filters must be an integer of at least 1, got '8'"),
    (
        lambda: L.Conv2D(8, 0),
        "kernel_size must be an integer of at least 1 or a tuple of 2 such integers, got 0",
    ),
    (
        lambda: L.Conv2D(8, (3, 3, 3)),
        "kernel_size must be an integer of at least 1 or a tuple of 2 such integers, got (3, 3, 3)",
    ),
    (
        lambda: L.Conv1D(8, (3, 3)),
        "kernel_size must be an integer of at least 1 or a tuple of 1 such integer, got (3, 3)",
    ),
    (lambda: L.Conv2D(8, (3, True)), "kernel_size must be an integer"),
    (lambda: L.Conv2D(8, 3, strides=(1, 0)), "strides must be an integer"),
    (lambda: L.Conv2D(8, 3, strides=1.5), "strides must be an integer"),
    (lambda: L.Conv2D(8, 3, dilation_rate=-1), "dilation_rate must be an integer"),
    (
        lambda: L.Conv2D(8, 3, strides=2, dilation_rate=(1, 2)),
        "strides above 1 cannot go with dilation_rate above 1, "
        "got strides=(2, 2) and dilation_rate=(1, 2)",
    ),
    (
        lambda: L.Conv2D(8, 3, padding="causal"),
        "padding must be one of 'valid', 'same', got 'causal'",
    ),
    (
        lambda: L.Conv1D(8, 3, padding="full"),
        "padding must be one of 'valid', 'same', 'causal', got 'full'",
    ),
    (lambda: L.Conv2D(8, 3, padding=1), "padding must be one of 'valid', 'same', got 1"),
    (lambda: L.Conv2D(8, 3, groups=0), "groups must be an integer of at least 1, got 0"),
    (lambda: L.Conv2D(8, 3, groups=3), "filters must be a multiple of groups (3), got 8"),
    (
        lambda: L.Conv2DTranspose(8, 3, 2, output_padding=(1, 2)),
        "Conv2DTranspose 'conv2d_transpose': output_padding must be below the strides, (2, 2), "
        "got (1, 2)",
    ),
    (
        lambda: L.Conv1DTranspose(8, 3, output_padding=-1),
        "output_padding must be an integer of at least 0",
    ),
    (lambda: L.Conv1DTranspose(8, 3, padding="causal"), "padding must be one of 'valid', 'same'"),
    (lambda: L.Conv2DTranspose(8, 3, 2, dilation_rate=2), "strides above 1 cannot go with"),
    (lambda: L.Conv3DTranspose(8, 3, groups=3), "filters must be a multiple of groups (3), got 8"),
    (
        lambda: L.DepthwiseConv2D(3, depth_multiplier=0),
        "DepthwiseConv2D 'depthwise_conv2d': depth_multiplier must be an integer of at least 1",
    ),
    (lambda: L.DepthwiseConv1D((3, 3)), "kernel_size must be an integer of at least 1"),
    (lambda: L.DepthwiseConv2D(3, filters=4), "unknown argument 'filters'"),
    (lambda: L.SeparableConv2D(4, 3, strides=0), "strides must be an integer"),
    (
        lambda: L.SeparableConv1D(4, 3, pointwise_initializer="glorot"),
        "pointwise_initializer: initializer: unknown 'glorot'",
    ),
    (
        lambda: L.Conv1DTranspose(8, 4, 3, "same", output_padding=0).compute_output_shape(
            (None, 1, 2)
        ),
        "an input of (1,) positions gives outputs of (0,); use a larger input, a larger kernel",
    ),
    (lambda: L.ReLU(-1), "ReLU 're_lu': max_value must be a number of at least 0, got -1"),
    (lambda: L.ReLU(threshold=-0.5), "threshold must be a number of at least 0, got -0.5"),
    (lambda: L.LeakyReLU(-0.1), "negative_slope must be a number of at least 0, got -0.1"),
    (lambda: L.ELU(None), "alpha must be a number of at least 0, got None"),
    (
        lambda: L.PReLU(shared_axes=0),
        "PReLU 'p_re_lu': shared_axes must be None, an integer of at least 1 or a tuple of such "
        "integers, each once, got 0",
    ),
    (lambda: L.PReLU(shared_axes=(1, 1)), "each once, got (1, 1)"),
    (lambda: L.PReLU(shared_axes=(1, -1)), "each once, got (1, -1)"),
    (lambda: L.PReLU(shared_axes="12"), "each once, got '12'"),
    (lambda: L.PReLU(shared_axes=True), "each once, got True"),
    (lambda: L.PReLU("slopes"), "alpha_initializer: initializer: unknown 'slopes'"),
    (
        lambda: L.PReLU(alpha_regularizer="l3"),
        "PReLU 'p_re_lu': alpha_regularizer: regularizer: unknown 'l3'; known are kl_sparsity, l1",
    ),
    (
        lambda: L.PReLU(shared_axes=(1, 3))(np.ones((2, 3, 4))),
        "shared_axes must be axes of the input, from 1 to 2, got (1, 3)",
    ),
    (
        lambda: L.PReLU(shared_axes=1).ensure_built((None, None, None, 3)),
        "the input's sizes must be known along axes that are not shared, got (None, None, None, 3)",
    ),
    (
        lambda: L.PReLU().compute_output_shape((None, 2**14, 2**14)),
        "the shape of an image must be that of at most 2**27 numbers, got (16384, 16384)",
    ),
    (lambda: L.Softmax(1.5), "axis must be an integer of at least -1, got 1.5"),
    (
        lambda: L.Softmax(1)(np.ones((2, 3, 4))),
        "axis must be the last one, -1 or 2, got 1; put a Permute before it",
    ),
    (lambda: L.Conv2D(8, 3, use_bias=1), "use_bias must be True or False, got 1"),
    (lambda: L.Conv2D(8, 3, activation="rely"), "activation must be one of 'linear', 'relu'"),
    (lambda: L.Conv2D(8, 3, activation=np.tanh), "activation must be one of 'linear', 'relu'"),
    (
        lambda: L.Conv2D(8, 3, data_format="channels_first"),
        "data_format must be 'channels_last', got 'channels_first'; "
        "move the channels with numpy.moveaxis(x, 1, -1)",
    ),
    (
        lambda: L.Conv2D(8, 3, kernel_initializer="glorot"),
        "Conv2D 'conv2d': kernel_initializer: initializer: unknown 'glorot'; known are constant",
    ),
    (
        lambda: L.Conv2D(8, 3, name="a/b"),
        "name must be a string without '/' and white space, got 'a/b'",
    ),
    (lambda: L.Conv2D(8, 3, name=""), "name must be a string without '/' and white space, got ''"),
    (lambda: L.Conv2D(8, 3, dtype="float16"), "dtype must be one of 'float32', 'float64'"),
    (lambda: L.Conv2D(8, 3, trainable="yes"), "trainable must be True or False, got 'yes'"),
    (
        lambda: L.Conv2D(8, 3, input_shape=28),
        "input_shape must be a tuple of integers of at least 1 or None, got 28",
    ),
    (lambda: L.MaxPooling2D(0), "MaxPooling2D 'max_pooling2d': pool_size must be an integer"),
    (lambda: L.MaxPooling2D(2, strides=-1), "strides must be an integer of at least 1"),
    (lambda: L.AveragePooling1D(padding="causal"), "padding must be one of 'valid', 'same'"),
    (
        lambda: L.LogSumExpPooling2D(sharpness=0),
        "LogSumExpPooling2D 'log_sum_exp_pooling2d': sharpness must be a number of at least 1e-06 "
        "and of at most 1e+06, got 0",
    ),
    (lambda: L.LogSumExpPooling1D(sharpness=float("nan")), "sharpness must be a number of at"),
    (lambda: L.StochasticPooling2D(seed=1.5), "seed must be an integer of at least 0, got 1.5"),
    (lambda: L.L2Pooling3D((2, 2)), "pool_size must be an integer of at least 1 or a tuple of 3"),
    (
        lambda: L.TrainableSubsampling2D(activation_position="between"),
        "activation_position must be one of 'before', 'after', got 'between'",
    ),
    (lambda: L.TrainableSubsampling1D(activation="rely"), "activation must be one of 'linear'"),
    (
        lambda: L.TrainableSubsampling3D(coefficient_initializer="on"),
        "coefficient_initializer: initializer: unknown 'on'",
    ),
    (
        lambda: L.OrbitMaxPooling(0),
        "OrbitMaxPooling 'orbit_max_pooling': orbit_size must be an integer of at least 1, got 0",
    ),
    (lambda: L.GlobalMaxPooling1D(keepdims=0), "keepdims must be True or False, got 0"),
    (lambda: L.Dense(0), "Dense 'dense': units must be an integer of at least 1, got 0"),
    (lambda: L.Dense(np.True_), "units must be an integer of at least 1, got"),
    (lambda: L.Dropout(1.0), "Dropout 'dropout': rate must be a number of at least 0 and below 1"),
    (lambda: L.Dropout(-0.1), "rate must be a number of at least 0 and below 1, got -0.1"),
    (lambda: L.Dropout(float("nan")), "rate must be a number of at least 0 and below 1, got nan"),
    (lambda: L.Dropout(0.5, seed=-1), "seed must be an integer of at least 0, got -1"),
    (lambda: L.Rescaling("x"), "Rescaling 'rescaling': scale must be a finite number, got 'x'"),
    (lambda: L.Rescaling(1.0, float("inf")), "offset must be a finite number, got inf"),
    (lambda: L.Activation("step"), "Activation 'activation': activation must be one of"),
    (lambda: L.Conv2D(8, 3, paddin="same"), "unknown argument 'paddin'; did you mean 'padding'?"),
    (lambda: L.Flatten(rate=1), "Flatten: unknown argument 'rate'; known are"),
    (
        lambda: L.Dense(8, kernel_constraint=np.abs),
        "Dense 'dense': kernel_constraint: constraint: expected a name, a Constraint or a dict",
    ),
    (
        lambda: L.Dense(8, kernel_regulariser="l2"),
        "unknown argument 'kernel_regulariser'; did you mean 'kernel_regularizer'?",
    ),
    (lambda: L.Flatten(kernel_regularizer="l2"), "Flatten: unknown argument 'kernel_regularizer'"),
    (
        lambda: L.Conv2D(8, 3, kernel_regularizer="orthogonal_regularizer")(np.ones((1, 4, 4, 1))),
        "Conv2D 'conv2d': weight 'kernel': OrthogonalRegularizer needs weights of 2 axes, got "
        "shape (3, 3, 1, 8)",
    ),
    (
        lambda: L.Dense(8, bias_constraint=constraints.MaxNorm(axis=1))(np.ones((1, 4))),
        "Dense 'dense': weight 'bias': MaxNorm: axis must be axes of the weights that differ, got "
        "1 and weights of shape (8,)",
    ),
    (
        lambda: L.Input((28, 0, 1)),
        "InputLayer 'input_layer': shape must be a tuple of integers of at least 1 or None, "
        "got (28, 0, 1)",
    ),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS)
def test_a_bad_argument_is_named_with_what_would_do(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


INPUTS = [
    (
        L.Conv2D(8, 3),
        (5, 28, 28),
        "Conv2D 'conv2d': the input must have shape (batch, 2 spatial axes, channels), "
        "4 axes in all, got (None, 28, 28)",
    ),
    (
        L.Conv1D(8, 3),
        (5, 28, 28, 1),
        "the input must have shape (batch, 1 spatial axis, channels), 3 axes in all",
    ),
    (
        L.Conv2D(8, 5),
        (5, 4, 9, 1),
        "Conv2D 'conv2d': the window spans 5 positions along spatial axis 0 but the input has 4, "
        "padding included; use a smaller window, padding='same' or a larger input",
    ),
    (L.Conv2D(8, 3, dilation_rate=4), (5, 28, 8, 1), "the window spans 9 positions along"),
    (
        L.Conv2D(8, 3, groups=4),
        (5, 9, 9, 6),
        "groups must divide the input's channels, got groups=4 and 6 channels",
    ),
    (L.MaxPooling3D(3), (5, 9, 9, 2, 6), "the window spans 3 positions along spatial axis 2"),
    (L.GlobalMaxPooling2D(), (5, 9), "the input must have shape (batch, 2 spatial axes, channels)"),
    (L.SumPooling2D(3), (5, 2, 9, 1), "the window spans 3 positions along spatial axis 0"),
    (
        L.OrbitMaxPooling(4),
        (5, 3, 3, 6),
        "OrbitMaxPooling 'orbit_max_pooling': the input must have shape (batch, ..., channels) "
        "with a multiple of 4, the size of an orbit, as its number of channels, "
        "got (None, 3, 3, 6)",
    ),
    (L.TrainableSubsampling2D(), (5, 4, 6), "the input must have shape (batch, 2 spatial axes"),
    (L.Dense(3), (5,), "the input must have shape (batch, ..., channels)"),
    (
        L.Rescaling([1.0, 2.0]),
        (5, 3),
        "scale must be one number or one for each of the input's channels, "
        "got 2 numbers and an input of shape (None, 3)",
    ),
]


@pytest.mark.parametrize(("layer", "shape", "message"), INPUTS)
def test_an_input_that_does_not_fit_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Sequential([layers.Input(shape[1:]), layer])


@pytest.mark.parametrize("layer", [L.Conv2D(8, 3), L.Dense(4)])
def test_channels_must_be_known(layer):
    with pytest.raises(ValueError, match=r"number of channels.*got \(None, 9, 9, None\)"):
        layer.ensure_built((None, 9, 9, None))


@pytest.mark.parametrize("layer", [L.Conv2D(8, 3), L.Dense(4)])
def test_the_number_of_channels_is_fixed_once_the_kernel_is_made(layer):
    layer(np.zeros((1, 9, 9, 2)))
    with pytest.raises(ValueError, match="must have 2 channels, for which the kernel was made"):
        layer.compute_output_shape((None, 9, 9, 3))


def test_the_number_of_maps_is_fixed_once_the_coefficients_are_made():
    layer = L.TrainableSubsampling1D()
    layer(np.zeros((1, 4, 2)))
    with pytest.raises(ValueError, match="must have 2 channels, for which the coefficients were"):
        layer.compute_output_shape((None, 4, 3))


def test_set_weights_changes_nothing_unless_all_of_them_fit():
    layer = L.Dense(2)
    layer(np.zeros((1, 3)))
    before = layer.get_weights()
    for weights, message in [
        ([np.ones((3, 2))], "set_weights needs 2 arrays, got 1"),
        (
            [np.ones((3, 2)), np.ones(3)],
            r"Dense 'dense': weight 'bias' has shape \(2,\), got \(3,\)",
        ),
        ([np.ones((3, 2)), ["a", "b"]], "weight 'bias': its value must be an array of numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer.set_weights(weights)
        assert all((a == b).all() for a, b in zip(before, layer.get_weights(), strict=True))


def test_keras_s_arguments_may_be_spelled_out_if_they_ask_for_nothing():
    layer = L.Conv2D(2, 3, kernel_regularizer=None, bias_constraint=None, activity_regularizer=None)
    assert L.Flatten(data_format="channels_last")(np.zeros((1, 2, 2))).shape == (1, 4)
    assert layer.filters == 2


def test_numbers_that_float32_cannot_hold_are_refused():
    layer = L.Dense(2)
    layer(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="weight 'kernel': float32 cannot hold numbers that large"):
        layer.set_weights([np.full((3, 2), 1e300), np.zeros(2)])


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (L.GlobalMaxPooling2D(), np.ones((4, 4, 3)), "the input must have shape (batch, 2 spatial"),
        (L.Rescaling([1, 2, 3]), np.ones((2, 4, 1)), "scale must be one number or one for each"),
        (L.Flatten(), np.ones((2, 3)) * 1j, "x must be an array of numbers, got one of complex128"),
        (L.Flatten(), [[1], [2, 3]], "x must be an array of numbers, got rows of different shapes"),
        (L.Dense(3), L.Flatten(), "called with Flatten 'flatten', which is no array"),
    ],
)
def test_a_layer_that_is_called_checks_what_it_is_given(layer, x, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(x)
