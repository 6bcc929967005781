"""Settings of the library: float type, executor, instruction set, threads.

The environment gives the first values of those that concern the machine: ``CONVLET_EXECUTOR``,
``CONVLET_ISA`` and ``CONVLET_THREADS``, read when they are first needed.
"""

from __future__ import annotations

import os
from typing import Any

from convlet import _native, arguments

_INTERFACE = 2  # of the core, as in native/bindings.cpp: counted up when both change together
_FLOAT_TYPES = ("float32", "float64")
_EXECUTORS = ("native", "reference")
_MOST_THREADS = 1024
_THREADS_MUST_BE = f"an integer from 1 to {_MOST_THREADS}"

_floatx = "float32"
_executor: str | None = None
_instruction_set: str | None = None
_threads: int | None = None


def check_core(core: Any) -> None:
    """Raise an ImportError unless the compiled core is of these Python sources."""
    found = getattr(core, "interface", 1)  # the first cores had no number
    if found != _INTERFACE:
        older = "core is older than the Python sources"
        if found > _INTERFACE:
            older = "Python sources are older than the core"
        raise ImportError(
            f"convlet: the {older}, interface {found} in {core.__file__} and {_INTERFACE} in "
            f"{__file__}; build and install both together, in a checkout with pip install ."
        )


check_core(_native)


def floatx() -> str:
    """Return the float type that layers made from now on compute in, ``"float32"`` at first."""
    return _floatx


def set_floatx(value: str) -> None:
    """Choose the float type of layers made from now on.

    Parameters
    ----------
    value : {"float32", "float64"}
        float64 is for checking gradients and for reading along with the formulas.

    Raises
    ------
    ValueError
        For any other type.
    """
    global _floatx
    _floatx = arguments.choice("set_floatx", "value", value, _FLOAT_TYPES)


def executor() -> str:
    """Return who runs programs in float32, ``"native"`` unless something else was asked for.

    Programs in float64 are always run by the reference.

    Raises
    ------
    ValueError
        If the environment's ``CONVLET_EXECUTOR`` names none.
    """
    global _executor
    if _executor is None:
        given = os.environ.get("CONVLET_EXECUTOR") or "native"
        _executor = arguments.choice("the environment", "CONVLET_EXECUTOR", given, _EXECUTORS)
    return _executor


def set_executor(value: str) -> None:
    """Choose who runs programs in float32 from now on.

    Parameters
    ----------
    value : {"native", "reference"}
        The C++ core, or NumPy, formula by formula.

    Raises
    ------
    ValueError
        For any other name.
    """
    global _executor
    _executor = arguments.choice("set_executor", "value", value, _EXECUTORS)


def instruction_set() -> str:
    """Return the instruction set that the C++ core uses, the machine's best one at first.

    Raises
    ------
    ValueError
        If the environment's ``CONVLET_ISA`` names none that this machine has.
    """
    global _instruction_set
    if _instruction_set is None:
        given = os.environ.get("CONVLET_ISA") or _native.best_instruction_set()
        known = _native.available_instruction_sets()
        _instruction_set = arguments.choice("the environment", "CONVLET_ISA", given, known)
    return _instruction_set


def set_instruction_set(value: str) -> None:
    """Choose the instruction set that the C++ core uses from now on.

    Parameters
    ----------
    value : str
        One of those that `convlet.show_config` lists.

    Raises
    ------
    ValueError
        If this machine has no such instruction set.
    """
    global _instruction_set
    known = _native.available_instruction_sets()
    _instruction_set = arguments.choice("set_instruction_set", "value", value, known)


def threads() -> int:
    """Return how many threads the C++ core uses.

    At first as many as there are processors for this process: its affinity and its container's
    limit count. Results do not depend on it.

    Raises
    ------
    ValueError
        If the environment's ``CONVLET_THREADS`` is no integer from 1 to 1024.
    """
    global _threads
    if _threads is None:
        given = os.environ.get("CONVLET_THREADS")
        if not given:
            _threads = min(_native.usable_processors(), _MOST_THREADS)
        elif given.isdecimal() and 1 <= int(given) <= _MOST_THREADS:
            _threads = int(given)
        else:
            raise arguments.invalid("the environment", "CONVLET_THREADS", _THREADS_MUST_BE, given)
    return _threads


def set_threads(value: int) -> None:
    """Choose how many threads the C++ core uses from now on.

    Parameters
    ----------
    value : int
        From 1 to 1024.

    Raises
    ------
    ValueError
        For any other number.
    """
    global _threads
    try:
        count = arguments.integer("set_threads", "value", value)
    except ValueError:
        count = 0
    if not 1 <= count <= _MOST_THREADS:
        raise arguments.invalid("set_threads", "value", _THREADS_MUST_BE, value)
    _threads = count
