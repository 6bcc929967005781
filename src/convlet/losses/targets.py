"""Targets, predictions and sample weights: what a user passed, as the arrays that formulas need.

Every function raises a ``ValueError`` that begins with ``owner`` (``"fit"``) and says what came and
what would do. Where single numbers are wrong, it names the first: ``y_true[17] is 10``.
"""

from __future__ import annotations

import numpy as np

from convlet import arguments


def as_numbers(owner: str, name: str, value: object) -> np.ndarray:
    """Return an array of booleans, integers or real numbers with at least one axis."""
    return np.atleast_1d(arguments.numbers(owner, name, value))


def as_floats(owner: str, name: str, value: object) -> np.ndarray:
    """Return an array in float32, or in float64 for numbers that float32 cannot hold exactly."""
    array = as_numbers(owner, name, value)
    float_type = np.float32 if np.can_cast(array.dtype, np.float32) else np.float64
    return array.astype(float_type, copy=False)


def as_predictions(owner: str, y_pred: object) -> np.ndarray:
    """Return predictions of shape (n, ..., c); n numbers are read as (n, 1)."""
    predictions = as_floats(owner, "y_pred", y_pred)
    return predictions[:, np.newaxis] if predictions.ndim == 1 else predictions


def check_count(y_true: np.ndarray, y_pred_shape: tuple[int, ...], owner: str) -> None:
    """Raise unless there are samples, and as many in the targets as in the predictions."""
    if y_pred_shape[0] == 0:
        raise ValueError(f"{owner}: there are no samples")
    if len(y_true) != y_pred_shape[0]:
        raise ValueError(
            f"{owner}: the number of samples differs, {len(y_true)} in y_true and "
            f"{y_pred_shape[0]} in y_pred"
        )


def require(
    valid: np.ndarray, values: np.ndarray, requirement: str, owner: str, name: str = "y_true"
) -> None:
    """Raise for the first of ``values`` that is not ``valid``."""
    if not valid.all():
        index = np.unravel_index(np.argmin(valid), valid.shape)
        position = ", ".join(map(str, index))
        raise ValueError(f"{owner}: {name}[{position}] is {values[index].item()!r}, {requirement}")


def dense_targets(
    y_true: object, y_pred_shape: tuple[int, ...], owner: str, hint: str = ""
) -> np.ndarray:
    """Return one finite target for each prediction, in a float type.

    Parameters
    ----------
    y_true : array_like
        Of the predictions' shape; the last axis may be left out where it is 1.
    y_pred_shape : tuple of int
        (n, ..., c).
    owner : str
        For messages.
    hint : str
        What to add to the message about a wrong shape.
    """
    targets = as_floats(owner, "y_true", y_true)
    check_count(targets, y_pred_shape, owner)
    if (*targets.shape, 1) == y_pred_shape:
        targets = targets[..., np.newaxis]
    if targets.shape != y_pred_shape:
        raise ValueError(
            f"{owner}: y_true must have the predictions' shape {y_pred_shape}, "
            f"got {targets.shape}{hint}"
        )
    require(np.isfinite(targets), targets, "targets must be finite numbers", owner)
    return targets


def binary_targets(y_true: object, y_pred_shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Return one number from 0 to 1 for each prediction."""
    targets = dense_targets(y_true, y_pred_shape, owner)
    valid = (targets >= 0) & (targets <= 1)
    require(valid, targets, "binary targets must be numbers from 0 to 1", owner)
    return targets


def one_hot_targets(y_true: object, y_pred_shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Return one share of each class, 0 or above, for each prediction."""
    check_classes(y_pred_shape, owner)
    hint = "; class labels go with the sparse losses and metrics"
    targets = dense_targets(y_true, y_pred_shape, owner, hint)
    require(targets >= 0, targets, "one-hot targets must be at least 0", owner)
    return targets


def label_targets(
    y_true: object, y_pred_shape: tuple[int, ...], owner: str, ignored: int | None = None
) -> np.ndarray:
    """Return one integer label for each row of predictions, of shape (n, ...).

    Floats that are whole numbers will do, and a last axis of 1. The label ``ignored`` need not be a
    class.
    """
    check_classes(y_pred_shape, owner)
    labels = as_numbers(owner, "y_true", y_true)
    check_count(labels, y_pred_shape, owner)
    rows = y_pred_shape[:-1]
    if labels.shape not in (rows, (*rows, 1)):
        raise ValueError(
            f"{owner}: y_true must have the shape {rows} or {(*rows, 1)}, got {labels.shape}; "
            "one-hot targets go with the categorical losses and metrics"
        )
    return whole_labels(labels.reshape(rows), y_pred_shape[-1], owner, "y_true", ignored)


def whole_labels(
    labels: np.ndarray, classes: int, owner: str, name: str, ignored: int | None = None
) -> np.ndarray:
    """Return labels as integers; each must be a whole number from 0 to ``classes - 1``.

    Or the label ``ignored``, if there is such a one.
    """
    valid = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    requirement = f"labels must be whole numbers from 0 to {classes - 1}"
    if ignored is not None:
        valid |= labels == ignored
        requirement += f", or {ignored} to be ignored"
    require(valid, labels, requirement, owner, name)
    return labels.astype(np.int64)


def check_classes(y_pred_shape: tuple[int, ...], owner: str) -> None:
    """Raise for a single class: its share is always 1, so that nothing would be learned."""
    if y_pred_shape[-1] < 2:
        raise ValueError(
            f"{owner}: predictions of shape {y_pred_shape} have one class, at least 2 are needed; "
            "one probability goes with the binary losses and metrics"
        )


def spread_weights(
    sample_weight: object, shape: tuple[int, ...], dtype: np.dtype | type, owner: str
) -> np.ndarray:
    """Return one weight for each value of a loss or metric.

    Parameters
    ----------
    sample_weight : array_like
        One weight for each sample, (n,), for each value, (n, ...), or something between, such as
        (n, 1), which counts for all values along an axis of 1 or left out; or one number.
    shape : tuple of int
        The values' shape, (n, ...).
    dtype : dtype
        The weights' type, the values' own.
    owner : str
        For messages.

    Returns
    -------
    ndarray
        Of ``shape``; a view that cannot be written to.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a weight is not finite.
    """
    weights = as_floats(owner, "sample_weight", sample_weight)
    require(np.isfinite(weights), weights, "weights must be finite", owner, "sample_weight")
    if np.ndim(sample_weight) == 0:  # type: ignore[arg-type]
        return np.broadcast_to(weights[0].astype(dtype), shape)
    missing = len(shape) - weights.ndim
    if missing == -1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    expanded: np.ndarray = weights.reshape(weights.shape + (1,) * missing)
    fits = expanded.ndim == len(shape) and len(expanded) == shape[0]
    if not fits or any(w not in (1, size) for w, size in zip(expanded.shape, shape, strict=True)):
        expected = " or ".join(dict.fromkeys(map(str, (shape[:1], shape))))
        raise ValueError(
            f"{owner}: sample_weight must have the shape {expected}, one weight for each sample "
            f"or value, got {weights.shape}"
        )
    with np.errstate(over="ignore"):  # whoever trains looks at what has become infinite
        return np.broadcast_to(expanded.astype(dtype, copy=False), shape)
