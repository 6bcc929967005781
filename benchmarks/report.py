"""The figures as tables on the terminal and as JSON."""

from __future__ import annotations

import statistics
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cases import FIT_SAMPLES, MEMORY, PEAK
from contenders import OURS
from measure import Measurement, Result

_MANY_OTHERS = 0.05


def print_measurement(console: Console, measurement: Measurement) -> None:
    """Print a case's contenders, the quickest first, and those without figures.

    Parameters
    ----------
    console : Console
    measurement : Measurement
    """
    timed = sorted((r for r in measurement.results if not r.problem), key=lambda r: r.median)
    fit = measurement.case.kind == "fit"
    unit, scale = _unit(timed)
    table = Table(box=None, header_style="bold")
    table.add_column("contender", no_wrap=True)
    heads = [f"median {unit}", "min-max", "ratio to us", "GFLOP/s", "of peak"]
    for head in heads + (["accuracy", "over bare steps"] if fit else []):
        table.add_column(head, justify="right", no_wrap=True)
    ours = next((result.median for result in timed if result.name == OURS), None)
    for result in timed:
        cells = _cells(measurement, result, ours, scale)
        table.add_row(*cells, style="green" if result.name == OURS else None)
    if timed:
        console.print(table)
    for result in measurement.results:
        if result.problem:
            console.print(f"[red]{result.name}: no figures: {escape(result.problem)}[/]")
    console.print(_footnote(measurement), style="dim")


def print_memory(console: Console, memory: dict[str, tuple[int, int]]) -> None:
    """Print peak memory in MB, the smallest first.

    Parameters
    ----------
    console : Console
    memory : dict of str to tuple
        Of each contender the peak in bytes, and its increase since before the network was built.
    """
    console.print(f"\n[bold]Peak memory after: {MEMORY.title}[/]")
    table = Table(box=None, header_style="bold")
    table.add_column("contender", no_wrap=True)
    for head in ("peak MB", "of it since before building", "ratio to us"):
        table.add_column(head, justify="right", no_wrap=True)
    ours = memory.get(OURS, (None,))[0]
    for name, (peak, increase) in sorted(memory.items(), key=lambda item: item[1]):
        cells = (name, f"{peak / 1e6:.0f}", f"{increase / 1e6:.0f}", _ratio(peak, ours))
        table.add_row(*cells, style="green" if name == OURS else None)
    console.print(table)


def as_json(measurement: Measurement) -> dict[str, Any]:
    """Return a case's figures as JSON types, every round of them."""
    case, peak = measurement.case, measurement.peak
    return {
        "kind": case.kind,
        "network": case.network.name,
        "batch": case.batch,
        "flops": case.flops,
        "peak_flops": _peak_rate(measurement) if peak else None,
        "others": measurement.others,
        "results": [vars(result) for result in measurement.results],
    }


def _cells(measurement: Measurement, result: Result, ours: float | None, scale: float) -> list[str]:
    """Return a contender's row."""
    median, peak = result.median, _peak_rate(measurement)
    rate = measurement.case.flops / median
    cells = [
        result.name,
        _number(median * scale),
        f"{_number(min(result.seconds) * scale)}-{_number(max(result.seconds) * scale)}",
        _ratio(median, ours),
        f"{rate / 1e9:.1f}",
        f"{rate / peak:.1%}" if peak else "-",
    ]
    if measurement.case.kind == "fit":
        steps = FIT_SAMPLES / measurement.case.batch
        bare = steps * statistics.median(result.step_seconds)
        cells += [f"{result.answer:.2%}", f"{median / bare - 1:+.1%}"]
    return cells


def _footnote(measurement: Measurement) -> str:
    """Return what the figures rest on."""
    peak, case = _peak_rate(measurement), measurement.case
    matrices = f"Matrix product {peak / 1e9:.0f} GFLOP/s. " if peak else "No matrix product. "
    arithmetic = f"{case.flops / 1e9:.3g} GFLOP a call. "
    others = f"Others used {measurement.others:.0%} of the processors meanwhile"
    return matrices + arithmetic + others + (": too much." if _disturbed(measurement) else ".")


def _disturbed(measurement: Measurement) -> bool:
    return measurement.others > _MANY_OTHERS


def _peak_rate(measurement: Measurement) -> float | None:
    """Return the matrix product's floating-point operations a second."""
    return PEAK.flops / measurement.peak.median if measurement.peak else None


def _unit(timed: list[Result]) -> tuple[str, float]:
    """Return the unit that suits the quickest, and how many of it are a second."""
    quickest = timed[0].median if timed else 1.0
    if quickest < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if quickest < 1 else ("s", 1.0)


def _number(value: float) -> str:
    """Return three digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float, ours: float | None) -> str:
    return f"{value / ours:.2f}" if ours else "-"
