"""R²: how much of the targets' variance the predictions explain."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import arguments
from convlet.losses.base import quietly
from convlet.metrics.base import Metric, check_last_axis, dense_batch

_AVERAGES = ("uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """1 - Σ (t - p)² / Σ (t - mean t)² for each output along the last axis, and their mean.

    Where the targets are all equal, it is 1 if the predictions are, too, and 0 otherwise.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average"} or None
        The mean of the outputs' scores; that weighted by the targets' variances; or None for an
        array.
    num_regressors : int, default 0
        If p > 0, the result is the adjusted R², 1 - (1 - R²)(n - 1) / (n - p - 1), n being the
        number of samples; R² itself where n is not above p + 1.
    name : str, default "r2_score"
        The metric's name.

    Raises
    ------
    ValueError
        For another aggregation, and a negative number.
    """

    state_names = ("samples", "count", "mean", "scatter", "residual")

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
    ) -> None:
        super().__init__(name)
        self.class_aggregation = class_aggregation
        if class_aggregation is not None:
            self.class_aggregation = arguments.choice(
                "R2Score", "class_aggregation", class_aggregation, _AVERAGES
            )
        self.num_regressors = arguments.integer("R2Score", "num_regressors", num_regressors, 0)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all batches."""
        self._samples, self._count = 0, 0.0
        self._mean, self._scatter, self._residual = np.zeros((3, 0))

    @quietly
    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true : array_like
            Targets of the predictions' shape.
        y_pred : array_like
            Predictions, (n, ..., c); n numbers are read as (n, 1).
        sample_weight : array_like, optional
            See ``convlet.losses.spread_weights``.

        Raises
        ------
        ValueError
            For targets, predictions or weights that do not fit.
        """
        targets, predictions, weights = dense_batch("R2Score", y_true, y_pred, sample_weight)
        outputs = predictions.shape[-1]
        check_last_axis("R2Score", len(self._mean), outputs, "outputs")
        t, p = (a.reshape(-1, outputs).astype(np.float64) for a in (targets, predictions))
        w = weights.ravel()
        self._samples += len(w)
        if len(self._mean) == 0:
            self._mean, self._scatter, self._residual = np.zeros((3, outputs))
        self._residual = self._residual + w @ np.square(t - p)
        if count := float(w.sum()):
            self._add(count, t[0] + w @ (t - t[0]) / count, t, w)  # exact where t is constant

    def _add(self, count: float, mean: np.ndarray, t: np.ndarray, w: np.ndarray) -> None:
        """Add a batch's sum of weights, and its mean and squares about it, as Chan et al. do.

        *Updating formulae and a pairwise algorithm for computing sample variances*, 1979: sums of
        plain squares would lose all digits to targets that are large beside their variance.
        """
        difference, total = mean - self._mean, self._count + count
        between = np.square(difference) * (self._count * count / total)
        self._scatter = self._scatter + w @ np.square(t - mean) + between
        self._mean = self._mean + difference * (count / total)
        self._count = total

    @quietly
    def result(self) -> Any:
        """Return the score, 0.0 before the first batch."""
        if not self._count:
            return 0.0
        total = self._scatter
        scores = np.where(self._residual == 0, 1.0, 0.0)
        np.divide(total - self._residual, total, out=scores, where=total > 0)
        if self.class_aggregation is None:
            return self._adjusted(scores)
        is_uniform = self.class_aggregation == "uniform_average" or not total.sum() > 0
        return float(self._adjusted(np.average(scores, weights=None if is_uniform else total)))

    def _adjusted(self, score: Any) -> Any:
        n, p = self._samples, self.num_regressors
        return 1 - (1 - score) * (n - 1) / (n - p - 1) if n > p + 1 and p else score
