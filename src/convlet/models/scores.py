"""The loss and the metrics of an epoch, added up batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import metrics
from convlet.models.data import Batch


class Scores:
    """Running means of the loss and of the metrics.

    Parameters
    ----------
    unweighted, weighted : sequence of str or Metric
        Metrics that leave sample weights out, and that use them.
    """

    def __init__(self, unweighted: Sequence[Any], weighted: Sequence[Any]) -> None:
        self.identifiers = [(m, False) for m in unweighted] + [(m, True) for m in weighted]
        self._metrics: list[tuple[metrics.Metric, bool]] = []
        self._loss_sum = 0.0
        self._samples = 0

    def reset(self) -> None:
        """Begin anew."""
        self._loss_sum, self._samples = 0.0, 0
        for metric, _ in self._metrics:
            metric.reset_state()

    def update(self, batch: Batch, prediction: np.ndarray, loss: float) -> None:
        """Add a batch; its loss counts as many times as it has samples."""
        if len(self._metrics) < len(self.identifiers):
            self._resolve(batch.y.shape, prediction.shape)
        self._loss_sum += loss * len(batch.x)
        self._samples += len(batch.x)
        for metric, weighted in self._metrics:
            metric.update_state(batch.y, prediction, batch.weights if weighted else None)

    def _resolve(self, target_shape: tuple[int, ...], prediction_shape: tuple[int, ...]) -> None:
        """Make the metrics, now that shapes tell which accuracy "accuracy" means."""
        made = [
            (metrics.resolve(identifier, target_shape, prediction_shape), weighted)
            for identifier, weighted in self.identifiers
        ]
        names = [metric.name for metric, _ in made]
        for name in names:
            if names.count(name) > 1 or name == "loss":
                raise ValueError(f"compile: the metrics' names must differ, got {names}")
        for metric, _ in made:
            metric.reset_state()  # one that was handed over may have been used before
        self._metrics = made

    def result(self) -> dict[str, float]:
        """Return the means so far by name, the loss first."""
        loss = self._loss_sum / self._samples if self._samples else 0.0
        return {"loss": loss} | {metric.name: metric.result() for metric, _ in self._metrics}
