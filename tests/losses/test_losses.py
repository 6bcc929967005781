"""Losses: values against scikit-learn and SciPy, gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as sklearn_metrics

from convlet import losses
from convlet.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CustomLoss,
    Loss,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
    spread_weights,
)
from numerics import central_difference, normal


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[labels]


class HalfAbsoluteError(Loss):
    """A user's own loss."""

    def __init__(self, factor: float = 0.5, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return self.factor * np.abs(y_pred - y_true).sum(axis=-1)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return self.factor * np.sign(y_pred - y_true)


class ZeroedCrossentropy(CategoricalCrossentropy):
    """A user's own loss that knows nothing of logits."""

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 0 * y_pred[..., 0]


# Values ------------------------------------------------------------------------------------------


def test_mean_squared_error_is_scikit_learn_s():
    y_true, y_pred = normal(20, 3, seed=1), normal(20, 3, seed=2)
    expected = sklearn_metrics.mean_squared_error(y_true, y_pred)
    assert MeanSquaredError()(y_true, y_pred) == pytest.approx(expected, rel=1e-12)


def test_binary_crossentropy_is_scikit_learn_s():
    y_true, logits = np.arange(20) % 2, normal(20, 1)
    probabilities = special.expit(logits)
    expected = sklearn_metrics.log_loss(y_true, probabilities)
    assert BinaryCrossentropy()(y_true, probabilities) == pytest.approx(expected, rel=1e-12)
    assert BinaryCrossentropy(from_logits=True)(y_true, logits) == pytest.approx(expected)


def test_categorical_crossentropies_are_scikit_learn_s():
    labels, logits = np.arange(20) % 4, normal(20, 4)
    probabilities = special.softmax(logits, axis=-1)
    expected = sklearn_metrics.log_loss(labels, probabilities)
    for loss, y_true in (
        (CategoricalCrossentropy, one_hot(labels, 4)),
        (SparseCategoricalCrossentropy, labels),
    ):
        assert loss()(y_true, probabilities) == pytest.approx(expected, rel=1e-12)
        assert loss()(y_true, 5 * probabilities) == pytest.approx(expected, rel=1e-12)
        assert loss(from_logits=True)(y_true, logits) == pytest.approx(expected, rel=1e-12)


def test_label_smoothing_is_the_formula_of_keras():
    s, logits = 0.3, normal(10, 4)
    t = one_hot(np.arange(10) % 4, 4)
    expected = -(((1 - s) * t + s / 4) * special.log_softmax(logits, axis=-1)).sum(axis=-1)
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=s)
    np.testing.assert_allclose(loss.call(t, logits), expected)

    smoothed = (1 - s) * t + s / 2
    p = special.expit(logits)
    expected = -(smoothed * np.log(p) + (1 - smoothed) * np.log(1 - p)).mean(axis=-1)
    loss = BinaryCrossentropy(from_logits=True, label_smoothing=s)
    np.testing.assert_allclose(loss.call(t, logits), expected)


def test_probabilities_are_clipped_as_keras_clips_them():
    certain = np.array([[1.0, 0.0]])
    assert CategoricalCrossentropy()([[0, 1]], certain) == pytest.approx(-np.log(1e-7))
    assert SparseCategoricalCrossentropy()([0], certain) == pytest.approx(1e-7, rel=1e-6)
    assert BinaryCrossentropy()([[0, 1]], certain) == pytest.approx(-np.log(1e-7))
    for loss, y_true in (
        (CategoricalCrossentropy(), np.array([[0, 1]])),
        (SparseCategoricalCrossentropy(), np.array([1])),
        (BinaryCrossentropy(), np.array([[0, 1]])),
    ):
        np.testing.assert_array_equal(loss.gradient(y_true, certain), np.zeros((1, 2)))


