"""How a model is trained: what `compile` was told, and how far training has come since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import losses, optimizers
from convlet import metrics as metric_module
from convlet.models.state import TrainingState


class Compilation:
    """Optimizer, loss and metrics of a model, and the state of its training.

    Parameters
    ----------
    optimizer, loss, metrics, weighted_metrics
        As those of `Model.compile`.

    Attributes
    ----------
    metrics : list of (str or Metric, bool)
        Each metric, and whether it uses sample weights.
    state : TrainingState

    Raises
    ------
    ValueError
        For a name that is not known, and metrics of one name.
    """

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Sequence[Any] | None,
        weighted_metrics: Sequence[Any] | None,
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.loss = losses.get(loss)
        self.metrics = [(m, False) for m in _listed("metrics", metrics)]
        self.metrics += [(m, True) for m in _listed("weighted_metrics", weighted_metrics)]
        self.state = TrainingState()
        names = self.score_names
        if len(set(names)) < len(names):
            raise ValueError(f"compile: the metrics' names must differ, got {names[1:]}")

    @property
    def score_names(self) -> list[str]:
        """Names under which the loss and the metrics are reported."""
        identifiers = [identifier for identifier, _ in self.metrics]
        return ["loss", *(m if isinstance(m, str) else m.name for m in identifiers)]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `Model.compile`, as JSON types."""
        listed: dict[bool, list[Any]] = {False: [], True: []}
        for identifier, weighted in self.metrics:
            is_name = isinstance(identifier, str)
            listed[weighted].append(identifier if is_name else metric_module.serialize(identifier))
        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": losses.serialize(self.loss),
            "metrics": listed[False],
            "weighted_metrics": listed[True],
        }


def _listed(name: str, value: Sequence[Any] | None) -> list[Any]:
    """Return metrics as a list, each a name or a Metric that is known."""
    if value is None:
        return []
    if isinstance(value, (str, metric_module.Metric)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"compile: {name} must be a list of names or Metrics, got {value!r}")
    return [metric_module.check_identifier(item) for item in value]
