"""A case's measurement: everyone prepares and is checked, then all are timed in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from cases import PEAK, Case
from machine import Others
from workers import ContenderError, Worker

# How far answers may lie apart: losses relative to their size, the others as they are. An epoch's
# accuracy depends on how each shuffles.
_TOLERANCES = {"training": 1e-3, "inference": 1e-3, "fit": 0.03}


@dataclass
class Result:
    """What a contender did in a case.

    Attributes
    ----------
    name : str
    seconds : list of float
        Seconds of a call, one figure a round.
    step_seconds : list of float
        Of an epoch, the seconds of bare training steps of that batch size, measured beside it.
    answer : float or None
        Of an epoch, the accuracy.
    problem : str or None
        Why there are no figures.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)
    answer: float | None = None
    problem: str | None = None

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)


@dataclass
class Measurement:
    """All results of a case.

    Attributes
    ----------
    case : Case
    results : list of Result
    peak : Result or None
        The matrix product, measured in the same rounds.
    others : float
        The share of the processors' time that others used meanwhile.
    """

    case: Case
    results: list[Result]
    peak: Result | None
    others: float = 0.0


def measure(
    case: Case,
    workers: list[Worker],
    peak: Worker | None,
    rounds: int,
    before_rounds: Callable[[], None],
    progress: Callable[[str], None],
) -> Measurement:
    """Return everyone's times.

    Parameters
    ----------
    case : Case
    workers : list of Worker
        Those who take part.
    peak : Worker or None
        Who multiplies matrices.
    rounds : int
    before_rounds : callable
        Called when everyone is ready and stopped.
    progress : callable
        Called with what is going on.
    """
    results = {worker: Result(worker.name) for worker in workers}
    answers = {}
    for worker in workers:
        progress(f"{worker.name} prepares")
        with _noting(results[worker]):
            if case.kind == "fit":
                worker.ask("prepare", _bare(case))
            answers[worker] = worker.ask("prepare", case)
    if case.kind != "fit":
        _compare(case, answers, results)
    peak_result = _prepared_peak(peak)
    before_rounds()
    others = Others([worker.process.pid for worker in (*workers, *([peak] if peak else []))])
    for number in range(1, rounds + 1):
        if peak_result:
            peak_result.seconds.append(peak.ask("round", PEAK)[0])
        for worker in workers:
            if results[worker].problem is None:
                progress(f"round {number} of {rounds}, {worker.name}")
                _time(case, worker, results[worker])
    share = others.share()
    if case.kind == "fit":
        answered = {w: np.array(r.answer) for w, r in results.items() if r.answer is not None}
        _compare(case, answered, results)
    return Measurement(case, list(results.values()), peak_result, share)


@contextmanager
def _noting(result: Result) -> Iterator[None]:
    """Let a contender's failure become its result's problem."""
    try:
        yield
    except ContenderError as error:
        result.problem = str(error)


def _bare(case: Case) -> Case:
    """Return the training step that an epoch consists of."""
    return Case("training", case.batch, case.network)


def _prepared_peak(peak: Worker | None) -> Result | None:
    if peak is None:
        return None
    peak.ask("prepare", PEAK)
    return Result(peak.name)


def _time(case: Case, worker: Worker, result: Result) -> None:
    """Add a round's times to a result; of an epoch keep the accuracy of the first."""
    with _noting(result):
        if case.kind == "fit":
            result.step_seconds.append(worker.ask("round", _bare(case))[0])
        seconds, answer = worker.ask("round", case)
        result.seconds.append(seconds)
        if result.answer is None:
            result.answer = answer


def _compare(case: Case, answers: dict[Worker, np.ndarray], results: dict[Worker, Result]) -> None:
    """Note as a problem an answer that is not what most contenders say."""
    if not answers:
        return
    usual = np.median(np.stack(list(answers.values())), axis=0)
    scale = np.abs(usual) if case.kind == "training" else 1.0
    for worker, answer in answers.items():
        apart = float(np.max(np.abs(answer - usual) / scale))
        if not apart <= _TOLERANCES[case.kind]:  # not a number fails, too
            said = f"{_shown(answer)}, the others {_shown(usual)}"
            results[worker].problem = f"computes something else: {said}"


def _shown(answer: np.ndarray) -> str:
    """Return the first numbers of an answer."""
    return ", ".join(f"{number:.5g}" for number in np.ravel(answer)[:3])
