"""Keras, on the backend that ``KERAS_BACKEND`` names."""

from __future__ import annotations

import os

from contenders.contender import BaseContender
from contenders.keras_layers import model_of

BACKEND = os.environ["KERAS_BACKEND"]
if BACKEND == "tensorflow":
    from contenders.tensorflow import limit_threads

    limit_threads()  # before Keras starts TensorFlow

import keras  # noqa: E402


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
        model = model_of(network, weights, keras)
        model.compile(
            keras.optimizers.SGD(network.learning_rate),
            "sparse_categorical_crossentropy",
            metrics=metrics,
            jit_compile=self.jit_compile,
        )
        return model
