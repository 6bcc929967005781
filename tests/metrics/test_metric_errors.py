"""What metrics refuse, and in which words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from metric_cases import ANSWERS, CLASSES, PREDICTED, PREDICTIONS

from convlet import metrics
from convlet.metrics import AUC, AveragePrecision, F1Score, FBetaScore, MeanIoU, R2Score


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
            "F1Score: threshold must be a number above 0, got 0",
        ),
        (lambda: FBetaScore(beta=0), "FBetaScore: beta must be a number above 0, got 0"),
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
