"""What the weights' regularizers add to the loss and to the gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlet.engine import Variable


def penalty(variables: Mapping[str, Variable]) -> float:
    """Return the sum of the penalties of the weights that training changes, as in Keras.

    They are the same for each batch until the next step, and count once.
    """
    return sum((v.regularizer(v.value) for v in _regularized(variables).values()), 0.0)


def with_penalties(
    gradients: Mapping[str, np.ndarray], variables: Mapping[str, Variable]
) -> dict[str, np.ndarray]:
    """Return the gradients with those of the penalties."""
    total = dict(gradients)
    for path, variable in _regularized(variables).items():
        own = variable.regularizer.checked_gradient(variable.value)
        with np.errstate(over="ignore", invalid="ignore"):  # the step's weights are looked at
            total[path] = total[path] + own if path in total else own
    return total


def _regularized(variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """Return those that have a regularizer and are trained."""
    return {p: v for p, v in variables.items() if v.regularizer is not None and v.trainable}
