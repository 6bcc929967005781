"""A network in a library that has Keras's names: Keras itself, and convlet."""

from __future__ import annotations

from networks import (
    EPSILON,
    Activation,
    Add,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalPool,
    MaxPool,
    number_of_weights,
)


def model_of(network, weights, library):
    """Return the model, its weights set, in a library that has Keras's names.

    Parameters
    ----------
    network : Network
    weights : list of ndarray
    library : module
        With ``Sequential``, ``Model`` and ``layers``.
    """
    layers = library.layers
    if network.is_chain:
        model = library.Sequential(
            [
                layers.Input(network.input_shape),
                *(_layer(layer, layers) for layer in network.layers),
            ]
        )
        model.set_weights(weights)
        return model
    named, x = {}, layers.Input(network.input_shape)
    inputs, made = x, []
    for layer in network.layers:
        x = named[layer.reads] if layer.reads else x
        made.append(_layer(layer, layers))
        x = made[-1]([x, named[layer.other]] if isinstance(layer, Add) else x)
        named[layer.name] = x
    model = library.Model(inputs, x)
    remaining = iter(weights)
    for layer, ours in zip(network.layers, made, strict=True):
        ours.set_weights([next(remaining) for _ in range(number_of_weights(layer))])
    return model


def _layer(layer, layers):
    """Return one layer, from the library's module of them."""
    match layer:
        case DepthwiseConv(_, kernel, activation, stride, padding, bias):
            return layers.DepthwiseConv2D(
                kernel, stride, padding, activation=activation, use_bias=bias
            )
        case Conv(channels, kernel, activation, stride, padding, bias):
            return layers.Conv2D(
                channels, kernel, stride, padding, activation=activation, use_bias=bias
            )
        case BatchNorm():
            return layers.BatchNormalization(epsilon=EPSILON)
        case Activation(function):
            return layers.Activation(function)
        case Add():
            return layers.Add()
        case MaxPool(size):
            return layers.MaxPooling2D(size)
        case GlobalPool():
            return layers.GlobalAveragePooling2D()
        case Flatten():
            return layers.Flatten()
        case Dense(units, activation):
            return layers.Dense(units, activation=activation)
