"""Metrics beyond accuracies: values of Keras and scikit-learn, weights, their state, files."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as judge

from convlet import Sequential, layers, load_model, metrics
from convlet.metrics import AUC, AveragePrecision, F1Score, FBetaScore, MeanIoU, Metric, R2Score
from numerics import normal

# Eight samples of three answers each, predictions to two digits.
PLACES = np.arange(24).reshape(8, 3)
PREDICTIONS = np.round(0.5 + 0.5 * np.sin(PLACES * 1.7 + 0.3), 2).astype(np.float32)
ANSWERS = (np.cos(PLACES * 2.3) > 0.1).astype(np.float32)
LOGITS = np.round(2 * np.sin(PLACES * 1.1), 2).astype(np.float32)
WEIGHTS = np.array([1, 2, 0.5, 0, 3, 1, 1, 0.25], np.float32)
CLASSES = np.random.default_rng(3).integers(4, size=(6, 5))
PREDICTED = np.random.default_rng(4).integers(4, size=(6, 5))
PIXEL_WEIGHTS = np.random.default_rng(5).random((6, 5))

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


def in_batches(metric: Metric, y_true: object, y_pred: object, weights: object = None) -> object:
    """Return the metric after batches of 1, 3 and what is left."""
    for part in (slice(1), slice(1, 4), slice(4, None)):
        sample_weight = None if weights is None else weights[part]
        metric.update_state(y_true[part], y_pred[part], sample_weight)
    return metric.result()


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


def test_what_has_seen_nothing_is_0():
    for metric in ALL.values():
        result = metric().result()
        assert np.all(np.asarray(result) == 0), metric


# State, files, models ----------------------------------------------------------------------------

# each metric with targets that go with PREDICTIONS
ALL: dict[str, Callable[[], Metric]] = {
    name: getattr(metrics, name)
    for name in [
        "AUC",
        "AveragePrecision",
        "Accuracy",
        "BinaryAccuracy",
        "BinaryCrossentropy",
        "CategoricalAccuracy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "CosineSimilarity",
        "F1Score",
        "FBetaScore",
        "FalseNegatives",
        "FalsePositives",
        "Hinge",
        "KLDivergence",
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "Poisson",
        "Precision",
        "R2Score",
        "Recall",
        "RootMeanSquaredError",
        "SquaredHinge",
        "TopKCategoricalAccuracy",
        "TrueNegatives",
        "TruePositives",
    ]
} | {
    "AUC of labels": lambda: AUC(curve="PR", multi_label=True, label_weights=[1, 2, 3]),
    "BinaryIoU": lambda: metrics.BinaryIoU([1], 0.3),
    "IoU": lambda: metrics.IoU(3, [0, 2], sparse_y_true=False, sparse_y_pred=False),
    "MeanIoU": lambda: MeanIoU(3, ignore_class=1, sparse_y_true=False, sparse_y_pred=False),
    "OneHotIoU": lambda: metrics.OneHotIoU(3, [1]),
    "OneHotMeanIoU": lambda: metrics.OneHotMeanIoU(3),
    "Precision at several": lambda: metrics.Precision([0.9, 0.1], top_k=2, class_id=1),
    "PrecisionAtRecall": lambda: metrics.PrecisionAtRecall(0.5, 30),
    "RecallAtPrecision": lambda: metrics.RecallAtPrecision(0.5, class_id=1),
    "SensitivityAtSpecificity": lambda: metrics.SensitivityAtSpecificity(0.5),
    "SpecificityAtSensitivity": lambda: metrics.SpecificityAtSensitivity(0.5),
    "F1Score by label": lambda: F1Score("micro", 0.2),
    "R2Score by output": lambda: R2Score(None),
}


@pytest.mark.parametrize("name", ALL)
def test_a_metric_goes_on_from_its_state(name: str):
    whole, first, second = ALL[name](), ALL[name](), ALL[name]()
    expected = in_batches(whole, ANSWERS, PREDICTIONS, WEIGHTS)
    first.update_state(ANSWERS[:3], PREDICTIONS[:3], WEIGHTS[:3])
    state = first.get_state()
    assert all(isinstance(v, (int, float, np.ndarray)) for v in state.values())
    before = {key: np.copy(value) for key, value in state.items()}
    second.update_state(ANSWERS, PREDICTIONS)  # what it had is forgotten
    (fresh := ALL[name]()).set_state(state)
    if name != "AveragePrecision":  # its state grows with the samples
        second.set_state(state)
    for metric in (fresh, second) if name != "AveragePrecision" else (fresh,):
        metric.update_state(ANSWERS[3:], PREDICTIONS[3:], WEIGHTS[3:])
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
    for key, value in state.items():  # it is a copy
        np.testing.assert_array_equal(value, before[key])
    for key, value in first.get_state().items():
        np.testing.assert_array_equal(value, before[key])


def test_the_other_metrics_have_a_state_too():
    mean, sparse = metrics.Mean(), metrics.SparseCategoricalAccuracy()
    mean.update_state([1.0, 4.0], [3, 1])
    assert mean.get_state() == {"total": 7.0, "weight": 4.0}
    sparse.set_state({"total": 3.0, "weight": 4})
    assert sparse.result() == 0.75


class Own(Metric):
    """A user's metric that names no state."""


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: metrics.Mean().set_state({"total": 1.0}),
            "Mean: a state must be a dict of total, weight, got ['total']",
        ),
        (lambda: metrics.Mean().set_state(3), "Mean: a state must be a dict of total, weight, got"),
        (
            lambda: metrics.Mean().set_state({"total": [1.0], "weight": 1.0}),
            "Mean: the state's total must be a number, got an array",
        ),
        (
            lambda: metrics.Mean().set_state({"total": "1", "weight": 1.0}),
            "Mean: the state's total must be an array of numbers, got one of <U1",
        ),
        (
            lambda: MeanIoU(3).set_state({"total": np.zeros((2, 3))}),
            "MeanIoU: the state's total must have the shape (3, 3), got (2, 3)",
        ),
        (
            lambda: AUC(5, multi_label=True).set_state(
                dict.fromkeys(AUC.state_names, np.zeros((4, 3)))
            ),
            "AUC: the state's true_positives must have the shape (5, any), got (4, 3)",
        ),
        (lambda: metrics.Precision(2), "Precision: thresholds must be a number of at least 0 and"),
        (lambda: metrics.Precision([]), "Precision: thresholds must be a number from 0 to 1 or a"),
        (lambda: metrics.Recall(top_k=0), "Recall: top_k must be an integer of at least 1, got 0"),
        (
            lambda: metrics.Recall(class_id=3).update_state(ANSWERS, PREDICTIONS),
            "Recall: class_id must be below 3, the number of predictions, got 3",
        ),
        (lambda: AUC(1), "AUC: num_thresholds must be an integer of at least 2, got 1"),
        (lambda: AUC(10**15), "AUC: num_thresholds must fit into the "),
        (lambda: AUC(curve="DET"), "AUC: curve must be one of 'roc', 'pr', got 'DET'"),
        (
            lambda: AUC(summation_method="all"),
            "AUC: summation_method must be one of 'interpolation",
        ),
        (lambda: AUC(num_labels=3), "AUC: num_labels goes with multi_label=True"),
        (lambda: AUC(thresholds=[2]), "AUC: each of thresholds must be a number of at least 0 and"),
        (lambda: AUC(label_weights=3), "AUC: label_weights must be a list of numbers, got 3"),
        (
            lambda: AUC(label_weights=[1, 2]).update_state(ANSWERS, PREDICTIONS),
            "AUC: y_pred must have a last axis of 2, one for each of label_weights, got 3",
        ),
        (
            lambda: AUC(multi_label=True, num_labels=2).update_state(ANSWERS, PREDICTIONS),
            "AUC: y_pred must have 2 labels along the last axis, got 3",
        ),
        (
            lambda: AveragePrecision("samples"),
            "AveragePrecision: average must be one of 'macro', 'micro', 'weighted', got 'samples'",
        ),
        (
            lambda: metrics.PrecisionAtRecall(1.5),
            "PrecisionAtRecall: recall must be a number of at least 0 and of at most 1, got 1.5",
        ),
        (
            lambda: F1Score("mean"),
            "F1Score: average must be one of 'micro', 'macro', 'weighted', g",
        ),
        (
            lambda: F1Score(threshold=0),
            "F1Score: threshold must be a number of at least 4.94066e-3",
        ),
        (lambda: FBetaScore(beta=0), "FBetaScore: beta must be a number of at least 4.94066e-324"),
        (lambda: MeanIoU(0), "MeanIoU: num_classes must be an integer of at least 1, got 0"),
        (lambda: MeanIoU(10**9), "MeanIoU: the confusion matrix must fit into the "),
        (
            lambda: metrics.IoU(3, [3]),
            "IoU: each of target_class_ids must be below num_classes=3, got 3",
        ),
        (lambda: metrics.IoU(3, 1), "IoU: target_class_ids must be a list of classes, got 1"),
        (
            lambda: MeanIoU(4).update_state(CLASSES, np.eye(4)[PREDICTED]),
            "MeanIoU: y_true and y_pred must have as many labels, got the shapes (6, 5) and (6, 5,",
        ),
        (
            lambda: MeanIoU(2).update_state([0, 2], [0, 1]),
            "MeanIoU: y_true[1] is 2, labels must be whole numbers from 0 to 1",
        ),
        (
            lambda: MeanIoU(2).update_state([0, 1], [0, 0.5]),
            "MeanIoU: y_pred[1] is 0.5, labels must be whole numbers from 0 to 1",
        ),
        (
            lambda: metrics.OneHotMeanIoU(4).update_state(ANSWERS, PREDICTIONS),
            "OneHotMeanIoU: y_true must have a last axis of 4, one for each class, got the shape (",
        ),
        (lambda: R2Score("mean"), "R2Score: class_aggregation must be one of 'uniform_average', '"),
        (lambda: R2Score(num_regressors=-1), "R2Score: num_regressors must be an integer of at le"),
        (
            lambda: metrics.Precision().update_state([0, 1, 0], [0.5, 0.2]),
            "Precision: the number of samples differs, 3 in y_true and 2 in y_pred",
        ),
    ],
)
def test_errors_say_what_came_and_what_would_do(use: Callable, message: str):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        use()
    assert message in str(error.value)


