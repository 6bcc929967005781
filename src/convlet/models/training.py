"""The loops: training, evaluation and prediction, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments, random
from convlet.augmentation import Augmentation
from convlet.callbacks import Callback, CallbackList, History, ProgressBar, TerminateOnNaN
from convlet.engine import run
from convlet.layers.structures import packed
from convlet.models.data import (
    Batch,
    Samples,
    check_inputs,
    check_samples,
    in_float_type,
    split,
    with_class_weights,
)
from convlet.models.distortion import distorter, distortion_for
from convlet.models.interrupt import DeferredInterrupt
from convlet.models.penalties import penalty, with_penalties
from convlet.models.resume import Checkpoint, Script, only_backup
from convlet.models.scores import Scores
from convlet.models.state import NonFiniteLossError

if TYPE_CHECKING:
    from convlet.engine import Program
    from convlet.models.model import Model

DEFAULT_BATCH_SIZE = 32
_VERBOSE = ("auto", 0, 1, 2)


def predict_step(model: Model, x: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the predictions for a batch of converted images, one array for each output."""
    program = model.program("predict", *[array.shape[1:] for array in x])
    feeds = dict(zip(program.inputs, x, strict=True))
    if "random" in program.feeds:  # a layer that was told to do what it does in training
        feeds["random"] = np.array([random.next_seed(), 0], np.uint64)
    results = run(program, feeds)
    return [_apart_from(x, results[name]) for name in program.outputs]


def _apart_from(x: Sequence[np.ndarray], prediction: np.ndarray) -> np.ndarray:
    """Return a prediction as an array of its own.

    A network that only reshapes hands its input back, which may be the user's own array.
    """
    for array in x:
        if np.may_share_memory(prediction, array):
            return prediction.copy()
    return prediction


def _run_with_loss(
    model: Model, mode: str, batch: Batch
) -> tuple[Program, dict[str, np.ndarray], list[float]]:
    """Return the program, its results, and the losses.

    One for each output, 0 where there is none, and in the end the sum of all penalties.
    """
    program = model.program(mode, *[array.shape[1:] for array in batch.x])
    feeds = dict(zip(program.inputs, batch.x, strict=True))
    told = model.compilation.losses
    columns = zip(program.loss_feeds, told, program.outputs, batch.y, batch.weights, strict=True)
    for names, loss, output, y, weights in columns:
        if names is not None:
            assert loss is not None
            assert y is not None  # there are targets and weights where there is a loss
            assert weights is not None
            shape = (len(batch), *program.buffers[output].shape)
            feeds |= dict(zip(names, loss.feeds(y, weights, shape), strict=True))
    if "random" in program.feeds:
        feeds["random"] = model.state.random_key()
    results = run(program, feeds)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [
            0.0 if name is None else float(results[name].sum(dtype=np.float64))
            for name in program.losses
        ]
        of_outputs = sum(float(results[name]) for name in program.penalties)
    return program, results, [*losses, penalty(program.variables) + of_outputs]


def evaluation_step(model: Model, batch: Batch) -> tuple[list[float], list[np.ndarray]]:
    """Return the losses of a batch, the penalties the last, and its predictions."""
    program, results, losses = _run_with_loss(model, "evaluate", batch)
    return losses, [results[name] for name in program.outputs]


def train_step(model: Model, batch: Batch) -> tuple[list[float], list[np.ndarray]]:
    """Make one step; return the batch's losses and predictions, both from before it.

    As `evaluation_step` returns them.

    Raises
    ------
    NonFiniteLossError
        If a loss is not finite, or a weight would not be; the weights are then those with which
        the last finite loss was computed.
    """
    program, results, losses = _run_with_loss(model, "train", batch)
    total = sum(losses)
    if not math.isfinite(total):
        model.state.step_back()
        raise NonFiniteLossError(f"the loss became {total}")
    gradients = {path: results[buffer] for path, buffer in program.gradients.items()}
    updates = {path: results[buffer] for path, buffer in program.updates.items()}
    gradients = with_penalties(gradients, program.variables)
    model.state.update(program.variables, gradients, updates)
    return losses, [results[name] for name in program.outputs]


def _callbacks(
    model: Model,
    callbacks: Callback | Iterable[Callback],
    verbose: Any,
    epochs: int,
    steps: int,
    owner: str,
) -> CallbackList:
    """Return the user's callbacks and, unless ``verbose`` is 0, a progress bar."""
    if isinstance(verbose, bool):
        verbose = int(verbose)
    if verbose not in _VERBOSE:
        raise arguments.invalid(owner, "verbose", "'auto', 0, 1 or 2", verbose)
    chosen = _as_list(callbacks)
    if verbose != 0 and not any(isinstance(c, ProgressBar) for c in chosen):
        chosen.append(ProgressBar(bars=verbose != 2))
    return CallbackList(chosen, model, {"epochs": epochs, "steps": steps, "verbose": verbose})


