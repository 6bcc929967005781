"""The loss and the metrics of a run, added up batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import metrics
from convlet.models.data import Batch, Samples


class Scores:
    """Running means of the loss and of the metrics; each run has its own.

    Parameters
    ----------
    identifiers : sequence of (str or Metric, bool)
        Metrics, and whether they use sample weights. A Metric is copied: an evaluation within
        training, or in another thread, must not disturb it.
    samples : Samples
        What will be scored.
    output_shape : tuple
        Shape of the predictions, the number of samples first.

    Raises
    ------
    ValueError
        If a metric does not go with the targets and the predictions.
    """

    def __init__(
        self,
        identifiers: Sequence[tuple[Any, bool]],
        samples: Samples,
        output_shape: tuple[Any, ...],
    ) -> None:
        self._metrics = [
            (metrics.resolve(copy.deepcopy(identifier), samples.y.shape, output_shape), weighted)
            for identifier, weighted in identifiers
        ]
        # a metric that does not fit is found here, before any training, on a made-up prediction
        for metric, _ in self._metrics:
            metric.reset_state()
            with np.errstate(all="ignore"):
                metric.update_state(samples.y[:1], np.zeros((1, *output_shape[1:]), samples.dtype))
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._loss_sum, self._samples = 0.0, 0
        for metric, _ in self._metrics:
            metric.reset_state()

    def update(self, batch: Batch, prediction: np.ndarray, loss: float) -> None:
        """Add a batch; its loss counts as many times as it has samples."""
        self._loss_sum += loss * len(batch.x)
        self._samples += len(batch.x)
        for metric, weighted in self._metrics:
            if weighted:
                metric.update_state(batch.y, prediction, batch.weights)
            else:
                metric.update_state(batch.y, prediction)

    def result(self) -> dict[str, float]:
        """Return the means so far by name, the loss first."""
        loss = self._loss_sum / self._samples if self._samples else 0.0
        return {"loss": loss} | {metric.name: metric.result() for metric, _ in self._metrics}
