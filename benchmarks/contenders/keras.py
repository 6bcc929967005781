"""Keras, on the backend that ``KERAS_BACKEND`` names."""

from __future__ import annotations

import os

from contenders.contender import BaseContender
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

BACKEND = os.environ["KERAS_BACKEND"]
if BACKEND == "tensorflow":
    from contenders.tensorflow import limit_threads

    limit_threads()  # before Keras starts TensorFlow

import keras  # noqa: E402
from keras import layers  # noqa: E402


class Contender(BaseContender):
    """``train_on_batch``, ``predict_on_batch`` and ``fit``.

    Parameters
    ----------
    threads : int
    jit_compile : bool or "auto"
        Keras's own argument: whether XLA compiles the step.
    """

    def __init__(self, threads, jit_compile="auto"):
        super().__init__(threads)
        self.jit_compile = jit_compile

    def version(self):
        backend = __import__(BACKEND)
        return f"Keras {keras.__version__}, {BACKEND} {backend.__version__}"

    def training(self, network, weights, x, y):
        model = self._model(network, weights)
        return lambda: float(model.train_on_batch(x, y))

    def inference(self, network, weights, x):
        model = self._model(network, weights)
        return lambda: model.predict_on_batch(x)

    def fit(self, network, weights, batch):
        model = self._model(network, weights, metrics=["accuracy"])

        def epoch(x, y):
            history = model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
            return history.history["accuracy"][-1]

        return epoch

    def _model(self, network, weights, metrics=None):
        """Return the compiled network."""
        model = _network(network, weights)
        model.compile(
            keras.optimizers.SGD(network.learning_rate),
            "sparse_categorical_crossentropy",
            metrics=metrics,
            jit_compile=self.jit_compile,
        )
        return model


def _network(network, weights):
    """Return the model, its weights set."""
    if network.is_chain:
        model = keras.Sequential([keras.Input(network.input_shape), *map(_layer, network.layers)])
        model.set_weights(weights)
        return model
    named, x = {}, keras.Input(network.input_shape)
    inputs, made = x, []
    for layer in network.layers:
        x = named[layer.reads] if layer.reads else x
        made.append(_layer(layer))
        x = made[-1]([x, named[layer.other]] if isinstance(layer, Add) else x)
        named[layer.name] = x
    model = keras.Model(inputs, x)
    remaining = iter(weights)
    for layer, ours in zip(network.layers, made, strict=True):
        ours.set_weights([next(remaining) for _ in range(number_of_weights(layer))])
    return model


def _layer(layer):
    """Return one layer as Keras's."""
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
