"""convlet, as its users call it."""

from __future__ import annotations

import convlet
from contenders.contender import LEARNING_RATE, BaseContender
from convlet import layers
from networks import Conv, Dense, Flatten, MaxPool


class Contender(BaseContender):
    """``train_on_batch``, ``predict_on_batch`` and ``fit``."""

    def version(self):
        return f"convlet {convlet.__version__}"

    def training(self, network, weights, x, y):
        model = _model(network, weights)
        return lambda: model.train_on_batch(x, y)

    def inference(self, network, weights, x):
        model = _model(network, weights)
        return lambda: model.predict_on_batch(x)

    def fit(self, network, weights, batch):
        model = _model(network, weights, metrics=["accuracy"])

        def epoch(x, y):
            history = model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
            return history.history["accuracy"][-1]

        return epoch


def _model(network, weights, metrics=None):
    """Return the compiled network."""
    model = convlet.Sequential(
        [layers.Input(network.input_shape), *(_layer(layer) for layer in network.layers)]
    )
    model.compile(
        convlet.optimizers.SGD(LEARNING_RATE), "sparse_categorical_crossentropy", metrics=metrics
    )
    model.set_weights(weights)
    return model


def _layer(layer):
    """Return one layer as convlet's."""
    match layer:
        case Conv(channels, kernel, activation):
            return layers.Conv2D(channels, kernel, activation=activation)
        case MaxPool(size):
            return layers.MaxPooling2D(size)
        case Flatten():
            return layers.Flatten()
        case Dense(units, activation):
            return layers.Dense(units, activation=activation)
