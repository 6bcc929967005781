"""Where convolution by FFT becomes faster than the direct one, by kernel and by channels.

    OPENBLAS_NUM_THREADS=1 python benchmarks/experiments/fft_crossing.py [--quick]
        [--picture crossing.png]

For kernels of 3 to 255 taps along each axis and 1 to 64 channels in and out, on one signal of
16,384 samples and on one image of 64 x 64 ('same' padding, float32): the milliseconds of `ops.conv`
and of `fft_conv`, and what the estimate of `fft_pays` would have chosen. The constants of
convlet/ops/fft.py come from here; docs/experiments.md has the table. It is processor time, which
is the time that passes as long as BLAS has one thread, and suffers little from what else runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal

from convlet.ops import conv, convolve, tap_table
from convlet.ops.fft import fft_conv, fft_pays

GRIDS = [(16384,), (64, 64)]
TAPS = [3, 7, 15, 31, 63, 127, 255]
CHANNELS = [1, 4, 16, 64]
SIGNALS = [(1_000_000, 10_000), (1_000_000, 1_000), (100_000, 100_000)]
_LONGEST = 4e9  # multiply-adds beyond which the direct convolution is not waited for
_LARGEST = 1 << 24  # weights beyond which a kernel is no longer a kernel


class Case(NamedTuple):
    """What one shape took, in milliseconds, and what the estimate chose."""

    grid: tuple[int, ...]
    taps: int
    channels: int
    direct: float | None
    fft: float
    chosen: bool


def milliseconds(function: Callable[[], object], seconds: float) -> float:
    """Return the median processor time of a few runs, one of them not counted."""
    function()
    times: list[float] = []
    while not times or (sum(times) < 1e3 * seconds and len(times) < 9):
        start = time.process_time()
        function()
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times)


def cases(quick: bool) -> Iterator[Case]:
    """Yield what each shape takes; a quick run leaves out three of four."""
    random = np.random.default_rng(0)
    step = 2 if quick else 1
    for grid in GRIDS:
        for taps in TAPS[::step]:
            for channels in CHANNELS[::step]:
                kernel_shape = (taps,) * len(grid)
                if taps ** len(grid) * channels**2 > _LARGEST:
                    continue
                table = tap_table(grid, kernel_shape, padding="same")
                x = random.standard_normal((1, *grid, channels), np.float32)
                kernel = random.standard_normal((*kernel_shape, channels, channels), np.float32)
                work = x.size * kernel.size / channels
                direct = None
                if work < _LONGEST / (10 if quick else 1):
                    direct = milliseconds(lambda: conv(x, kernel, table), 0.1)  # noqa: B023
                fft = milliseconds(lambda: fft_conv(x, kernel, table), 0.1)  # noqa: B023
                chosen = fft_pays(table, 1, channels, channels)
                yield Case(grid, taps, channels, direct, fft, chosen)


def cell(case: Case) -> str:
    """Return direct / FFT, with a star where the estimate points."""
    direct = "-" if case.direct is None else f"{case.direct:.2f}"
    stars = ("", "*") if case.chosen else ("*", "")
    return f"{direct}{stars[0]} / {case.fft:.2f}{stars[1]}"


def print_table(found: list[Case]) -> None:
    """Print direct / FFT, one row a kernel; a star marks what the estimate chose."""
    for grid in GRIDS:
        of_grid = [case for case in found if case.grid == grid]
        columns = sorted({case.channels for case in of_grid})
        names = [" x ".join(map(str, grid)), *(f"{c} to {c}" for c in columns)]
        print("\n| " + " | ".join(names) + " |")
        print("|---" * (len(columns) + 1) + "|")
        for taps in sorted({case.taps for case in of_grid}):
            cells = [" x ".join([str(taps)] * len(grid))]
            cells += [cell(case) for case in of_grid if case.taps == taps]
            cells += [""] * (len(columns) + 1 - len(cells))
            print("| " + " | ".join(cells) + " |")


def print_signals() -> None:
    """Print `convolve` beside SciPy's overlap-add, run in turn."""
    print("\n| signal, filter | dtype | convolve | scipy.signal.oaconvolve |\n|---|---|---|---|")
    for samples, taps in SIGNALS:
        for dtype in ("float32", "float64"):
            f, g = (
                np.random.default_rng(n).standard_normal(n).astype(dtype) for n in (samples, taps)
            )
            ours, theirs = [], []
            for _ in range(7):
                ours.append(milliseconds(lambda: convolve(f, g), 0))  # noqa: B023
                theirs.append(milliseconds(lambda: signal.oaconvolve(f, g), 0))  # noqa: B023
            medians = f"{statistics.median(ours):.1f} ms | {statistics.median(theirs):.1f} ms"
            print(f"| {samples:,}, {taps:,} | {dtype} | {medians} |")


def draw(found: list[Case], path: Path) -> None:
    """Write a picture: time by taps, direct and FFT, one panel for each grid and channels."""
    from matplotlib import pyplot

    columns = sorted({case.channels for case in found})
    size = (3 * len(columns), 3 * len(GRIDS))
    figure, panels = pyplot.subplots(len(GRIDS), len(columns), figsize=size, sharex=True)
    for row, grid in zip(panels, GRIDS, strict=True):
        for panel, channels in zip(row, columns, strict=True):
            of_panel = [c for c in found if (c.grid, c.channels) == (grid, channels)]
            direct = [c for c in of_panel if c.direct is not None]
            panel.loglog([c.taps for c in direct], [c.direct for c in direct], "o-", label="direct")
            panel.loglog([c.taps for c in of_panel], [c.fft for c in of_panel], "s-", label="FFT")
            panel.set_title(f"{' x '.join(map(str, grid))}, {channels} to {channels}", fontsize=9)
    panels[0, 0].legend()
    figure.supxlabel("taps along an axis")
    figure.supylabel("milliseconds")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the shapes, 10 seconds")
    parser.add_argument("--picture", type=Path, help="draw it, too (matplotlib)")
    arguments = parser.parse_args()
    found = list(cases(arguments.quick))
    print("Milliseconds, direct / FFT; * is what the estimate chooses.")
    print_table(found)
    print_signals()
    if arguments.picture:
        draw(found, arguments.picture)


if __name__ == "__main__":
    main()
