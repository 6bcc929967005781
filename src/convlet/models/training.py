"""The loops: training, evaluation and prediction, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.callbacks import Callback, CallbackList, History, ProgressBar
from convlet.engine import run
from convlet.models.data import Batch, Samples, as_floats, check_images, check_samples, split
from convlet.models.interrupt import DeferredInterrupt
from convlet.models.state import NonFiniteLossError

DEFAULT_BATCH_SIZE = 32
_VERBOSE = ("auto", 0, 1, 2)


def predict_step(model: Any, x: np.ndarray) -> np.ndarray:
    """Return the prediction for a batch of converted images."""
    program = model.program("predict", x.shape[1:])
    return run(program, {"input": x})[program.output]


def _run_with_loss(model: Any, mode: str, batch: Batch) -> tuple[Any, dict[str, np.ndarray], float]:
    program = model.program(mode, batch.x.shape[1:])
    feeds = {
        "input": batch.x,
        "targets": batch.y,
        "weights": batch.weights,
        "random": model.state.random_key(),
    }
    results = run(program, {name: feeds[name] for name in program.feeds})
    values = results[program.loss]
    with np.errstate(over="ignore", invalid="ignore"):
        return program, results, float(values.sum(dtype=np.float64) / values.size)


def test_step(model: Any, batch: Batch) -> tuple[float, np.ndarray]:
    """Return the loss of a batch and its prediction."""
    program, results, loss = _run_with_loss(model, "evaluate", batch)
    return loss, results[program.output]


def train_step(model: Any, batch: Batch) -> tuple[float, np.ndarray]:
    """Make one step; return the batch's loss and prediction, both from before it.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite, or a weight would not be; the weights are then those with which
        the last finite loss was computed.
    """
    program, results, loss = _run_with_loss(model, "train", batch)
    if not math.isfinite(loss):
        model.state.step_back()
        raise NonFiniteLossError(f"the loss became {loss}")
    gradients = {path: results[buffer] for path, buffer in program.gradients.items()}
    model.state.update(model.optimizer, program.variables, gradients)
    return loss, results[program.output]


def _callbacks(
    model: Any, callbacks: Iterable[Callback], verbose: Any, epochs: int, steps: int, owner: str
) -> CallbackList:
    """Return the user's callbacks and, unless ``verbose`` is 0, a progress bar."""
    if isinstance(verbose, bool):
        verbose = int(verbose)
    if verbose not in _VERBOSE:
        raise arguments.invalid(owner, "verbose", "'auto', 0, 1 or 2", verbose)
    chosen = list(callbacks)
    if verbose != 0 and not any(isinstance(c, ProgressBar) for c in chosen):
        chosen.append(ProgressBar(bars=verbose != 2))
    return CallbackList(chosen, model, {"epochs": epochs, "steps": steps, "verbose": verbose})


def _batch_size(owner: str, batch_size: int | None) -> int:
    if batch_size is None:
        return DEFAULT_BATCH_SIZE
    return arguments.integer(owner, "batch_size", batch_size)


