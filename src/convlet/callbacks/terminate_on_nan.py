"""The end of training that diverges."""

from __future__ import annotations

import math

from convlet.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stops training when the loss is no finite number, instead of `fit` raising an error.

    The weights are those with which the last finite loss was computed, and the epoch's loss is NaN.
    """

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Stop training if the loss is no finite number."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Step {batch + 1}: the loss became {loss}; training stopped")
            self.model.stop_training = True