def test_the_gradient_by_the_logits_is_the_lecture_s_delta_with_the_other_sign():
    logits, labels = normal(6, 5), np.arange(6) % 5
    delta = one_hot(labels, 5) - special.softmax(logits, axis=-1)  # 1(y=i) - p(y=i)
    loss = SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(loss.gradient(labels, logits), -delta, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits_stay_finite(dtype: str, size: float):
    logits = np.array([[size, -size, 0], [-size, -size, -size]], dtype)
    labels = np.array([1, 2])
    sparse = SparseCategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(sparse.call(labels, logits), [2 * size, np.log(3)], rtol=1e-6)
    binary = BinaryCrossentropy(from_logits=True)
    np.testing.assert_allclose(
        binary.call(np.array([[1, 1, 0], [0, 0, 0]]), logits),
        [(size + np.log(2)) / 3, 0],
        rtol=1e-6,
    )
    for loss, y_true in ((sparse, labels), (binary, one_hot(labels, 3))):
        gradient = loss.gradient(y_true, logits)
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() <= 1


# Gradients ---------------------------------------------------------------------------------------

SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


def assert_gradient_holds(loss: Loss, y_true: object, y_pred: np.ndarray) -> None:
    """Weight the values at random, so that a derivative in the wrong place shows."""
    targets = loss.check_targets(y_true, y_pred.shape, "test")
    weights = normal(*y_pred.shape[:-1], seed=3)
    expected = central_difference(lambda p: float((weights * loss.call(targets, p)).sum()), y_pred)
    gradient = weights[..., np.newaxis] * loss.gradient(targets, y_pred)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


@given(SHAPES, st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_gradient_of_mean_squared_error(shape: tuple, last: int, seed: int):
    y_pred = normal(*shape, last, seed=seed)
    assert_gradient_holds(MeanSquaredError(), normal(*shape, last, seed=seed + 1), y_pred)


@given(SHAPES, st.integers(1, 4), st.booleans(), st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_gradient_of_binary_crossentropy(
    shape: tuple, last: int, from_logits: bool, smoothing: float, seed: int
):
    logits = normal(*shape, last, seed=seed)
    y_pred = logits if from_logits else special.expit(logits)
    y_true = special.expit(normal(*shape, last, seed=seed + 1))
    assert_gradient_holds(BinaryCrossentropy(from_logits, smoothing), y_true, y_pred)


@given(SHAPES, st.integers(2, 5), st.booleans(), st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_gradients_of_categorical_crossentropies(
    shape: tuple, classes: int, from_logits: bool, smoothing: float, seed: int
):
    logits = normal(*shape, classes, seed=seed)
    y_pred = logits if from_logits else np.exp(logits)  # the loss divides by their sum
    labels = np.random.default_rng(seed).integers(classes, size=shape)
    assert_gradient_holds(SparseCategoricalCrossentropy(from_logits), labels, y_pred)
    loss = CategoricalCrossentropy(from_logits, smoothing)
    assert_gradient_holds(loss, one_hot(labels, classes), y_pred)
    assert_gradient_holds(loss, 3 * special.expit(normal(*shape, classes, seed=seed + 1)), y_pred)


def test_gradient_beside_clipped_probabilities():
    # The loss divides by the sum: among such large numbers a step of 0.01 moves no clipped one out.
    y_pred = 1e6 * np.array([[1e-10, 0.5, 0.7], [0.3, 1e-9, 0.2]])
    targets = np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])
    loss = CategoricalCrossentropy()
    expected = central_difference(lambda p: float(loss.call(targets, p).sum()), y_pred, step=0.01)
    gradient = loss.gradient(targets, y_pred)
    assert np.abs(gradient).min() > 1e-8  # nothing is compared with 0
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "y_true"),
    [
        (MeanSquaredError(), one_hot(np.arange(6) % 3, 3)),
        (BinaryCrossentropy(label_smoothing=0.1), one_hot(np.arange(6) % 3, 3)),
        (BinaryCrossentropy(True, 0.1), one_hot(np.arange(6) % 3, 3)),
        (CategoricalCrossentropy(label_smoothing=0.1), one_hot(np.arange(6) % 3, 3)),
        (CategoricalCrossentropy(True, 0.1), one_hot(np.arange(6) % 3, 3)),
        (SparseCategoricalCrossentropy(), np.arange(6) % 3),
        (SparseCategoricalCrossentropy(True), np.arange(6) % 3),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_float_types_are_the_prediction_s(loss: Loss, y_true: np.ndarray):
    double = special.expit(normal(6, 3))
    single = double.astype(np.float32)
    for targets in (y_true, y_true.astype(np.float64)):
        checked = loss.check_targets(targets, double.shape, "test")
        for formula in (loss.call, loss.gradient):
            assert formula(checked, double).dtype == np.float64
            assert formula(checked, single).dtype == np.float32
            np.testing.assert_allclose(
                formula(checked, single), formula(checked, double), rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize(
    "loss",
    [
        MeanSquaredError(),
        BinaryCrossentropy(),
        BinaryCrossentropy(True),
        CategoricalCrossentropy(),
        CategoricalCrossentropy(True),
    ],
)
def test_diverged_predictions_give_no_warnings(loss: Loss, bad: float):
    y_pred = np.array([[bad, bad], [0.0, bad]], np.float32)
    loss(np.eye(2), y_pred)
    gradient = loss.gradient(np.eye(2), y_pred)
    if np.isnan(bad):
        assert np.isnan(gradient[0]).all()


# The mean and its weights ------------------------------------------------------------------------


def test_weights_multiply_values_and_the_count_divides():
    y_true, y_pred = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]])
    loss = MeanSquaredError()
    assert loss(y_true, y_pred) == (1 + 4 + 9 + 16) / 4
    assert loss(y_true, y_pred, [0, 2, 0, 1]) == (2 * 4 + 16) / 4
    assert loss(y_true, y_pred, [[0], [2], [0], [1]]) == (2 * 4 + 16) / 4
    assert loss(y_true, y_pred, 3) == 3 * (1 + 4 + 9 + 16) / 4
    assert loss(y_true, y_pred, np.zeros(4)) == 0.0


