"""One operator at a time: convolutions and poolings forward and back, beside PyTorch.

The list has DeepBench's and convnet-benchmarks' shapes, with batches that fit the time, and
depthwise, grouped, dilated, transposed, 1-D and 3-D ones. PyTorch computes on tensors in each of
its memory formats, the better of which counts; convlet inside a network, between other layers, on
its blocks of images: a pass's time is its stages' share of a whole step's wall-clock time, so
waiting for each other counts, and bringing images to blocks and back, which a network does once,
does not.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from cases import PEAK
from contenders import OURS
from workers import ContenderError, Worker

PASSES = ("forward", "input", "kernel")


@dataclass(frozen=True)
class Operator:
    """A convolution or a pooling.

    Parameters
    ----------
    family : str
        What its figures are summed up with; "other" ones only with all.
    batch : int
    grid : tuple of int
    channels, filters : int
    kernel : tuple of int
        Size of the window.
    kind : {"conv", "conv_transpose", "max_pool", "average_pool"}
    stride, padding, dilation, groups : int
        The same for all axes; padding at both ends of each.
    """

    family: str
    batch: int
    grid: tuple[int, ...]
    channels: int
    filters: int
    kernel: tuple[int, ...]
    kind: str = "conv"
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def passes(self) -> tuple[str, ...]:
        """Forward and the gradients: poolings have no kernel."""
        return PASSES[:2] if self.kind.endswith("pool") else PASSES

    @property
    def reads_data(self) -> bool:
        """Whether it is a network's first layer: grey or coloured images, signals."""
        return self.channels <= 3

    @property
    def title(self) -> str:
        """Sizes, as short as can be."""
        grid = "x".join(map(str, self.grid))
        window = "x".join(map(str, self.kernel))
        text = f"{self.batch},{self.channels},{grid} {window}"
        text += "" if self.kind.endswith("pool") else f" to {self.filters}"
        for letter, value, usual in (("s", self.stride, 1), ("p", self.padding, 0)):
            text += f" {letter}{value}" if value != usual else ""
        text += f" d{self.dilation}" if self.dilation > 1 else ""
        text += f" g{self.groups}" if 1 < self.groups < self.channels else ""
        names = {"conv_transpose": " transposed", "max_pool": " max", "average_pool": " mean"}
        return text + names.get(self.kind, "")

    @property
    def flops(self) -> float:
        """Two for each multiply-add of a pass, padding counted as if it were not there."""
        if self.kind.endswith("pool"):
            return 0.0
        grid = self.grid if self.kind == "conv_transpose" else self.outputs()
        products = self.channels * self.filters // self.groups
        return 2.0 * self.batch * math.prod(grid) * math.prod(self.kernel) * products

    def outputs(self) -> tuple[int, ...]:
        """Return the output's grid, of all but transposed convolutions."""
        return tuple(
            (n + 2 * self.padding - self.dilation * (k - 1) - 1) // self.stride + 1
            for n, k in zip(self.grid, self.kernel, strict=True)
        )


def _depthwise(batch: int, channels: int, size: int, stride: int = 1) -> Operator:
    grid = (size, size)
    return Operator(
        "depthwise", batch, grid, channels, channels, (3, 3), "conv", stride, 1, 1, channels
    )


OPERATORS = (
    # DeepBench
    Operator("other", 8, (79, 341), 32, 32, (5, 10), "conv", 2),
    Operator("other", 8, (224, 224), 3, 64, (7, 7), "conv", 2, 3),
    Operator("other", 16, (14, 14), 256, 1024, (1, 1)),
    Operator("other", 16, (28, 28), 192, 32, (5, 5), "conv", 1, 2),
    Operator("other", 16, (7, 7), 832, 128, (5, 5), "conv", 1, 2),
    # convnet-benchmarks
    Operator("other", 16, (128, 128), 3, 96, (11, 11)),
    Operator("other", 4, (64, 64), 64, 128, (9, 9)),
    Operator("other", 32, (13, 13), 384, 384, (3, 3)),
    # the lectures' and other usual ones
    Operator("other", 128, (28, 28), 1, 20, (5, 5)),
    Operator("other", 128, (12, 12), 20, 50, (5, 5)),
    Operator("other", 64, (32, 32), 3, 32, (3, 3), "conv", 1, 1),
    Operator("other", 32, (32, 32), 16, 16, (3, 3), "conv", 1, 1),
    Operator("other", 32, (56, 56), 64, 64, (3, 3), "conv", 1, 1),
    Operator("other", 32, (28, 28), 128, 128, (3, 3), "conv", 2, 1),
    Operator("other", 32, (56, 56), 64, 256, (1, 1)),
    Operator("other", 16, (28, 28), 64, 64, (3, 3), "conv", 1, 1, 1, 8),
    Operator("other", 16, (28, 28), 64, 64, (3, 3), "conv", 1, 2, 2),
    _depthwise(16, 128, 56),
    _depthwise(32, 512, 14),
    _depthwise(16, 64, 56, 2),
    # signals
    Operator("1-D", 64, (8000,), 1, 32, (64,), "conv", 4),
    Operator("1-D", 64, (2000,), 32, 64, (9,)),
    Operator("1-D", 64, (2000,), 32, 32, (2,), "conv", 1, 0, 2),
    Operator("1-D", 32, (4000,), 16, 16, (3,), "conv", 1, 1),
    # where the Fourier transform is at home
    Operator("other", 16, (64, 64), 64, 64, (9, 9)),
    # volumes
    Operator("other", 4, (32, 32, 32), 3, 32, (3, 3, 3), "conv", 1, 1),
    Operator("other", 4, (16, 16, 16), 32, 64, (3, 3, 3), "conv", 1, 1),
    # up
    Operator("other", 16, (16, 16), 64, 32, (4, 4), "conv_transpose", 2, 1),
    Operator("other", 16, (14, 14), 128, 64, (2, 2), "conv_transpose", 2),
    # pooling
    Operator("pooling", 128, (24, 24), 20, 20, (2, 2), "max_pool", 2),
    Operator("pooling", 32, (56, 56), 64, 64, (2, 2), "max_pool", 2),
    Operator("pooling", 16, (55, 55), 96, 96, (3, 3), "max_pool", 2),
    Operator("pooling", 32, (56, 56), 64, 64, (2, 2), "average_pool", 2),
    Operator("pooling", 64, (2000,), 32, 32, (4,), "max_pool", 4),
)


