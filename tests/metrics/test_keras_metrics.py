"""Metrics beyond accuracies: values of Keras and scikit-learn, with sample weights."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import (
    ANSWERS,
    CLASSES,
    LOGITS,
    PIXEL_WEIGHTS,
    PREDICTED,
    PREDICTIONS,
    WEIGHTS,
    in_batches,
)
from sklearn import metrics as judge

from convlet import metrics
from convlet.metrics import AUC, AveragePrecision, F1Score, FBetaScore, MeanIoU, R2Score
from numerics import normal

# metric, arguments, and what Keras 3.15 computes, plain and with WEIGHTS
OF_KERAS = [
    ("AUC", {"curve": "ROC", "summation_method": "interpolation"}, 0.4825175, 0.2838921),
    ("AUC", {"curve": "ROC", "summation_method": "minoring"}, 0.4825175, 0.2838921),
    ("AUC", {"curve": "ROC", "summation_method": "majoring"}, 0.4825175, 0.2838921),
    ("AUC", {"curve": "ROC", "num_thresholds": 7}, 0.4580419, 0.2926385),
    ("AUC", {"curve": "ROC", "multi_label": True}, 0.4666667, 0.395837),
    (
        "AUC",
        {
            "curve": "ROC",
            "multi_label": True,
            "num_labels": 3,
            "label_weights": [1.0, 2.0, 0.5],
            "thresholds": [0.3, 0.5, 0.2],
        },
        0.5428572,
        0.5175425,
    ),
    ("AUC", {"curve": "ROC", "label_weights": [1.0, 2.0, 0.5]}, 0.5573123, 0.3753405),
    ("AUC", {"curve": "PR", "summation_method": "interpolation"}, 0.4319059, 0.3591332),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, 0.3762116, 0.2995876),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, 0.474569, 0.4051098),
    ("AUC", {"curve": "PR", "num_thresholds": 7}, 0.438175, 0.3604858),
    ("AUC", {"curve": "PR", "multi_label": True}, 0.4863069, 0.5270414),
    (
        "AUC",
        {
            "curve": "PR",
            "multi_label": True,
            "num_labels": 3,
            "label_weights": [1.0, 2.0, 0.5],
            "thresholds": [0.3, 0.5, 0.2],
        },
        0.4507907,
        0.3997448,
    ),
    ("AUC", {"curve": "PR", "label_weights": [1.0, 2.0, 0.5]}, 0.4375542, 0.3097523),
    ("AUC", {"from_logits": True}, 0.4265734, 0.2919096),
    ("TruePositives", {}, 6.0, 5.5),
    ("TruePositives", {"thresholds": [0.7, 0.2, 0.5]}, [4.0, 7.0, 6.0], [4.5, 5.75, 5.5]),
    ("FalsePositives", {}, 7.0, 8.25),
    ("FalsePositives", {"thresholds": [0.7, 0.2, 0.5]}, [5.0, 11.0, 7.0], [7.25, 13.75, 8.25]),
    ("TrueNegatives", {}, 6.0, 5.75),
    ("TrueNegatives", {"thresholds": [0.7, 0.2, 0.5]}, [8.0, 2.0, 6.0], [6.75, 0.25, 5.75]),
    ("FalseNegatives", {}, 5.0, 6.75),
    ("FalseNegatives", {"thresholds": [0.7, 0.2, 0.5]}, [7.0, 4.0, 5.0], [7.75, 6.5, 6.75]),
    ("Precision", {}, 0.4615385, 0.4),
    ("Precision", {"thresholds": [0.7, 0.2]}, [0.4444444, 0.3888889], [0.3829787, 0.2948718]),
    ("Precision", {"top_k": 2}, 0.4375, 0.3285714),
    ("Precision", {"class_id": 1}, 0.5, 0.4),
    ("Precision", {"class_id": 1, "top_k": 1, "thresholds": 0.3}, 0.5, 0.4),
    ("Recall", {}, 0.5454546, 0.4489796),
    ("Recall", {"thresholds": [0.7, 0.2]}, [0.3636364, 0.6363636], [0.3673469, 0.4693878]),
    ("Recall", {"top_k": 2}, 0.6363636, 0.4693878),
    ("Recall", {"class_id": 1}, 0.6666667, 0.8888889),
    ("Recall", {"class_id": 1, "top_k": 1, "thresholds": 0.3}, 0.6666667, 0.8888889),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, 0.4545455, 0.122449),
    ("SensitivityAtSpecificity", {"specificity": 0.3, "num_thresholds": 1}, 0.5454546, 0.4489796),
    (
        "SensitivityAtSpecificity",
        {"specificity": 0.5, "num_thresholds": 5, "class_id": 2},
        0.4,
        0.3846154,
    ),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6}, 0.4615385, 0.01785714),
    ("SpecificityAtSensitivity", {"sensitivity": 0.3, "num_thresholds": 1}, 0.4615385, 0.4107143),
    (
        "SpecificityAtSensitivity",
        {"sensitivity": 0.5, "num_thresholds": 5, "class_id": 2},
        0.3333333,
        0.0,
    ),
    ("PrecisionAtRecall", {"recall": 0.6}, 0.5, 0.4711539),
    ("PrecisionAtRecall", {"recall": 0.3, "num_thresholds": 1}, 0.4615385, 0.4),
    ("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 5, "class_id": 2}, 0.625, 0.7428572),
    ("RecallAtPrecision", {"precision": 0.6}, 0.0, 0.04081633),
    ("RecallAtPrecision", {"precision": 0.3, "num_thresholds": 1}, 0.5454546, 0.4489796),
    ("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 5, "class_id": 2}, 1.0, 1.0),
]


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments", "plain", "weighted"), OF_KERAS)
def test_values_are_keras_s(name: str, arguments: dict, plain: object, weighted: object):
    predictions = LOGITS if arguments.get("from_logits") else PREDICTIONS
    for weights, expected in ((None, plain), (WEIGHTS, weighted)):
        metric = getattr(metrics, name)(**arguments)
        result = in_batches(metric, ANSWERS, predictions, weights)
        assert isinstance(result, np.ndarray if isinstance(expected, list) else float)
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("weights", [None, np.arange(60) % 4 / 2], ids=["plain", "weighted"])
def test_areas_are_scikit_learn_s(weights: np.ndarray | None):
    generator = np.random.default_rng(0)
    answers = generator.integers(2, size=60)
    between = (generator.integers(20, size=60) + 0.5) / 20  # between the 21 thresholds
    w = {"sample_weight": weights}
    auc = in_batches(AUC(num_thresholds=21), answers, between, weights)
    assert auc == pytest.approx(judge.roc_auc_score(answers, between, **w), rel=1e-9)
    area = in_batches(AUC(21, "PR", "minoring"), answers, between, weights)
    precision, recall, _ = judge.precision_recall_curve(answers, between, **w)
    heights = np.minimum(precision[:-1], np.append(precision[1:-1], 0))
    assert area == pytest.approx(-np.diff(recall) @ heights, rel=1e-9)
    average = in_batches(AveragePrecision(), answers, between, weights)
    assert average == pytest.approx(judge.average_precision_score(answers, between, **w), rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
def test_scores_of_labels_are_scikit_learn_s(average: str | None, weights: np.ndarray | None):
    w = {"average": average, "sample_weight": weights}
    expected = judge.average_precision_score(ANSWERS, PREDICTIONS, **w)
    result = in_batches(AveragePrecision(average), ANSWERS, PREDICTIONS, weights)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    says_yes = PREDICTIONS > 0.4
    result = in_batches(F1Score(average, 0.4), ANSWERS, PREDICTIONS, weights)
    np.testing.assert_allclose(result, judge.f1_score(ANSWERS, says_yes, **w), rtol=1e-12)
    expected = judge.fbeta_score(ANSWERS, says_yes, beta=2, **w)
    result = in_batches(FBetaScore(average, 2, 0.4), ANSWERS, PREDICTIONS, weights)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_the_f_score_without_a_threshold_takes_the_largest():
    one_hot = np.eye(3)[[0, 1, 2, 1, 0, 0, 2, 1]]
    says_yes = np.eye(3)[PREDICTIONS.argmax(axis=-1)]
    for average in ("macro", "micro", "weighted", None):
        expected = judge.f1_score(one_hot, says_yes, average=average, zero_division=0)
        result = in_batches(F1Score(average), one_hot, PREDICTIONS)
        np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("weights", [None, PIXEL_WEIGHTS], ids=["plain", "weighted"])
def test_intersections_over_unions_are_scikit_learn_s(weights: np.ndarray | None):
    w = None if weights is None else weights.ravel()
    pairs = CLASSES.ravel(), PREDICTED.ravel()
    each = judge.jaccard_score(*pairs, average=None, sample_weight=w)
    result = in_batches(MeanIoU(4), CLASSES, PREDICTED, weights)
    assert result == pytest.approx(each.mean(), rel=1e-12)
    result = in_batches(metrics.IoU(4, [1, 3]), CLASSES, PREDICTED, weights)
    assert result == pytest.approx(each[[1, 3]].mean(), rel=1e-12)
    scores = np.eye(4)[PREDICTED] + 0.1
    for metric in (metrics.OneHotMeanIoU(4), metrics.OneHotIoU(4, range(4))):
        result = in_batches(metric, np.eye(4)[CLASSES], scores, weights)
        assert result == pytest.approx(each.mean(), rel=1e-12)
    result = in_batches(MeanIoU(4, sparse_y_pred=False), CLASSES, scores, weights)
    assert result == pytest.approx(each.mean(), rel=1e-12)
    yes = (CLASSES == 2, PREDICTED / 3)
    each = judge.jaccard_score(yes[0].ravel(), yes[1].ravel() >= 2 / 3, sample_weight=w)
    metric = metrics.BinaryIoU([1], 2 / 3)
    assert in_batches(metric, *yes, weights) == pytest.approx(each, rel=1e-12)


def test_ignored_classes_and_classes_that_never_occur():
    kept = CLASSES != 1
    expected = judge.jaccard_score(
        CLASSES[kept], PREDICTED[kept], average=None, labels=range(4), zero_division=0
    )
    result = in_batches(MeanIoU(6, ignore_class=1), CLASSES, PREDICTED)
    assert result == pytest.approx(expected.mean(), rel=1e-12)  # 4 and 5 do not occur
    unmarked = np.where(kept, CLASSES, 255)
    assert in_batches(MeanIoU(6, ignore_class=255), unmarked, PREDICTED) == result
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=255)
    shares = np.random.default_rng(1).dirichlet(np.ones(4), (6, 5))
    expected = judge.log_loss(CLASSES[kept], shares[kept], labels=range(4))
    metric.update_state(unmarked, shares)
    assert metric.result() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_r2_is_scikit_learn_s(weights: np.ndarray | None):
    y_true, y_pred = normal(8, 3, seed=1), normal(8, 3, seed=2)
    y_true[:, 2] *= 5
    for aggregation, multioutput in (
        ("uniform_average", "uniform_average"),
        ("variance_weighted_average", "variance_weighted"),
        (None, "raw_values"),
    ):
        expected = judge.r2_score(y_true, y_pred, sample_weight=weights, multioutput=multioutput)
        result = in_batches(R2Score(aggregation), y_true, y_pred, weights)
        np.testing.assert_allclose(result, expected, rtol=1e-9)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_r2_of_targets_that_are_large_beside_their_variance(weights: np.ndarray | None):
    y_true, y_pred = 1e9 + normal(8, 2, seed=1), 1e9 + normal(8, 2, seed=2)
    expected = judge.r2_score(y_true, y_pred, sample_weight=weights)
    assert in_batches(R2Score(), y_true, y_pred, weights) == pytest.approx(expected, rel=1e-6)
    same = np.full(8, 0.1)  # a number that sums do not hold exactly
    assert in_batches(R2Score(), same, same + y_pred[:, 0], weights) == 0.0


def test_r2_of_constant_targets_and_adjusted():
    for y_pred, expected in (([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)):
        metric = R2Score()
        metric.update_state([2.0, 2.0], y_pred)
        assert metric.result() == expected == judge.r2_score([2.0, 2.0], y_pred)
    y_true, y_pred = normal(8, seed=1), normal(8, seed=1) + 0.3 * normal(8, seed=2)
    r2 = judge.r2_score(y_true, y_pred)
    adjusted = in_batches(R2Score(num_regressors=3), y_true, y_pred)
    assert adjusted == pytest.approx(1 - (1 - r2) * 7 / 4, rel=1e-9)
    assert in_batches(R2Score(num_regressors=7), y_true, y_pred) == pytest.approx(r2, rel=1e-9)


def test_errors_are_scikit_learn_s():
    y_true, y_pred = np.abs(normal(8, 3, seed=1)), np.abs(normal(8, 3, seed=2))
    w = {"sample_weight": WEIGHTS}
    mape = 100 * judge.mean_absolute_percentage_error(y_true, y_pred, **w)
    labels = np.array([0, 1, 2, 1, 0, 0, 2, 1])
    cosines = (y_true * y_pred).sum(-1) / np.linalg.norm(y_true, axis=-1)
    cosines /= np.linalg.norm(y_pred, axis=-1)
    mse = judge.mean_squared_error(y_true, y_pred, **w)
    for name, targets, expected in (
        ("root_mean_squared_error", y_true, np.sqrt(mse)),
        ("mape", y_true, mape),
        ("msle", y_true, judge.mean_squared_log_error(y_true, y_pred, **w)),
        ("logcosh", y_true, np.average(np.log(np.cosh(y_pred - y_true)).mean(-1), weights=WEIGHTS)),
        ("cosine_similarity", y_true, np.average(cosines, weights=WEIGHTS)),
        ("categorical_hinge", np.eye(3)[labels], judge.hinge_loss(labels, y_pred, **w)),
        (
            "poisson",
            y_true,
            np.average((y_pred - y_true * np.log(y_pred)).mean(-1), weights=WEIGHTS),
        ),
    ):
        result = in_batches(metrics.get(name), targets, y_pred, WEIGHTS)
        assert result == pytest.approx(expected, rel=1e-5), name
    answers = labels > 0
    expected = judge.hinge_loss(answers, y_pred[:, 0], **w)
    assert in_batches(metrics.get("hinge"), answers, y_pred[:, 0], WEIGHTS) == pytest.approx(
        expected
    )


def test_a_threshold_in_the_predictions_own_type():
    metric = metrics.TruePositives(0.1)  # float32(0.1) is above the double 0.1
    metric.update_state([1, 1], np.array([0.1, 0.11], np.float32))
    assert metric.result() == 1.0


def test_predictions_that_are_no_numbers_say_no():
    for metric in (metrics.Recall(), AUC(), AveragePrecision(), F1Score("macro"), R2Score()):
        metric.update_state([[1], [0], [1]], np.array([[np.nan], [np.inf], [0.9]], np.float32))
        metric.result()
    recall = metrics.Recall()
    recall.update_state([1, 1], [np.nan, 0.9])
    assert recall.result() == 0.5
