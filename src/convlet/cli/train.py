"""``convlet train``: train a network and save it."""

from __future__ import annotations

import secrets
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convlet import NonFiniteLossError, applications, optimizers, utils
from convlet.augmentation import (
    Augmentation,
    RandomGain,
    RandomRotation,
    RandomShift,
    RandomStretch,
    RandomTranslation,
    RandomZoom,
)
from convlet.callbacks import Callback, EarlyStopping, ProgressBar
from convlet.cli import network, output
from convlet.cli.checkpoint import Resumption, open_checkpoint
from convlet.cli.data import SERIES_AXES, first_samples, give_names, open_data, targets_for
from convlet.cli.evaluate import print_scores
from convlet.cli.options import INTERRUPTED, SEEDS, FiniteRange, ImageSize, examples, lines
from convlet.cli.report import console, counted, duration, size
from convlet.datasets import DataSet
from convlet.models.data import check_samples


@dataclass(frozen=True)
class _Course:
    """What is trained on what, for how long, and where it goes."""

    model: Any
    data: DataSet
    epochs: int
    batch_size: int
    validation_split: float
    augmentation: list[Augmentation] | None
    patience: int | None
    path: Path
    resumption: Resumption | None


@click.command(
    short_help="Train a network and save it.",
    epilog=lines("Networks:", *applications.BY_NAME)
    + "\n\n"
    + examples(
        "convlet train digits",
        "convlet train mnist/ --limit 5000 --epochs 3",
        "convlet train photos/ --image-size 32x32",
        "convlet train mnist/ --model lecture-lenet --out lecture.safetensors",
        "convlet train digits --model digits.safetensors --learning-rate 0.002",
    ),
)
@click.argument("source", metavar="DATA")
@click.option(
    "--model",
    metavar="NAME|FILE",
    help=f"Network to train, by its name (see below), or a {network.FILE} to go on with. By "
    "default what suits the samples' size.",
)
@click.option("--epochs", type=click.IntRange(1), help="How often to go through the samples.")
@click.option("--batch-size", type=click.IntRange(1), help="Samples in a step.")
@click.option(
    "--optimizer",
    type=click.Choice(optimizers.NAMES),
    help="How weights follow their gradients, sgd by default; another one has a learning rate of "
    "its own.",
)
@click.option("--learning-rate", type=FiniteRange(0, min_open=True), help="Length of a step.")
@click.option(
    "--momentum", type=FiniteRange(0, 1, max_open=True), help="Share of a step that the next keeps."
)
@click.option(
    "--validation-split",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    help="Share of the samples, the last ones, to validate on after each epoch.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Number that all random draws follow from. Drawn, and printed, if left out.",
)
@click.option(
    "--augment",
    is_flag=True,
    help="Distort each sample anew in every epoch: images turned by up to 10 degrees, moved and "
    "zoomed by up to a tenth of their size; sounds moved by up to a tenth of their length, up to "
    "15 % faster or slower, up to 6 dB louder or softer.",
)
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Stop when the loss on the validation samples has not fallen for so many epochs, and keep "
    "the best epoch's weights.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Keep a checkpoint beside the output file, and go on from it if it is there: the same "
    "command, started again, ends as if it had never been stopped.",
)
@click.option(
    "--image-size",
    type=ImageSize(),
    help="Size to bring a folder's images to, for a new network; by default their own.",
)
@click.option("--limit", type=click.IntRange(1), help="Train on the first so many samples only.")
@click.option(
    "--out",
    metavar="FILE",
    help=f"Where to save the network; a file that is there is replaced. By default the data's name "
    f"with {network.SUFFIX}, here.",
)
def train(
    source: str,
    model: str | None,
    epochs: int | None,
    batch_size: int | None,
    optimizer: str | None,
    learning_rate: float | None,
    momentum: float | None,
    validation_split: float,
    seed: int | None,
    augment: bool,
    patience: int | None,
    resume: bool,
    image_size: tuple[int, int] | None,
    limit: int | None,
    out: str | None,
) -> None:
    """Train a network on DATA and save it.

    DATA is the word digits (handwritten digits of 8x8 pixels, from scikit-learn), mnist,
    fashion-mnist, kmnist, cifar10, cifar100 or fsdd (spoken digits), which are downloaded once; a
    folder of images or of WAV files; a folder with the four files of MNIST; or a .npz file with
    x_train, y_train, x_test and y_test, or x and y, of images or of series of numbers.

    A folder has a sub-folder for each class, in it or in its sub-folders train and test; or a table
    labels.csv with a file and a label in each line. Images that differ in size need --image-size.
    WAV files, of one sampling rate, are brought to the length of the longest, or to that which a
    network from a file takes.

    Samples that come class by class are mixed, so that --limit and --validation-split take fair
    parts of them.

    Epochs, batch size, learning rate and momentum have defaults that suit the network; one from a
    file keeps the optimizer, the learning rate and the momentum that it was trained with. Ctrl-C
    stops after the current step and saves what has been learned; with --resume, even a run that was
    killed goes on.
    """
    if patience is not None and validation_split == 0:
        raise click.UsageError("--patience needs --validation-split.")
    drawn = secrets.randbelow(SEEDS) if seed is None else seed
    is_saved = model is not None and model.endswith(network.SUFFIXES)
    if model is not None and is_saved:
        _check_for_saved(optimizer, image_size)
        trained, data = _saved(model, source, seed, learning_rate, momentum)
    else:
        trained, data = _new(model, source, drawn, optimizer, image_size, learning_rate, momentum)
    path = output.checked_path(out, data.name)
    resumption = open_checkpoint(path, model, seed) if resume else None
    if is_saved:
        origin = f"{model}, trained for {counted(trained.state.epochs, 'epoch')} so far"
    else:
        begun = resumption.seed if resumption else None
        origin = f"{trained.name}, seed {drawn if begun is None else begun}"
    recipe = network.recipe_for(trained)
    course = _Course(
        model=trained,
        data=first_samples(data, limit),
        epochs=epochs or recipe.epochs,
        batch_size=batch_size or recipe.batch_size,
        validation_split=validation_split,
        augmentation=_distortions(data) if augment else None,
        patience=patience,
        path=path,
        resumption=resumption,
    )
    give_names(trained, data)
    _check_test_part(trained, data)
    _announce(course, origin)
    _fit(course)
    trained.save(course.path)
    if resumption is not None:
        resumption.backup.discard()
    click.echo(f"Saved in {course.path} ({course.path.stat().st_size / 1024:,.0f} KB)")
    print_scores(trained, course.data)
    _suggest(course, source)


