"""Checks of arguments: one place that turns what a user wrote into what the code needs, or says no.

Every function takes ``owner``, the thing the argument belongs to (``"Conv2D 'conv2d_1'"``), and
``name``, the argument, so that the message tells where to look. Booleans are not numbers here.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np


def invalid(owner: str, name: str, requirement: str, value: object) -> ValueError:
    """Return the error for an argument: who, which, what would do, what came."""
    return ValueError(f"{owner}: {name} must be {requirement}, got {value!r}")


def _as_integer(value: object) -> int | None:
    """Return an int for Python and NumPy integers, None for everything else."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def integer(owner: str, name: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` as an int of at least ``minimum``.

    Raises
    ------
    ValueError
        For booleans, floats, strings and integers below ``minimum``.
    """
    number = _as_integer(value)
    if number is None or number < minimum:
        raise invalid(owner, name, f"an integer of at least {minimum}", value)
    return number


def real(
    owner: str,
    name: str,
    value: object,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    below: float = math.inf,
) -> float:
    """Return ``value`` as a finite float in [minimum, maximum], and less than ``below``.

    Raises
    ------
    ValueError
        For anything else, not-a-number included.
    """
    is_number = isinstance(value, (int, float)) or hasattr(value, "__float__")
    if is_number and not isinstance(value, (bool, str)):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and minimum <= number <= maximum and number < below:
            return number
    raise invalid(owner, name, _interval(minimum, maximum, below), value)


def _interval(minimum: float, maximum: float, below: float) -> str:
    if minimum == -math.inf and maximum == below == math.inf:
        return "a finite number"
    parts = [f"of at least {minimum:g}"] if minimum > -math.inf else []
    if maximum < math.inf:
        parts.append(f"of at most {maximum:g}")
    if below < math.inf:
        parts.append(f"below {below:g}")
    return "a number " + " and ".join(parts)


def per_axis(owner: str, name: str, value: object, rank: int, minimum: int = 1) -> tuple[int, ...]:
    """Return one integer per spatial axis; a single integer stands for all of them.

    Raises
    ------
    ValueError
        Unless ``value`` is an integer of at least ``minimum`` or ``rank`` such integers.
    """
    single = _as_integer(value)
    if single is not None:
        numbers: list[int | None] = [single] * rank
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        numbers = [_as_integer(item) for item in value]
    else:
        numbers = []
    valid = [n for n in numbers if n is not None and n >= minimum]
    if len(valid) != len(numbers) or len(valid) != rank:
        plural = "s" if rank > 1 else ""
        requirement = f"an integer of at least {minimum} or a tuple of {rank} such integer{plural}"
        raise invalid(owner, name, requirement, value)
    return tuple(valid)


def axis(owner: str, value: object) -> int:
    """Return ``value``, the number of an axis, as an int; it may be counted from the end.

    Raises
    ------
    ValueError
        For anything else; whether there is such an axis is not known here.
    """
    number = _as_integer(value)
    if number is None:
        raise invalid(owner, "axis", "an integer", value)
    return number


def axes(
    owner: str, value: object, requirement: str = "an integer or a list of them"
) -> int | list[int]:
    """Return the number of an axis, or a list of such numbers, as ``axis`` does.

    Raises
    ------
    ValueError
        For anything else, an empty list included.
    """
    items = value if isinstance(value, (list, tuple)) and value else [value]
    numbers = [number for number in map(_as_integer, items) if number is not None]
    if len(numbers) < len(items):
        raise invalid(owner, "axis", requirement, value)
    return numbers if items is value else numbers[0]


def choice(owner: str, name: str, value: object, choices: Collection[str]) -> str:
    """Return ``value``, in lower case, if it is one of ``choices``.

    Raises
    ------
    ValueError
        Otherwise, with the list of what would do.
    """
    text = value.lower() if isinstance(value, str) else None
    if text is None or text not in choices:
        raise invalid(owner, name, "one of " + ", ".join(map(repr, choices)), value)
    return text


def boolean(owner: str, name: str, value: object) -> bool:
    """Return ``value`` if it is True or False.

    Raises
    ------
    ValueError
        For anything else, 0 and 1 included.
    """
    if not isinstance(value, bool):
        raise invalid(owner, name, "True or False", value)
    return value


def numbers(owner: str, name: str, value: object) -> np.ndarray:
    """Return an array of booleans, integers or real numbers of any type and shape.

    Raises
    ------
    ValueError
        For anything that is none.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{owner}: {name} must be an array of numbers, got rows of different shapes"
        ) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{owner}: {name} must be an array of numbers, got one of {array.dtype}")
    return array


def shape(owner: str, name: str, value: Any, *, allow_none: bool = False) -> tuple[Any, ...]:
    """Return a shape: integers of at least 1, and None for sizes left open if these are allowed.

    Raises
    ------
    ValueError
        For anything else.
    """
    requirement = "a tuple of integers of at least 1" + (" or None" if allow_none else "")
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise invalid(owner, name, requirement, value)
    sizes = []
    for item in value:
        size = None if item is None and allow_none else _as_integer(item)
        if (size is None and not (item is None and allow_none)) or (size is not None and size < 1):
            raise invalid(owner, name, requirement, value)
        sizes.append(size)
    return tuple(sizes)


def floats(owner: str, **named: object) -> list[np.ndarray]:
    """Return arrays in one float type: float32 if all of them have it, otherwise float64.

    Raises
    ------
    ValueError
        If one is no array of numbers; it is called by its keyword.
    """
    arrays = [numbers(owner, name, value) for name, value in named.items()]
    single = all(array.dtype == np.float32 for array in arrays)
    return [array.astype(np.float32 if single else np.float64, copy=False) for array in arrays]


def _memory() -> int:
    """Return the bytes of memory that the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def fits_memory(
    owner: str, name: str, shape: Sequence[int], dtype: Any, instead: str = "a smaller one"
) -> None:
    """Raise a ValueError if an array would be larger than the machine's memory.

    Parameters
    ----------
    name : str
        What the array is.
    instead : str
        What would do.
    """
    needed, there = math.prod(shape) * np.dtype(dtype).itemsize, _memory()
    if needed > there:
        sizes = " x ".join(map(str, shape))
        raise ValueError(
            f"{owner}: {name} must fit into the {there / 1e9:.3g} GB of memory, got {sizes} "
            f"numbers of {np.dtype(dtype).name}, {needed / 1e9:.3g} GB; use {instead}"
        )


def bytes_fit_memory(owner: str, what: str, size: int) -> None:
    """Raise a ValueError if what is about to be done takes more memory than the machine has."""
    if size > _memory():
        needed, there = f"{size / 1e9:.3g} GB", f"{_memory() / 1e9:.3g} GB"
        raise ValueError(f"{owner}: {what} would take {needed}, this machine has {there}")
