"""Losses in the C++ core: every formula, weights, positions, and losses written in Python."""

import numpy as np
import pytest

from convlet import losses
from convlet.engine import fusion
from native_runs import BEST, INSTRUCTION_SETS, LANES, assert_near, integer_variable, program_of
from numerics import SumOfSquares, add_dense

CLASSES = 4


def labels(generator, shape):
    return generator.integers(0, CLASSES, shape)


def one_hot(generator, shape):
    return np.eye(CLASSES, dtype=np.float32)[labels(generator, shape)]


def shares(generator, shape):
    return generator.dirichlet(np.ones(CLASSES), shape).astype(np.float32)


def numbers(generator, shape):
    return generator.normal(size=(*shape, CLASSES)).astype(np.float32)


Sparse, Categorical = losses.SparseCategoricalCrossentropy, losses.CategoricalCrossentropy
Binary = losses.BinaryCrossentropy

# loss, targets, what comes last in the network
CASES = [
    (losses.MeanSquaredError(), numbers, None),
    (losses.MeanSquaredError(), shares, "softmax"),
    (Sparse(), labels, "softmax"),
    (Sparse(), labels, "sigmoid"),
    (Sparse(from_logits=True), labels, None),
    (Categorical(), one_hot, "softmax"),
    (Categorical(), shares, "sigmoid"),
    (Categorical(label_smoothing=0.1), one_hot, "softmax"),
    (Categorical(label_smoothing=0.3), shares, "sigmoid"),
    (Categorical(from_logits=True), shares, None),
    (Categorical(from_logits=True, label_smoothing=0.2), one_hot, None),
    (Binary(), shares, "sigmoid"),
    (Binary(), one_hot, "softmax"),
    (Binary(label_smoothing=0.2), one_hot, "softmax"),
    (Binary(from_logits=True), shares, None),
    (Binary(from_logits=True, label_smoothing=0.4), one_hot, None),
    (SumOfSquares(), numbers, None),
    (losses.CustomLoss(lambda t, p: p.sum(axis=-1), lambda t, p: np.ones_like(p)), numbers, "tanh"),
]


def network(last):
    def built(builder, x):
        x = add_dense(builder, x, integer_variable("kernel", x.shape[-1], CLASSES))
        if last == "softmax":
            return builder.apply("softmax", x, shape=x.shape)
        if last is not None:
            return builder.apply("activation", x, shape=x.shape, function=last)
        return x

    return built


def feeds_for(program, targets, images, weights_per_position=False):
    generator = np.random.default_rng([1, images])
    output = program.buffers[program.output].shape
    grid = (images, *output[:-1])
    weights = generator.uniform(0, 2, grid if weights_per_position else images)
    return {
        "input": generator.normal(size=(images, *program.buffers["input"].shape)).astype("f4"),
        "targets": targets(generator, grid),
        "weights": (weights / images).astype(np.float32),
    }


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_loss(case, instruction_set):
    loss, targets, last = CASES[case]
    program = program_of(network(last), (3,), loss)
    for lanes in LANES:
        assert_near(program, feeds_for(program, targets, 18), instruction_set, lanes)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("per_position", [True, False])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_loss_at_every_position(case, per_position, lanes):
    """Where the whole of an image has one weight, it counts for all positions."""
    loss, targets, last = CASES[case]
    program = program_of(network(last), (3, 5, 2), loss)
    assert_near(program, feeds_for(program, targets, 18, per_position), BEST, lanes)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_loss_without_its_gradient(case):
    loss, targets, last = CASES[case]
    trained = program_of(network(last), (3, 2), loss)
    evaluated = program_of(network(last), (3, 2), loss)
    object.__setattr__(evaluated, "backward", ())
    object.__setattr__(evaluated, "gradients", {})
    assert_near(evaluated, feeds_for(trained, targets, 17))


def test_a_loss_and_its_gradient_are_one_step():
    program = program_of(network("softmax"), (3,), Sparse())
    assert ("loss", "loss_gradient") in [s.operators for s in fusion.fuse(program, 16, 16, 16)]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 300.0, -300.0])
def test_predictions_that_are_large_or_no_numbers(special, case, instruction_set):
    loss, targets, last = CASES[case]
    program = program_of(network(last), (3,), loss)
    feeds = feeds_for(program, targets, 3)
    feeds["input"][1] = special
    assert_near(program, feeds, instruction_set)


@pytest.mark.parametrize("loss", [Sparse(), Categorical(), Binary()])
@pytest.mark.parametrize("lanes", [1, 16])
def test_probabilities_of_0_and_1_are_clipped(loss, lanes):
    def given(builder, x):
        bias = builder.parameter(integer_variable("bias", CLASSES))
        zero = builder.apply("rescale", x, shape=x.shape, scale=0.0, offset=0.0)
        biased = builder.apply("add_bias", x, bias, shape=x.shape)
        nothing = builder.apply("add_bias", zero, bias, shape=x.shape)
        minus = builder.apply("rescale", nothing, shape=x.shape, scale=-1.0, offset=0.0)
        return builder.apply("add", biased, minus, shape=x.shape)

    program = program_of(given, (CLASSES,), loss)
    images = np.float32([[0, 1, 0, 0], [1, 0, 0, 0], [1e-8, 1 - 1e-8, 0, 0], [0.25] * 4])
    wanted = np.array([1, 1, 0, 2])
    targets = wanted if isinstance(loss, Sparse) else np.eye(4, dtype=np.float32)[wanted]
    feeds = {"input": images, "targets": targets, "weights": np.ones(4, np.float32)}
    assert_near(program, feeds, BEST, lanes)
