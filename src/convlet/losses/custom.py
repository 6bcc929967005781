"""A loss from two functions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from convlet import arguments
from convlet.losses.base import Loss
from convlet.losses.targets import as_floats

Formula = Callable[[np.ndarray, np.ndarray], Any]


class CustomLoss(Loss):
    """A loss that two functions define.

    Such a loss cannot be written in a file, as files hold no functions. A subclass of ``Loss`` can,
    and is read again with ``custom_objects``.

    Parameters
    ----------
    value : callable
        ``value(y_true, y_pred)`` returns one number for each sample, (n,), or for each row of
        predictions, ``y_pred.shape[:-1]``. ``y_true`` is an array of whatever numbers the user
        passed, as many as samples along its first axis.
    gradient : callable
        ``gradient(y_true, y_pred)`` returns the derivative of each of these numbers by the
        predictions, of y_pred's shape.
    name : str, default "custom_loss"
        The loss's name.

    Raises
    ------
    ValueError
        If ``value`` or ``gradient`` cannot be called.
    """

    def __init__(self, value: Formula, gradient: Formula, name: str | None = None) -> None:
        super().__init__(name)
        for argument, function in (("value", value), ("gradient", gradient)):
            if not callable(function):
                raise arguments.invalid("CustomLoss", argument, "a function", function)
        self._value = value
        self._gradient = gradient

    def call(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return what ``value`` returns, in y_pred's float type.

        Raises
        ------
        ValueError
            If that has another shape than it must.
        """
        shapes = list(dict.fromkeys((y_pred.shape[:1], y_pred.shape[:-1])))
        return self._checked("value", self._value(y_true, y_pred), shapes, y_pred.dtype)

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return what ``gradient`` returns, in y_pred's float type.

        Raises
        ------
        ValueError
            If that has another shape than it must.
        """
        result = self._gradient(y_true, y_pred)
        return self._checked("gradient", result, [y_pred.shape], y_pred.dtype)

    def get_config(self) -> NoReturn:
        """Raise a ``ValueError``: files hold no functions."""
        raise ValueError(
            f"CustomLoss {self.name!r}: functions cannot be written in a file; a subclass of Loss "
            "can"
        )

    def _checked(
        self, function: str, result: object, shapes: list[tuple[int, ...]], dtype: np.dtype
    ) -> np.ndarray:
        owner = f"CustomLoss {self.name!r}"
        array = as_floats(owner, f"the result of {function}", result)
        if array.shape not in shapes:
            expected = " or ".join(map(str, shapes))
            raise ValueError(
                f"{owner}: the result of {function} must have the shape {expected}, "
                f"got {array.shape}"
            )
        return array.astype(dtype, copy=False)