def test_weights_of_samples_and_of_pixels():
    y_true, y_pred = np.zeros((2, 3, 4, 5)), normal(2, 3, 4, 5)
    values = MeanSquaredError().call(y_true, y_pred)
    weights = special.expit(normal(2, 3, 4))
    loss = MeanSquaredError()
    assert loss(y_true, y_pred, weights) == pytest.approx((weights * values).mean())
    assert loss(y_true, y_pred, weights[..., np.newaxis]) == loss(y_true, y_pred, weights)
    for sample in (weights[:, 0, 0], weights[:, :1, 0], weights[:, :1, :1]):
        expected = (sample.reshape(2, 1, 1) * values).mean()
        assert loss(y_true, y_pred, sample) == pytest.approx(expected)


def test_weights_take_the_type_they_are_asked_for():
    assert spread_weights([1, 2], (2, 3), np.float32, "test").dtype == np.float32
    np.testing.assert_array_equal(
        spread_weights([1, 2], (2, 3), np.float64, "test"), [[1, 1, 1], [2, 2, 2]]
    )


# Targets -----------------------------------------------------------------------------------------


def test_target_shapes_that_are_read_alike():
    column, row = np.array([[0.0], [1.0]]), np.array([0, 1])
    y_pred = np.array([[0.2], [0.9]])
    for loss in (MeanSquaredError(), BinaryCrossentropy()):
        assert loss(row, y_pred) == loss(column, y_pred) == loss(row, y_pred[:, 0])
        assert loss([False, True], y_pred) == loss(column, y_pred)
    sparse, images = SparseCategoricalCrossentropy(), np.exp(normal(2, 3, 3, 4))
    labels = np.arange(18).reshape(2, 3, 3) % 4
    assert sparse(labels, images) == sparse(labels[..., np.newaxis].astype(float), images)
    targets = sparse.check_targets([[0.0], [1.0]], (2, 4), "test")
    assert (targets.shape, targets.dtype.kind) == ((2,), "i")


def test_large_integer_targets_are_kept_exactly():
    assert MeanSquaredError()([2**24 + 1], np.array([2.0**24])) == 1.0


