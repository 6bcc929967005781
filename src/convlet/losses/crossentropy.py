"""What the cross-entropies share."""

from __future__ import annotations

from typing import Self

import numpy as np

from convlet import arguments
from convlet.losses.base import MEAN, Loss

EPSILON = 1e-7  # Keras's: probabilities are kept this far from 0 and 1


class Crossentropy(Loss):
    """A loss of probabilities or, with ``from_logits``, of what goes into softmax or sigmoid."""

    def __init__(
        self,
        from_logits: bool = False,
        name: str | None = None,
        reduction: str | None = MEAN,
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = arguments.boolean(type(self).__name__, "from_logits", from_logits)

    def from_logits_twin(self) -> Self | None:
        """Return the same loss for logits, which is exact and stable where this one has to clip.

        None if this loss is for logits already, and for subclasses of convlet's losses, whose own
        formulas may know nothing of logits.
        """
        if self.from_logits or Crossentropy not in type(self).__bases__:
            return None
        return self.from_config({**self.get_config(), "from_logits": True})


def check_smoothing(owner: str, label_smoothing: float) -> float:
    """Return the share of the targets that is spread over all classes, from 0 to 1."""
    return arguments.real(owner, "label_smoothing", label_smoothing, 0.0, 1.0)


def is_clipped(probabilities: np.ndarray) -> np.ndarray:
    """Return where clipping to [EPSILON, 1 - EPSILON] changes a probability.

    The loss is constant there, its derivative 0. NaN is no such place, so that it stays visible.
    """
    return (probabilities < EPSILON) | (probabilities > 1 - EPSILON)
