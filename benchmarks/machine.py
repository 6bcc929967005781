"""The machine: which processors to use, and whether others are using them. Reads Linux's /proc."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

_QUIET = 0.05  # of all processors' time; a machine at rest shows 0 to 2 %
_LOOK_SECONDS = 1.0


def processors(number: int) -> list[int]:
    """Return processors to pin contenders to, on cores of their own where there are enough."""
    usable = sorted(os.sched_getaffinity(0))
    cores: dict[str, list[int]] = {}
    for cpu in usable:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = siblings.read_text() if siblings.exists() else str(cpu)
        cores.setdefault(core, []).append(cpu)
    firsts = [cpus[0] for cpus in cores.values()]
    return [*firsts, *(cpu for cpu in usable if cpu not in firsts)][:number]


def model_name() -> str:
    """Return what the processor calls itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cpu_seconds() -> tuple[float, float]:
    """Return the seconds that all processors were busy, and those that passed, since the start."""
    ticks = os.sysconf("SC_CLK_TCK")
    line = Path("/proc/stat").read_text().split("\n", 1)[0]
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already
    times = [int(field) / ticks for field in line.split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def process_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have used so far."""
    ticks, total = os.sysconf("SC_CLK_TCK"), 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


class Others:
    """How busy others keep the machine, from now on.

    Parameters
    ----------
    pids : list of int
        Our processes, whose time does not count.
    """

    def __init__(self, pids: list[int]) -> None:
        self._pids = [os.getpid(), *pids]
        self._ours = process_seconds(self._pids)
        self._busy, self._all = cpu_seconds()

    def share(self) -> float:
        """Return others' part of all processors' time, 0 to 1."""
        busy, everything = cpu_seconds()
        theirs = (busy - self._busy) - (process_seconds(self._pids) - self._ours)
        return max(0.0, theirs) / max(everything - self._all, 1e-9)


def wait_for_quiet(patience: float, say: Callable[[str], None]) -> None:
    """Wait until the machine is at rest, or patience ends; say which.

    Parameters
    ----------
    patience : float
        Seconds to wait at most.
    say : callable
        Called with each sentence.
    """
    end, told = time.monotonic() + patience, False
    while True:
        others = Others([])
        time.sleep(_LOOK_SECONDS)
        share = others.share()
        state = f"others use {share:.0%} of its processors, load average {os.getloadavg()[0]:.2f}"
        if share <= _QUIET:
            return say(f"The machine is at rest: {state}.")
        if time.monotonic() > end:
            return say(f"[yellow]The machine is still busy[/]: {state}. The figures may suffer.")
        if not told:
            say(f"The machine is busy: {state}. Waiting up to {patience:.0f} s.")
            told = True
