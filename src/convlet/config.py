"""Settings of the library: the float type that new layers compute in."""

from __future__ import annotations

from convlet import arguments

_FLOAT_TYPES = ("float32", "float64")
_floatx = "float32"


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
