"""The hooks of training, evaluation and prediction, with Keras's names."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Self

from convlet import arguments

Logs = dict[str, Any]


class Callback:
    """What is told, and may act, at each stage; override the hooks that you need.

    ``self.model`` is the model and ``self.params`` a dict of ``epochs``, ``steps``, ``verbose`` and
    ``do_validation``.
    Setting ``self.model.stop_training = True`` ends training after the current batch. ``logs``
    holds the loss and the metrics, the means of the epoch so far; validation's begin with "val_".
    """

    is_last = False  # whether its hooks are called after those of all others
    model: Any = None
    params: dict[str, Any] | None = None

    def set_model(self, model: Any) -> None:
        """Take the model before anything begins."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the parameters before anything begins."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also when training was interrupted by Ctrl-C."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step, counted from 0 in each epoch; calls `on_batch_begin`."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; calls `on_batch_end`."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step: Keras's other name."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step: Keras's other name."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluation or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluation or validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of prediction; ``logs["outputs"]`` is what was predicted."""

    def get_state(self) -> dict[str, Any]:
        """Return what must be known to go on later as if training had never stopped.

        Numbers, strings, None, lists, dicts and arrays; called between two hooks. A callback that
        remembers nothing need not define it. See `BackupAndRestore`.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what `get_state` returned in an earlier process.

        Called after `on_train_begin` and, within an epoch, after `on_epoch_begin`.
        """

    def close(self) -> None:
        """Release what was opened: called once at the end, whatever happened."""


class CallbackList:
    """Calls the hooks of several callbacks, in order; a context that closes them in the end.

    Those whose ``is_last`` is True come behind the others.

    Raises
    ------
    ValueError
        If one of them is not a `Callback`.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise arguments.invalid("callbacks", "each of them", "a Callback", callback)
            callback.set_model(model)
            callback.set_params(params)
        self.callbacks.sort(key=lambda callback: callback.is_last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:  # closes all of them, even if one fails at it
            for callback in self.callbacks:
                stack.callback(callback.close)

    def __call__(self, hook: str, *args: Any) -> None:
        """Call ``hook`` of every callback."""
        for callback in self.callbacks:
            getattr(callback, hook)(*args)
