"""Instructions that call Python objects: losses, penalties, and layers that users write.

A loss has ``call(targets, prediction)`` and ``gradient(targets, prediction)``; a user's layer
``call(x, *weights)`` and ``gradient(x, *weights, y, output_gradient)``. What these return is
checked here, where the layer's name is known. What they are given cannot be written into: the same
arrays are read again on the way back, and may be the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def _read_only(*arrays: np.ndarray) -> list[np.ndarray]:
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


def _shares(
    weights: np.ndarray, values: np.ndarray, prediction: np.ndarray, function: Any
) -> np.ndarray:
    """Return the weights with as many axes as the values, so that they multiply.

    A loss may have one value for each sample though predictions have positions: it then counts for
    all of the sample's positions, unless values are summed up.
    """
    if weights.ndim > values.ndim:
        raise ValueError(
            f"loss: there is one value for each sample, of shape {values.shape}, "
            f"so there must be one weight for each, got weights of shape {weights.shape}"
        )
    is_sum = getattr(function, "reduction", None) == "sum"
    positions = 1 if is_sum else int(np.prod(prediction.shape[values.ndim : -1]))
    return positions * weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))


def loss(
    prediction: np.ndarray, targets: np.ndarray, weights: np.ndarray, function: Any
) -> np.ndarray:
    """Return what each target, or each sample, adds to the batch's loss: weight * value.

    The weights are the caller's sample weights divided by the number of targets in the batch, or
    by what else the loss's reduction asks for.
    """
    values = np.asarray(function.call(*_read_only(targets, prediction)))
    shapes = (prediction.shape[:-1], prediction.shape[:1])
    if values.shape not in shapes:
        raise ValueError(
            f"{type(function).__name__}: call must return one value for each target, shape "
            f"{shapes[0]}, or for each sample, got {values.shape}"
        )
    return values * _shares(weights, values, prediction, function).astype(values.dtype)


def loss_gradient(
    prediction: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    values: np.ndarray,
    function: Any,
) -> np.ndarray:
    """Return the gradient of the batch's loss, Σ weight * value, by the prediction."""
    gradient = np.asarray(function.gradient(*_read_only(targets, prediction)))
    if gradient.shape != prediction.shape:
        raise ValueError(
            f"{type(function).__name__}: gradient must return the predictions' shape "
            f"{prediction.shape}, got {gradient.shape}"
        )
    shares = _shares(weights, values, prediction, function)
    shares = shares.reshape(shares.shape + (1,) * (gradient.ndim - shares.ndim))
    return gradient * shares.astype(gradient.dtype)


def penalty(x: np.ndarray, regularizer: Any) -> np.ndarray:
    """Return the penalty on activations, divided by the number of images, as Keras does."""
    (given,) = _read_only(x)
    return np.asarray(regularizer(given) / len(x), x.dtype)


def penalty_gradient(x: np.ndarray, regularizer: Any) -> np.ndarray:
    """Return the gradient of `penalty` by the activations."""
    (given,) = _read_only(x)
    gradient: np.ndarray = regularizer.checked_gradient(given) / x.dtype.type(len(x))
    return gradient


def _checked(layer: Any, what: str, value: object, like: np.ndarray, shape: object) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(f"{layer.owner}: {what} must have shape {shape}, got {array.shape}")
    return array.astype(like.dtype, copy=False)


def call(
    x: np.ndarray,
    *weights: np.ndarray,
    layer: Any,
    output_shape: Sequence[int],
    keywords: Mapping[str, Any],
) -> np.ndarray:
    """Return what the user's ``call`` makes of ``x``."""
    y = layer.call(*_read_only(x, *weights), **keywords)
    return _checked(layer, "what call returns", y, x, (len(x), *output_shape))


def gradient(
    x: np.ndarray,
    *others: np.ndarray,
    layer: Any,
    output_shape: Sequence[int],
    keywords: Mapping[str, Any],
) -> tuple[np.ndarray, ...]:
    """Return the gradients by ``x`` and by each weight, from the user's ``gradient``."""
    *weights, y, output_gradient = others
    result = layer.gradient(*_read_only(x, *weights, y, output_gradient))
    gradients = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(gradients) != 1 + len(weights):
        raise ValueError(
            f"{layer.owner}: gradient must return one array for the input and one for each of its "
            f"{len(weights)} weights, got {len(gradients)}"
        )
    return tuple(
        _checked(layer, "each gradient", value, x, operand.shape)
        for value, operand in zip(gradients, (x, *weights), strict=True)
    )
