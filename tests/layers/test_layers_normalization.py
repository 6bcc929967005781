"""Normalization beside Keras 3.15 (on JAX), moving averages, freezing, and what turns with images.

Samples, weights and the gradient that comes back are short patterns; of each array the tables keep
its sum weighted with another pattern.
"""

import math
import re

import numpy as np
import pytest

from convlet import Sequential, config, layers, losses, optimizers, random
from convlet.engine import Builder, plan, reference
from convlet.models import NonFiniteLossError
from convlet.saving import load_model
from native_runs import Pull, run_natively

# layer, arguments, shape of a sample, whether it is training; what Keras has: the output's weighted
# sum, those of the gradients by the input and by each trainable weight, and those of the weights
# without a gradient after the step
KERAS = [
    (
        "BatchNormalization",
        {},
        (4, 3),
        True,
        10.04041,
        [-8.878033, -13.16944, 120.0],
        [3.481, -9.8838],
    ),
    ("BatchNormalization", {}, (4, 3), False, 19.1364, [-19.0881, -4.582928, 120.0], [3.5, -9.5]),
    (
        "BatchNormalization",
        {"axis": 1, "momentum": 0.9, "epsilon": 0.1},
        (3, 4, 2),
        True,
        -11.3181,
        [0.6672051, -5.736315, 240.0],
        [3.17625, -13.42416],
    ),
    (
        "BatchNormalization",
        {"axis": -2, "center": False},
        (2, 3, 2, 2),
        True,
        -5.888397,
        [-0.6973765, 2.524814],
        [3.467333, -8.286433],
    ),
    (
        "BatchNormalization",
        {"scale": False, "momentum": 0.5},
        (3, 3, 2),
        True,
        1.905812,
        [4.152406, 234.0],
        [1.916667, -22.04306],
    ),
    (
        "BatchNormalization",
        {"scale": False, "center": False},
        (6,),
        True,
        7.400107,
        [-9.348164],
        [2.475, -12.572],
    ),
    (
        "BatchNormalization",
        {"axis": 2, "scale": False},
        (3, 4, 2),
        False,
        -0.4421965,
        [1.881503, 270.0],
        [3.0, -11.0],
    ),
    (
        "BatchNormalization",
        {"trainable": False, "epsilon": 0.01},
        (3, 2),
        True,
        -1.360479,
        [-2.107489],
        [3.5, 3.5, 3.5, -8.0],
    ),
    ("LayerNormalization", {}, (4, 3), True, 7.782752, [-0.9643787, -16.84961, 120.0], []),
    (
        "LayerNormalization",
        {"axis": [1, 2], "epsilon": 0.1},
        (3, 4, 2),
        True,
        -5.106374,
        [-3.07531, -27.93606, -25.0],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": 1},
        (3, 4, 2),
        True,
        -13.41693,
        [2.200313, -31.31029, 240.0],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": [3, 1]},
        (3, 4, 2),
        True,
        -17.37731,
        [-2.209465, -69.31218, 180.0],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": [-2, -1], "center": False},
        (2, 3, 2, 2),
        True,
        -14.76099,
        [-5.213279, -159.8085],
        [],
    ),
    (
        "LayerNormalization",
        {"axis": [1, 2, 3], "scale": False},
        (3, 2, 2),
        True,
        10.41911,
        [3.344573, 5.0],
        [],
    ),
    (
        "LayerNormalization",
        {"center": False, "scale": False},
        (6,),
        True,
        0.1207551,
        [-8.184806],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 2},
        (3, 2, 6),
        True,
        5.090147,
        [-4.303645, -17.01819, 270.0],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": -1, "epsilon": 0.1},
        (3, 4),
        True,
        -10.40867,
        [1.490116e-08, 0.0, 180.0],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 1, "center": False},
        (2, 2, 4),
        True,
        -12.19778,
        [0.864735, 9.619307],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 3, "axis": 1, "scale": False},
        (6, 2, 3),
        True,
        16.24962,
        [6.43048, 255.0],
        [],
    ),
    (
        "GroupNormalization",
        {"groups": 2, "axis": -2},
        (3, 4, 2),
        True,
        -8.176435,
        [1.35786, -45.84743, 270.0],
        [],
    ),
    ("GroupNormalization", {"groups": 4}, (8,), True, 6.473745, [0.2296291, -35.87201, 80.0], []),
]


