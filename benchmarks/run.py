"""Time convlet beside its peers: ``make bench``, or ``python benchmarks/run.py --help``."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

import machine
import operators
import report
from cases import CASES, KINDS, MEMORY, Case
from contenders import CONTENDERS, PEAK_ENTRY, Entry
from measure import Measurement, measure
from workers import ContenderError, Worker

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"

_WIDTH = 110  # what the widest table needs; pipes would get 80

EXAMPLES = """
\b
Examples:
  make bench                                   # everything, about half an hour
  make bench ONLY=training                     # one kind of case
  make bench BENCH="--only training,memory --batch 500 --rounds 3"
  make bench BENCH="--contenders convlet,onnx --only inference --json inference.json"
"""


def _kinds(context, parameter, value: str) -> tuple[str, ...]:
    """Return the kinds of cases named in an option."""
    kinds = tuple(value.split(","))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
    return kinds


@click.command(epilog=EXAMPLES)
@click.option("--only", callback=_kinds, default=",".join(KINDS), help="Kinds, between commas.")
@click.option("--batch", type=int, multiple=True, help="Only cases of this batch size.")
@click.option("--networks", default="", help="Parts of names, between commas; all by default.")
@click.option("--contenders", default="", help="Parts of names, between commas; all by default.")
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--patience", type=float, default=60, show_default=True, help="Seconds to wait.")
@click.option("--mnist", type=click.Path(path_type=Path), default=MNIST, help="MNIST's folder.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures.")
def main(only, batch, networks, contenders, rounds, threads, patience, mnist, json_file):
    """Time convlet and its peers, each in a process of its own, in turn.

    All contenders compute the same thing, which is checked. A figure is the median of the rounds.
    The peak is PyTorch's float32 product of two 2048 x 2048 matrices, in the same rounds.
    """
    if sys.platform != "linux":
        raise click.ClickException("the benchmarks read /proc, so they need Linux")
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, _WIDTH)
    cpus = machine.processors(threads)
    console.print(f"{machine.model_name()}, {len(cpus)} threads on processors {cpus}")
    cases = _chosen_cases(console, only, batch, networks, mnist)
    kinds = {case.kind for case in cases} | ({"operators"} & set(only))
    entries = [e for e in CONTENDERS if _named(e.name, contenders) and kinds & set(e.kinds)]
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())

        def start(entry: Entry) -> Worker | None:
            return _started(console, stack, entry, cpus, mnist, scratch)

        workers = [worker for worker in map(start, entries) if worker]
        peak = start(PEAK_ENTRY)
        timed: list[dict] = []
        figures = [
            _run_case(console, case, workers, peak, rounds, patience, only) for case in cases
        ]
        if "operators" in only:
            them = [worker for worker in workers if "operators" in worker.entry.kinds]
            timed = operators.run(
                console, them, peak, rounds, lambda: machine.wait_for_quiet(patience, console.print)
            )
    if json_file:
        written = [report.as_json(figure) for figure in figures] + timed
        json_file.write_text(json.dumps(written, indent=1))
    if any(result.problem for figure in figures for result in figure.results):
        sys.exit(1)


def _chosen_cases(console: Console, kinds, batches, networks: str, mnist: Path) -> list[Case]:
    """Return the cases to run; memory needs the first one."""
    cases = []
    for case in CASES:
        for_memory = case == MEMORY and "memory" in kinds
        wanted = case.kind in kinds and _named(case.network.name, networks)
        if for_memory or (wanted and (not batches or case.batch in batches)):
            cases.append(case)
    if not mnist.is_dir() and any(case.kind == "fit" for case in cases):
        console.print(f"[yellow]No fit: there is no folder of MNIST's files at {mnist}.[/]")
        cases = [case for case in cases if case.kind != "fit"]
    return cases


def _named(name: str, parts: str) -> bool:
    """Whether a part of the name was asked for."""
    return any(part.strip().lower() in name.lower() for part in parts.split(","))


def _started(
    console: Console, stack: ExitStack, entry: Entry, cpus: list[int], mnist: Path, scratch: str
) -> Worker | None:
    """Return a contender's process; None, said with the reason, where it cannot take part."""
    try:
        worker = Worker(entry, cpus, mnist, scratch)
    except ContenderError as error:
        console.print(f"[yellow]Absent: {entry.name}: {escape(str(error))}[/]")
        return None
    stack.callback(worker.end)
    console.print(f"Present: {entry.name} ({worker.version})", style="dim")
    return worker


def _run_case(
    console: Console,
    case: Case,
    workers: list[Worker],
    peak: Worker | None,
    rounds: int,
    patience: float,
    kinds: tuple[str, ...],
) -> Measurement:
    """Measure a case and print its figures, and memory after the case that it belongs to."""
    console.print(f"\n[bold]{case.title}[/]")
    taking_part = [worker for worker in workers if worker.takes_part_in(case)]
    with console.status("") as status:
        figures = measure(
            case,
            taking_part,
            peak,
            rounds if case.kind in kinds else 1,
            lambda: machine.wait_for_quiet(patience, console.print),
            status.update,
        )
    report.print_measurement(console, figures)
    if case == MEMORY and "memory" in kinds:
        fine = {result.name for result in figures.results if not result.problem}
        report.print_memory(
            console, {w.name: w.ask("memory") for w in taking_part if w.name in fine}
        )
    return figures


if __name__ == "__main__":
    main()
