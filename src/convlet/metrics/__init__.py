"""Metrics: how good a network is. Keras's names, arguments and semantics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convlet.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from convlet.metrics.area import AUC, AveragePrecision
from convlet.metrics.base import Mean, MeanMetric, Metric
from convlet.metrics.confusion import confusion_matrix
from convlet.metrics.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from convlet.metrics.distributions import KLDivergence, Poisson
from convlet.metrics.errors import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
)
from convlet.metrics.f_score import F1Score, FBetaScore
from convlet.metrics.hinge import CategoricalHinge, Hinge, SquaredHinge
from convlet.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from convlet.metrics.operating_points import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from convlet.metrics.r2_score import R2Score
from convlet.metrics.thresholds import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from convlet.serialization import Registry

__all__ = [
    "AUC",
    "Accuracy",
    "AveragePrecision",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetric",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "check_identifier",
    "confusion_matrix",
    "get",
    "resolve",
    "serialize",
]

_registry = Registry("metric", Metric)
_registry.register(Mean)
_registry.register(Accuracy)
_registry.register(BinaryAccuracy)
_registry.register(CategoricalAccuracy)
_registry.register(SparseCategoricalAccuracy)
_registry.register(TopKCategoricalAccuracy)
_registry.register(SparseTopKCategoricalAccuracy)
_registry.register(MeanSquaredError, "mse", "MSE")
_registry.register(MeanAbsoluteError, "mae", "MAE")
_registry.register(BinaryCrossentropy, "bce", "BCE")
_registry.register(CategoricalCrossentropy)
_registry.register(SparseCategoricalCrossentropy)
_registry.register(AUC)
_registry.register(AveragePrecision)
_registry.register(BinaryIoU)
_registry.register(CategoricalHinge)
_registry.register(CosineSimilarity)
_registry.register(F1Score)
_registry.register(FBetaScore, "fbeta_score")
_registry.register(FalseNegatives)
_registry.register(FalsePositives)
_registry.register(Hinge)
_registry.register(IoU)
_registry.register(KLDivergence, "kld", "KLD")
_registry.register(LogCoshError, "logcosh")
_registry.register(MeanAbsolutePercentageError, "mape", "MAPE")
_registry.register(MeanIoU)
_registry.register(MeanSquaredLogarithmicError, "msle", "MSLE")
_registry.register(OneHotIoU)
_registry.register(OneHotMeanIoU)
_registry.register(Poisson)
_registry.register(Precision)
_registry.register(PrecisionAtRecall)
_registry.register(R2Score)
_registry.register(Recall)
_registry.register(RecallAtPrecision)
_registry.register(RootMeanSquaredError)
_registry.register(SensitivityAtSpecificity)
_registry.register(SpecificityAtSensitivity)
_registry.register(SquaredHinge)
_registry.register(TrueNegatives)
_registry.register(TruePositives)

_ACCURACIES = (BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy)
_CROSSENTROPIES = (BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy)

# Names that stand for one of several metrics: the binary, the categorical or the sparse one.
_BY_SHAPE = {
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    "crossentropy": _CROSSENTROPIES,
    "ce": _CROSSENTROPIES,
}


def get(identifier: object, custom_objects: Mapping[str, type] | None = None) -> Metric:
    """Return the metric that a name, a class, a dict or a metric stands for.

    Raises
    ------
    ValueError
        See ``convlet.serialization.Registry.get``.
    """
    return _registry.get(identifier, custom_objects)


def serialize(metric: Metric) -> dict[str, Any]:
    """Return the metric as JSON types; ``get`` reads them."""
    return _registry.serialize(metric)


def check_identifier(identifier: object) -> object:
    """Return ``identifier`` if `resolve` will know it: a name as it is, all else as a metric.

    Raises
    ------
    ValueError
        See ``get``.
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        return identifier
    metric = get(identifier)
    return identifier if isinstance(identifier, str) else metric


def resolve(
    identifier: object, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]
) -> Metric:
    """Return the metric that ``identifier`` stands for with arrays of these shapes.

    A name stays what is displayed, as in Keras: "acc" is shown as "acc".

    Parameters
    ----------
    identifier : object
        "accuracy" or "acc", "crossentropy" or "ce", for the metric that goes with the shapes:
        the binary one for one prediction a sample, the categorical one for as many targets as
        predictions, otherwise the sparse one; or what ``get`` takes.
    y_true_shape, y_pred_shape : sequence of int
        The targets' and the predictions' shape, the samples' axis first. Only the number of axes
        and the last one count.

    Raises
    ------
    ValueError
        See ``get``.
    """
    if not isinstance(identifier, str):
        return get(identifier)
    if identifier.lower() not in _BY_SHAPE:
        metric = get(identifier)
        metric.name = identifier
        return metric
    binary, categorical, sparse = _BY_SHAPE[identifier.lower()]
    if y_pred_shape[-1] == 1:
        return binary(identifier)
    if len(y_true_shape) == len(y_pred_shape) and y_true_shape[-1] == y_pred_shape[-1]:
        return categorical(identifier)
    return sparse(identifier)