def pattern(shape, period):
    return (np.arange(math.prod(shape)) % period - period // 2).reshape(shape).astype(np.float32)


def weighted(array):
    return float((array.astype(np.float64) * pattern(array.shape, 11)).sum())


def set_patterns(owner):
    """Give the weights patterns of quarters, and variances positive ones."""
    values = []
    for path, weight in owner.named_weights().items():
        value = pattern(weight.shape, 5) / 4
        values.append(np.abs(value) + 0.5 if "variance" in path else value)
    owner.set_weights(values)


class Probe(layers.Layer):
    """Keeps the gradient that comes back through it."""

    def build(self, input_shape):
        self.add_weight((1,), "zeros", name="nothing")

    def call(self, x, nothing):
        return x + nothing

    def gradient(self, x, nothing, y, output_gradient):
        self.seen = np.array(output_gradient)
        return output_gradient, np.zeros(1, x.dtype)


def sums(name, arguments, sample, training, run):
    """Return a layer's sums as the table has them."""
    layer, probe = getattr(layers, name)(**arguments), Probe()
    layer.ensure_built((None, *sample))
    probe.ensure_built((None, *sample))
    set_patterns(layer)
    if not training:  # statistics stay as they are, and the weights are trained
        layer.trainable = False
        for weight in layer.weights:
            weight.frozen = False
    builder = Builder(training=True)
    y = layer.trace(builder, probe.trace(builder, builder.feed("input", sample)))
    program = plan(builder, y, Pull())
    x = pattern((5, *sample), 7) + pattern((5, *sample), 3) / 4
    feeds = {"targets": pattern((5, *sample), 4), "weights": np.ones(5, np.float32)}
    results = run(program, {"input": x, **feeds})
    names = {id(variable): name for name, variable in program.variables.items()}
    gradients = [results[program.gradients[names[id(w)]]] for w in layer.trainable_weights]
    fixed = [
        results.get(program.updates.get(names[id(w)]), w.value) for w in layer.non_trainable_weights
    ]
    of_gradients = [weighted(gradient) for gradient in (probe.seen, *gradients)]
    return weighted(results[program.output]), of_gradients, [weighted(array) for array in fixed]


@pytest.mark.parametrize("run", [reference.run, run_natively])
@pytest.mark.parametrize(
    ("name", "arguments", "sample", "training", "y", "gradients", "fixed"), KERAS
)
def test_it_computes_what_keras_computes(
    name, arguments, sample, training, y, gradients, fixed, run
):
    found = sums(name, arguments, sample, training, run)
    for ours, keras in zip(found, (y, gradients, fixed), strict=True):
        np.testing.assert_allclose(ours, keras, rtol=2e-5, atol=2e-5)


# --- whole networks: statistics that move, and that stand still ---


def network():
    parts = [
        layers.Input((4, 3)),
        layers.Conv1D(4, 2, use_bias=False),
        layers.BatchNormalization(momentum=0.6),
        layers.Activation("tanh"),
        layers.Flatten(),
        layers.Dense(2),
        layers.BatchNormalization(center=False),
    ]
    return Sequential(parts)


X = pattern((6, 4, 3), 7) + pattern((6, 4, 3), 3) / 4
Y = pattern((6, 2), 5)


@pytest.fixture(params=["reference", "native"])
def executor(request):
    before = config.executor()
    config.set_executor(request.param)
    yield
    config.set_executor(before)


def weighted_weights(model):
    return [weighted(weight) for weight in model.get_weights()]


@pytest.mark.usefixtures("executor")
def test_four_steps_of_training_as_keras_makes_them_and_two_with_a_frozen_layer():
    model = network()
    set_patterns(model)
    model.compile(optimizers.SGD(0.1, momentum=0.5), "mse")
    near = {"rtol": 2e-5, "atol": 2e-5}
    found = [model.train_on_batch(X, Y) for _ in range(4)]
    np.testing.assert_allclose(found, [2.620135, 2.204055, 1.95526, 1.767546], **near)
    expected = [
        1.530802,
        3.147683,
        2.930722,
        0.5066894,
        -51.09007,
        1.444632,
        3.5,
        1.992061,
        3.481512,
        -7.746193,
    ]
    np.testing.assert_allclose(weighted_weights(model), expected, **near)
    np.testing.assert_allclose(weighted(model.predict(X, verbose=0)), 0.3616507, **near)
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), 1.855834, **near)
    model.layers[1].trainable = False
    model.compile(optimizers.SGD(0.1), "mse")
    np.testing.assert_allclose(
        [model.train_on_batch(X, Y) for _ in range(2)], [1.621582, 1.56338], **near
    )
    expected = [
        1.60058,
        3.147683,
        2.930722,
        0.5066894,
        -51.09007,
        1.4815,
        3.5,
        2.393775,
        3.478717,
        -7.64616,
    ]
    np.testing.assert_allclose(weighted_weights(model), expected, **near)


def test_moving_averages_move_in_training_alone():
    layer = layers.BatchNormalization(momentum=0.5)
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    layer(x)
    np.testing.assert_array_equal(layer.moving_mean.value, [0, 0])
    layer(x, training=True)
    np.testing.assert_array_equal(layer.moving_mean.value, [1, 2.5])
    np.testing.assert_array_equal(layer.moving_variance.value, [1, 0.5])
    layer.trainable = False
    layer(x, training=True)
    np.testing.assert_array_equal(layer.moving_mean.value, [1, 2.5])


