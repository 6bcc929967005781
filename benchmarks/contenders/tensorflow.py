"""TensorFlow without Keras: a step and a prediction, each one ``tf.function``."""

from __future__ import annotations

import os

import tensorflow as tf

from contenders.contender import BaseContender
from networks import Conv, Dense, Flatten, MaxPool

# the softmax is left to the loss
_ACTIVATIONS = {"tanh": tf.tanh, "relu": tf.nn.relu, "softmax": tf.identity}


def limit_threads():
    """Give TensorFlow the threads that the environment names, before it starts."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class Contender(BaseContender):
    """One graph a call, without what Keras does around it."""

    def __init__(self, threads):
        super().__init__(threads)
        limit_threads()

    def version(self):
        return f"TensorFlow {tf.__version__}"

    def training(self, network, weights, x, y):
        variables = [tf.Variable(weight) for weight in weights]
        x, y = tf.constant(x), tf.constant(y)

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                logits = _logits(network, variables, x)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, variables)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.assign_sub(network.learning_rate * gradient)
            return loss

        return lambda: float(step(x, y))

    def inference(self, network, weights, x):
        variables = [tf.Variable(weight) for weight in weights]
        x = tf.constant(x)

        @tf.function
        def predict(x):
            return tf.nn.softmax(_logits(network, variables, x))

        return lambda: predict(x).numpy()


def _logits(network, variables, x):
    """Return the output before its softmax."""
    remaining = iter(variables)
    for layer in network.layers:
        match layer:
            case Conv(_, _, activation, stride, padding):
                kernel, bias = next(remaining), next(remaining)
                x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, padding.upper()), bias)
                x = _ACTIVATIONS[activation](x)
            case MaxPool(size):
                x = tf.nn.max_pool2d(x, size, size, "VALID")
            case Flatten():
                x = tf.reshape(x, (x.shape[0], -1))
            case Dense(_, activation):
                kernel, bias = next(remaining), next(remaining)
                x = _ACTIVATIONS[activation](tf.nn.bias_add(tf.matmul(x, kernel), bias))
    return x