def _check_for_saved(optimizer: str | None, image_size: tuple[int, int] | None) -> None:
    """Refuse what a network from a file brings itself."""
    if optimizer is not None:
        raise click.UsageError("--optimizer is for new networks; a saved one goes on with its own.")
    if image_size is not None:
        raise click.UsageError("--image-size is for new networks; a saved one has its own.")


def _check_test_part(model: Any, data: DataSet) -> None:
    """Say what does not fit before hours of training, not after."""
    if data.x_test is not None and data.y_test is not None:
        y_test = targets_for(model, data.y_test)
        check_samples(f"{data.name} (test part)", data.x_test, y_test, None, model)


def _distortions(data: DataSet) -> list[Augmentation]:
    """Return what suits most sounds, or most images of things that are seen one way up."""
    if data.x_train.ndim - 1 == SERIES_AXES:
        return [RandomStretch(0.15), RandomShift(0.1), RandomGain(6)]
    return [
        RandomRotation(10 / 360, fill_mode="nearest"),
        RandomZoom(0.1, fill_mode="nearest"),
        RandomTranslation(0.1, 0.1, fill_mode="nearest"),
    ]


def _new(
    name: str | None,
    source: str,
    seed: int,
    optimizer: str | None,
    image_size: tuple[int, int] | None,
    learning_rate: float | None,
    momentum: float | None,
) -> tuple[Any, DataSet]:
    """Return a new network and its data."""
    if name is not None and name not in applications.BY_NAME:
        raise click.BadParameter(
            f"{name!r} is neither {', '.join(applications.BY_NAME)} nor a {network.FILE}.",
            param_hint="'--model'",
        )
    data = open_data(source, None, image_size, network.axes_for(name))
    utils.set_random_seed(seed)
    return network.new(name, data, learning_rate, momentum, optimizer), data