def _as_list(callbacks: Callback | Iterable[Callback]) -> list[Callback]:
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable):
        raise arguments.invalid("callbacks", "they", "a Callback or a list of them", callbacks)
    return list(callbacks)


def _batch_size(owner: str, batch_size: int | None) -> int:
    if batch_size is None:
        return DEFAULT_BATCH_SIZE
    return arguments.integer(owner, "batch_size", batch_size)


def _steps(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def _validation_samples(
    model: Model, samples: Samples, fraction: float, data: Any
) -> tuple[Samples, Samples | None]:
    """Return the samples to train on and those to validate on."""
    if data is not None:
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(
                "fit: validation_data must be a tuple (x, y) or (x, y, sample_weight), "
                f"got {type(data).__name__}"
            )
        x, y, *weight = data
        weights = weight[0] if weight else None
        return samples, check_samples("fit (validation_data)", x, y, weights, model)
    if fraction == 0:
        return samples, None
    return split("fit", samples, fraction)


def fit(
    model: Model,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Callback | Iterable[Callback],
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
    sample_weight: Any,
    initial_epoch: int,
    augmentation: Any,
) -> History:
    """Train a compiled model; see `Model.fit`."""
    batch_size = _batch_size("fit", batch_size)
    epochs = arguments.integer("fit", "epochs", epochs, 0)
    initial_epoch = arguments.integer("fit", "initial_epoch", initial_epoch, 0)
    arguments.boolean("fit", "shuffle", shuffle)
    with model.built_for("fit", x):
        samples = check_samples("fit", x, y, sample_weight, model)
        samples, validation = _validation_samples(model, samples, validation_split, validation_data)
        shapes = model.prediction_shapes([array.shape for array in samples.x])
        if class_weight is not None:
            loss = model.compilation.losses[0]
            samples = with_class_weights("fit", samples, class_weight, shapes[0], loss)
        distortion = distortion_for("fit", augmentation, samples, model)
        scores = Scores(model.compilation, samples, shapes)
        history = History()
        steps = _steps(len(samples), batch_size)
        told = _callbacks(model, [*_as_list(callbacks), history], verbose, epochs, steps, "fit")
        resumed, backup = None, only_backup(told.callbacks)
        if backup is not None:
            script = Script(
                model, samples, validation, batch_size, shuffle, distortion, scores, told.callbacks
            )
            resumed = script.connect(backup)
    model.history = history
    course = _Course(
        model, samples, validation, batch_size, shuffle, scores, told, distortion, resumed
    )
    with told, model.being_trained(), DeferredInterrupt() as interrupt:
        _fit_epochs(course, range(initial_epoch, epochs), interrupt)
    if backup is not None and backup.delete_checkpoint:
        backup.discard()
    return history


@dataclass(frozen=True)
class _Course:
    """What a run of `fit` needs in each epoch."""

    model: Model
    samples: Samples
    validation: Samples | None
    batch_size: int
    shuffle: bool
    scores: Scores
    told: CallbackList
    distortion: Augmentation | None
    resumed: Checkpoint | None  # where an earlier process has come


def _fit_epochs(course: _Course, epochs: range, interrupt: DeferredInterrupt) -> None:
    """Train for some epochs, or until a callback or Ctrl-C says stop."""
    logs: dict[str, Any] = {}
    model, resumed = course.model, course.resumed
    course.told("on_train_begin", {})
    try:
        if resumed is not None:
            epochs = range(resumed.epoch, epochs.stop)
            if not resumed.step:
                logs = resumed.restore()
                if model.stop_training:
                    epochs = range(0)
        for epoch in epochs:
            logs = _fit_epoch(course, epoch, interrupt)
            if model.stop_training:
                break
    except KeyboardInterrupt:
        course.told("on_train_end", logs)
        raise
    course.model.state.take_averages(course.model.named_weights())
    course.told("on_train_end", logs)


def _fit_epoch(course: _Course, epoch: int, interrupt: DeferredInterrupt) -> dict[str, Any]:
    """Go once through the samples, then through those for validation; return the epoch's logs."""
    model, scores, told = course.model, course.scores, course.told
    for step, batch in _epoch_batches(course, epoch):
        told("on_train_batch_begin", step, {})
        try:
            losses, predictions = train_step(model, batch)
        except NonFiniteLossError as error:
            if not any(isinstance(callback, TerminateOnNaN) for callback in told.callbacks):
                place = f" at epoch {epoch + 1}, step {step + 1}; training stopped"
                raise explained("fit", error, model, place) from None
            scores.spoil()
        else:
            scores.update(batch, predictions, losses)
        told("on_train_batch_end", step, scores.result())
        interrupt.check()
        if model.stop_training:
            break
    logs = scores.result()
    if course.validation is not None:
        validation = course.validation
        of_validation = run_evaluation(model, validation, course.batch_size, told, interrupt)
        logs |= {f"val_{name}": value for name, value in of_validation.items()}
    told("on_epoch_end", epoch, logs)
    return logs


def _epoch_batches(course: _Course, epoch: int) -> Iterable[tuple[int, Batch]]:
    """Begin an epoch, or go on within the one that a checkpoint was written in; number its batches.

    Returns
    -------
    iterable of (int, Batch)
    """
    model, resumed, first = course.model, course.resumed, 0
    course.scores.reset()
    course.told("on_epoch_begin", epoch, {})
    if resumed is not None and resumed.step and resumed.epoch == epoch:
        resumed.restore()
        first = resumed.step
        if model.stop_training:
            return ()
    else:
        model.state.epochs += 1
    order, distort = _order(course), distorter(course.distortion, model)
    batches = course.samples.batches(course.batch_size, order, distort, first)
    return enumerate(batches, first)


def _order(course: _Course) -> np.ndarray | None:
    """Return the order of an epoch's samples, None for that in which they came."""
    state = course.model.state
    if not course.shuffle:
        return None
    return random.generator(state.seed, state.epochs - 1).permutation(len(course.samples))


def explained(
    owner: str, error: NonFiniteLossError, model: Model, place: str = ""
) -> NonFiniteLossError:
    """Return the error with who met it, where, and what helps."""
    return NonFiniteLossError(
        f"{owner}: {error}{place}; the weights are those with which the last finite loss was "
        f"computed. A smaller learning rate (now {model.optimizer.learning_rate:g}) or smaller "
        "inputs often help"
    )


def run_evaluation(
    model: Model,
    samples: Samples,
    batch_size: int,
    told: CallbackList,
    interrupt: DeferredInterrupt | None = None,
) -> dict[str, float]:
    """Return loss and metrics over checked samples."""
    shapes = model.prediction_shapes([array.shape for array in samples.x])
    scores = Scores(model.compilation, samples, shapes)
    told("on_test_begin", {})
    for step, batch in enumerate(samples.batches(batch_size)):
        told("on_test_batch_begin", step, {})
        losses, predictions = evaluation_step(model, batch)
        scores.update(batch, predictions, losses)
        told("on_test_batch_end", step, scores.result())
        if interrupt is not None:
            interrupt.check()
    told("on_test_end", scores.result())
    return scores.result()


def evaluate(
    model: Model,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    sample_weight: Any,
    callbacks: Callback | Iterable[Callback],
) -> dict[str, float]:
    """Return loss and metrics; see `Model.evaluate`."""
    batch_size = _batch_size("evaluate", batch_size)
    with model.built_for("evaluate", x):
        samples = check_samples("evaluate", x, y, sample_weight, model)
    steps = _steps(len(samples), batch_size)
    with _callbacks(model, callbacks, verbose, 1, steps, "evaluate") as told:
        return run_evaluation(model, samples, batch_size, told)


def predict(
    model: Model,
    x: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    callbacks: Callback | Iterable[Callback],
) -> Any:
    """Return predictions; see `Model.predict`."""
    batch_size = _batch_size("predict", batch_size)
    with model.built_for("predict", x):
        images = check_inputs("predict", x, model)
    steps = _steps(len(images[0]), batch_size)
    predictions = []
    with _callbacks(model, callbacks, verbose, 1, steps, "predict") as told:
        told("on_predict_begin", {})
        for step in range(steps):
            told("on_predict_batch_begin", step, {})
            rows = slice(step * batch_size, (step + 1) * batch_size)
            batch = [in_float_type(array[rows], model.dtype) for array in images]
            predictions.append(predict_step(model, batch))
            outputs = packed(model.output_form, predictions[-1])
            told("on_predict_batch_end", step, {"outputs": outputs})
        told("on_predict_end", {})
    whole = [np.concatenate(of_output) for of_output in zip(*predictions, strict=True)]
    return packed(model.output_form, whole)
