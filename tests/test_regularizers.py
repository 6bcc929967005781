"""Regularizers: values of published formulas, gradients, and what they do in training."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from convlet import Model, Sequential, layers, load_model, optimizers, regularizers
from convlet.regularizers import L1, L1L2, L2, KLSparsity, OrthogonalRegularizer, Regularizer
from numerics import central_difference, normal

W = normal(4, 3) / 4 + 0.5  # as activations of a sigmoid


def pairs(rows: np.ndarray) -> float:
    """Return the mean magnitude of the cosines between rows, pair by pair."""
    cosines = [
        abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
        for n, a in enumerate(rows)
        for b in rows[:n]
    ]
    return float(np.mean(cosines))


def divergence(means: np.ndarray) -> float:
    """Return the divergence of 0.2 from each mean, by SciPy's x log(x / y)."""
    return float((special.rel_entr(0.2, means) + special.rel_entr(0.8, 1 - means)).sum())


VALUES = [
    (L1(0.3), 0.3 * np.abs(W).sum()),
    (L2(0.3), 0.3 * (W**2).sum()),
    (L1L2(0.2, 0.5), 0.2 * np.abs(W).sum() + 0.5 * (W**2).sum()),
    (KLSparsity(0.2, 3.0), 4 * 3.0 * divergence(W.mean(axis=0))),
    (OrthogonalRegularizer(0.7), 0.7 * pairs(W)),
    (OrthogonalRegularizer(0.7, "columns"), 0.7 * pairs(W.T)),
]


@pytest.mark.parametrize(("regularizer", "expected"), VALUES)
def test_values(regularizer: Regularizer, expected: float):
    assert regularizer(W) == pytest.approx(expected, rel=1e-12)
    assert regularizer(W.astype("float32")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("regularizer", [case[0] for case in VALUES])
def test_gradients(regularizer: Regularizer):
    np.testing.assert_allclose(
        regularizer.gradient(W), central_difference(regularizer, W), rtol=1e-6, atol=1e-9
    )
    assert regularizer.checked_gradient(W.astype("float32")).dtype == np.float32


def test_keras_s_own_numbers():
    """Those of the documentation of `keras.Regularizer`."""
    assert L2(2.0)(np.ones((5, 5))) == 50.0
    assert L1(0.01)(np.ones((5, 5))) == pytest.approx(0.25)
    assert (L1().l1, L2().l2, L1L2().l1, L1L2().l2) == (0.01, 0.01, 0.0, 0.0)


def test_a_row_of_zeros_and_a_single_row_are_orthogonal_to_all():
    rows = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, -1.0]])
    assert OrthogonalRegularizer()(rows) == pytest.approx(0, abs=1e-17)
    assert np.isfinite(OrthogonalRegularizer().gradient(rows)).all()
    assert OrthogonalRegularizer()(rows[1:2]) == 0
    np.testing.assert_array_equal(OrthogonalRegularizer().gradient(rows[1:2]), [[0, 0]])


def test_names():
    assert type(regularizers.get("l1")) is L1
    assert type(regularizers.get("L2")) is L2
    assert regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    assert regularizers.get("orthogonal_regularizer").mode == "rows"
    assert regularizers.get(None) is None
    assert regularizers.l2(0.5).l2 == 0.5


@pytest.mark.parametrize("regularizer", [case[0] for case in VALUES])
def test_configurations_come_back(regularizer: Regularizer):
    twin = regularizers.get(regularizers.serialize(regularizer))
    assert type(twin) is type(regularizer)
    assert twin.get_config() == regularizer.get_config()


class Sum(Regularizer):
    """The square of the weights' sum."""

    def call(self, x: np.ndarray) -> np.ndarray:
        return x.sum() ** 2

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return np.full(x.shape, 2 * x.sum())