def _saved(
    path: str, source: str, seed: int | None, learning_rate: float | None, momentum: float | None
) -> tuple[Any, DataSet]:
    """Return a network from a file and its data."""
    if seed is not None:
        raise click.UsageError("--seed is for new networks; a saved one goes on with its own.")
    model = network.load(path)
    network.override(model, learning_rate, momentum)
    return model, open_data(source, model)


def _announce(course: _Course, origin: str) -> None:
    """Print what is trained on what."""
    data, model, optimizer = course.data, course.model, course.model.optimizer
    tests = "no test part" if data.x_test is None else f"{len(data.x_test):,} to test on"
    how = "" if isinstance(optimizer, optimizers.SGD) else f"{type(optimizer).__name__}, "
    settings = f"batch size {course.batch_size}, {how}learning rate {optimizer.learning_rate:g}"
    if hasattr(optimizer, "momentum"):
        settings += f", momentum {optimizer.momentum:g}"
    click.echo(
        f"Data:     {data.name}, {counted(len(data.x_train), 'sample')} of "
        f"{size(data.x_train.shape[1:])} to train on, {tests}, {model.output_shape[-1]} classes\n"
        f"Network:  {origin}, {model.count_params():,} parameters\n"
        f"Training: {counted(course.epochs, 'epoch')}, {settings}"
        + (", samples distorted" if course.augmentation else "")
    )
    if course.path.exists():
        click.echo(f"Output:   {course.path}, in place of the file that is there")
    if course.resumption is not None:
        course.resumption.announce()


def _fit(course: _Course) -> None:
    """Train, and save what there is if that ends early."""
    model, data = course.model, course.data
    steps_before = model.state.iterations
    start = time.perf_counter()
    try:
        with _ending_like_ctrl_c():
            model.fit(
                data.x_train,
                targets_for(model, data.y_train),
                batch_size=course.batch_size,
                epochs=course.epochs,
                validation_split=course.validation_split,
                augmentation=course.augmentation,
                callbacks=_callbacks(course),
            )
    except KeyboardInterrupt:
        if model.state.iterations == steps_before:
            raise  # nothing was learned that would be worth a file
        model.save(course.path)
        epoch = len(model.history.epoch) + 1
        hint = "" if course.resumption is None else "; the same command goes on with the training"
        click.echo(
            f"\nInterrupted in epoch {epoch}; the model so far is in {course.path}{hint}", err=True
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    except (OSError, MemoryError, SystemExit):
        # also a reader of the output that has gone away, for which rich ends the program
        if model.state.iterations > steps_before:
            model.save(course.path)
            click.echo(f"\nStopped early; the model so far is in {course.path}", err=True)
        raise
    except NonFiniteLossError as error:
        path = output.last_good(course.path)
        model.save(path)
        raise click.ClickException(f"{error}. The last good weights are in {path}") from None
    seconds = time.perf_counter() - start
    epochs = len(model.history.epoch) - (course.resumption.epoch if course.resumption else 0)
    each = f", {seconds / epochs:.2f} s an epoch" if epochs else ""
    click.echo(f"Trained in {duration(seconds)}{each}")


def _callbacks(course: _Course) -> list[Callback]:
    """Return what acts while the network trains."""
    chosen: list[Callback] = [ProgressBar(console=console())]
    if course.patience is not None:
        chosen.append(EarlyStopping(patience=course.patience, verbose=1, restore_best_weights=True))
    if course.resumption is not None:
        chosen.append(course.resumption.backup)
    return chosen


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Treat a request to end, or a terminal that is closed, as Ctrl-C: the model is kept."""
    before = {
        number: signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _suggest(course: _Course, source: str) -> None:
    """Print what can be done with the network."""
    path = shlex.quote(str(course.path))
    sample = "SAMPLES.npy" if course.model.preprocessing is None else "IMAGE.png"
    if course.data.sampling_rate is not None:
        sample = "SOUND.wav"
    click.echo(
        f"\nGo on with:\n"
        f"  convlet evaluate {path} {shlex.quote(source)}\n"
        f"  convlet predict {path} {sample}\n"
        f"  convlet summary {path}"
    )
