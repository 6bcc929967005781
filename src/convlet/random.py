"""Where every random number comes from: one seed, counted upwards.

Initial weights, the order of the data and dropout each ask for a seed of their own. After
``set_random_seed(s)`` the same program asks in the same order, and so gets the same numbers.
Generators are Philox (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, 2011): its
numbers depend on a key and a counter alone, not on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convlet import arguments

_MASK_63 = (1 << 63) - 1
# made when it is first needed: importing numpy.random takes a tenth of the library's import time
_sequence: np.random.SeedSequence | None = None


def set_random_seed(seed: int) -> None:
    """Fix every random number that the library draws from now on.

    A model whose training has begun goes on with the seed that it has, so that a run can be
    continued; `compile` begins anew.

    Parameters
    ----------
    seed : int
        0 or above. NumPy's and Python's own generators are left alone.

    Raises
    ------
    ValueError
        If ``seed`` is not such an integer.
    """
    global _sequence
    _sequence = np.random.SeedSequence(arguments.integer("set_random_seed", "seed", seed, 0))


def next_seed() -> int:
    """Return the next seed of the sequence, an integer of 63 bits."""
    global _sequence
    if _sequence is None:
        _sequence = np.random.SeedSequence()
    (child,) = _sequence.spawn(1)
    return int(child.generate_state(1, np.uint64)[0]) & _MASK_63


def get_state() -> dict[str, Any]:
    """Return how far the sequence of seeds has come, as JSON types."""
    if _sequence is None:
        return {"seed": None, "drawn": 0}
    return {"seed": _sequence.entropy, "drawn": _sequence.n_children_spawned}


def set_state(state: dict[str, Any]) -> None:
    """Go on with the sequence of seeds from what `get_state` returned.

    Raises
    ------
    ValueError
        If it is not of that form.
    """
    global _sequence
    owner = "the state of convlet.random"
    if not isinstance(state, dict) or set(state) != {"seed", "drawn"}:
        raise ValueError(f"{owner} must hold seed and drawn, got {state!r:.80}")
    drawn = arguments.integer(owner, "drawn", state["drawn"], 0)
    if state["seed"] is None:
        _sequence = None
    else:
        seed = arguments.integer(owner, "seed", state["seed"], 0)
        _sequence = np.random.SeedSequence(seed, n_children_spawned=drawn)


def generator(*key: int) -> np.random.Generator:
    """Return a generator whose numbers depend on ``key`` alone, e.g. (seed, epoch)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Fix what is drawn inside, and go on afterwards as if nothing had been.

    Parameters
    ----------
    seed : int or None
        0 or above; None changes nothing.
    """
    global _sequence
    if seed is None:
        yield
        return
    before, _sequence = _sequence, np.random.SeedSequence(seed)
    try:
        yield
    finally:
        _sequence = before
