"""Metrics: scikit-learn judges the numbers, Keras's documentation the weights and the names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from metric_cases import in_batches
from scipy import special
from sklearn import metrics as judge

from convlet import losses, metrics
from convlet.metrics import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    Mean,
    MeanAbsoluteError,
    MeanMetric,
    MeanSquaredError,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    confusion_matrix,
    resolve,
)
from numerics import normal

LABELS = np.random.default_rng(0).integers(6, size=50)
ONE_HOT = np.eye(6)[LABELS]
PROBABILITIES = special.softmax(normal(50, 6) + ONE_HOT, axis=-1)
WEIGHTS = np.random.default_rng(1).random(50)


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_numbers_are_scikit_learn_s(weights: np.ndarray | None):
    predicted = PROBABILITIES.argmax(axis=-1)
    k = {"k": 3, "sample_weight": weights, "labels": np.arange(6)}
    w = {"sample_weight": weights}
    binary, probability = LABELS > 2, PROBABILITIES[:, 3:].sum(axis=-1)
    share = judge.accuracy_score(LABELS, predicted, **w)
    binary_share = judge.accuracy_score(binary, probability > 0.5, **w)
    top = judge.top_k_accuracy_score(LABELS, PROBABILITIES, **k)
    log_loss = judge.log_loss(LABELS, PROBABILITIES, **w)
    for metric, y_true, y_pred, expected in (
        (Accuracy(), LABELS, predicted, share),
        ("categorical_accuracy", ONE_HOT, PROBABILITIES, share),
        ("sparse_categorical_accuracy", LABELS, PROBABILITIES, share),
        (BinaryAccuracy(), binary, probability[:, np.newaxis], binary_share),
        (TopKCategoricalAccuracy(3), ONE_HOT, PROBABILITIES, top),
        (SparseTopKCategoricalAccuracy(3), LABELS, PROBABILITIES, top),
        ("mse", ONE_HOT, PROBABILITIES, judge.mean_squared_error(ONE_HOT, PROBABILITIES, **w)),
        ("mae", ONE_HOT, PROBABILITIES, judge.mean_absolute_error(ONE_HOT, PROBABILITIES, **w)),
        ("bce", binary, probability, judge.log_loss(binary, probability, **w)),
        ("categorical_crossentropy", ONE_HOT, PROBABILITIES, log_loss),
        ("sparse_categorical_crossentropy", LABELS, PROBABILITIES, log_loss),
    ):
        result = in_batches(metrics.get(metric), y_true, y_pred, weights)
        assert type(result) is float
        assert result == pytest.approx(expected, rel=1e-12), metric


def test_crossentropies_take_the_losses_arguments():
    logits = normal(50, 6)
    for name, y_true in (
        ("BinaryCrossentropy", ONE_HOT),
        ("CategoricalCrossentropy", ONE_HOT),
        ("SparseCategoricalCrossentropy", LABELS),
    ):
        config = {"from_logits": True}
        if not name.startswith("Sparse"):
            config["label_smoothing"] = 0.1
        metric = getattr(metrics, name)(**config)
        assert metric.get_config().items() >= config.items()
        expected = getattr(losses, name)(**config)(y_true, logits)
        assert in_batches(metric, y_true, logits) == pytest.approx(expected, rel=1e-12)


def test_the_threshold_itself_says_no():
    metric = BinaryAccuracy(threshold=0.25)
    metric.update_state([0, 1], [0.25, 0.26])
    assert metric.result() == 1.0


def test_ties_go_to_the_first_class():
    tied = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    metric = SparseCategoricalAccuracy()
    metric.update_state([1, 0], tied)
    assert metric.result() == 1.0
    metric = CategoricalAccuracy()
    metric.update_state(np.eye(3)[[2, 1]], tied)
    assert metric.result() == 0.0


@pytest.mark.parametrize(
    ("label", "k", "expected"), [(1, 1, 1.0), (2, 1, 1.0), (0, 2, 0.0), (0, 3, 1.0), (0, 9, 1.0)]
)
def test_all_that_are_tied_for_the_kth_place_are_in_the_top_k(label: int, k: int, expected: float):
    metric = SparseTopKCategoricalAccuracy(k)
    metric.update_state([label], [[1.0, 2.0, 2.0]])
    assert metric.result() == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_is_in_no_top_k(bad: float):
    metric = SparseTopKCategoricalAccuracy(3)
    metric.update_state([0], [[bad, 2.0, 2.0]])
    assert metric.result() == 0.0


def test_images_of_labels():
    labels = LABELS[:48].reshape(2, 6, 4)
    predictions = PROBABILITIES[:48].reshape(2, 6, 4, 6)
    expected = judge.accuracy_score(labels.ravel(), predictions.argmax(axis=-1).ravel())
    for y_true in (labels, labels[..., np.newaxis]):
        metric = SparseCategoricalAccuracy()
        metric.update_state(y_true, predictions)
        assert metric.result() == pytest.approx(expected)


# Batches and weights -----------------------------------------------------------------------------


def test_the_sum_of_weights_divides():
    metric = Mean()
    assert metric.result() == 0.0
    metric.update_state([1, 3, 5, 7])
    assert metric.result() == 4.0
    metric.reset_state()
    assert metric.result() == 0.0
    metric.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    assert metric.result() == 2.0
    metric.update_state(8, sample_weight=2)
    assert metric.result() == 5.0
    metric.update_state([])
    assert metric.result() == 5.0


def test_weights_that_are_all_zero_give_zero():
    metric = MeanSquaredError()
    metric.update_state([1.0, 2.0], [0.0, 0.0], [0, 0])
    assert metric.result() == 0.0


def test_images_of_all_sizes_count_the_same():
    metric = Mean()
    metric.update_state(np.full((1, 8, 8), 1.0))
    metric.update_state(np.full((1, 2, 2), 3.0))
    assert metric.result() == 2.0


def test_weights_of_pixels():
    values, weights = normal(2, 3, 4), special.expit(normal(2, 3, 4, seed=1))
    metric = Mean()
    metric.update_state(values, weights)
    assert metric.result() == pytest.approx(np.average(values, weights=weights))


def test_diverged_predictions_give_no_warnings():
    for metric in (MeanSquaredError(), MeanAbsoluteError(), metrics.get("bce"), Accuracy()):
        metric.update_state([0, 1], np.array([np.inf, 3e38], np.float32), [0, 1])
        metric.update_state([0, 1], np.array([np.nan, -np.inf], np.float32))


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y_true_shape", "y_pred_shape", "kind"),
    [
        ((8,), (8, 1), "Binary"),
        ((8, 1), (8, 1), "Binary"),
        ((8, 4, 4, 1), (8, 4, 4, 1), "Binary"),
        ((8, 10), (8, 10), "Categorical"),
        ((None, 4, 4, 3), (None, 4, 4, 3), "Categorical"),
        ((8,), (8, 10), "SparseCategorical"),
        ((8, 1), (8, 10), "SparseCategorical"),
        ((8, 4, 4), (8, 4, 4, 3), "SparseCategorical"),
        ((8, 4, 3), (8, 4, 3, 3), "SparseCategorical"),
    ],
)
def test_accuracy_and_crossentropy_follow_the_shapes(
    y_true_shape: tuple, y_pred_shape: tuple, kind: str
):
    for name, suffix in (
        ("accuracy", "Accuracy"),
        ("acc", "Accuracy"),
        ("crossentropy", "Crossentropy"),
        ("ce", "Crossentropy"),
    ):
        metric = resolve(name, y_true_shape, y_pred_shape)
        assert type(metric) is getattr(metrics, kind + suffix)
        assert metric.name == name


def test_names_stay_what_is_displayed():
    assert resolve("mse", (8, 1), (8, 1)).name == "mse"
    assert metrics.get("mse").name == "mean_squared_error"
    own = SparseCategoricalAccuracy("mine")
    assert resolve(own, (8,), (8, 3)) is own
    assert own.name == "mine"
    assert type(resolve(Accuracy, (8,), (8, 1))) is Accuracy


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (Mean, "mean"),
        (Accuracy, "accuracy"),
        (BinaryAccuracy, "binary_accuracy"),
        (CategoricalAccuracy, "categorical_accuracy"),
        (SparseCategoricalAccuracy, "sparse_categorical_accuracy"),
        (TopKCategoricalAccuracy, "top_k_categorical_accuracy"),
        (SparseTopKCategoricalAccuracy, "sparse_top_k_categorical_accuracy"),
        (MeanSquaredError, "mean_squared_error"),
        (MeanAbsoluteError, "mean_absolute_error"),
        (metrics.BinaryCrossentropy, "binary_crossentropy"),
        (metrics.CategoricalCrossentropy, "categorical_crossentropy"),
        (metrics.SparseCategoricalCrossentropy, "sparse_categorical_crossentropy"),
    ],
)
def test_default_names_are_those_of_keras_and_configurations_come_back(cls: type, name: str):
    assert cls().name == name
    assert type(metrics.get(name)) is cls
    config = metrics.serialize(cls(name="mine"))
    assert config["config"]["name"] == "mine"
    assert metrics.serialize(metrics.get(config)) == config


def test_one_s_own_metric():
    class LargestError(MeanMetric):
        def values(self, y_true: object, y_pred: np.ndarray) -> np.ndarray:
            return np.abs(np.asarray(y_true) - y_pred).max(axis=-1)

    metric = metrics.get("LargestError", {"LargestError": LargestError})
    metric.update_state([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [3.0, 3.0]], [1, 3])
    assert metric.result() == (2 + 3) / 4


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: BinaryAccuracy(threshold=2), "BinaryAccuracy: threshold must be a number of at l"),
        (lambda: TopKCategoricalAccuracy(0), "TopKCategoricalAccuracy: k must be an integer of at"),
        (lambda: SparseTopKCategoricalAccuracy(1.5), "SparseTopKCategoricalAccuracy: k must be an"),
        (lambda: Mean(name=3), "Mean: name must be a string of printable characters, got 3"),
        (
            lambda: metrics.get("aoc"),
            "metric: unknown 'aoc'; known are accuracy, auc, average_",
        ),
        (
            lambda: SparseCategoricalAccuracy().update_state([0, 3], np.zeros((2, 3))),
            "SparseCategoricalAccuracy: y_true[1] is 3, labels must be whole numbers from 0 to 2",
        ),
        (
            lambda: CategoricalAccuracy().update_state([0, 2], np.zeros((2, 3))),
            "CategoricalAccuracy: y_true must have the predictions' shape (2, 3), got (2,); class",
        ),
        (
            lambda: MeanAbsoluteError().update_state([0, 2, 1], np.zeros((2, 3))),
            "MeanAbsoluteError: the number of samples differs, 3 in y_true and 2 in y_pred",
        ),
        (
            lambda: metrics.get("mse").update_state([0, np.nan], [0, 0]),
            "MeanSquaredError: y_true[1, 0] is nan, targets must be finite numbers",
        ),
        (
            lambda: Accuracy().update_state([0, 1], ["a", "b"]),
            "Accuracy: y_pred must be an array of numbers, got one of <U1",
        ),
        (
            lambda: Accuracy().update_state([0, 1], [0, 1], [1, 2, 3]),
            "Accuracy: sample_weight must have the shape (2,), one weight for each sample or valu",
        ),
    ],
)
def test_errors_say_what_came_and_what_would_do(use: Callable, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        use()
    assert message in str(error.value)


# The confusion matrix ----------------------------------------------------------------------------


def test_confusion_matrix_is_scikit_learn_s():
    predicted = PROBABILITIES.argmax(axis=-1)
    matrix = confusion_matrix(LABELS, predicted, 8)
    expected = judge.confusion_matrix(LABELS, predicted, labels=np.arange(8))
    np.testing.assert_array_equal(matrix, expected)
    assert matrix.dtype == np.int64


@pytest.mark.parametrize(
    ("y_true", "y_pred", "classes", "message"),
    [
        ([0, 1], [0], 2, "confusion_matrix: y_pred_labels must have y_true's shape (2,), got (1,)"),
        ([0, 2], [0, 1], 2, "confusion_matrix: y_true[1] is 2, labels must be whole numbers from"),
        ([0, 1], [-1, 0], 2, "confusion_matrix: y_pred_labels[0] is -1, labels must be whole num"),
        ([0, 1], [0, 1], 0, "confusion_matrix: classes must be an integer of at least 1, got 0"),
        ([0, 1], [0, 1], 10**9, "confusion_matrix: the matrix must fit into the "),
    ],
)
def test_labels_that_do_not_fit(y_true: list, y_pred: list, classes: int, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        confusion_matrix(y_true, y_pred, classes)
    assert message in str(error.value)
