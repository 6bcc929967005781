"""The loops: training, evaluation and prediction, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet import arguments, random
from convlet.augmentation import Augmentation
from convlet.callbacks import Callback, CallbackList, History, ProgressBar, TerminateOnNaN
from convlet.engine import run
from convlet.layers.structures import packed
from convlet.models.data import Batch
from convlet.models.distortion import distorted, distortion_for
from convlet.models.given import given
from convlet.models.interrupt import DeferredInterrupt
from convlet.models.penalties import penalty, with_penalties
from convlet.models.resume import Checkpoint, Script, only_backup
from convlet.models.scores import Scores
from convlet.models.sources import Source, warn_of_the_end
from convlet.models.state import NonFiniteLossError
from convlet.models.validation import (
    check_repeats,
    frequency_of,
    is_due,
    split_off,
    validation_given,
)

if TYPE_CHECKING:
    from convlet.engine import Program, Variable
    from convlet.models.model import Model

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


@dataclass(frozen=True)
class Differentiated:
    """What the program for training computes for a batch.

    Attributes
    ----------
    losses : list of float
        As `evaluation_step` returns them.
    predictions : list of ndarray
    variables : mapping of str to Variable
        All of the program, by path.
    gradients : dict of str to ndarray
        By path, the derivatives of the losses' sum; of no use if that is not finite.
    updates : dict of str to ndarray
        By path, what the step makes of variables without a gradient.
    """

    losses: list[float]
    predictions: list[np.ndarray]
    variables: Mapping[str, Variable]
    gradients: dict[str, np.ndarray]
    updates: dict[str, np.ndarray]


def differentiate(model: Model, batch: Batch) -> Differentiated:
    """Return losses and gradients for a batch; the model stays as it is."""
    program, results, losses = _run_with_loss(model, "train", batch)
    gradients = {path: results[buffer] for path, buffer in program.gradients.items()}
    return Differentiated(
        losses,
        [results[name] for name in program.outputs],
        program.variables,
        with_penalties(gradients, program.variables),
        {path: results[buffer] for path, buffer in program.updates.items()},
    )


def train_step(model: Model, batch: Batch) -> tuple[list[float], list[np.ndarray]]:
    """Make one step; return the batch's losses and predictions, both from before it.

    As `evaluation_step` returns them.

    Raises
    ------
    NonFiniteLossError
        If a loss is not finite, or a weight would not be; the weights are then those with which
        the last finite loss was computed.
    """
    found = differentiate(model, batch)
    total = model.compilation.total(found.losses)
    if not math.isfinite(total):
        model.state.step_back()
        raise NonFiniteLossError(f"the loss became {total}")
    model.state.update(found.variables, found.gradients, found.updates)
    return found.losses, found.predictions


def _callbacks(
    model: Model,
    callbacks: Callback | Iterable[Callback],
    verbose: Any,
    epochs: int,
    steps: int | None,
    owner: str,
    do_validation: bool = False,
) -> CallbackList:
    """Return the user's callbacks and, unless ``verbose`` is 0, a progress bar."""
    if isinstance(verbose, bool):
        verbose = int(verbose)
    if verbose not in _VERBOSE:
        raise arguments.invalid(owner, "verbose", "'auto', 0, 1 or 2", verbose)
    chosen = _as_list(callbacks)
    if verbose != 0 and not any(isinstance(c, ProgressBar) for c in chosen):
        chosen.append(ProgressBar(bars=verbose != 2))
    params = {"epochs": epochs, "steps": steps, "verbose": verbose, "do_validation": do_validation}
    return CallbackList(chosen, model, params)


def _as_list(callbacks: Callback | Iterable[Callback]) -> list[Callback]:
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable):
        raise arguments.invalid("callbacks", "they", "a Callback or a list of them", callbacks)
    return list(callbacks)


