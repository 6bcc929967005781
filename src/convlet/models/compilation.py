"""How a model is trained: what `compile` was told, and how far training has come since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlet import arguments, losses, optimizers
from convlet import metrics as metric_module
from convlet.models.data import by_name
from convlet.models.state import TrainingState

_CONFIG = {"class_name", "config"}  # the keys of what `losses.serialize` returns


class Compilation:
    """Optimizer, losses and metrics of a model, and the state of its training.

    Parameters
    ----------
    optimizer, loss, metrics, weighted_metrics, loss_weights
        As those of `Model.compile`.
    output_names : sequence of str

    Attributes
    ----------
    losses : list of (Loss or None)
        For each output.
    loss_weights : list of float
        For each output: what is lowered is the sum of weight times loss.
    metrics : list of list of (str or Metric, bool)
        For each output its metrics, and whether they use sample weights.
    state : TrainingState

    Raises
    ------
    ValueError
        For a name that is not known, metrics of one name, and what does not go with the outputs.
    """

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        weighted_metrics: Any,
        loss_weights: Any,
        output_names: Sequence[str],
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.output_names = list(output_names)
        self.losses = _losses(loss, output_names)
        self.loss_weights = _loss_weights(loss_weights, output_names)
        plain = _by_output("metrics", metrics, output_names)
        weighted = _by_output("weighted_metrics", weighted_metrics, output_names)
        self.metrics = [
            [*((m, False) for m in first), *((m, True) for m in second)]
            for first, second in zip(plain, weighted, strict=True)
        ]
        self._check_losses()
        self._check_metrics()
        self.state = TrainingState(self.optimizer)  # sets the optimizer's count of steps to 0

    def _check_losses(self) -> None:
        for loss in self.losses:
            if loss is not None and not loss.is_reduced:
                raise ValueError(
                    f"compile: a loss must be one number to be trained on, {loss.name!r} has "
                    f"reduction={loss.reduction!r}"
                )

    def _check_metrics(self) -> None:
        for output, loss, listed in zip(self.output_names, self.losses, self.metrics, strict=True):
            if listed and loss is None:
                raise ValueError(f"compile: output {output!r} has metrics and no loss")
        names = self.score_names
        if len(set(names)) < len(names):
            raise ValueError(f"compile: the metrics' names must differ, got {names[1:]}")

    @property
    def loss(self) -> Any:
        """The loss of a model with one output; otherwise a list of them."""
        return self.losses[0] if len(self.losses) == 1 else self.losses

    def prefix(self, output: int) -> str:
        """Return what stands before the names of an output's scores."""
        return f"{self.output_names[output]}_" if len(self.output_names) > 1 else ""

    @property
    def reported_losses(self) -> dict[str, int]:
        """The losses that are reported besides their sum: names, and the outputs' numbers."""
        known = [n for n, loss in enumerate(self.losses) if loss is not None]
        return {f"{self.prefix(n)}loss": n for n in known} if len(known) > 1 else {}

    def total(self, losses: Sequence[float]) -> float:
        """Return what training lowers: each loss times its weight, and the penalties.

        Parameters
        ----------
        losses : sequence of float
            One for each output, and the penalties the last.
        """
        *of_outputs, penalties = losses
        pairs = zip(self.loss_weights, of_outputs, strict=True)
        return sum(weight * loss for weight, loss in pairs) + penalties

    @property
    def score_names(self) -> list[str]:
        """Names under which the losses and the metrics are reported."""
        return [
            "loss",
            *self.reported_losses,
            *(
                self.prefix(output) + (m if isinstance(m, str) else m.name)
                for output, listed in enumerate(self.metrics)
                for m, _ in listed
            ),
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `Model.compile`, as JSON types."""
        is_one = len(self.losses) == 1
        config: dict[str, Any] = {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": [None if loss is None else losses.serialize(loss) for loss in self.losses],
            "metrics": [_serialized(listed, False) for listed in self.metrics],
            "weighted_metrics": [_serialized(listed, True) for listed in self.metrics],
        }
        if is_one:
            config |= {name: config[name][0] for name in config if name != "optimizer"}
        if any(weight != 1 for weight in self.loss_weights):
            config["loss_weights"] = self.loss_weights
        return config


def _serialized(listed: Sequence[tuple[Any, bool]], weighted: bool) -> list[Any]:
    return [
        m if isinstance(m, str) else metric_module.serialize(m)
        for m, is_weighted in listed
        if is_weighted == weighted
    ]


def _losses(loss: Any, names: Sequence[str]) -> list[losses.Loss | None]:
    """Return the loss of each output; one that stands alone counts for all of them."""
    is_by_output = isinstance(loss, (list, tuple)) or (
        isinstance(loss, dict) and set(loss) != _CONFIG
    )
    if not is_by_output:
        return [losses.get(loss) for _ in names]
    if len(names) == 1 and isinstance(loss, (list, tuple)) and len(loss) == 1:
        (loss,) = loss
    listed = by_name("compile", "loss", loss, names)
    if all(item is None for item in listed):
        raise ValueError("compile: at least one output must have a loss")
    return [None if item is None else losses.get(item) for item in listed]


def _loss_weights(weights: Any, names: Sequence[str]) -> list[float]:
    """Return the weight of each output's loss, 1 where none is given."""
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, dict):
        weights = dict.fromkeys(names, 1.0) | weights
    elif len(names) == 1 and isinstance(weights, (list, tuple)) and len(weights) == 1:
        (weights,) = weights
    listed = by_name("compile", "loss_weights", weights, names)
    return [arguments.real("compile", "each of loss_weights", weight) for weight in listed]


def _by_output(name: str, value: Any, names: Sequence[str]) -> list[list[Any]]:
    """Return a list of metrics for each output."""
    if value is None:
        return [[] for _ in names]
    if isinstance(value, dict) and set(value) != _CONFIG:
        value = by_name("compile", name, dict.fromkeys(names) | value, names)
    elif len(names) == 1:
        value = [value]
    else:
        value = by_name("compile", name, value, names)
    return [_listed(name, item) for item in value]


def _listed(name: str, value: Any) -> list[Any]:
    """Return metrics as a list, each a name or a Metric that is known."""
    if value is None:
        return []
    if isinstance(value, (str, metric_module.Metric)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"compile: {name} must be a list of names or Metrics, got {value!r}")
    return [metric_module.check_identifier(item) for item in value]
