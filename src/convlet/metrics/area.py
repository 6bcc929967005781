"""Areas under curves: AUC at thresholds, and the average precision of all scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments, ops
from convlet.metrics.base import Metric, check_last_axis, dense_batch
from convlet.metrics.thresholds import ThresholdMetric, evenly_spaced, ratio

_BEYOND = 1e-7  # Keras's: the outer thresholds are this far outside of [0, 1]


class AUC(ThresholdMetric):
    """The area under the ROC or the precision-recall curve, from its points at thresholds.

    Memory is as many numbers as there are thresholds. The points of the ROC curve are (false
    positive rate, recall), those of the other (recall, precision). For "PR" and "interpolation",
    what lies between two points is interpolated in the counts, as in Davis and Goadrich, "The
    relationship between precision-recall and ROC curves", 2006.

    Parameters
    ----------
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 there are, at least 2.
    curve : {"ROC", "PR"}
    summation_method : {"interpolation", "minoring", "majoring"}
        Between two points, heights are the mean, the smaller or the larger one.
    name : str, default "auc"
        The metric's name.
    thresholds : sequence of float, optional
        Thresholds from 0 to 1 in place of evenly spaced ones; one at each end is added.
    multi_label : bool, default False
        Whether each label along the last axis has a curve of its own. The result is the mean of
        their areas.
    num_labels : int, optional
        How many labels there are, with ``multi_label``.
    label_weights : sequence of float, optional
        The labels' weights: in the mean of the areas, or, without ``multi_label``, in the counts.
    from_logits : bool, default False
        Whether predictions are logits z of the probabilities sigmoid(z).

    Raises
    ------
    ValueError
        For what is none of these.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        *,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        inner = evenly_spaced("AUC", num_thresholds, 2)[1:-1]
        self.thresholds = None
        if thresholds is not None:
            self.thresholds = sorted(_numbers("thresholds", thresholds, 1.0))
            inner = np.array(self.thresholds)
        self.num_thresholds = len(inner) + 2
        self.curve = arguments.choice("AUC", "curve", curve, ("roc", "pr")).upper()
        self.summation_method = arguments.choice(
            "AUC", "summation_method", summation_method, ("interpolation", "minoring", "majoring")
        )
        self.multi_label = arguments.boolean("AUC", "multi_label", multi_label)
        self.num_labels = num_labels
        if num_labels is not None:
            if not multi_label:
                raise ValueError("AUC: num_labels goes with multi_label=True")
            self.num_labels = arguments.integer("AUC", "num_labels", num_labels)
        self.label_weights = None
        if label_weights is not None:
            self.label_weights = _numbers("label_weights", label_weights, np.inf)
        self.from_logits = arguments.boolean("AUC", "from_logits", from_logits)
        at = np.concatenate([[-_BEYOND], inner, [1 + _BEYOND]])
        super().__init__(at, name, self.num_labels if multi_label else 1)

    def _chosen(
        self, says_yes: np.ndarray, predictions: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.from_logits:
            predictions = ops.activation(predictions, "sigmoid")
        predictions = np.clip(predictions, 0, 1)
        if self.label_weights is not None:
            if len(self.label_weights) != predictions.shape[-1]:
                raise ValueError(
                    f"AUC: y_pred must have a last axis of {len(self.label_weights)}, one for "
                    f"each of label_weights, got {predictions.shape[-1]}"
                )
            if not self.multi_label:
                weights = weights * np.array(self.label_weights)
        return says_yes, predictions, weights

    def result(self) -> float:
        """Return the area, 0.0 before the first batch."""
        if len(self._positives) == 0:
            return 0.0
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._interpolated()
        elif self.curve == "PR":
            areas = self._summed(self._recall, self._precision)
        else:
            areas = self._summed(ratio(self._false_positives, self._negatives), self._recall)
        if self.multi_label and self.label_weights is not None:
            weights = np.array(self.label_weights)
            return float(ratio((areas * weights).sum(), weights.sum()))
        return float(areas.mean())

    def _summed(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return Σ (x_i - x_(i+1)) times the height there, for each label."""
        heights = {
            "interpolation": (y[:-1] + y[1:]) / 2,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }[self.summation_method]
        area: np.ndarray = ((x[:-1] - x[1:]) * heights).sum(axis=0)
        return area

    def _interpolated(self) -> np.ndarray:
        """Return the area under the precision-recall curve, TP being linear in P = TP + FP.

        Between two thresholds TP = a + s P, with s = ΔTP / ΔP. The area below TP / P over the
        recall TP / (TP + FN) there is s (ΔTP + a ln(P_i / P_(i+1))) / (TP + FN).
        """
        tp, answers = self._true_positives, self._true_positives + self._false_positives
        slope = ratio(tp[:-1] - tp[1:], answers[:-1] - answers[1:])
        start = tp[1:] - slope * answers[1:]
        quotient = np.ones_like(slope)
        np.divide(answers[:-1], answers[1:], out=quotient, where=answers[1:] > 0)
        area = slope * (tp[:-1] - tp[1:] + start * np.log(quotient))
        return ratio(area, self._positives).sum(axis=0)


def _numbers(name: str, values: Any, maximum: float) -> list[float]:
    if not isinstance(values, (list, tuple, np.ndarray)) or len(values) == 0:
        raise arguments.invalid("AUC", name, "a list of numbers", values)
    return [arguments.real("AUC", f"each of {name}", v, 0.0, maximum) for v in values]


class AveragePrecision(Metric):
    """Σ (R_i - R_(i-1)) P_i over all scores from the largest down, as scikit-learn defines it.

    P_i and R_i are precision and recall where the i-th largest score and those above it say yes.
    All scores are kept, which takes 13 bytes for each prediction; ``AUC(curve="PR")`` does with
    constant memory and an approximation.

    Parameters
    ----------
    average : {"macro", "micro", "weighted"} or None
        For several labels along the last axis: the mean of theirs; one for all answers together;
        the mean weighted by how many targets say yes; or None for an array.
    name : str, default "average_precision"
        The metric's name.

    Raises
    ------
    ValueError
        For another average.
    """

    state_names = ("scores", "says_yes", "weights")

    def __init__(self, average: str | None = "macro", name: str | None = None) -> None:
        super().__init__(name)
        self.average = average
        if average is not None:
            choices = ("macro", "micro", "weighted")
            self.average = arguments.choice("AveragePrecision", "average", average, choices)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._scores, self._says_yes = np.zeros((0, 0)), np.zeros((0, 0), bool)
        self._weights = np.zeros(0, np.float32)

    def get_state(self) -> dict[str, float | np.ndarray]:
        """Return all scores, targets and weights; see ``Metric.get_state``."""
        self._gather()
        return super().get_state()

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch; see ``ThresholdMetric.update_state``."""
        owner = "AveragePrecision"
        targets, scores, weights = dense_batch(owner, y_true, y_pred, sample_weight, np.float32)
        labels = scores.shape[-1]
        known = self._waiting[0][0].shape[1] if self._waiting else self._scores.shape[1]
        check_last_axis(owner, known, labels)
        scores, says_yes = scores.reshape(-1, labels), (targets != 0).reshape(-1, labels)
        # copies: the caller may write into its arrays
        self._waiting.append((scores.copy(), says_yes, weights.ravel().copy()))

    def _gather(self) -> None:
        """Put what waits behind what was gathered."""
        if self._waiting:
            scores, says_yes, weights = zip(*self._waiting, strict=True)
            before = [self._scores] if len(self._scores) else []
            self._scores = np.concatenate([*before, *scores])
            before = [self._says_yes] if len(self._says_yes) else []
            self._says_yes = np.concatenate([*before, *says_yes])
            self._weights = np.concatenate([self._weights, *weights])
            self._waiting = []

    def result(self) -> Any:
        """Return the average precision, 0.0 where no target says yes."""
        self._gather()
        scores, says_yes, weights = self._scores, self._says_yes, self._weights
        if self.average == "micro":
            weights = np.repeat(weights, scores.shape[1])
            return _average_precision(scores.ravel(), says_yes.ravel(), weights)
        each = np.array(
            [_average_precision(s, t, weights) for s, t in zip(scores.T, says_yes.T, strict=True)]
        )
        if self.average is None:
            return each
        of_label = weights @ says_yes if self.average == "weighted" else np.ones(len(each))
        return float(ratio((each * of_label).sum(), of_label.sum()))


def _average_precision(scores: np.ndarray, says_yes: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    right = (weights * says_yes)[order].cumsum(dtype=np.float64)
    answers = weights[order].cumsum(dtype=np.float64)
    if not len(right) or right[-1] <= 0:
        return 0.0
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are one point
    right, answers = right[last], answers[last]
    return float((np.diff(right, prepend=0.0) * ratio(right, answers)).sum() / right[-1])