@pytest.mark.parametrize(
    ("loss", "y_true", "shape", "message"),
    [
        ("mse", np.zeros(3), (2, 1), "fit: the number of samples differs, 3 in y_true and 2 in"),
        ("mse", np.zeros((0, 1)), (0, 1), "fit: there are no samples"),
        ("mse", [[1, 2], [3]], (2, 1), "fit: y_true must be an array of numbers, got rows of dif"),
        ("mse", ["a", "b"], (2, 1), "fit: y_true must be an array of numbers, got one of <U1"),
        ("mse", [1j, 2], (2, 1), "fit: y_true must be an array of numbers, got one of complex128"),
        ("mse", None, (2, 1), "fit: y_true must be an array of numbers, got one of object"),
        ("mse", np.zeros((2, 3)), (2, 1), "must have the predictions' shape (2, 1), got (2, 3)"),
        ("mse", np.zeros(2), (2, 3), "fit: y_true must have the predictions' shape (2, 3), got"),
        ("mse", [0, np.nan], (2, 1), "fit: y_true[1, 0] is nan, targets must be finite numbers"),
        ("mse", [-np.inf, 0], (2, 1), "fit: y_true[0, 0] is -inf, targets must be finite number"),
        ("bce", [0, 2], (2, 1), "fit: y_true[1, 0] is 2.0, binary targets must be numbers from"),
        ("bce", [0, -1], (2, 1), "fit: y_true[1, 0] is -1.0, binary targets must be numbers fro"),
        ("bce", np.zeros((2, 3)), (2, 1), "must have the predictions' shape (2, 1), got (2, 3)"),
        ("bce", [0, np.nan], (2, 1), "fit: y_true[1, 0] is nan, targets must be finite numbers"),
        (
            "categorical_crossentropy",
            [0, 1],
            (2, 3),
            "must have the predictions' shape (2, 3), got (2,); class labels go with the sparse",
        ),
        (
            "categorical_crossentropy",
            [[0, 1, 0], [0, -1, 2]],
            (2, 3),
            "fit: y_true[1, 1] is -1.0, one-hot targets must be at least 0",
        ),
        ("categorical_crossentropy", [[0, np.inf]], (1, 2), "is inf, targets must be finite"),
        (
            "categorical_crossentropy",
            [1, 1],
            (2, 1),
            "fit: predictions of shape (2, 1) have one class, at least 2 are needed; one probab",
        ),
        ("sparse_categorical_crossentropy", [0, 0], (2, 1), "have one class, at least 2 are"),
        (
            "sparse_categorical_crossentropy",
            [0, 3],
            (2, 3),
            "fit: y_true[1] is 3, labels must be whole numbers from 0 to 2",
        ),
        ("sparse_categorical_crossentropy", [-1, 0], (2, 3), "y_true[0] is -1, labels must be"),
        ("sparse_categorical_crossentropy", [0, 1.5], (2, 3), "y_true[1] is 1.5, labels must be"),
        ("sparse_categorical_crossentropy", [np.nan, 0], (2, 3), "y_true[0] is nan, labels must"),
        ("sparse_categorical_crossentropy", [np.inf, 0], (2, 3), "y_true[0] is inf, labels must"),
        (
            "sparse_categorical_crossentropy",
            np.zeros((2, 3)),
            (2, 3),
            "fit: y_true must have the shape (2,) or (2, 1), got (2, 3); one-hot targets go with",
        ),
        (
            "sparse_categorical_crossentropy",
            [[[0, 0], [0, 5]]],
            (1, 2, 2, 3),
            "fit: y_true[0, 1, 1] is 5, labels must be whole numbers from 0 to 2",
        ),
        (HalfAbsoluteError(), [1], (2, 1), "fit: the number of samples differs, 1 in y_true"),
    ],
)
def test_targets_that_do_not_fit(loss: object, y_true: object, shape: tuple, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        losses.get(loss).check_targets(y_true, shape, "fit")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], "MeanSquaredError: sample_weight must have the shape (2,), one weight for "),
        ([[1, 2], [3, 4]], "sample_weight must have the shape (2,), one weight for each sample"),
        ([1, np.nan], "MeanSquaredError: sample_weight[1] is nan, weights must be finite"),
        (["a", "b"], "MeanSquaredError: sample_weight must be an array of numbers, got one of"),
    ],
)
def test_weights_that_do_not_fit(weights: list, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        MeanSquaredError()(np.zeros((2, 1)), np.zeros((2, 1)), weights)
    assert message in str(error.value)


def test_weights_of_a_batch_s_pixels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"the shape \(2,\) or \(2, 3\), one weight for each sam"):
        MeanSquaredError()(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: BinaryCrossentropy(label_smoothing=2),
            "BinaryCrossentropy: label_smoothing must be a number of at least 0 and of at most 1",
        ),
        (
            lambda: CategoricalCrossentropy(label_smoothing=-0.1),
            "CategoricalCrossentropy: label_smoothing must be",
        ),
        (
            lambda: SparseCategoricalCrossentropy(1),
            "SparseCategoricalCrossentropy: from_logits must be True or False, got 1",
        ),
        (
            lambda: MeanSquaredError(name=""),
            "MeanSquaredError: name must be a string of printable characters, got ''",
        ),
        (lambda: CustomLoss(1, abs), "CustomLoss: value must be a function, got 1"),
        (lambda: CustomLoss(abs, None), "CustomLoss: gradient must be a function, got None"),
        (lambda: losses.get("ctc"), "loss: unknown 'ctc'; known are binary_crossentropy, bin"),
    ],
)
def test_arguments_that_do_not_fit(make: Callable, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        make()
    assert message in str(error.value)


# Names, twins and one's own ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mse", MeanSquaredError),
        ("MSE", MeanSquaredError),
        ("mean_squared_error", MeanSquaredError),
        ("MeanSquaredError", MeanSquaredError),
        ("bce", BinaryCrossentropy),
        ("binary_crossentropy", BinaryCrossentropy),
        ("categorical_crossentropy", CategoricalCrossentropy),
        ("sparse_categorical_crossentropy", SparseCategoricalCrossentropy),
    ],
)
def test_names_are_those_of_keras(name: str, cls: type):
    assert type(losses.get(name)) is cls