def test_a_metric_of_one_s_own_must_name_its_state():
    for use in (Own().get_state, lambda: Own().set_state({})):
        with pytest.raises(NotImplementedError, match="Own must name in state_names what it gath"):
            use()


def test_a_state_that_does_not_fit_changes_nothing():
    metric = metrics.Mean()
    metric.update_state([2.0])
    with pytest.raises(ValueError, match="the state's weight must be"):
        metric.set_state({"total": 7.0, "weight": [1.0]})
    assert metric.result() == 2.0


def test_labels_of_another_number_than_before():
    for metric in (AUC(multi_label=True), AveragePrecision(), F1Score(), R2Score()):
        metric.update_state(ANSWERS, PREDICTIONS)
        with pytest.raises(ValueError, match=r"y_pred must have 3 (labels|outputs) along the last"):
            metric.update_state(ANSWERS[:, :2], PREDICTIONS[:, :2])


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
@pytest.mark.parametrize("name", ALL)
def test_metrics_come_back_from_files(name: str, suffix: str, tmp_path):
    if suffix == ".keras":
        pytest.importorskip("h5py")
        if name == "AveragePrecision":
            pytest.skip("Keras has no such metric")
    model = Sequential([layers.Input((2,)), layers.Dense(3, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=[ALL[name]()])
    model.save(tmp_path / f"model{suffix}")
    ((read, _),) = load_model(tmp_path / f"model{suffix}").compilation.metrics[0]
    expected = metrics.serialize(ALL[name]())
    assert metrics.serialize(read) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("name", "cls", "default"),
    [
        ("auc", AUC, "auc"),
        ("f1_score", F1Score, "f1_score"),
        ("fbeta_score", FBetaScore, "fbeta_score"),
        ("r2_score", R2Score, "r2_score"),
        ("logcosh", metrics.LogCoshError, "logcosh"),
        ("mape", metrics.MeanAbsolutePercentageError, "mean_absolute_percentage_error"),
        ("msle", metrics.MeanSquaredLogarithmicError, "mean_squared_logarithmic_error"),
        ("binary_io_u", metrics.BinaryIoU, "binary_io_u"),
        ("kl_divergence", metrics.KLDivergence, "kl_divergence"),
        ("true_positives", metrics.TruePositives, "true_positives"),
        ("average_precision", AveragePrecision, "average_precision"),
    ],
)
def test_names_are_those_of_keras(name: str, cls: type, default: str):
    assert type(metrics.get(name)) is cls
    assert cls().name == default


def test_a_model_reports_them(capsys: pytest.CaptureFixture):
    x, labels = (
        normal(12, 4, 4, 1).astype(np.float32),
        np.random.default_rng(0).integers(3, size=(12, 4, 4)),
    )
    model = Sequential(
        [layers.Input((4, 4, 1)), layers.Conv2D(3, 3, padding="same", activation="softmax")]
    )
    weights = np.random.default_rng(1).random((12, 4, 4))
    watched = [MeanIoU(3, sparse_y_pred=False), F1Score(), metrics.Precision([0.3, 0.5])]
    model.compile("sgd", "categorical_crossentropy", weighted_metrics=[*watched[1:], AUC()])
    history = model.fit(x, np.eye(3)[labels], batch_size=5, sample_weight=weights, verbose=2)
    assert history.history["f1_score"][0].shape == (3,)
    assert "f1_score [" in capsys.readouterr().out
    scores = model.evaluate(
        x, np.eye(3)[labels], sample_weight=weights, verbose=0, return_dict=True
    )
    p = model.predict(x, verbose=0)
    each, answers = np.repeat(weights.ravel(), 3), np.eye(3)[labels].ravel()
    for place, threshold in enumerate((0.3, 0.5)):
        expected = judge.precision_score(
            answers, p.ravel() > threshold, sample_weight=each, zero_division=0
        )
        assert scores["precision"][place] == pytest.approx(expected, rel=1e-5)
    expected = judge.roc_auc_score(answers, p.ravel(), sample_weight=each)
    assert scores["auc"] == pytest.approx(expected, abs=0.01)
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=watched[:1])
    iou = model.evaluate(x, labels, sample_weight=weights, verbose=0)[1]
    expected = judge.jaccard_score(
        labels.ravel(), p.argmax(-1).ravel(), average="macro", sample_weight=weights.ravel()
    )
    assert iou == pytest.approx(expected, rel=1e-5)