def run(
    console: Console, workers: list[Worker], peak: Worker | None, rounds: int, ready: Callable
) -> list[dict]:
    """Time all operators and print them, a row for each pass; return the figures as JSON types.

    Parameters
    ----------
    console : Console
    workers : list of Worker
        convlet and PyTorch in its formats.
    peak : Worker or None
        Who multiplies matrices.
    rounds : int
    ready : callable
        Called before the first operator.
    """
    console.print("\n[bold]Operators, forward and back[/]")
    ready()
    products = []
    if peak:
        peak.ask("prepare", PEAK)
    figures = []
    with console.status("") as status:
        for operator in OPERATORS:
            status.update(operator.title)
            if peak:
                products.append(peak.ask("round", PEAK)[0])
            figures += _timed(console, operator, workers, rounds)
    rate = PEAK.flops / statistics.median(products) if products else None
    _print(console, figures, rate)
    return figures


def _timed(console: Console, operator: Operator, workers: list[Worker], rounds: int) -> list[dict]:
    """Return a figure for each pass: the medians of ours and of the better of theirs."""
    seconds: dict[str, dict[str, list[float]]] = {}
    answers = {}
    for worker in workers:
        try:
            answers[worker.name] = worker.ask("prepare_operator", operator)
            seconds[worker.name] = {name: [] for name in operator.passes}
        except ContenderError as error:
            console.print(f"[yellow]{worker.name} lacks {operator.title}: {error}[/]")
    ours = answers.get(OURS)
    for name, answer in answers.items():
        apart = max(abs(a - b) / max(abs(b), 1e-9) for a, b in zip(answer, ours, strict=True))
        if apart > 1e-3:
            console.print(f"[red]{name} computes something else: {operator.title}[/]")
    for _ in range(rounds):
        for worker in workers:
            if worker.name in seconds:
                for name, time in worker.ask("operator_round", operator).items():
                    seconds[worker.name][name].append(time)
    figures = []
    for name in operator.passes:
        medians = {who: statistics.median(times[name]) for who, times in seconds.items()}
        theirs = min(time for who, time in medians.items() if who != OURS)
        figures.append(
            {
                "operator": operator.title,
                "family": operator.family,
                "reads_data": operator.reads_data,
                "pass": name,
                "flops": operator.flops,
                "ours": medians[OURS],
                "theirs": theirs,
                "ratio": theirs / medians[OURS],
                "seconds": {who: times[name] for who, times in seconds.items()},
            }
        )
    return figures


def _print(console: Console, figures: list[dict], rate: float | None) -> None:
    table = Table(box=None, header_style="bold")
    for head in ("operator", "pass"):
        table.add_column(head, no_wrap=True)
    for head in ("ours ms", "PyTorch ms", "ratio", "GFLOP/s", "of peak"):
        table.add_column(head, justify="right", no_wrap=True)
    for figure in figures:
        speed = figure["flops"] / figure["ours"]
        table.add_row(
            figure["operator"],
            figure["pass"],
            f"{figure['ours'] * 1e3:.3g}",
            f"{figure['theirs'] * 1e3:.3g}",
            f"{figure['ratio']:.2f}",
            f"{speed / 1e9:.0f}" if speed else "",
            f"{speed / rate:.0%}" if speed and rate else "",
            style="red" if figure["ratio"] < 0.9 else None,
        )
    console.print(table)
    for name, chosen in _summaries(figures).items():
        ratios = [figure["ratio"] for figure in chosen]
        mean = statistics.geometric_mean(ratios)
        console.print(
            f"{name}: {mean:.2f} (geometric mean of {len(ratios)}, worst {min(ratios):.2f})"
        )
    low = sum(figure["ratio"] < 0.9 for figure in figures)
    console.print(f"Rows below 0.9: {low} of {len(figures)}")
    if rate:
        console.print(f"Matrix product {rate / 1e9:.0f} GFLOP/s.", style="dim")


def _summaries(figures: list[dict]) -> dict[str, list[dict]]:
    """Return the groups of figures that are summed up."""
    back = [figure for figure in figures if figure["pass"] != "forward"]
    return {
        "All": figures,
        "First layers, gradients": [f for f in back if f["reads_data"]],
        "1-D": [f for f in figures if f["family"] == "1-D"],
        "Depthwise": [f for f in figures if f["family"] == "depthwise"],
        "Pooling, back": [f for f in back if f["family"] == "pooling"],
    }