def _optional(owner: str, **named: Any) -> list[int | None]:
    """Return integers of at least 1, and None for what was left out."""
    return [
        None if value is None else arguments.integer(owner, name, value)
        for name, value in named.items()
    ]


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
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: Any,
    augmentation: Any,
) -> History:
    """Train a compiled model; see `Model.fit`."""
    epochs = arguments.integer("fit", "epochs", epochs, 0)
    initial_epoch = arguments.integer("fit", "initial_epoch", initial_epoch, 0)
    arguments.boolean("fit", "shuffle", shuffle)
    frequency = frequency_of(validation_freq)
    steps, validation_steps, validation_size = _optional(
        "fit",
        steps_per_epoch=steps_per_epoch,
        validation_steps=validation_steps,
        validation_batch_size=validation_batch_size,
    )
    data = given("fit", x, y, sample_weight, batch_size)
    validation_size = validation_size or data.batch_size
    with model.built_for("fit", data.first_x):
        source, validation = _with_validation(
            model,
            data.source(model, steps),
            validation_data,
            validation_split,
            validation_steps,
            validation_size,
        )
        check_repeats(validation, sum(is_due(frequency, e) for e in range(initial_epoch, epochs)))
        if class_weight is not None:
            source = source.weighted(model, class_weight)
        distortion = distortion_for("fit", augmentation, source.first, model)
        scores = Scores(model.compilation, source.first, _prediction_shapes(model, source))
        history = History()
        told = _callbacks(
            model,
            [*_as_list(callbacks), history],
            verbose,
            epochs,
            source.steps,
            "fit",
            validation is not None,
        )
        resumed, backup = None, only_backup(told.callbacks)
        if backup is not None:
            script = Script(model, source, validation, shuffle, distortion, scores, told.callbacks)
            resumed = script.connect(backup)
    model.history = history
    course = _Course(
        model, source, validation, frequency, shuffle, scores, told, distortion, resumed
    )
    with told, model.being_trained(), DeferredInterrupt() as interrupt:
        _fit_epochs(course, range(initial_epoch, epochs), interrupt)
    if backup is not None and backup.delete_checkpoint:
        backup.discard()
    return history


def _with_validation(
    model: Model, source: Source, data: Any, fraction: float, steps: int | None, batch_size: int
) -> tuple[Source, Source | None]:
    """Return what to train on, and what to validate on if that was given or is split off."""
    if data is not None:
        return source, validation_given(data, batch_size).source(model).once(steps)
    if fraction != 0:
        return split_off(source, fraction, steps, batch_size)
    return source, None


def _prediction_shapes(model: Model, source: Source) -> list[tuple[int, ...]]:
    return model.prediction_shapes([array.shape for array in source.first.x])


@dataclass(frozen=True)
class _Course:
    """What a run of `fit` needs in each epoch."""

    model: Model
    source: Source
    validation: Source | None
    validation_freq: int | Collection[int]
    shuffle: bool
    scores: Scores
    told: CallbackList
    distortion: Augmentation | None
    resumed: Checkpoint | None  # where an earlier process has come


def _fit_epochs(course: _Course, epochs: range, interrupt: DeferredInterrupt) -> None:
    """Train for some epochs, or until a callback or Ctrl-C says stop."""
    logs: dict[str, Any] = {}
    model, resumed, trains = course.model, course.resumed, len(epochs) > 0
    course.told("on_train_begin", {})
    try:
        if resumed is not None:
            course.source.skip(resumed.steps_made)
            epochs = range(resumed.epoch, epochs.stop)
            if not resumed.step or not epochs:
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
    if trains:
        model.state.take_averages(model.named_weights())
    course.told("on_train_end", logs)


def _fit_epoch(course: _Course, epoch: int, interrupt: DeferredInterrupt) -> dict[str, Any]:
    """Go once through the samples, then through those for validation; return the epoch's logs."""
    model, scores, told = course.model, course.scores, course.told
    steps = _begin_epoch(course, epoch)
    if not model.stop_training:
        steps = _fit_steps(course, epoch, steps, interrupt)
    if not course.model.stop_training and steps < (course.source.steps or 1):
        warn_of_the_end("fit", course.source.steps, steps)
        model.stop_training = True
        if steps == 0:
            model.state.epochs -= 1
            return {}
    logs = scores.result()
    if course.validation is not None and is_due(course.validation_freq, epoch):
        of_validation = run_evaluation(model, course.validation, "validation", told, interrupt)
        logs |= {f"val_{name}": value for name, value in of_validation.items()}
    told("on_epoch_end", epoch, logs)
    return logs


def _fit_steps(course: _Course, epoch: int, steps: int, interrupt: DeferredInterrupt) -> int:
    """Make the steps of an epoch behind those that are made; return how many are made then."""
    model, scores, told = course.model, course.scores, course.told
    with closing(_epoch_batches(course, steps)) as batches:
        for step, batch in enumerate(batches, steps):
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
            steps = step + 1
            told("on_train_batch_end", step, scores.result())
            interrupt.check()
            if model.stop_training:
                break
    return steps


