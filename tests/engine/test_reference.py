"""The reference executor: whole programs, whose gradients are held against differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from convlet import ops
from convlet.engine import Buffer, Builder, Program, Variable, plan, run
from convlet.engine.operators import OPERATORS
from numerics import (
    SumOfSquares,
    add_conv,
    add_dense,
    add_flatten,
    central_difference,
    normal,
    variable,
)

BATCH = 3
IMAGE = (6, 5, 2)  # a small odd grid, with what "before" makes of it: four channels
CHANNELS = 4


class Wave:
    """A user's layer: sin(x) * scale."""

    owner = "Wave 'wave'"

    def call(self, x: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return np.sin(x) * scale

    def gradient(
        self, x: np.ndarray, scale: np.ndarray, y: np.ndarray, output_gradient: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        by_scale = (output_gradient * np.sin(x)).sum(axis=tuple(range(x.ndim - 1)))
        return output_gradient * np.cos(x) * scale, by_scale


# --- one small network for each operator that has gradients ---


def conv(builder: Builder, x: Buffer) -> Buffer:
    kernel = variable("conv", 3, 2, 2, 6)
    return add_conv(builder, x, kernel, groups=2, strides=2, padding="same")


def conv_transpose(builder: Builder, x: Buffer) -> Buffer:
    table = ops.transposed_tap_table(x.shape[:-1], (3, 2), 2, "same", 1)
    kernel = builder.parameter(variable("transposed", 3, 2, 3, CHANNELS))
    shape = (*table.input_shape, 3)
    return builder.apply("conv_transpose", x, kernel, shape=shape, table=table, groups=1)


def local_conv(builder: Builder, x: Buffer) -> Buffer:
    table = ops.tap_table(x.shape[:-1], (3, 2), 2, "same")
    positions = int(np.prod(table.output_shape))
    kernel = builder.parameter(variable("local", positions, 6 * CHANNELS, 2))
    shape = (*table.output_shape, 2)
    return builder.apply("local_conv", x, kernel, shape=shape, table=table)


def tie(builder: Builder, x: Buffer) -> Buffer:
    """Return a dense layer with five weights in twelve places, used twice."""
    index = np.array([[0, 1, 2, -1], [3, 4, 0, 1], [2, 2, -1, 3], [4, 0, 1, 2]])
    weights = variable("tied", 5)
    for _ in range(2):
        x = builder.apply("dense", x, builder.tied(weights, index), shape=x.shape)
    return x


def dense(builder: Builder, x: Buffer) -> Buffer:
    return add_dense(builder, x, variable("dense", CHANNELS, 3))


def add_bias(builder: Builder, x: Buffer) -> Buffer:
    bias = builder.parameter(variable("bias", CHANNELS))
    return builder.apply("add_bias", x, bias, shape=x.shape)


def pooling(operator: str, **attributes: object) -> Callable:
    def network(builder: Builder, x: Buffer) -> Buffer:
        table = ops.tap_table(x.shape[:-1], (3, 2), (2, 1), "same")
        shape = (*table.output_shape, CHANNELS)
        draws = [builder.random()] if operator == "stochastic_pool" else []
        return builder.apply(operator, x, *draws, shape=shape, table=table, **attributes)

    return network


def channelwise(operator: str, **attributes: object) -> Callable:
    def network(builder: Builder, x: Buffer) -> Buffer:
        return builder.apply(operator, x, shape=x.shape, **attributes)

    return network


def scale(builder: Builder, x: Buffer) -> Buffer:
    gamma = builder.parameter(variable("gamma", CHANNELS))
    return builder.apply("scale", x, gamma, shape=x.shape)


def drawing(operator: str, **attributes: object) -> Callable:
    def network(builder: Builder, x: Buffer) -> Buffer:
        return builder.apply(operator, x, builder.random(), shape=x.shape, layer=7, **attributes)

    return network


def constant(name: str, value: float) -> Variable:
    """Return numbers that training leaves alone, one for each channel."""
    values = value + np.arange(CHANNELS) / 10
    return Variable(name, (CHANNELS,), "float64", lambda *_: values, 0, trainable=False)


def normalize(builder: Builder, x: Buffer) -> Buffer:
    statistics = builder.parameter(constant("mean", -0.2)), builder.parameter(constant("var", 0.5))
    affine = builder.parameter(variable("gamma", CHANNELS)), builder.parameter(constant("beta", 1))
    return builder.apply("normalize", x, *statistics, *affine, shape=x.shape, epsilon=0.1)


def batch_normalize(builder: Builder, x: Buffer) -> Buffer:
    """Return x normalized with gamma, then its activation normalized without, and a new average."""
    moving = constant("moving", 3)
    for gamma in (variable("gamma", CHANNELS), constant("one", 1)):
        moments = builder.apply_all("channel_moments", x, shape=(CHANNELS,), per_image=False)
        affine = builder.parameter(gamma), builder.parameter(variable("beta", CHANNELS))
        x = builder.apply("batch_normalize", x, *moments, *affine, shape=x.shape, epsilon=0.01)
        x = builder.apply("activation", x, shape=x.shape, function="tanh")
        options = {"shape": (CHANNELS,), "per_image": False, "momentum": 0.75}
        latest = builder.latest(moving)
        builder.update(moving, builder.apply("moving_average", latest, moments[0], **options))
    return x


def add(builder: Builder, x: Buffer) -> Buffer:
    """Return a diamond: x plus what a layer makes of x."""
    other = add_dense(builder, x, variable("dense", CHANNELS, CHANNELS))
    return builder.apply("add", x, other, shape=x.shape)


def merging(operator: str) -> Callable[[Builder, Buffer], Buffer]:
    def network(builder: Builder, x: Buffer) -> Buffer:
        other = add_dense(builder, x, variable("other", CHANNELS, CHANNELS))
        return builder.apply(operator, x, other, shape=x.shape)

    return network


def concatenate(builder: Builder, x: Buffer) -> Buffer:
    other = add_dense(builder, x, variable("other", CHANNELS, 2))
    shape = (*x.shape[:-1], CHANNELS + 2)
    attributes = {"axis": len(shape) - 1, "sizes": [CHANNELS, 2]}
    return builder.apply("concatenate", x, other, shape=shape, **attributes)


def take(builder: Builder, x: Buffer) -> Buffer:
    """Return x mirrored at its borders, with a row of constants below."""
    table = ops.pad_table(x.shape, [(2, 1), (0, 3)], "reflect")
    x = builder.apply("take", x, shape=table.output_shape, table=table, fill=0.0)
    table = ops.pad_table(x.shape, [(0, 1)])
    return builder.apply("take", x, shape=table.output_shape, table=table, fill=2.0)


def python(builder: Builder, x: Buffer) -> Buffer:
    scale = builder.parameter(variable("scale", CHANNELS))
    attributes = {"layer": Wave(), "output_shape": x.shape, "keywords": {}}
    return builder.apply("python", x, scale, shape=x.shape, **attributes)


def loss(builder: Builder, x: Buffer) -> Buffer:
    """Return x: every network here ends in the loss."""
    return x


def penalized(builder: Builder, x: Buffer) -> Buffer:
    """Return ``x`` with a penalty on it."""
    builder.penalize(x, SquaredSum())
    return x


class SquaredSum:
    """A regularizer: the square of the sum."""

    def __call__(self, x: np.ndarray) -> float:
        return x.sum() ** 2

    def checked_gradient(self, x: np.ndarray) -> np.ndarray:
        return np.full(x.shape, 2 * x.sum())


NETWORKS: dict[str, Callable[[Builder, Buffer], Buffer]] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "dense": dense,
    "add_bias": add_bias,
    "local_conv": local_conv,
    "tie": tie,
    "max_pool": pooling("max_pool"),
    "average_pool": pooling("average_pool"),
    "sum_pool": pooling("sum_pool"),
    "l2_pool": pooling("l2_pool"),
    "log_sum_exp_pool": pooling("log_sum_exp_pool", sharpness=2.0),
    "stochastic_pool": pooling("stochastic_pool", layer=7),
    "stochastic_pool_mean": pooling("stochastic_pool_mean"),
    "scale": scale,
    "normalize": normalize,
    "batch_normalize": batch_normalize,
    "activation": channelwise("activation", function="tanh"),
    "activation_of_input": channelwise("activation_of_input", function="gelu"),
    "softmax": channelwise("softmax"),
    "log_softmax": channelwise("log_softmax"),
    "dropout": drawing("dropout", rate=0.4),
    "spatial_dropout": drawing("spatial_dropout", rate=0.4),
    "gaussian_noise": drawing("gaussian_noise", stddev=0.5),
    "standardize": channelwise("standardize", sets=(3, 10, 4), epsilon=0.1),
    "local_response_normalization": channelwise(
        "local_response_normalization", depth_radius=1, bias=0.5, alpha=0.2, beta=0.75
    ),
    "reshape": add_flatten,
    "rescale": channelwise("rescale", scale=np.array([2.0, 1, 0.5, -1]), offset=0.5),
    "add": add,
    "multiply": merging("multiply"),
    "maximum": merging("maximum"),
    "minimum": merging("minimum"),
    "concatenate": concatenate,
    "take": take,
    "loss": loss,
    "penalty": penalized,
    "python": python,
}


def planned(network: Callable[[Builder, Buffer], Buffer], training: bool = True) -> Program:
    """Return image -> dense "before" -> ``network``, so that its input's gradient is asked for."""
    builder = Builder(training)
    x = builder.feed("input", IMAGE)
    x = add_dense(builder, x, variable("before", IMAGE[-1], CHANNELS))
    return plan(builder, network(builder, x), SumOfSquares())


def feeds_for(program: Program, batch: int = BATCH, dtype: str = "float64") -> dict:
    """Return what the program wants to be fed, drawn at random."""
    output = program.buffers[program.output].shape
    feeds = {
        "input": normal(batch, *program.buffers["input"].shape, dtype=dtype),
        "targets": normal(batch, *output, seed=1, dtype=dtype),
        "weights": np.abs(normal(batch, seed=2, dtype=dtype)),
        "random": np.array([5, 3], np.uint64),
    }
    return {name: feeds[name] for name in program.feeds}


def check_gradients(program: Program, feeds: dict) -> None:
    """Hold every gradient of a program against central differences of its loss."""
    results = run(program, feeds)
    for name, gradient in program.gradients.items():
        weight = program.variables[name]

        def loss_with(value: np.ndarray, weight=weight) -> float:
            before = weight.value
            weight.assign(value)
            found = run(program, feeds)
            weight.assign(before)
            return found[program.loss].sum() + sum(found[name] for name in program.penalties)

        difference = central_difference(loss_with, weight.value)
        np.testing.assert_allclose(
            results[gradient], difference, rtol=1e-6, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize("operator", [name for name, o in OPERATORS.items() if o.gradients])
def test_gradients_through_every_operator(operator: str):
    """An operator without a network in `NETWORKS` fails here."""
    program = planned(NETWORKS[operator])
    assert operator in [instruction.operator for instruction in program.forward]
    assert "before/before" in program.gradients
    check_gradients(program, feeds_for(program))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_in_a_network(operator: str):
    """Gradient operators, too: each is reached by the way back of one of the networks."""
    assert operator in {
        instruction.operator
        for network in NETWORKS.values()
        for training in (True, False)
        for instruction in planned(network, training).instructions
    }


# --- whole networks ---


def convolutional_network(training: bool = True, dtype: str = "float64") -> Program:
    """Return conv, bias, max pooling, tanh, conv, gelu, mean pooling, dense, bias, softmax."""
    builder = Builder(training)
    x = builder.feed("input", (9, 8, 1))
    x = add_conv(builder, x, variable("first", 3, 3, 1, 3, dtype=dtype), padding="same")
    bias = builder.parameter(variable("first_bias", 3, dtype=dtype))
    x = builder.apply("add_bias", x, bias, shape=x.shape)
    table = ops.tap_table(x.shape[:-1], (2, 2), 2)
    x = builder.apply("max_pool", x, shape=(*table.output_shape, 3), table=table)
    x = builder.apply("activation", x, shape=x.shape, function="tanh")
    x = add_conv(builder, x, variable("second", 2, 2, 3, 4, dtype=dtype), dilation_rate=2)
    x = builder.apply("activation_of_input", x, shape=x.shape, function="gelu")
    table = ops.tap_table(x.shape[:-1], (2, 2))
    x = builder.apply("average_pool", x, shape=(*table.output_shape, 4), table=table)
    x = add_flatten(builder, x)
    x = add_dense(builder, x, variable("dense", *x.shape, 3, dtype=dtype))
    bias = builder.parameter(variable("dense_bias", 3, dtype=dtype))
    x = builder.apply("add_bias", x, bias, shape=x.shape)
    x = builder.apply("softmax", x, shape=x.shape)
    return plan(builder, x, SumOfSquares())


def test_gradients_of_a_convolutional_network():
    program = convolutional_network()
    assert len(program.gradients) == 5
    check_gradients(program, feeds_for(program))


def test_gradients_of_a_shared_layer():
    """One kernel, applied three times, and once beside itself."""
    builder = Builder(training=True)
    shared = variable("shared", 3, 3)
    x = builder.feed("input", (3,))
    for _ in range(3):
        x = add_dense(builder, x, shared)
    x = builder.apply("add", x, add_dense(builder, x, shared), shape=(3,))
    program = plan(builder, x, SumOfSquares())
    check_gradients(program, feeds_for(program))


def test_gradient_of_a_value_added_to_itself():
    builder = Builder(training=True)
    x = add_dense(builder, builder.feed("input", (3,)), variable("dense", 3, 2))
    x = builder.apply("add", x, x, shape=(2,))
    program = plan(builder, builder.apply("add", x, x, shape=(2,)), SumOfSquares())
    check_gradients(program, feeds_for(program))


def test_gradients_of_a_chain_of_diamonds():
    builder = Builder(training=True)
    x = add_dense(builder, builder.feed("input", (3,)), variable("before", 3, 2))
    for name in ("a", "b", "c"):
        branch = add_dense(builder, x, variable(name, 2, 2))
        x = builder.apply("add", branch, x, shape=(2,))
    program = plan(builder, x, SumOfSquares())
    check_gradients(program, feeds_for(program))


def test_frozen_variables_do_not_change_the_others_gradients():
    def program(trainable: bool) -> Program:
        builder = Builder(training=True)
        x = add_dense(builder, builder.feed("input", (3,)), variable("first", 3, 4))
        x = add_dense(builder, x, variable("second", 4, 2, trainable=trainable))
        return plan(builder, x, SumOfSquares())

    feeds = feeds_for(program(True))
    of_first = [run(program(t), feeds)["grad(first/first)"] for t in (True, False)]
    np.testing.assert_array_equal(*of_first)
    assert list(program(False).gradients) == ["first/first"]


# --- what a run leaves behind ---


def test_a_run_keeps_only_results():
    program = convolutional_network()
    results = run(program, feeds_for(program))
    assert set(results) == program.results
    assert set(results) == {program.output, program.loss, *program.gradients.values()}


def test_a_run_for_prediction_keeps_only_the_prediction():
    builder = Builder()
    y = add_dense(builder, builder.feed("input", (3,)), variable("dense", 3, 2))
    x = normal(4, 3)
    results = run(plan(builder, y), {"input": x})
    assert list(results) == [y.name]
    np.testing.assert_allclose(results[y.name], x @ variable("dense", 3, 2).value)


def test_results_have_the_shapes_of_their_buffers():
    program = convolutional_network()
    for name, array in run(program, feeds_for(program)).items():
        buffer = program.buffers[name]
        assert array.shape == (BATCH,) * buffer.per_image + buffer.shape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_float_type_stays(dtype: str):
    program = convolutional_network(dtype=dtype)
    results = run(program, feeds_for(program, dtype=dtype))
    assert {array.dtype.name for array in results.values()} == {dtype}


def test_float32_is_near_float64():
    exact, rounded = convolutional_network(), convolutional_network(dtype="float32")
    one = run(exact, feeds_for(exact))
    other = run(rounded, feeds_for(rounded, dtype="float32"))
    for name in one:
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-5)


def test_feeds_and_variables_are_not_written_to():
    program = convolutional_network()
    feeds = feeds_for(program)
    copies = {name: array.copy() for name, array in feeds.items()}
    values = {name: v.value.copy() for name, v in program.variables.items()}
    run(program, feeds)
    for name, array in copies.items():
        np.testing.assert_array_equal(feeds[name], array)
    for name, array in values.items():
        np.testing.assert_array_equal(program.variables[name].value, array)
    assert set(feeds) == set(copies)


def test_the_same_run_gives_the_same_bits():
    program = convolutional_network()
    feeds = feeds_for(program)
    one, other = run(program, feeds), run(program, feeds)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_one_program_serves_every_batch_size(batch: int):
    program = convolutional_network()
    results = run(program, feeds_for(program, batch))
    assert results[program.output].shape == (batch, 3)
    assert results[program.loss].shape == (batch,)


# --- losses ---


def test_losses_are_weighted():
    """The results hold weight * value; whoever runs the program divides weights by the count."""
    program = planned(loss)
    feeds = feeds_for(program)
    results = run(program, feeds)
    values = ((results[program.output] - feeds["targets"]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(results[program.loss], values * feeds["weights"][:, None, None])
    doubled = run(program, feeds | {"weights": 2 * feeds["weights"]})
    np.testing.assert_allclose(doubled["grad(before/before)"], 2 * results["grad(before/before)"])


def test_every_position_may_have_a_weight():
    program = planned(loss)
    feeds = feeds_for(program) | {"weights": np.abs(normal(BATCH, 6, 5))}
    check_gradients(program, feeds)


def summed_over_images(builder: Builder, x: Buffer) -> Program:
    """Return a program whose loss has one value for each image of a grid of predictions."""

    class PerImage(SumOfSquares):
        def call(self, targets: np.ndarray, prediction: np.ndarray) -> np.ndarray:
            return ((prediction - targets) ** 2).sum(axis=(1, 2, 3))

    x = add_dense(builder, x, variable("before", IMAGE[-1], CHANNELS))
    return plan(builder, x, PerImage())


def test_a_loss_may_have_one_value_an_image():
    builder = Builder(training=True)
    program = summed_over_images(builder, builder.feed("input", IMAGE))
    feeds = feeds_for(program)
    assert run(program, feeds)[program.loss].shape == (BATCH,)
    check_gradients(program, feeds)


def test_more_weights_than_values_are_named():
    builder = Builder(training=True)
    program = summed_over_images(builder, builder.feed("input", IMAGE))
    message = (
        r"^loss: there is one value for each sample, of shape \(3,\), .* of shape \(3, 6, 5\)$"
    )
    with pytest.raises(ValueError, match=message):
        run(program, feeds_for(program) | {"weights": np.ones((BATCH, 6, 5))})


def test_a_weight_of_zero_takes_an_image_out():
    program = planned(loss)
    feeds = feeds_for(program) | {"weights": np.array([1.0, 0, 1])}
    other = feeds | {"targets": feeds["targets"] * np.array([1, 9, 1])[:, None, None, None]}
    gradient = "grad(before/before)"
    np.testing.assert_array_equal(run(program, feeds)[gradient], run(program, other)[gradient])


def test_softmax_and_loss_of_logits_have_the_gradient_p_minus_1():
    """Lecture 001: δ_i = p - 1(y = i), exact where the probability has long vanished."""

    class LogitsLoss(SumOfSquares):
        def call(self, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
            return -(targets * ops.log_softmax(logits)).sum(axis=-1)

        def gradient(self, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
            return ops.softmax(logits) - targets

    class ProbabilitiesLoss(SumOfSquares):
        output_activation = "softmax"

        def from_logits_twin(self) -> object:
            return LogitsLoss()

    builder = Builder(training=True)
    bias = builder.parameter(variable("bias", 3))
    logits = builder.apply("add_bias", builder.feed("input", (3,)), bias, shape=(3,))
    program = plan(builder, builder.apply("softmax", logits, shape=(3,)), ProbabilitiesLoss())
    feeds = {
        "input": np.array([[0.0, 900.0, 0.0]]),
        "targets": np.array([[1.0, 0, 0]]),
        "weights": np.ones(1),
    }
    results = run(program, feeds)
    np.testing.assert_allclose(results[program.output], [[0, 1, 0]], atol=1e-300)
    np.testing.assert_allclose(results[program.gradients["/bias"]], [-1, 1, 0], atol=1e-300)
    assert 890 < results[program.loss].item() < 910


# --- layers written by users ---


class Careless:
    """A user's layer whose methods return what they are told to."""

    owner = "Careless 'mine'"

    def __init__(self, y: object = None, gradients: object = None) -> None:
        self.y = y
        self.gradients = gradients

    def call(self, x: np.ndarray, *weights: np.ndarray) -> object:
        return x if self.y is None else self.y

    def gradient(self, x: np.ndarray, *others: np.ndarray) -> object:
        return self.gradients


def run_careless(layer: object, weights: int = 1, keywords: dict | None = None) -> dict:
    """Run dense -> the user's layer on a batch of two images of three numbers."""
    builder = Builder(training=True)
    x = add_dense(builder, builder.feed("input", (3,)), variable("before", 3, 3))
    operands = [builder.parameter(variable(f"w{n}", 2)) for n in range(weights)]
    attributes = {"layer": layer, "output_shape": (3,), "keywords": keywords or {}}
    y = builder.apply("python", x, *operands, shape=(3,), **attributes)
    program = plan(builder, y, SumOfSquares())
    return run(program, feeds_for(program, batch=2))


@pytest.mark.parametrize("y", [np.ones((2, 4)), np.ones((3, 3)), np.ones(3), 1.0])
def test_the_wrong_shape_from_call_is_named(y: object):
    message = rf"^Careless 'mine': what call returns must have shape \(2, 3\), got \({_sizes(y)}\)$"
    with pytest.raises(ValueError, match=message):
        run_careless(Careless(y))


def _sizes(array: object) -> str:
    return str(np.shape(array)).strip("()")


@pytest.mark.parametrize(
    ("gradients", "weights", "count"),
    [
        (np.ones((2, 3)), 1, 1),
        ((np.ones((2, 3)),), 2, 1),
        ((np.ones((2, 3)),) * 3, 1, 3),
        ((), 0, 0),
    ],
)
def test_the_wrong_number_of_gradients_is_named(gradients: object, weights: int, count: int):
    message = (
        "^Careless 'mine': gradient must return one array for the input and one for each of its "
        f"{weights} weights, got {count}$"
    )
    with pytest.raises(ValueError, match=message):
        run_careless(Careless(gradients=gradients), weights)


@pytest.mark.parametrize(
    ("gradients", "wanted", "got"),
    [
        ((np.ones((2, 4)), np.ones(2)), r"\(2, 3\)", r"\(2, 4\)"),
        ((np.ones(3), np.ones(2)), r"\(2, 3\)", r"\(3,\)"),
        ((np.ones((2, 3)), np.ones((2, 2))), r"\(2,\)", r"\(2, 2\)"),
        ((np.ones((2, 3)), None), r"\(2,\)", r"\(\)"),
    ],
)
def test_the_wrong_shape_of_a_gradient_is_named(gradients: tuple, wanted: str, got: str):
    message = f"^Careless 'mine': each gradient must have shape {wanted}, got {got}$"
    with pytest.raises(ValueError, match=message):
        run_careless(Careless(gradients=gradients))


def test_a_layer_without_weights_may_return_one_array():
    results = run_careless(Careless(gradients=np.ones((2, 3))), weights=0)
    assert "grad(before/before)" in results


def test_a_layer_may_return_lists_and_other_float_types():
    results = run_careless(Careless([[1, 2, 3]] * 2, (np.ones((2, 3), "float32"), [1, 2])))
    assert {array.dtype.name for array in results.values()} == {"float64"}
    np.testing.assert_array_equal(results["grad(/w0)"], [1, 2])


def test_keywords_reach_call():
    class Scaled(Careless):
        def call(self, x: np.ndarray, training: bool) -> np.ndarray:
            return x * (2 if training else 3)

        def gradient(self, x: np.ndarray, y: np.ndarray, output_gradient: np.ndarray) -> object:
            return output_gradient * 2

    once = run_careless(Scaled(), weights=0, keywords={"training": True})
    other = run_careless(Scaled(), weights=0, keywords={"training": False})
    np.testing.assert_allclose(other["/python"] * 2, once["/python"] * 3)
