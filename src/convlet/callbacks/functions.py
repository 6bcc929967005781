"""Functions as callbacks."""

from __future__ import annotations

from typing import Any

from convlet import arguments
from convlet.callbacks.callback import Callback

_HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


class LambdaCallback(Callback):
    """Calls functions at the stages of training, evaluation and prediction.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with ``(epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Called with ``(logs)``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with ``(batch, logs)``.
    **kwargs
        Functions for the other hooks of `Callback`, under their names.

    Raises
    ------
    ValueError
        If there is no such hook, or something is no function.
    """

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        on_train_batch_begin: Any = None,
        on_train_batch_end: Any = None,
        **kwargs: Any,
    ) -> None:
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in functions.items():
            if name not in _HOOKS:
                raise arguments.invalid(
                    "LambdaCallback", "each argument", f"one of {', '.join(_HOOKS)}", name
                )
            if function is not None and not callable(function):
                raise arguments.invalid("LambdaCallback", name, "a function", function)
            if function is not None:
                setattr(self, name, function)