def _steps(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def _validation_samples(
    model: Any, samples: Samples, fraction: float, data: Any
) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those to validate on."""
    if data is not None:
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(
                "fit: validation_data must be a tuple (x, y) or (x, y, sample_weight), "
                f"got {type(data).__name__}"
            )
        x, y, *weight = data
        return samples, check_samples(
            "fit (validation_data)", x, y, weight[0] if weight else None, None, model
        )
    if fraction == 0:
        return samples, None
    return split("fit", samples, fraction)


def fit(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Iterable[Callback],
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
    sample_weight: Any,
    initial_epoch: int,
) -> History:
    """Train a compiled model; see `Model.fit`."""
    batch_size = _batch_size("fit", batch_size)
    epochs = arguments.integer("fit", "epochs", epochs, 0)
    initial_epoch = arguments.integer("fit", "initial_epoch", initial_epoch, 0)
    arguments.boolean("fit", "shuffle", shuffle)
    samples = check_samples("fit", x, y, sample_weight, class_weight, model)
    samples, validation = _validation_samples(model, samples, validation_split, validation_data)
    history = model.history = History()
    steps = _steps(len(samples), batch_size)
    told = _callbacks(model, [history, *callbacks], verbose, epochs, steps, "fit")
    model.stop_training = False
    with told, DeferredInterrupt() as interrupt:
        told("on_train_begin", None)
        try:
            for epoch in range(initial_epoch, epochs):
                _fit_epoch(model, samples, validation, batch_size, shuffle, told, interrupt, epoch)
                if model.stop_training:
                    break
        finally:
            told("on_train_end", None)
    return history


def _fit_epoch(
    model: Any,
    samples: Samples,
    validation: Samples | None,
    batch_size: int,
    shuffle: bool,
    told: CallbackList,
    interrupt: DeferredInterrupt,
    epoch: int,
) -> None:
    """Go once through the samples, then through those for validation."""
    order = None
    if shuffle:
        order = random.generator(model.state.seed, model.state.epochs).permutation(len(samples))
    model.state.epochs += 1
    model.scores.reset()
    told("on_epoch_begin", epoch, None)
    for step, batch in enumerate(samples.batches(batch_size, order)):
        told("on_train_batch_begin", step, None)
        try:
            loss, prediction = train_step(model, batch)
        except NonFiniteLossError as error:
            raise _explained(error, epoch, step, model.optimizer.learning_rate) from None
        model.scores.update(batch, prediction, loss)
        told("on_train_batch_end", step, model.scores.result())
        interrupt.check()
        if model.stop_training:
            break
    logs = model.scores.result()
    if validation is not None:
        scores = run_evaluation(model, validation, batch_size, told)
        logs |= {f"val_{name}": value for name, value in scores.items()}
    told("on_epoch_end", epoch, logs)


def _explained(
    error: NonFiniteLossError, epoch: int, step: int, learning_rate: float
) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"fit: {error} at epoch {epoch + 1}, step {step + 1}; training stopped and the weights are "
        "those with which the last finite loss was computed. A smaller learning rate "
        f"(now {learning_rate:g}) or smaller inputs often help"
    )


def run_evaluation(
    model: Any, samples: Samples, batch_size: int, told: CallbackList
) -> dict[str, float]:
    """Return loss and metrics over checked samples."""
    model.scores.reset()
    told("on_test_begin", None)
    for step, batch in enumerate(samples.batches(batch_size)):
        told("on_test_batch_begin", step, None)
        loss, prediction = test_step(model, batch)
        model.scores.update(batch, prediction, loss)
        told("on_test_batch_end", step, model.scores.result())
    scores = model.scores.result()
    told("on_test_end", scores)
    return scores


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    sample_weight: Any,
    callbacks: Iterable[Callback],
) -> dict[str, float]:
    """Return loss and metrics; see `Model.evaluate`."""
    batch_size = _batch_size("evaluate", batch_size)
    samples = check_samples("evaluate", x, y, sample_weight, None, model)
    steps = _steps(len(samples), batch_size)
    with _callbacks(model, callbacks, verbose, 1, steps, "evaluate") as told:
        return run_evaluation(model, samples, batch_size, told)


def predict(
    model: Any, x: Any, *, batch_size: int | None, verbose: Any, callbacks: Iterable[Callback]
) -> np.ndarray:
    """Return predictions; see `Model.predict`."""
    batch_size = _batch_size("predict", batch_size)
    images = check_images("predict", x, model.input_shape, model.dtype)
    steps = _steps(len(images), batch_size)
    predictions = []
    with _callbacks(model, callbacks, verbose, 1, steps, "predict") as told:
        told("on_predict_begin", None)
        for step in range(steps):
            told("on_predict_batch_begin", step, None)
            rows = slice(step * batch_size, (step + 1) * batch_size)
            predictions.append(predict_step(model, as_floats(images[rows], model.dtype)))
            told("on_predict_batch_end", step, None)
        told("on_predict_end", None)
    return np.concatenate(predictions)
