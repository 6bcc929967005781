"""The losses and the metrics of a run, added up batch by batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlet import metrics
from convlet.models.compilation import Compilation
from convlet.models.data import Batch, Samples


class Scores:
    """Running means of the losses and of the metrics; each run has its own.

    Parameters
    ----------
    compilation : Compilation
        Its metrics are copied: an evaluation within training, or in another thread, must not
        disturb them.
    samples : Samples
        What will be scored.
    output_shapes : sequence of tuple
        Shapes of the predictions, the number of samples first.

    Raises
    ------
    ValueError
        If a metric does not go with the targets and the predictions.
    """

    def __init__(
        self,
        compilation: Compilation,
        samples: Samples,
        output_shapes: Sequence[tuple[Any, ...]],
    ) -> None:
        self._reported, self._losses = compilation.reported_losses, compilation.losses
        self._total = compilation.total
        self._metrics = [
            (output, compilation.prefix(output), _resolved(identifier, y, shape), weighted)
            for output, (listed, y, shape) in enumerate(
                zip(compilation.metrics, samples.y, output_shapes, strict=True)
            )
            for identifier, weighted in listed
        ]
        # a metric that does not fit is found here, before any training, on a made-up prediction
        for output, _, metric, _ in self._metrics:
            metric.reset_state()
            y, *weights = self._counted(output, samples.y[output][:1], None)  # type: ignore[index]
            with np.errstate(all="ignore"):
                prediction = np.zeros((1, *output_shapes[output][1:]), samples.dtype)
                metric.update_state(y, prediction, *weights)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._loss_sums, self._samples = [0.0] * (len(self._losses) + 1), 0
        for _, _, metric, _ in self._metrics:
            metric.reset_state()

    def update(
        self, batch: Batch, predictions: Sequence[np.ndarray], losses: Sequence[float]
    ) -> None:
        """Add a batch; its losses, the penalty the last, count as often as it has samples."""
        for output, loss in enumerate(losses):
            self._loss_sums[output] += loss * len(batch)
        self._samples += len(batch)
        for output, _, metric, weighted in self._metrics:
            given = batch.weights[output] if weighted else None
            y, *weights = self._counted(output, batch.y[output], given)
            metric.update_state(y, predictions[output], *weights)

    def _counted(
        self, output: int, y: np.ndarray | None, weights: np.ndarray | None
    ) -> tuple[np.ndarray, ...]:
        """Return targets, and weights if there are any; what the loss ignores has weight 0."""
        loss = self._losses[output]
        assert y is not None  # an output that has metrics has a loss, and so targets
        assert loss is not None
        counted = loss.counted(y)
        if counted is None:
            return (y,) if weights is None else (y, weights)
        if weights is None:
            return np.where(counted, y, 0), counted.astype(np.float32)
        weights = weights.reshape(weights.shape + (1,) * (counted.ndim - weights.ndim))
        return np.where(counted, y, 0), weights * counted

    def spoil(self) -> None:
        """Let the losses be no numbers until the next `reset`: a batch had none."""
        self._loss_sums, self._samples = [math.nan] * len(self._loss_sums), max(self._samples, 1)

    def get_state(self) -> dict[str, Any]:
        """Return what the batches so far have left, as numbers and arrays."""
        states = [metric.get_state() for _, _, metric, _ in self._metrics]
        return {"loss_sums": self._loss_sums, "samples": self._samples, "metrics": states}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` returned."""
        self._loss_sums, self._samples = list(state["loss_sums"]), state["samples"]
        for (_, _, metric, _), of_metric in zip(self._metrics, state["metrics"], strict=True):
            metric.set_state(of_metric)

    def result(self) -> dict[str, float]:
        """Return the means so far by name, the loss first."""
        losses = [total / self._samples if self._samples else 0.0 for total in self._loss_sums]
        return (
            {"loss": self._total(losses)}
            | {name: losses[output] for name, output in self._reported.items()}
            | {prefix + metric.name: metric.result() for _, prefix, metric, _ in self._metrics}
        )


def _resolved(identifier: Any, y: np.ndarray | None, shape: tuple[Any, ...]) -> metrics.Metric:
    """Return a metric of one's own for an output."""
    assert y is not None  # an output that has metrics has a loss, and so targets
    return metrics.resolve(copy.deepcopy(identifier), y.shape, shape)