def test_freezing_a_layer_without_weights_that_are_trained_counts_from_the_next_step():
    normalization = layers.BatchNormalization(center=False, scale=False)
    model = Sequential([layers.Input((3,)), normalization, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.eye(3), np.ones(3))
    moved = normalization.get_weights()
    normalization.trainable = False
    model.train_on_batch(np.eye(3), np.ones(3))
    np.testing.assert_array_equal(normalization.get_weights(), moved)
    assert moved[0].all()


@pytest.mark.usefixtures("executor")
def test_a_layer_that_is_used_twice_has_one_sum_of_gradients_and_moves_twice():
    shared = layers.BatchNormalization(momentum=0.5)
    shared.ensure_built((None, 2))
    builder = Builder(training=True)
    x = builder.feed("input", (2,))
    for _ in range(2):
        x = shared.trace(builder, x)
        x = builder.apply("activation", x, shape=x.shape, function="exponential")
    program = plan(builder, x, losses.MeanSquaredError())
    feeds = {
        "input": np.array([[1, 0], [2, 1], [4, -2]], np.float32),
        "targets": np.zeros((3, 2), np.float32),
        "weights": np.ones(3, np.float32),
    }
    expected, found = reference.run(program, feeds), run_natively(program, feeds)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    assert len(program.updates) == 2


@pytest.mark.usefixtures("executor")
def test_a_loss_that_is_not_finite_puts_the_moving_averages_back():
    model = Sequential([layers.Input((2,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile(optimizers.SGD(1e30), "mse")
    before = model.get_weights()
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    with pytest.raises(NonFiniteLossError):
        model.fit(x, [1, 0], epochs=3, verbose=0)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_statistics_that_would_not_be_finite_stop_training():
    model = Sequential([layers.Input((2,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(NonFiniteLossError, match=r"batch_normalization/moving_variance infinite"):
        model.train_on_batch(np.array([[3e38, 0], [-3e38, 0]], np.float32), [1, 0])
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.usefixtures("executor")
def test_training_goes_on_from_a_file_with_the_same_bits(tmp_path):
    random.set_random_seed(1)
    model = network()
    model.compile(optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    for one in (model, again):
        one.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    for was, now in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


# --- group convolutions ---


@pytest.mark.parametrize("group", ["p4", "p4m"])
def test_group_batch_normalization_turns_with_the_image(group):
    random.set_random_seed(2)
    model = Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.GroupConv2D(3, 3, group, lifting=True, padding="same"),
            layers.GroupBatchNormalization(group),
            layers.Activation("relu"),
            layers.GroupConv2D(2, 3, group, padding="same"),
            layers.GroupBatchNormalization(group),
            layers.GroupPooling2D(group),
        ]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(3).normal(size=(4, 6, 6, 2))
    for _ in range(3):
        model.train_on_batch(x, np.ones((4, 6, 6, 2)))
    assert model.layers[1].moving_mean.shape == (3,)
    turned = np.rot90(x, axes=(1, 2))
    expected = np.rot90(model.predict(x, verbose=0), axes=(1, 2))
    np.testing.assert_allclose(model.predict(turned, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_group_batch_normalization_of_a_turned_batch_moves_alike():
    """What is learned from turned images is the same, statistics included."""
    random.set_random_seed(4)
    lifting = layers.GroupConv2D(3, 3, lifting=True, padding="same")
    normalization = layers.GroupBatchNormalization(momentum=0.0)
    x = np.random.default_rng(5).normal(size=(4, 5, 5, 1))
    moved = []
    for images in (x, np.rot90(x, axes=(1, 2))):
        normalization(lifting(images), training=True)
        moved.append(normalization.get_weights())
    np.testing.assert_allclose(*moved, rtol=1e-5, atol=1e-6)


# --- what is refused ---

REFUSED = [
    (
        lambda: layers.BatchNormalization(axis=1.5),
        "BatchNormalization 'batch_normalization': axis must be an integer, got 1.5",
    ),
    (lambda: layers.BatchNormalization(axis=True), "axis must be an integer, got True"),
    (lambda: layers.BatchNormalization(momentum=1.1), "of at least 0 and of at most 1, got 1.1"),
    (lambda: layers.BatchNormalization(epsilon=-1), "epsilon must be a number of at least 0"),
    (lambda: layers.BatchNormalization(epsilon=np.nan), "epsilon must be a number of at least 0"),
    (lambda: layers.BatchNormalization(center=1), "center must be True or False, got 1"),
    (lambda: layers.BatchNormalization(scale="yes"), "scale must be True or False, got 'yes'"),
    (lambda: layers.BatchNormalization(gamma_initializer="one"), "gamma_initializer: initializer"),
    (lambda: layers.BatchNormalization(renorm=True), "renorm is not supported, got True"),
    (lambda: layers.BatchNormalization(synchronized=True), "synchronized is not supported"),
    (
        lambda: layers.BatchNormalization(beta_regularizer="l3"),
        "beta_regularizer: regularizer: unk",
    ),
    (
        lambda: layers.BatchNormalization(axis=3)(np.ones((2, 3, 4))),
        "axis must be one of the input's beside the batch's and of known size, got 3 and an input "
        "of shape (None, 3, 4)",
    ),
    (lambda: layers.BatchNormalization(axis=0)(np.ones((2, 3))), "got 0 and an input of shape"),
    (lambda: layers.BatchNormalization(axis=-3)(np.ones((2, 3, 4))), "got -3 and an input"),
    (
        lambda: layers.BatchNormalization().ensure_built((None, 3, None)),
        "of known size, got -1 and an input of shape (None, 3, None)",
    ),
    (
        lambda: built(layers.BatchNormalization(), (None, 3)).compute_output_shape((None, 4)),
        "the input must have 3 channels, for which the statistics were made, got 4",
    ),
    (lambda: layers.GroupBatchNormalization("p6"), "group must be one of 'p4', 'p4m', got 'p6'"),
    (
        lambda: layers.GroupBatchNormalization()(np.ones((1, 2, 2, 6))),
        "must have a multiple of 4 channels, its maps in all orientations of p4, got an input of",
    ),
    (lambda: layers.GroupBatchNormalization(axis=1), "unknown argument 'axis'"),
    (
        lambda: layers.LayerNormalization([1, "2"]),
        "LayerNormalization 'layer_normalization': axis must be an integer or a list of them, got",
    ),
    (lambda: layers.LayerNormalization(axis=[]), "axis must be an integer or a list of them, g"),
    (
        lambda: layers.LayerNormalization([1, -2])(np.ones((2, 3, 4))),
        "axis must be axes that differ, got [1, -2]",
    ),
    (lambda: layers.LayerNormalization([1, 3])(np.ones((2, 3, 4))), "got 3 and an input of shape"),
    (
        lambda: built(layers.LayerNormalization(), (None, 3)).compute_output_shape((None, 4)),
        "the input must have (3,) numbers along axis -1, for which the layer was built, got (4,)",
    ),
    (lambda: layers.LayerNormalization(rms_scaling=True), "unknown argument 'rms_scaling'"),
    (
        lambda: layers.GroupNormalization(0),
        "GroupNormalization 'group_normalization': groups must be an integer of at least 1, or -1",
    ),
    (lambda: layers.GroupNormalization(2.0), "groups must be an integer of at least -1, got 2.0"),
    (
        lambda: layers.GroupNormalization(3)(np.ones((2, 4))),
        "the number of channels must be a multiple of groups (3), got 4",
    ),
    (lambda: layers.GroupNormalization()(np.ones((2, 4))), "a multiple of groups (32), got 4"),
    (
        lambda: layers.LocalResponseNormalization(-1),
        "LocalResponseNormalization 'local_response_normalization': depth_radius must be an "
        "integer of at least 0, got -1",
    ),
    (lambda: layers.LocalResponseNormalization(bias=-1), "bias must be a number of at least 0"),
    (lambda: layers.LocalResponseNormalization(alpha=None), "alpha must be a number of at least 0"),
    (lambda: layers.LocalResponseNormalization(beta="b"), "beta must be a number of at least 0"),
]


def built(layer, shape):
    layer.ensure_built(shape)
    return layer


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_alexnets_normalization_is_the_papers():
    """Krizhevsky et al.: k = 2, n = 5, alpha = 1e-4, beta = 0.75."""
    x = np.random.default_rng(1).normal(0, 50, (1, 7)).astype(np.float32)
    found = layers.LocalResponseNormalization(2, 2.0, 1e-4, 0.75)(x)[0]
    for i, a in enumerate(x[0]):
        neighbours = x[0, max(0, i - 2) : min(6, i + 2) + 1]
        expected = a / (2 + 1e-4 * (neighbours.astype(np.float64) ** 2).sum()) ** 0.75
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)


def test_weights_that_were_not_asked_for_are_none_as_in_keras():
    layer = built(layers.BatchNormalization(center=False), (None, 3))
    assert layer.beta is None
    assert [weight.name for weight in layer.weights] == ["gamma", "moving_mean", "moving_variance"]
    assert built(layers.LayerNormalization(scale=False), (None, 3)).gamma is None


def test_keras_arguments_that_ask_for_nothing_are_taken():
    nothing = {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}
    layers.BatchNormalization(**nothing, synchronized=False, gamma_constraint=None)
