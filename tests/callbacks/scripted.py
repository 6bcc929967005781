"""What the tests of callbacks share: a tiny network, and epochs whose scores are told beforehand.

PYTEST_DONT_REWRITE: the search for doctests imports this file before it is used as a module.
"""

import numpy as np

import convlet
from convlet import Sequential, layers, optimizers
from convlet.callbacks import Callback

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(int)


class Tell(Callback):
    """Puts values in the epochs' logs, as if they were scores; to stand before the others."""

    def __init__(self, **scores):
        self.scores = scores
        self.weights, self.rates = [], []

    def on_epoch_end(self, epoch, logs=None):
        logs |= {name: values[epoch] for name, values in self.scores.items()}
        self.weights.append(self.model.get_weights())
        self.rates.append(self.model.optimizer.learning_rate)


def compiled(learning_rate=0.1):
    convlet.utils.set_random_seed(0)
    model = Sequential([layers.Input((3,)), layers.Dense(2, activation="softmax")])
    model.compile(optimizers.SGD(learning_rate), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def train(*callbacks, epochs=3, learning_rate=0.1, batch_size=4, **options):
    """Return a model trained for some epochs of three steps."""
    model = compiled(learning_rate)
    model.fit(X, Y, batch_size, epochs, 0, callbacks, **options)
    return model


def same(weights, others):
    return all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))
