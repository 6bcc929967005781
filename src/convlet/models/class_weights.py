"""Weights of classes, as weights of their samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from convlet import arguments
from convlet.losses import Loss
from convlet.models.data import Samples


def balanced_weights(
    owner: str, samples: Samples, output_shape: tuple[Any, ...], loss: Loss | None
) -> dict[int, float]:
    """Return the weights with which all classes count the same, n / (k n_c).

    n is the number of labels, n_c that of class c, k the number of classes that occur. This is
    scikit-learn's ``class_weight="balanced"``, after King and Zeng, *Logistic regression in rare
    events data*, 2001.

    Raises
    ------
    ValueError
        If targets are not classes.
    """
    labels, counted = _labels(owner, samples, output_shape, loss)
    labels = labels if counted is None else labels[counted]
    classes, counts = np.unique(labels, return_counts=True)
    weights = counts.sum() / (len(classes) * counts)
    return dict(zip(classes.astype(int).tolist(), weights.tolist(), strict=True))


def with_class_weights(
    owner: str,
    samples: Samples,
    class_weight: Mapping[int, float],
    output_shape: tuple[Any, ...],
    loss: Loss | None,
) -> Samples:
    """Return samples whose weights are multiplied by those of their classes.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    samples : Samples
        Their targets are labels, one-hot, or one number for two classes.
    class_weight : mapping of int to float
        Classes that are not named have weight 1.
    output_shape : tuple
        Shape of the predictions.
    loss : Loss
        What it ignores need be no class, and keeps its weight.

    Raises
    ------
    ValueError
        If targets are not classes, or a class or its weight is not of its form.
    """
    if not isinstance(class_weight, Mapping):
        raise arguments.invalid(owner, "class_weight", "a dict of class to weight", class_weight)
    labels, counted = _labels(owner, samples, output_shape, loss)
    outputs = output_shape[-1]
    weights = np.ones(labels.shape, samples.dtype)
    largest = float(np.finfo(samples.dtype).max)
    for label, weight in class_weight.items():
        number = arguments.integer(owner, "class_weight's classes", label, 0)
        if number >= max(outputs, 2):
            raise arguments.invalid(
                owner, "class_weight's classes", f"from 0 to {max(outputs, 2) - 1}", label
            )
        weight = arguments.real(owner, f"class_weight[{number}]", weight, 0, largest)
        weights[labels == number] = weight
    if counted is not None:
        weights[~counted] = 1
    (of_sample,) = samples.weights
    if of_sample is not None:
        missing = (1,) * (weights.ndim - of_sample.ndim)
        weights = of_sample.reshape(of_sample.shape + missing) * weights
    return replace(samples, weights=(weights,))


def _labels(
    owner: str, samples: Samples, output_shape: tuple[Any, ...], loss: Loss | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the class of each target, and which of them the loss counts, None for all."""
    if len(samples.y) > 1:
        raise ValueError(
            f"{owner}: class_weight goes with models of one output, got {len(samples.y)} outputs; "
            "use sample_weight"
        )
    (labels,), outputs = samples.y, output_shape[-1]
    assert loss is not None  # the only output has a loss, and so targets
    assert labels is not None
    counted = loss.counted(labels)
    if counted is not None:
        labels = np.where(counted, labels, 0)
    if labels.ndim == len(output_shape):
        labels = labels[..., 0] if outputs == 1 else labels.argmax(axis=-1)
    if (labels < 0).any() or (labels != np.floor(labels)).any():
        raise ValueError(
            f"{owner}: class_weight goes with targets that are classes, whole numbers from 0, "
            f"got targets from {labels.min()} to {labels.max()}"
        )
    return labels, counted