class Wrong(Regularizer):
    """One that returns other shapes than are asked for."""

    def call(self, x: np.ndarray) -> np.ndarray:
        return x

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return x.sum()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(-0.1), "L1: l1 must be a number of at least 0, got -0.1"),
        (lambda: L2("x"), "L2: l2 must be a number of at least 0, got 'x'"),
        (lambda: L1L2(l2=np.inf), "L1L2: l2 must be a number of at least 0, got inf"),
        (lambda: KLSparsity(0), "KLSparsity: target must be a number between 0 and 1, got 0"),
        (lambda: KLSparsity(1), "target must be a number of at least 0 and below 1, got 1"),
        (lambda: KLSparsity(weight=-1), "weight must be a number of at least 0, got -1"),
        (lambda: KLSparsity()(np.ones(3)), "x: KLSparsity needs at least 2 axes, got shape (3,)"),
        (lambda: OrthogonalRegularizer(mode="row"), "mode must be one of 'rows', 'columns', got"),
        (
            lambda: OrthogonalRegularizer()(np.ones(3)),
            "x: OrthogonalRegularizer needs weights of 2 axes, got shape (3,)",
        ),
        (lambda: L2()("x"), "L2: x must be an array of numbers, got one of <U1"),
        (
            lambda: regularizers.get("l3"),
            "regularizer: unknown 'l3'; known are kl_sparsity, l1, l1l2",
        ),
        (lambda: regularizers.get(np.sum), "a function needs its gradient, too: a subclass of Reg"),
        (lambda: Wrong()(W), "Wrong: call must return one number, got float64 of shape (4, 3)"),
        (
            lambda: Wrong().checked_gradient(W),
            "Wrong: gradient must return the weights' shape (4, 3), got ()",
        ),
    ],
)
def test_errors_name_the_argument(make: object, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


# --- in training ---


def line(**options: object) -> Sequential:
    """Return a network of one dense layer, whose weights are known."""
    model = Sequential([layers.Input((3,)), layers.Dense(2, name="dense", **options)])
    model.set_weights([W[:3, :2], [0.5, -0.25]])
    return model


X, Y = normal(6, 3, dtype="float32"), normal(6, 2, seed=1, dtype="float32")


def plain_loss(model: Sequential) -> float:
    return float(((model.predict(X, verbose=0) - Y) ** 2).mean())


def test_a_step_follows_the_sum_of_both_gradients():
    plain, model = line(), line(kernel_regularizer=L1L2(0.1, 0.3), bias_regularizer="l2")
    for each in (plain, model):
        each.compile(optimizers.SGD(0.1), "mse")
        each.train_on_batch(X, Y)
    w, b = W[:3, :2], np.array([0.5, -0.25])
    steps = (0.1 * np.sign(w) + 2 * 0.3 * w, 2 * 0.01 * b)
    for without, with_penalty, g in zip(
        plain.get_weights(), model.get_weights(), steps, strict=True
    ):
        np.testing.assert_allclose(with_penalty, without - 0.1 * g, rtol=1e-5, atol=1e-6)


def test_every_reported_loss_holds_the_penalties():
    model = line(kernel_regularizer=L2(0.3), bias_regularizer=L1(0.2))
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mse"])
    penalty = 0.3 * (W[:3, :2] ** 2).sum() + 0.2 * 0.75
    expected = pytest.approx(plain_loss(model) + penalty, rel=1e-5)
    loss, mse = model.evaluate(X, Y, batch_size=4, verbose=0)
    assert loss == expected
    assert mse == pytest.approx(plain_loss(model), rel=1e-5)
    assert model.test_on_batch(X, Y)[0] == expected
    assert model.train_on_batch(X, Y)[0] == expected
    history = model.fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=0).history
    assert history["loss"] == [expected]
    assert history["val_loss"] == [expected]


def test_sample_weights_leave_penalties_alone():
    model = line(kernel_regularizer=L2(0.3))
    model.compile("sgd", "mse")
    penalty = 0.3 * (W[:3, :2] ** 2).sum()
    assert model.test_on_batch(X, Y, np.zeros(6)) == pytest.approx(penalty, rel=1e-5)


def test_several_outputs_report_penalties_once_and_in_the_sum_alone():
    given = layers.Input((3,))
    shared = layers.Dense(2, kernel_regularizer=L2(0.3), name="shared")
    first, second = shared(given), layers.Activation("tanh")(shared(layers.ReLU()(given)))
    model = Model(given, [first, second])
    model.compile("sgd", "mse", loss_weights=[1.0, 3.0])
    total, first, second = model.test_on_batch(X, [Y, Y])
    penalty = 0.3 * float((shared.kernel.value.astype("float64") ** 2).sum())
    assert total == pytest.approx(first + 3 * second + penalty, rel=1e-5)


def test_frozen_weights_are_not_counted_and_stay():
    model = line(kernel_regularizer=L2(0.3))
    model.compile("sgd", "mse")
    penalty = 0.3 * (W[:3, :2] ** 2).sum()
    assert model.test_on_batch(X, Y) == pytest.approx(plain_loss(model) + penalty, rel=1e-5)
    model.layers[0].trainable = False
    before = model.get_weights()
    assert model.test_on_batch(X, Y) == pytest.approx(plain_loss(model), rel=1e-5)
    assert model.train_on_batch(X, Y) == pytest.approx(plain_loss(model), rel=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_penalty_that_is_not_finite_stops_training_and_keeps_the_weights():
    model = line(kernel_regularizer=L2(1e30))
    model.compile(optimizers.SGD(1e20), "mse")
    with pytest.raises(ArithmeticError, match="the step would make dense/kernel infinite"):
        model.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], W[:3, :2].astype("float32"))


# --- every layer that has weights ---

