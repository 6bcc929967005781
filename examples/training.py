"""What the examples share of training: a falling rate, new data for each epoch, and reports."""

import math
import statistics
import time

from convlet.callbacks import Callback
from convlet.optimizers import Adam
from convlet.optimizers.schedules import CosineDecay


def adam(rate, epochs, samples, batch):
    """Return Adam with a rate that falls along half a cosine, to 0 at the end of training."""
    return Adam(CosineDecay(rate, epochs * math.ceil(samples / batch)))


def fit_anew(model, data, epochs, batch, title):
    """Train a model on new data in each epoch, x and y as ``data()`` returns them."""
    progress = Progress(title)
    for epoch in range(epochs):
        x, y = data()
        given = {"epochs": epoch + 1, "initial_epoch": epoch, "verbose": 0}
        model.fit(x, y, batch, callbacks=[progress], **given)


class Progress(Callback):
    """Prints each epoch's scores, a validation's accuracy as its error, and the seconds it took.

    Where more than a minute is left, it also says how many.
    """

    def __init__(self, title):
        self.title = title
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Print the epoch, and keep its seconds."""
        self.seconds.append(time.perf_counter() - self.start)
        scores = f"loss {logs['loss']:.4f}"
        if "val_accuracy" in logs:
            scores += f", validation error {100 * (1 - logs['val_accuracy']):5.2f} %"
        elif "accuracy" in logs:
            scores += f", accuracy {logs['accuracy']:.4f}"
        left = (self.params["epochs"] - epoch - 1) * statistics.mean(self.seconds) / 60
        time_left = f", {left:.0f} min left" if left > 1 else ""
        title = f"{self.title}, epoch {epoch + 1:3}"
        print(f"{title}: {scores}  {self.seconds[-1]:.1f} s{time_left}", flush=True)


def error_of(model, x, y):
    """Return how many per cent of the answers are wrong."""
    predicted = model.predict(x, verbose=0).argmax(axis=-1)
    return 100 * float((predicted != y).mean())


def mean_of(values, form=".2f"):
    """Return the mean of several seeds' results, and from where to where they go, as text."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"
