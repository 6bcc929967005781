"""Metrics with small arrays, for the tests of their values, their state and their files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convlet import metrics
from convlet.metrics import AUC, F1Score, MeanIoU, Metric, R2Score

# Eight samples of three answers each, predictions to two digits.
PLACES = np.arange(24).reshape(8, 3)
PREDICTIONS = np.round(0.5 + 0.5 * np.sin(PLACES * 1.7 + 0.3), 2).astype(np.float32)
ANSWERS = (np.cos(PLACES * 2.3) > 0.1).astype(np.float32)
LOGITS = np.round(2 * np.sin(PLACES * 1.1), 2).astype(np.float32)
WEIGHTS = np.array([1, 2, 0.5, 0, 3, 1, 1, 0.25], np.float32)
CLASSES = np.random.default_rng(3).integers(4, size=(6, 5))
PREDICTED = np.random.default_rng(4).integers(4, size=(6, 5))
PIXEL_WEIGHTS = np.random.default_rng(5).random((6, 5))


def in_batches(metric: Metric, y_true: object, y_pred: object, weights: object = None) -> object:
    """Return the metric after batches of 1, 3 and what is left."""
    for part in (slice(1), slice(1, 4), slice(4, None)):
        sample_weight = None if weights is None else weights[part]
        metric.update_state(y_true[part], y_pred[part], sample_weight)
    return metric.result()


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