REGULARIZED = {
    "Conv2D": (lambda **k: layers.Conv2D(2, 2, **k), (4, 4, 2), "kernel", "kernel"),
    "Conv1DTranspose": (lambda **k: layers.Conv1DTranspose(2, 2, **k), (4, 2), "bias", "bias"),
    "Dense": (lambda **k: layers.Dense(2, **k), (3,), "kernel", "kernel"),
    "DepthwiseConv2D": (
        lambda **k: layers.DepthwiseConv2D(2, **k),
        (4, 4, 2),
        "depthwise",
        "kernel",
    ),
    "SeparableConv1D": (
        lambda **k: layers.SeparableConv1D(2, 2, **k),
        (4, 2),
        "pointwise",
        "pointwise_kernel",
    ),
    "SeparableConv2D": (
        lambda **k: layers.SeparableConv2D(2, 2, **k),
        (4, 4, 2),
        "depthwise",
        "depthwise_kernel",
    ),
    "TableConv1D": (lambda **k: layers.TableConv1D([[1], [1]], 2, **k), (4, 2), "kernel", "kernel"),
    "GroupConv2D": (
        lambda **k: layers.GroupConv2D(1, 3, lifting=True, **k),
        (4, 4, 1),
        "kernel",
        "kernel",
    ),
    "LocallyConnected1D": (lambda **k: layers.LocallyConnected1D(2, 2, **k), (4, 2), *["bias"] * 2),
    "PReLU": (lambda **k: layers.PReLU("ones", **k), (4,), "alpha", "alpha"),
    "RadialBasis": (lambda **k: layers.RadialBasis(2, **k), (3,), "centers", "centers"),
    "TrainableSubsampling1D": (
        lambda **k: layers.TrainableSubsampling1D(2, **k),
        (4, 2),
        "coefficient",
        "coefficient",
    ),
    "BatchNormalization": (lambda **k: layers.BatchNormalization(**k), (3,), "gamma", "gamma"),
    "LayerNormalization": (lambda **k: layers.LayerNormalization(**k), (3,), "beta", "beta"),
    "GroupNormalization": (lambda **k: layers.GroupNormalization(1, **k), (3,), "gamma", "gamma"),
}


@pytest.mark.parametrize("name", REGULARIZED)
def test_a_weight_has_the_regularizer_and_the_constraint_of_its_arguments(
    name: str, tmp_path: Path
):
    make, shape, argument, weight = REGULARIZED[name]
    terms = {f"{argument}_regularizer": L1(0.125), f"{argument}_constraint": "non_neg"}
    layer = make(**terms)
    model = Sequential([layers.Input(shape), layer, layers.Flatten(), layers.Dense(1)])
    variable = layer.named_weights()[weight]
    others = [v for v in layer.weights if v is not variable]
    assert variable.regularizer.l1 == 0.125
    assert variable.constraint is not None
    assert all(v.regularizer is None is v.constraint for v in others)
    model.compile(optimizers.SGD(0.5), "mse")
    rest = make()
    bare = Sequential([layers.Input(shape), rest, layers.Flatten(), layers.Dense(1)])
    bare.set_weights(model.get_weights())
    bare.compile("sgd", "mse")
    x, y = normal(3, *shape, dtype="float32"), np.ones(3)
    penalty = 0.125 * np.abs(variable.value).sum()
    assert model.test_on_batch(x, y) == pytest.approx(bare.test_on_batch(x, y) + penalty, rel=1e-4)
    model.train_on_batch(x, y)
    assert variable.value.min() >= 0
    model.save(tmp_path / "model.safetensors")
    read = load_model(tmp_path / "model.safetensors")
    assert read.get_config() == model.get_config()
    assert read.test_on_batch(x, y) == model.test_on_batch(x, y)


def test_one_s_own_is_used_and_saved(tmp_path: Path):
    model = line(kernel_regularizer=Sum())
    model.compile("sgd", "mse")
    expected = plain_loss(model) + W[:3, :2].sum() ** 2
    assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)
    path = tmp_path / "model.safetensors"
    model.save(path)
    with pytest.raises(ValueError, match="regularizer: unknown 'Sum'"):
        load_model(path)
    read = load_model(path, custom_objects={"Sum": Sum})
    assert read.test_on_batch(X, Y) == model.test_on_batch(X, Y)
    with pytest.raises(ValueError, match="Dense 'dense': Keras has no regularizer Sum; "):
        model.save(tmp_path / "model.keras")


def test_a_layer_of_one_s_own_may_have_them():
    class Scale(layers.Layer):
        def build(self, input_shape: tuple) -> None:
            self.add_weight(input_shape[1:], "ones", name="factor", regularizer="l2")

        def call(self, x: np.ndarray, factor: np.ndarray) -> np.ndarray:
            return x * factor

        def gradient(self, x: np.ndarray, factor: np.ndarray, *others: np.ndarray) -> tuple:
            return others[-1] * factor, (others[-1] * x).sum(axis=0)

    model = Sequential([layers.Input((3,)), Scale()])
    model.compile("sgd", "mse")
    assert model.test_on_batch(X, X) == pytest.approx(0.03, rel=1e-5)
