"""convlet, as its users call it."""

from __future__ import annotations

import time

import numpy as np

import convlet
from contenders.contender import BaseContender, operator_data
from contenders.keras_layers import model_of
from convlet.engine import Builder, plan
from convlet.engine.native import NativeProgram
from convlet.engine.variable import Variable
from convlet.losses import MeanSquaredError
from convlet.ops import tap_table


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

    def operator(self, operator):
        x, kernel = operator_data(operator)
        program = _program_of(operator, kernel)
        native = NativeProgram(program, operator.batch, convlet.config.instruction_set())
        targets = np.zeros((operator.batch, *program.buffers[program.output].shape), np.float32)
        feeds = {"input": x, "targets": targets}
        feeds["weights"] = np.ones((operator.batch, *targets.shape[1:-1]), np.float32)
        shares = _shares(native, feeds, operator)

        def timed():
            start = time.perf_counter()
            native.run(feeds)
            seconds = time.perf_counter() - start
            return {name: share * seconds for name, share in shares.items()}

        results = native.run(feeds)
        sizes = [np.abs(results[program.output]).mean()]
        gradients = {v.rpartition("/")[2]: results[g] for v, g in program.gradients.items()}
        if "kernel" in operator.passes:
            sizes.append(np.abs(gradients["kernel"]).mean())
        return timed, sizes


def _program_of(operator, kernel):
    """Return a network of one operator; a bias before it makes the input's gradient necessary."""
    builder = Builder(training=True)
    x = builder.feed("input", (*operator.grid, operator.channels))
    shift = builder.parameter(_variable("shift", np.zeros(operator.channels, np.float32)))
    x = builder.apply("add_bias", x, shift, shape=x.shape)
    with builder.scope("op"):
        y = _applied(builder, operator, x, kernel)
    return plan(builder, y, MeanSquaredError())


def _applied(builder, operator, x, kernel):
    """Append the operator."""
    if operator.kind == "conv_transpose":
        outputs = tuple(
            (n - 1) * operator.stride + k - 2 * operator.padding
            for n, k in zip(operator.grid, operator.kernel, strict=True)
        )
    else:
        outputs = operator.outputs()
    pairs = [(operator.padding, operator.padding)] * len(operator.grid)
    table = tap_table(
        outputs if operator.kind == "conv_transpose" else operator.grid,
        operator.kernel,
        operator.stride,
        pairs,
        operator.dilation,
    )
    shape = (*outputs, operator.filters)
    if operator.kind.endswith("pool"):
        return builder.apply(operator.kind, x, shape=shape, table=table)
    weights = builder.parameter(_variable("kernel", kernel))
    groups = operator.groups
    return builder.apply(operator.kind, x, weights, shape=shape, table=table, groups=groups)


def _variable(name, value):
    return Variable(name, value.shape, "float32", lambda *_: value, 0)


def _shares(native, feeds, operator, runs=5):
    """Return which part of a step each pass takes: its stages' among all stages."""
    native.run(feeds)
    native.plan.set_profiling(True)
    native.plan.take_profile()
    for _ in range(runs):
        native.run(feeds)
    profile = native.plan.take_profile()
    native.plan.set_profiling(False)
    total = sum(seconds for _, seconds, _ in profile)
    shares = dict.fromkeys(operator.passes, 0.0)
    for name, seconds, _ in profile:
        if name.startswith("op: ") or name.startswith("grad(op/"):
            shares[_pass_of(name, operator)] += seconds / total
    return shares


def _pass_of(name, operator):
    """Return the pass that a stage belongs to."""
    if "kernel_gradient" in name or name.startswith("grad("):
        return "kernel"
    if operator.kind == "conv_transpose":  # whose input gradient is a convolution, and it is not
        backward = "transposed" not in name and "conv_transpose" not in name
    else:
        backward = "gradient" in name or "transposed" in name or "by lines" in name
    return "input" if backward else "forward"


def _model(network, weights, metrics=None):
    """Return the compiled network."""
    model = model_of(network, weights, convlet)
    model.compile(
        convlet.optimizers.SGD(network.learning_rate),
        "sparse_categorical_crossentropy",
        metrics=metrics,
    )
    return model
