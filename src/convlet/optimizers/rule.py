"""Optimizers whose rule the C++ core has, too: one formula, two who compute it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from convlet import _native, config
from convlet.optimizers.base import AVERAGE, Optimizer, Slots, Step, Weight


class RuleOptimizer(Optimizer):
    """The base of convlet's own optimizers.

    A subclass gives the rule in the C++ core, ``native/kernels/rules.hpp``; ``first_values``;
    ``numbers``; and ``formula``, which is the specification, in NumPy and any float type.
    """

    rule: ClassVar[_native.Rule]

    def first_values(self) -> dict[str, float]:
        """Return the slots' names, in the rule's order, and what they are before the first step."""
        return {}

    def numbers(self, iterations: int) -> list[float]:
        """Return the numbers that a step reads besides the arrays, in the rule's order."""
        raise NotImplementedError

    def formula(
        self, w: np.ndarray, g: np.ndarray, slots: Slots, *numbers: np.floating
    ) -> tuple[np.ndarray, Slots]:
        """Return a weight and its slots after a step."""
        raise NotImplementedError

    def slots(self, value: np.ndarray) -> Slots:
        """Return what is remembered of a weight before the first step, by name."""
        return {n: np.full_like(value, first) for n, first in self.first_values().items()}

    def update(
        self,
        value: np.ndarray,
        gradient: np.ndarray,
        slots: Slots,
        iterations: int,
    ) -> tuple[np.ndarray, Slots]:
        """Return a weight and its slots after a step; see ``Optimizer.update``."""
        # A step that diverges is reported in words by the training loop, not by NumPy.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            numbers = [value.dtype.type(n) for n in self.numbers(iterations)]
            g = gradient.astype(value.dtype, copy=False)
            return self.formula(value, g, slots, *numbers)

    def _own_slots(self, value: np.ndarray, known: Slots) -> Slots:
        firsts = self.first_values()
        if firsts.keys() == known.keys():
            return {name: known[name] for name in firsts}
        return {name: known.get(name, slot) for name, slot in self.slots(value).items()}

    def update_all(self, weights: Sequence[Weight], iterations: int) -> list[Step]:
        """Return all weights after a step, in float32 by the C++ core, in one pass."""
        # a subclass may compute something else
        is_known = type(self).__module__.startswith("convlet.")
        if not is_known or config.executor() != "native" or not all(map(_is_native, weights)):
            return super().update_all(weights, iterations)
        self.iterations = iterations
        rate = self.learning_rate
        new = [self._arrays_for(weight) for weight in weights]
        limit = self.clipnorm or self.global_clipnorm or 0.0
        with np.errstate(over="ignore"):  # a rate too large for float32 makes weights infinite
            decay = float(np.float32((self.weight_decay or 0.0) * rate))
            finite = _native.optimizer_step(
                instruction_set=config.instruction_set(),
                rule=self.rule,
                numbers=np.array(self.numbers(iterations), np.float32).tolist(),
                before=[_before(weight, decay) for weight in weights],
                after=[(s.value, s.slots.get(AVERAGE), _listed(s.slots)) for s in new],
                clip=self._norm_clip(),
                largest_norm=limit,
                largest_gradient=float(np.float32(self.clipvalue or 0.0)),
                average_momentum=self.average_momentum(iterations),
                takes_average=self.takes_average(iterations),
                threads=config.threads(),
            )
        pairs = zip(new, finite, strict=True)
        return [step._replace(is_finite=is_finite) for step, is_finite in pairs]

    def _norm_clip(self) -> _native.NormClip:
        if self.clipvalue or not (self.clipnorm or self.global_clipnorm):
            return _native.NormClip.none
        return _native.NormClip.all if self.global_clipnorm else _native.NormClip.each

    def _arrays_for(self, weight: Weight) -> Step:
        """Return arrays to write a step into, spare ones where there are any."""
        count = 1 + len(weight.slots)
        arrays = [a for a in weight.spare if _is_like(a, weight.value)][:count]
        arrays += [np.empty_like(weight.value) for _ in range(count - len(arrays))]
        return Step(arrays[0], dict(zip(weight.slots, arrays[1:], strict=True)), True)


def _is_like(array: np.ndarray, value: np.ndarray) -> bool:
    """Return whether an array can stand where a weight does, for the C++ core."""
    is_plain = array.dtype == np.float32 and array.flags.c_contiguous
    return bool(is_plain and array.shape == value.shape)


def _is_native(weight: Weight) -> bool:
    arrays = (weight.value, weight.gradient, *weight.slots.values())
    return all(_is_like(array, weight.value) for array in arrays)


def _listed(slots: Slots) -> list[np.ndarray]:
    return [slot for name, slot in slots.items() if name != AVERAGE]


def _before(
    weight: Weight, decay: float
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray | None, list[np.ndarray]]:
    own = decay if weight.decays else 0.0
    return weight.value, weight.gradient, own, weight.slots.get(AVERAGE), _listed(weight.slots)
