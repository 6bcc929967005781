"""``convlet bench``: how fast a network runs here, and where its time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from convlet import applications, config, optimizers
from convlet.cli import network
from convlet.cli.options import examples, lines
from convlet.cli.report import console, counted, printable, size, warn
from convlet.engine import profiler
from convlet.engine.execute import executor_for
from convlet.losses import SparseCategoricalCrossentropy
from convlet.models import training
from convlet.models.data import Batch, check_samples

_OPEN_SIZE = 32  # stands for each size that a network leaves open
_WARM_UP = 2  # steps that do not count: plans are made, memory is fetched
_LEARNING_RATE = 1e-9  # random targets teach nothing: the weights shall stay what they are
_BUSY = 0.85  # of the processors; given less, NumPy shared them with somebody
_BAR = 16  # characters for the longest time
_PRODUCT = f"two {profiler.PRODUCT_SIZE} x {profiler.PRODUCT_SIZE} matrices"


@dataclass(frozen=True)
class _Task:
    """A step to be measured: a network and its batch."""

    model: Any
    mode: str
    batch: Batch

    @property
    def program(self) -> Any:
        return self.model.program(self.mode, self.batch.x[0].shape[1:])

    @property
    def executor(self) -> str:
        return executor_for(self.program, self.model.dtype)

    def step(self) -> None:
        """Do what `fit` or `predict` does with a batch."""
        if self.mode == "train":
            training.train_step(self.model, self.batch)
        else:
            training.predict_step(self.model, self.batch.x)

    def feeds(self) -> dict[str, np.ndarray]:
        """Return what the program reads."""
        feeds = {"input": self.batch.x[0]}
        if self.mode == "train":
            (y,), (weights,) = self.batch.y, self.batch.weights
            assert y is not None  # a network that is trained has a loss
            assert weights is not None
            feeds |= {"targets": y, "weights": weights / len(self.batch)}
            feeds["random"] = self.model.state.random_key()
        return feeds


@click.command(
    short_help="Measure how fast a network runs.",
    epilog=lines("Networks:", *applications.BY_NAME)
    + "\n\n"
    + examples(
        "convlet bench",
        "convlet bench --profile",
        "convlet bench --network small-lenet --batch-size 32 --threads 1",
        "convlet bench --network digits.safetensors --mode predict --batch-size 1",
    ),
)
@click.option(
    "--network",
    "name",
    metavar="NAME|FILE",
    default="lenet-20-50-500",
    show_default=True,
    help=f"Network to run, by its name (see below), or a {network.FILE}.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Samples in a step.",
)
@click.option(
    "--mode",
    type=click.Choice(["train", "predict"]),
    default="train",
    show_default=True,
    help="What a step does.",
)
@click.option("--threads", type=click.IntRange(1, 1024), help="By default one for each processor.")
@click.option(
    "--repeat", type=click.IntRange(1), default=20, show_default=True, help="Steps to measure."
)
@click.option("--profile", is_flag=True, help="Show what each stage of the program takes.")
def bench(
    name: str, batch_size: int, mode: str, threads: int | None, repeat: int, profile: bool
) -> None:
    """Measure how long steps of a network take, beside what this machine could do.

    A step is what training or prediction does with a batch, here one of random numbers. The peak
    that it is compared with is the product of two large matrices by NumPy, measured in the same
    run; operations are two for each multiply-add of convolutions and dense layers.
    """
    task = _task(name, mode, batch_size)
    with _threads(threads):
        if profile:
            profiler.require_native(task.program, task.feeds())
        _announce(task)
        peak = profiler.matrix_product_peak()
        click.echo(
            f"Peak:     {_rate(peak.rate)} GFLOP/s on {counted(peak.threads, 'thread')}: NumPy's "
            f"float32 product of {_PRODUCT}, in this run\n"
        )
        if peak.processors < _BUSY * peak.threads:
            warn(
                f"the machine is busy: NumPy was given {peak.processors:.1f} of {peak.threads} "
                "processors. Times, peak and shares tell little"
            )
        times = _time_steps(task.step, repeat)
        _print_speed(task, times, peak)
        if profile:
            stages = profiler.profile(task.program, task.feeds(), repeat)
            _print_stages(stages, float(np.median(times)), peak)


def _task(name: str, mode: str, batch_size: int) -> _Task:
    """Return a network and a batch for it.

    Raises
    ------
    click.BadParameter
        If the network is not known.
    ValueError, OSError
        Those of `convlet.load_model`.
    """
    if name in applications.BY_NAME:
        model: Any = applications.BY_NAME[name]()
    elif name.endswith(network.SUFFIXES):
        model = network.load_single(name)
    else:
        raise click.BadParameter(
            f"{name!r} is neither {', '.join(applications.BY_NAME)} nor a {network.FILE}.",
            param_hint="'--network'",
        )
    if mode == "train" and not model.compiled:
        model.compile(optimizers.SGD(0.01, 0.9), "sparse_categorical_crossentropy")
    if mode == "train":
        model.optimizer.learning_rate = _LEARNING_RATE
    return _Task(model, mode, _batch(model, mode, batch_size))


def _batch(model: Any, mode: str, samples: int) -> Batch:
    """Return random numbers from 0 to 1 and targets that the network's loss takes."""
    shape = [n or _OPEN_SIZE for n in model.input_shape[1:]]
    x = np.random.default_rng(0).random((samples, *shape), np.float32).astype(model.dtype)
    if mode == "predict":
        return Batch((x,))
    *grid, channels = model.prediction_shape(x.shape)
    if isinstance(model.loss, SparseCategoricalCrossentropy):
        y = np.arange(int(np.prod(grid))).reshape(grid) % channels
    else:
        y = np.full((*grid, channels), 1 / channels)
    return next(check_samples("bench", x, y, None, model).batches(samples))


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let the C++ core use some number of threads meanwhile."""
    before = config.threads()
    config.set_threads(count or before)
    try:
        yield
    finally:
        config.set_threads(before)


def _announce(task: _Task) -> None:
    """Print what is measured."""
    open_sizes = f", {_OPEN_SIZE} for open sizes" * (None in task.model.input_shape[1:])
    samples = f"{counted(len(task.batch), 'sample')} of {size(task.batch.x[0].shape[1:])}"
    how = "reference executor"
    if task.executor == "native":
        how = f"native executor, {config.instruction_set()}, {counted(config.threads(), 'thread')}"
    click.echo(
        f"Network:  {printable(task.model.name)}, {task.model.count_params():,} parameters\n"
        f"Step:     {task.mode}, {samples}{open_sizes}\n"
        f"Run by:   {how}"
    )


def _time_steps(step: Callable[[], None], repeat: int) -> np.ndarray:
    """Return the seconds that each of some steps takes."""
    for _ in range(_WARM_UP):
        step()
    times = np.empty(repeat)
    for i in range(repeat):
        start = time.perf_counter()
        step()
        times[i] = time.perf_counter() - start
    return times


def _print_speed(task: _Task, times: np.ndarray, peak: profiler.Peak) -> None:
    """Print the median and the spread, and what they mean."""
    low, median, high = np.quantile(times, (0.25, 0.5, 0.75))
    samples = len(task.batch)
    click.echo(
        f"Time:     {_ms(median)} ms a step, the median of {len(times)}; "
        f"half of them took {_ms(low)} to {_ms(high)} ms\n"
        f"Samples:  {samples / median:,.0f} a second"
    )
    if task.executor != "native":
        click.echo("Speed:    only the native executor counts operations")
        return
    operations = profiler.count_operations(task.program, samples)
    could = peak.rate_per_thread * config.threads()
    click.echo(
        f"Speed:    {_rate(operations / median)} GFLOP/s, {operations / 1e9:.3g} GFLOP a step, "
        f"{operations / median / could:.0%} of the peak on {counted(config.threads(), 'thread')}"
    )


def _print_stages(stages: list[profiler.StageTime], step: float, peak: profiler.Peak) -> None:
    """Print a line for each stage, one for the rest of a step's time, and the total."""
    in_stages = sum(stage.seconds for stage in stages)
    rest = max(0.0, step - in_stages)  # the step and the stages were measured one after the other
    whole = in_stages + rest
    rows = [(stage.name, stage.seconds, stage.rate) for stage in stages]
    rows.append(("the rest: optimizer, handing over arrays, waiting", rest, 0.0))
    longest = max(seconds for _, seconds, _ in rows)
    mark = "#" if console().options.ascii_only else "█"
    click.echo(
        "\nms are those of a step; GFLOP/s and the share of the peak those of one thread\n\n"
        f"{'ms':>9} {'%':>6}  {'':<{_BAR}} {'GFLOP/s':>8} {'peak':>5}  stage"
    )
    for name, seconds, rate in rows:
        bar = mark * round(_BAR * seconds / longest)
        click.echo(_line(name, seconds, whole, bar, rate, peak))
    operations = sum(stage.operations for stage in stages)
    click.echo(_line("total", whole, whole, "", operations / whole / config.threads(), peak))


def _line(
    name: str, seconds: float, whole: float, bar: str, rate: float, peak: profiler.Peak
) -> str:
    speed, share = "", ""
    if rate:
        speed, share = _rate(rate), f"{rate / peak.rate_per_thread:.0%}"
    digits = 3 if whole >= 1e-3 else 4  # of a step that takes less than a millisecond
    return (
        f"{1e3 * seconds:>9.{digits}f} {100 * seconds / whole:>6.1f}  {bar:<{_BAR}} "
        f"{speed:>8} {share:>5}  {printable(name)}"
    )


def _ms(seconds: float) -> str:
    """Return milliseconds with three digits or more."""
    value = 1e3 * seconds
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def _rate(operations_per_second: float) -> str:
    """Return GFLOP/s with three digits or more."""
    value = operations_per_second / 1e9
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
