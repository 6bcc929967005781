"""Programs: what the builder writes down, what the planner adds, and what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from convlet import Sequential, layers
from convlet.engine import Buffer, Builder, Program, Variable, plan, reference
from convlet.engine.fusion import fuse
from convlet.engine.operators import OPERATORS, Gradient, bind
from convlet.losses import MeanSquaredError
from convlet.ops import tap_table
from numerics import SumOfSquares, add_conv, add_dense, add_flatten, normal, variable


class CrossEntropy(SumOfSquares):
    """A loss of probabilities that knows its form for logits."""

    output_activation = "softmax"

    def __init__(self) -> None:
        self.twin = SumOfSquares()

    def from_logits_twin(self) -> object:
        return self.twin


def operators(instructions: tuple) -> list[str]:
    return [instruction.operator for instruction in instructions]


def two_convolutions(first_trains: bool = True, second_trains: bool = True) -> Program:
    """Return image -> first -> second -> flatten -> dense, planned for training."""
    builder = Builder(training=True)
    x = builder.feed("input", (8, 8, 1))
    x = add_conv(builder, x, variable("first", 3, 3, 1, 2, trainable=first_trains))
    x = add_conv(builder, x, variable("second", 3, 3, 2, 3, trainable=second_trains))
    x = add_dense(builder, add_flatten(builder, x), variable("dense", 48, 2))
    return plan(builder, x, SumOfSquares())


def softmax_network(loss: object, last: str = "softmax", **attributes: object) -> Program:
    """Return dense -> ``last``, planned for training."""
    builder = Builder(training=True)
    logits = add_dense(builder, builder.feed("input", (4,)), variable("dense", 4, 3))
    with builder.scope("last"):
        return plan(builder, builder.apply(last, logits, shape=(3,), **attributes), loss)


# --- the builder ---


def test_buffers_are_named_after_layer_and_operator():
    builder = Builder()
    x = builder.feed("input", (4,))
    with builder.scope("outer"), builder.scope("inner"):
        assert builder.layer == "outer/inner"
        y = builder.apply("softmax", x, shape=(4,))
        z = builder.apply("softmax", y, shape=(4,))
    assert builder.layer == ""
    assert (y.name, z.name) == ("outer/inner/softmax", "outer/inner/softmax_1")
    assert [i.layer for i in builder.instructions] == ["outer/inner"] * 2


def test_a_scope_ends_with_an_error():
    builder = Builder()
    with pytest.raises(KeyError), builder.scope("layer"):
        builder.apply("no such operator", shape=())
    assert builder.layer == ""


def test_operators_that_write_twice_have_two_buffers():
    builder = Builder()
    x = builder.feed("input", (4, 1))
    with builder.scope("pool"):
        y = builder.apply("max_pool", x, shape=(2, 1))
    assert y == Buffer("pool/max_pool", (2, 1))
    assert builder.instructions[0].writes == ("pool/max_pool", "pool/max_pool.winner")


def test_feeds_and_parameters_asked_for_again_are_the_same():
    builder = Builder()
    assert builder.feed("input", (3,)) is builder.feed("input", (3,))
    assert builder.random() is builder.random()
    kernel = variable("kernel", 2, 2)
    with builder.scope("one"):
        first = builder.parameter(kernel)
    with builder.scope("two"):
        assert builder.parameter(kernel) is first
        assert builder.parameter(variable("kernel", 2, 2)) is not first
    assert builder.feeds == ["input", "random"]
    assert list(builder.variables) == ["one/kernel", "two/kernel"]


def test_variables_of_one_name_are_told_apart():
    builder = Builder()
    with builder.scope("layer"):
        names = [builder.parameter(variable("kernel", 2)).name for _ in range(3)]
    assert names == ["layer/kernel", "layer/kernel_1", "layer/kernel_2"]


# --- which gradients ---


def test_a_program_for_prediction_has_no_way_back():
    builder = Builder()
    y = add_dense(builder, builder.feed("input", (4,)), variable("dense", 4, 3))
    program = plan(builder, y)
    assert (program.backward, program.gradients, program.loss) == ((), {}, None)
    assert program.feeds == ("input",)
    assert program.results == {y.name}


def test_a_loss_without_training_has_no_way_back():
    builder = Builder()
    y = add_dense(builder, builder.feed("input", (4,)), variable("dense", 4, 3))
    program = plan(builder, y, SumOfSquares())
    assert operators(program.forward) == ["dense", "loss"]
    assert (program.backward, program.gradients) == ((), {})
    assert program.feeds == ("input", "targets", "weights")
    assert program.results == {y.name, program.loss}


def test_the_way_back():
    program = two_convolutions()
    assert operators(program.forward) == ["conv", "conv", "reshape", "dense", "loss"]
    assert operators(program.backward) == [
        "loss_gradient",
        "dense_input_gradient",
        "dense_kernel_gradient",
        "reshape_gradient",
        "conv_input_gradient",
        "conv_kernel_gradient",
        "conv_kernel_gradient",
    ]


def test_nobody_computes_the_gradient_by_the_images():
    program = two_convolutions()
    by_layer = [(i.operator, i.layer) for i in program.backward]
    assert ("conv_kernel_gradient", "first") in by_layer
    assert ("conv_input_gradient", "first") not in by_layer
    assert "grad(input)" not in program.buffers


def test_gradients_have_their_variables_shape():
    program = two_convolutions()
    assert list(program.gradients) == ["first/first", "second/second", "dense/dense"]
    for name, gradient in program.gradients.items():
        assert program.buffers[gradient].shape == program.variables[name].shape
        assert not program.buffers[gradient].per_image
    assert program.buffers["grad(first/conv)"] == Buffer("grad(first/conv)", (6, 6, 2))


def test_a_gradient_operator_gets_its_operators_attributes():
    program = two_convolutions()
    of_second = [i for i in program.instructions if i.layer == "second"]
    assert operators(tuple(of_second)) == ["conv", "conv_input_gradient", "conv_kernel_gradient"]
    assert all(i.attributes is of_second[0].attributes for i in of_second)


def test_a_frozen_variable_has_no_gradient_but_lets_it_through():
    program = two_convolutions(second_trains=False)
    assert list(program.gradients) == ["first/first", "dense/dense"]
    of_second = [i.operator for i in program.backward if i.layer == "second"]
    assert of_second == ["conv_input_gradient"]


def test_frozen_first_layers_cut_the_way_back():
    program = two_convolutions(first_trains=False, second_trains=False)
    assert list(program.gradients) == ["dense/dense"]
    assert operators(program.backward) == ["loss_gradient", "dense_kernel_gradient"]


def test_with_everything_frozen_there_is_no_way_back():
    builder = Builder(training=True)
    x = builder.feed("input", (4,))
    y = add_dense(builder, x, variable("dense", 4, 3, trainable=False))
    program = plan(builder, y, SumOfSquares())
    assert (program.backward, program.gradients) == ((), {})


def test_a_python_layers_frozen_weight_has_no_gradient():
    """Its gradient operator computes all of them; the frozen one is not a result."""
    builder = Builder(training=True)
    x = builder.feed("input", (3,))
    frozen = builder.parameter(variable("frozen", 3, trainable=False))
    trained = builder.parameter(variable("trained", 3))
    program = plan(builder, builder.apply("python", x, frozen, trained, shape=(3,)), SumOfSquares())
    assert list(program.gradients) == [trained.name]
    assert program.backward[-1].operator == "python_gradient"
    assert program.gradients[trained.name] == program.backward[-1].writes[2]


def test_a_branch_that_leads_nowhere_has_no_gradient():
    builder = Builder(training=True)
    x = builder.feed("input", (4,))
    add_dense(builder, x, variable("aside", 4, 3))
    y = add_dense(builder, x, variable("main", 4, 3))
    program = plan(builder, y, SumOfSquares())
    assert list(program.gradients) == ["main/main"]
    assert all(i.layer != "aside" for i in program.backward)


@pytest.mark.parametrize("uses", [1, 2, 3, 5])
def test_gradients_of_a_variable_that_is_used_often_add_up(uses: int):
    builder = Builder(training=True)
    x = builder.feed("input", (4,))
    shared = variable("shared", 4, 4)
    for _ in range(uses):
        x = add_dense(builder, x, shared)
    program = plan(builder, x, SumOfSquares())
    assert list(program.variables) == list(program.gradients) == ["shared/shared"]
    assert operators(program.backward).count("dense_kernel_gradient") == uses
    assert operators(program.backward).count("add") == uses - 1
    gradient = program.buffers[program.gradients["shared/shared"]]
    assert (gradient.shape, gradient.per_image) == ((4, 4), False)


def test_gradients_of_a_value_that_is_used_twice_add_up_before_they_go_on():
    builder = Builder(training=True)
    x = add_dense(builder, builder.feed("input", (4,)), variable("before", 4, 3))
    left = add_dense(builder, x, variable("left", 3, 3))
    right = add_dense(builder, x, variable("right", 3, 3))
    y = builder.apply("add", left, right, shape=(3,))
    program = plan(builder, y, SumOfSquares())
    names = operators(program.backward)
    assert names.count("add") == 1
    before = [i for i in program.backward if i.layer == "before"]
    assert [i.operator for i in before] == ["add", "dense_kernel_gradient"]
    assert before[0].writes[0] in before[1].reads


def test_both_operands_of_add_may_be_the_same():
    builder = Builder(training=True)
    x = add_dense(builder, builder.feed("input", (4,)), variable("dense", 4, 3))
    program = plan(builder, builder.apply("add", x, x, shape=(3,)), SumOfSquares())
    added = next(i for i in program.backward if i.operator == "add")
    assert added.reads[0] == added.reads[1]


# --- the loss ---


def test_loss_of_probabilities_reads_the_logits():
    loss = CrossEntropy()
    program = softmax_network(loss)
    assert program.output == "last/softmax"
    instruction = program.forward[-1]
    assert instruction.reads == ("dense/dense_1", "targets", "weights")
    assert instruction.attributes["function"] is loss.twin
    assert operators(program.forward) == ["dense", "softmax", "loss"]
    assert operators(program.backward) == ["loss_gradient", "dense_kernel_gradient"]


@pytest.mark.parametrize("operator", ["activation", "activation_of_input"])
def test_the_same_for_an_elementwise_activation(operator: str):
    loss = CrossEntropy()
    loss.output_activation = "sigmoid"
    program = softmax_network(loss, operator, function="sigmoid")
    assert program.forward[-1].reads[0] == "dense/dense_1"
    assert program.forward[-1].attributes["function"] is loss.twin


@pytest.mark.parametrize(
    ("loss", "last", "attributes"),
    [
        (SumOfSquares(), "softmax", {}),
        (CrossEntropy(), "log_softmax", {}),
        (CrossEntropy(), "activation", {"function": "sigmoid"}),
        (CrossEntropy(), "rescale", {"scale": 1.0, "offset": 0.0}),
    ],
)
def test_any_other_loss_reads_the_prediction(loss: object, last: str, attributes: dict):
    program = softmax_network(loss, last, **attributes)
    assert program.forward[-1].reads[0] == program.output
    assert program.forward[-1].attributes["function"] is loss


def test_loss_of_a_network_without_instructions():
    builder = Builder(training=True)
    program = plan(builder, builder.feed("input", (3,)), CrossEntropy())
    assert program.forward[0].reads == ("input", "targets", "weights")
    assert program.backward == ()


def test_there_is_a_loss_for_each_position():
    builder = Builder()
    x = builder.feed("input", (5, 4, 3))
    assert plan(builder, x, SumOfSquares()).buffers["loss/loss"].shape == (5, 4)


# --- buffers' lives, phases, print ---


def pooled_network(training: bool = True) -> Program:
    builder = Builder(training)
    x = add_conv(builder, builder.feed("input", (4, 1)), variable("conv", 3, 1, 2), padding="same")
    with builder.scope("bias"):
        bias = builder.parameter(variable("bias", 2))
        x = builder.apply("add_bias", x, bias, shape=x.shape)
    x = builder.apply("add", x, x, shape=x.shape)
    with builder.scope("pool"):  # in a program for prediction nobody reads its winners
        table = tap_table((4,), (2,), 2)
        x = builder.apply("max_pool", x, shape=(2, 2), table=table)
    x = add_dense(builder, add_flatten(builder, x), variable("dense", 4, 3))
    with builder.scope("softmax"):
        x = builder.apply("softmax", x, shape=(3,))
    return plan(builder, x, CrossEntropy())


@pytest.mark.parametrize("program", [pooled_network(), pooled_network(False), two_convolutions()])
def test_releases_free_all_but_the_results(program: Program):
    alive = {*program.feeds, *program.variables}
    for instruction, released in zip(program.instructions, program.releases, strict=True):
        assert alive.issuperset(instruction.reads), "nothing is freed too early"
        assert alive.isdisjoint(instruction.writes), "nothing is written twice"
        alive.update(instruction.writes)
        assert alive.issuperset(released), "nothing is freed twice"
        alive.difference_update(released)
    assert alive == program.results


def test_every_buffer_is_freed_with_its_last_use():
    program = two_convolutions()
    for number, released in enumerate(program.releases):
        instruction = program.instructions[number]
        assert set(released) <= {*instruction.reads, *instruction.writes}


@pytest.mark.parametrize("program", [pooled_network(), two_convolutions()])
def test_phases_are_the_instructions_in_order(program: Program):
    flat = tuple(instruction for phase in program.phases for instruction in phase)
    assert flat == program.instructions


def test_phases_are_cut_where_the_whole_batch_is_needed():
    assert [operators(phase) for phase in two_convolutions().phases] == [
        ["conv", "conv", "reshape", "dense"],
        ["loss"],
        ["loss_gradient"],
        [
            "dense_input_gradient",
            "dense_kernel_gradient",
            "reshape_gradient",
            "conv_input_gradient",
            "conv_kernel_gradient",
            "conv_kernel_gradient",
        ],
    ]


def test_the_losses_of_the_library_cut_nothing_and_those_of_users_do():
    """A subclass of the library's may look at the whole batch, so it is the user's."""

    class OwnSquaredError(MeanSquaredError):
        pass

    for function, phases in ((MeanSquaredError(), 1), (OwnSquaredError(), 4), (SumOfSquares(), 4)):
        builder = Builder(training=True)
        x = add_dense(builder, builder.feed("input", (4,)), variable("kernel", 4, 3))
        assert len(plan(builder, x, function).phases) == phases


def test_python_layers_are_phases_of_their_own():
    builder = Builder()
    x = builder.feed("input", (3,))
    for operator in ("softmax", "python", "python", "softmax", "softmax"):
        x = builder.apply(operator, x, shape=(3,))
    phases = plan(builder, x).phases
    assert [operators(phase) for phase in phases] == [
        ["softmax"],
        ["python"],
        ["python"],
        ["softmax", "softmax"],
    ]
    assert [phase[0].whole_batch for phase in phases] == [False, True, True, False]


def test_a_program_prints_itself():
    assert str(softmax_network(CrossEntropy())) == (
        "phase 0\n"
        "  dense/dense_1 = dense(input, dense/dense)  (3,)\n"
        "  last/softmax = softmax(dense/dense_1)  (3,)\n"
        "phase 1 (whole batch)\n"
        "  last/loss/loss = loss(dense/dense_1, targets, weights)  ()\n"
        "phase 2 (whole batch)\n"
        "  grad(dense/dense_1) = loss_gradient(dense/dense_1, targets, weights, last/loss/loss)"
        "  (3,)\n"
        "phase 3\n"
        "  grad(dense/dense) = dense_kernel_gradient(input, grad(dense/dense_1))  (4, 3)"
    )


def test_an_empty_program():
    builder = Builder()
    program = plan(builder, builder.feed("input", (3,)))
    assert (program.phases, program.releases, str(program)) == ([], (), "")


# --- the table of operators ---


@pytest.mark.parametrize(
    ("names", "buffers", "bound"),
    [
        ("x kernel", ("a", "b"), {"x": ("a",), "kernel": ("b",)}),
        ("x *weights", ("a",), {"x": ("a",), "*weights": ()}),
        ("x *weights", ("a", "b", "c"), {"x": ("a",), "*weights": ("b", "c")}),
        (
            "x *weights y δ",
            ("a", "b", "c"),
            {"x": ("a",), "*weights": (), "y": ("b",), "δ": ("c",)},
        ),
        ("x *weights y", ("a", "b", "c"), {"x": ("a",), "*weights": ("b",), "y": ("c",)}),
    ],
)
def test_bind(names: str, buffers: tuple[str, ...], bound: dict):
    assert bind(names, buffers) == bound


RULES = [(name, rule) for name, operator in OPERATORS.items() for rule in operator.gradients]


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_gradient_rules_speak_of_operands_that_exist(name: str, rule: Gradient):
    operator = OPERATORS[name]
    assert set(rule.of.split()) <= set(operator.reads.split())
    earlier = operator.gradients[: operator.gradients.index(rule)]
    computed = {f"δ{operand}" for r in earlier if r.operator for operand in r.of.split()}
    known = {*operator.reads.split(), *operator.writes.split(), "δ", *computed}
    assert set(rule.reads.split()) <= known


@pytest.mark.parametrize(("name", "rule"), [(n, r) for n, r in RULES if r.operator is not None])
def test_gradient_operators_take_what_the_rules_give(name: str, rule: Gradient):
    gradient = OPERATORS[rule.operator]
    assert len(gradient.reads.split()) == len(rule.reads.split())
    assert len(gradient.writes.split()) == len(rule.of.split())


def test_values_of_variables_are_drawn_only_when_read():
    drawn = []

    def draw(shape: tuple[int, ...], dtype: str, seed: int) -> np.ndarray:
        drawn.append(seed)
        return normal(*shape)

    kernel = Variable("dense", (4, 3), "float64", draw, seed=0)
    builder = Builder(training=True)
    plan(builder, add_dense(builder, builder.feed("input", (4,)), kernel), SumOfSquares())
    assert drawn == [], "planning allocates nothing"
    assert kernel.value is kernel.value
    assert len(drawn) == 1


# --- normalization that a convolution does ---


def normalized(builder: Builder, x: Buffer) -> Buffer:
    """Append a normalization by given statistics."""
    statistics = [
        Variable(name, (x.shape[-1],), "float64", lambda shape, *_: 1 + np.arange(*shape) / 7, 0)
        for name in ("mean", "variance", "gamma", "beta")
    ]
    operands = [builder.parameter(variable) for variable in statistics]
    return builder.apply("normalize", x, *operands, shape=x.shape, epsilon=0.1)


def a_convolution(builder: Builder, x: Buffer) -> Buffer:
    return add_conv(builder, x, variable("conv", 3, 2, 1, 6), groups=2, strides=2, padding="same")


def a_depthwise_one(builder: Builder, x: Buffer) -> Buffer:
    return add_conv(builder, x, variable("depthwise", 2, 2, 1, 2), groups=2)


def a_dense_layer(builder: Builder, x: Buffer) -> Buffer:
    return add_dense(builder, x, variable("dense", 2, 5))


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("layer", [a_convolution, a_depthwise_one, a_dense_layer])
def test_a_layer_does_the_normalization_behind_it_where_nothing_is_trained(layer, has_bias):
    images = normal(3, 4, 5, 2)
    results = []
    for training in (True, False):
        builder = Builder(training)
        x = layer(builder, builder.feed("input", (4, 5, 2)))
        if has_bias:
            bias = builder.parameter(variable("bias", x.shape[-1]))
            x = builder.apply("add_bias", x, bias, shape=x.shape)
        x = normalized(builder, x)
        program = plan(builder, builder.apply("activation", x, shape=x.shape, function="tanh"))
        results.append(reference.run(program, {"input": images})[program.output])
    operator = "dense" if layer is a_dense_layer else "conv"
    assert operators(program.forward) == ["fold_normalization", operator, "add_bias", "activation"]
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-12)
    steps = [step.operators for step in fuse(program, 16, 16, 16)]
    assert steps[1:] == [(operator, "add_bias", "activation")]


def test_a_layer_whose_output_somebody_else_reads_leaves_normalization_alone():
    builder = Builder()
    x = a_dense_layer(builder, builder.feed("input", (3, 2)))
    y = builder.apply("add", normalized(builder, x), x, shape=x.shape)
    assert operators(plan(builder, y).forward) == ["dense", "normalize", "add"]

    builder = Builder()
    x = a_dense_layer(builder, builder.feed("input", (3, 2)))
    normalized(builder, x)
    assert operators(plan(builder, x).forward) == ["dense", "normalize"]


def test_normalization_of_the_images_or_of_a_pooling_stays():
    builder = Builder()
    x = normalized(builder, builder.feed("input", (4, 2)))
    table = tap_table((4,), (2,), 2)
    x = builder.apply("max_pool", x, shape=(2, 2), table=table)
    program = plan(builder, normalized(builder, x))
    assert operators(program.forward) == ["normalize", "max_pool", "normalize"]


def test_a_layer_before_two_normalizations_does_both():
    images, results = normal(3, 4, 2), []
    for training in (True, False):
        builder = Builder(training)
        x = a_dense_layer(builder, builder.feed("input", (4, 2)))
        program = plan(builder, normalized(builder, normalized(builder, x)))
        results.append(reference.run(program, {"input": images})[program.output])
    assert operators(program.forward) == [*["fold_normalization"] * 2, "dense", "add_bias"]
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-12)


def test_a_group_convolution_does_the_normalization_by_maps():
    model = Sequential(
        [
            layers.Input((4, 4, 1)),
            layers.GroupConv2D(2, 3, lifting=True),
            layers.GroupBatchNormalization(),
        ]
    )
    named = operators(model.program("predict", (4, 4, 1)).forward)
    assert named == ["tie"] * 6 + ["fold_normalization", "conv", "add_bias"]
