"""What the weights' regularizers add to the loss and to the gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convlet.engine import Variable


def penalty(variables: Mapping[str, Variable]) -> float:
    """Return the sum of all weights' penalties, also of those that are frozen.

    They are the same for each batch until the next step, and count once.
    """
    regularized = (v for v in variables.values() if v.regularizer is not None)
    return sum((v.regularizer(v.value) for v in regularized), 0.0)


def with_penalties(
    gradients: Mapping[str, np.ndarray], variables: Mapping[str, Variable]
) -> dict[str, np.ndarray]:
    """Return the gradients with those of the penalties of the weights that training changes."""
    total = dict(gradients)
    for path, variable in variables.items():
        if variable.regularizer is None or not variable.trainable:
            continue
        own = variable.regularizer.checked_gradient(variable.value)
        with np.errstate(over="ignore", invalid="ignore"):  # the step's weights are looked at
            total[path] = total[path] + own if path in total else own
    return total
