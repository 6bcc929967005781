"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import arguments
from convlet.metrics.base import Metric, check_last_axis, dense_batch
from convlet.metrics.thresholds import ratio

_AVERAGES = ("micro", "macro", "weighted")


class FBetaScore(Metric):
    """(1 + β²) precision recall / (β² precision + recall), for each label or all of them.

    Computed as (1 + β²) TP / ((1 + β²) TP + β² FN + FP), 0 where nothing was counted; Keras adds
    1e-7 to denominators.

    Parameters
    ----------
    average : {"micro", "macro", "weighted"} or None
        For the labels along the last axis: one score from the counts of all; the mean of theirs;
        the mean weighted by how many targets say yes; or None for an array.
    beta : float, default 1.0
        How much recall counts, above 0.
    threshold : float, optional
        Above 0 and at most 1; predictions above it say yes. If left out, the largest one along the
        last axis does, unless it is 0.
    name : str, default "fbeta_score"
        The metric's name.

    Raises
    ------
    ValueError
        For arguments outside these ranges.
    """

    state_names = ("true_positives", "answers", "targets")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
    ) -> None:
        super().__init__(name)
        owner = type(self).__name__
        self.average = average
        if average is not None:
            self.average = arguments.choice(owner, "average", average, _AVERAGES)
        self.beta = arguments.real(owner, "beta", beta)
        if self.beta <= 0:
            raise arguments.invalid(owner, "beta", "a number above 0", beta)
        self.threshold = threshold
        if threshold is not None:
            self.threshold = arguments.real(owner, "threshold", threshold, maximum=1.0)
            if self.threshold <= 0:
                raise arguments.invalid(owner, "threshold", "a number above 0", threshold)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._true_positives, self._answers, self._targets = np.zeros((3, 0))

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like
            Targets of the predictions' shape, 0 or 1, or shares between.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        owner = type(self).__name__
        targets, predictions, weights = dense_batch(owner, y_true, y_pred, sample_weight)
        labels = predictions.shape[-1]
        check_last_axis(owner, len(self._targets), labels)
        t, p = targets.reshape(-1, labels), self._says_yes(predictions).reshape(-1, labels)
        w = weights.ravel()
        counts = [w @ (p * t), w @ p, w @ t]
        if len(self._targets):
            counts = [a + b for a, b in zip(counts, self._counts(), strict=True)]
        self._true_positives, self._answers, self._targets = counts

    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._true_positives, self._answers, self._targets

    def _says_yes(self, predictions: np.ndarray) -> np.ndarray:
        if self.threshold is not None:
            return predictions > predictions.dtype.type(self.threshold)
        largest = predictions.max(axis=-1, keepdims=True)
        return (predictions >= largest) & (np.abs(predictions) > 1e-9)

    def result(self) -> Any:
        """Return the score, 0.0 or an empty array before the first batch."""
        tp, answers, targets = self._counts()
        if self.average == "micro":
            tp, answers, targets = tp.sum(), answers.sum(), targets.sum()
        # (1 + β²) TP + β² FN + FP = β² (TP + FN) + (TP + FP)
        scores = ratio((1 + self.beta**2) * tp, self.beta**2 * targets + answers)
        if self.average is None:
            return scores
        of_label = targets if self.average == "weighted" else np.ones(scores.shape)
        return float(ratio((scores * of_label).sum(), of_label.sum()))


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall), the F-score of beta 1.

    Parameters
    ----------
    average : {"micro", "macro", "weighted"} or None
        As for ``FBetaScore``.
    threshold : float, optional
        As for ``FBetaScore``.
    name : str, default "f1_score"
        The metric's name.

    Raises
    ------
    ValueError
        As ``FBetaScore``.
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
    ) -> None:
        super().__init__(average, 1.0, threshold, name)