def test_configurations_come_back():
    loss = CategoricalCrossentropy(True, 0.25, name="mine")
    config = losses.serialize(loss)
    assert config == {
        "class_name": "CategoricalCrossentropy",
        "config": {
            "from_logits": True,
            "label_smoothing": 0.25,
            "reduction": "sum_over_batch_size",
            "name": "mine",
        },
    }
    assert losses.serialize(losses.get(config)) == config
    own = losses.serialize(HalfAbsoluteError(2.0, name="own"))
    assert own["config"] == {"factor": 2.0, "name": "own", "reduction": "sum_over_batch_size"}
    twin = losses.get(own, {"HalfAbsoluteError": HalfAbsoluteError})
    assert twin.get_config() == own["config"]


@pytest.mark.parametrize(
    "loss",
    [
        BinaryCrossentropy(label_smoothing=0.1, name="b"),
        CategoricalCrossentropy(label_smoothing=0.1, name="c"),
        SparseCategoricalCrossentropy(name="s"),
    ],
)
def test_the_twin_for_logits_differs_in_that_alone(loss: Loss):
    twin = loss.from_logits_twin()
    assert type(twin) is type(loss)
    assert twin.get_config() == {**loss.get_config(), "from_logits": True}
    assert twin.from_logits_twin() is None


def test_losses_that_have_no_twin_for_logits():
    for loss in (MeanSquaredError(), HalfAbsoluteError(), ZeroedCrossentropy()):
        assert loss.from_logits_twin() is None


@pytest.mark.parametrize("rows", [True, False])
def test_a_loss_of_two_functions(rows: bool):
    axes = -1 if rows else (1, 2)
    loss = CustomLoss(
        lambda y_true, y_pred: ((y_pred - y_true) ** 2).sum(axis=axes),
        lambda y_true, y_pred: 2 * (y_pred - y_true),
    )
    y_true, y_pred = normal(4, 3, 2, seed=1), normal(4, 3, 2, seed=2).astype(np.float32)
    squares = (y_pred - y_true) ** 2
    assert loss.name == "custom_loss"
    assert loss(y_true, y_pred) == pytest.approx(squares.sum(axis=axes).mean(), rel=1e-6)
    assert loss.call(y_true, y_pred).dtype == np.float32
    gradient = loss.gradient(y_true, y_pred)
    assert (gradient.dtype, gradient.shape) == (np.float32, y_pred.shape)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda loss: loss.call(np.zeros(2), np.zeros((2, 3, 4))),
            "CustomLoss 'custom_loss': the result of value must have the shape (2,) or (2, 3), got",
        ),
        (
            lambda loss: loss.call(np.zeros(2), np.zeros((2, 4))),
            "CustomLoss 'custom_loss': the result of value must have the shape (2,), got (2, 4)",
        ),
        (
            lambda loss: loss.gradient(np.zeros(2), np.zeros((2, 4))),
            "CustomLoss 'custom_loss': the result of gradient must have the shape (2, 4), got (2,)",
        ),
        (
            lambda loss: CustomLoss(lambda t, p: "x", abs).call(np.zeros(2), np.zeros((2, 4))),
            "CustomLoss 'custom_loss': the result of value must be an array of numbers, got one of",
        ),
        (losses.serialize, "CustomLoss 'custom_loss': functions cannot be written in a file; a su"),
    ],
)
def test_functions_that_return_the_wrong_thing(use: Callable, message: str):
    loss = CustomLoss(lambda t, p: p, lambda t, p: t)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        use(loss)
    assert message in str(error.value)


def test_a_subclass_is_a_loss():
    y_true, y_pred = np.zeros((2, 2)), np.array([[1.0, -2.0], [3.0, 4.0]])
    loss = losses.get(HalfAbsoluteError)
    assert loss.name == "half_absolute_error"
    assert loss(y_true, y_pred) == (1.5 + 3.5) / 2
    assert_gradient_holds(loss, y_true, y_pred)