def _begin_epoch(course: _Course, epoch: int) -> int:
    """Begin an epoch, or go on within the one that a checkpoint was written in.

    Returns
    -------
    int
        How many of its steps have been made.
    """
    model, resumed = course.model, course.resumed
    course.scores.reset()
    course.told("on_epoch_begin", epoch, {})
    if resumed is not None and resumed.step and resumed.epoch == epoch:
        resumed.restore()
        return resumed.step
    model.state.epochs += 1
    return 0


def _epoch_batches(course: _Course, first: int) -> Generator[Batch, None, None]:
    """Return the batches of an epoch that has begun."""
    state = course.model.state
    seed = state.seed if course.shuffle else None
    with closing(course.source.batches(state.epochs - 1, seed, first)) as batches:
        # Here, by all threads, and not in the one that prepares the next batch: that one would take
        # a processor from the step, whose other threads wait. An epoch of LeNet in batches of 500
        # then took 1.25 times one without distortion, now 1.04.
        yield from distorted(batches, course.distortion, course.model)


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
    source: Source,
    owner: str,
    told: CallbackList,
    interrupt: DeferredInterrupt | None = None,
) -> dict[str, float]:
    """Return loss and metrics over a source's batches.

    Raises
    ------
    ValueError
        If there is no batch, as of a generator that others have exhausted.
    """
    scores = Scores(model.compilation, source.first, _prediction_shapes(model, source))
    told("on_test_begin", {})
    steps = 0
    with closing(source.batches(0, None)) as batches:
        for step, batch in enumerate(batches):
            told("on_test_batch_begin", step, {})
            losses, predictions = evaluation_step(model, batch)
            scores.update(batch, predictions, losses)
            steps = step + 1
            told("on_test_batch_end", step, scores.result())
            if interrupt is not None:
                interrupt.check()
    _check_steps(owner, source, steps)
    told("on_test_end", scores.result())
    return scores.result()


def _check_steps(owner: str, source: Source, steps: int) -> None:
    """Refuse that there was no batch; warn if there were less than wanted."""
    if steps == 0:
        raise ValueError(f"{owner}: the data has ended, there is no batch left")
    if steps < (source.steps or 1):
        warn_of_the_end(owner, source.steps, steps)


def evaluate(
    model: Model,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    sample_weight: Any,
    steps: int | None,
    callbacks: Callback | Iterable[Callback],
) -> dict[str, float]:
    """Return loss and metrics; see `Model.evaluate`."""
    (steps,) = _optional("evaluate", steps=steps)
    data = given("evaluate", x, y, sample_weight, batch_size)
    with model.built_for("evaluate", data.first_x):
        source = data.source(model).once(steps)
    with _callbacks(model, callbacks, verbose, 1, source.steps, "evaluate") as told:
        return run_evaluation(model, source, "evaluate", told)


def predict(
    model: Model,
    x: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    steps: int | None,
    callbacks: Callback | Iterable[Callback],
) -> Any:
    """Return predictions; see `Model.predict`."""
    (steps,) = _optional("predict", steps=steps)
    data = given("predict", x, batch_size=batch_size)
    with model.built_for("predict", data.first_x):
        source = data.source(model, targets=False).once(steps)
    with _callbacks(model, callbacks, verbose, 1, source.steps, "predict") as told:
        told("on_predict_begin", {})
        predictions = _predictions(model, source, told)
        told("on_predict_end", {})
    _check_steps("predict", source, len(predictions))
    whole = [_together(of_output) for of_output in zip(*predictions, strict=True)]
    return packed(model.output_form, whole)


def _predictions(model: Model, source: Source, told: CallbackList) -> list[list[np.ndarray]]:
    """Return the predictions of each batch, one array for each output."""
    predictions = []
    with closing(source.batches(0, None)) as batches:
        for step, batch in enumerate(batches):
            told("on_predict_batch_begin", step, {})
            predictions.append(predict_step(model, batch.x))
            outputs = packed(model.output_form, predictions[-1])
            told("on_predict_batch_end", step, {"outputs": outputs})
    return predictions


def _together(predictions: Sequence[np.ndarray]) -> np.ndarray:
    """Return the predictions of all batches in one array."""
    shapes = sorted({array.shape[1:] for array in predictions})
    if len(shapes) > 1:
        raise ValueError(
            "predict: all batches must give predictions of one shape, got "
            f"{shapes[0]} and {shapes[-1]}; predict_on_batch takes them one by one"
        )
    return np.concatenate(predictions)
