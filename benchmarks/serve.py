"""The program of a contender's process: it waits on a pipe to be told what to do and to time.

Started by `workers.Worker`. It imports its contender, and NumPy, and no other library.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from cases import FIT_SAMPLES, Case

_ROUND_SECONDS = 0.5  # short calls are repeated until a round takes about as long
_OPERATOR_SECONDS = 0.15
_WARM_SHARE = 0.2  # of a round, untimed, to fill the caches after others have used them
_CHECKED_STEPS = 3  # their losses tell the gradients, too


class Server:
    """What the process can be asked for; each method's name is a request.

    Parameters
    ----------
    entry : contenders.Entry
    threads : int
    mnist : str or None
        Folder of MNIST's files.
    """

    def __init__(self, entry, threads, mnist):
        self.mnist = mnist
        module = importlib.import_module(f"contenders.{entry.module}")
        self.contender = module.Contender(threads, **entry.arguments)
        self.tasks = {}  # of each case, the call to time and how many of them make a round
        self.resident_before = self.peak_before = None

    def version(self):
        """Return the libraries and their versions."""
        return self.contender.version()

    def prepare(self, case):
        """Build the network, warm up; return what must be the same for all contenders."""
        call, answer = getattr(self, f"_{case.kind}")(case)
        repeats = 1 if case.kind == "fit" else _calls_in_a_round(call)
        self.tasks[case] = call, repeats
        return answer

    def round(self, case):
        """Return the seconds of a call, the mean of a round, and what the last call returned."""
        call, repeats = self.tasks[case]
        warm = 0 if case.kind == "fit" else max(1, round(repeats * _WARM_SHARE))
        for _ in range(warm):
            call()
        start = time.perf_counter()
        for _ in range(repeats):
            answer = call()
        seconds = (time.perf_counter() - start) / repeats
        return seconds, answer if case.kind == "fit" else None

    def prepare_operator(self, operator):
        """Build an operator, warm up; return sizes of its results, the same for all contenders."""
        task, answer = self.contender.operator(operator)
        task()
        self.tasks[operator] = task
        return [float(number) for number in answer]

    def operator_round(self, operator):
        """Return the seconds of each pass: the mean of calls that fill a short round."""
        task, totals, spent, calls = self.tasks[operator], {}, 0.0, 0
        while calls < 2 or spent < _OPERATOR_SECONDS:
            start = time.perf_counter()
            for name, seconds in task().items():
                totals[name] = totals.get(name, 0.0) + seconds
            spent, calls = spent + time.perf_counter() - start, calls + 1
        return {name: total / calls for name, total in totals.items()}

    def memory(self):
        """Return the peak of resident memory and how far it rose above what importing left."""
        peak = _status("VmHWM")
        return max(peak, self.peak_before), peak - self.resident_before

    def _training(self, case: Case):
        x, y = case.network.samples(case.batch)
        self._note_memory()
        step = self.contender.training(case.network, case.network.weights(), x, y)
        return step, np.array([step() for _ in range(_CHECKED_STEPS)])

    def _inference(self, case: Case):
        x, _ = case.network.samples(case.batch)
        predict = self.contender.inference(case.network, case.network.weights(), x)
        return predict, np.array(predict())

    def _fit(self, case: Case):
        x, y = _mnist(self.mnist, case.network.input_shape)
        epoch = self.contender.fit(case.network, case.network.weights(), case.batch)
        few = 3 * case.batch + len(x) % case.batch  # the last, smaller batch may be compiled anew
        epoch(x[:few], y[:few])
        return lambda: epoch(x, y), None

    def _peak(self, case: Case):
        return self.contender.peak(case.batch), None

    def _note_memory(self):
        """Remember the memory before the first network, and let the peak begin from there."""
        if self.peak_before is None:
            self.peak_before, self.resident_before = _status("VmHWM"), _status("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")


def _calls_in_a_round(call):
    """Warm up for a round's time; return how many calls fill a round."""
    quickest, spent, calls = float("inf"), 0.0, 0
    while spent < _ROUND_SECONDS or calls < 3:
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        quickest, spent, calls = min(quickest, seconds), spent + seconds, calls + 1
    return max(1, round(_ROUND_SECONDS / quickest))


def _mnist(folder, shape):
    """Return MNIST's images as float32 up to 1, and their labels as int64."""
    from convlet.datasets.idx import read_idx  # only these cases need data

    x, y = (
        read_idx(next(Path(folder).glob(pattern)))[:FIT_SAMPLES]
        for pattern in ("train-images*", "train-labels*")
    )
    return (x / np.float32(255)).reshape(-1, *shape), y.astype(np.int64)


def _status(key):
    """Return a figure of this process in bytes; getrusage's counts the parent's memory, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _die_with_parent():
    """Ask the kernel to end this process with the one that started it; leave Ctrl-C to that one."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main():
    """Answer requests until the pipe closes: ("ok", result) or ("failed", reason)."""
    _die_with_parent()
    connection = Connection(int(sys.argv[1]))
    entry, cpus, mnist = connection.recv()
    os.sched_setaffinity(0, cpus)  # before the import: libraries count processors when they start
    server = None
    while True:
        try:
            if server is None:
                server = Server(entry, len(cpus), mnist)
                answer = server.version()
            else:
                method, *arguments = connection.recv()
                answer = getattr(server, method)(*arguments)
            connection.send(("ok", answer))
        except EOFError:
            return
        except Exception as error:
            reason = str(error).strip().splitlines()
            line = f"{type(error).__name__}: {reason[0] if reason else ''}"
            connection.send(("failed", line))
            if server is None:
                return


if __name__ == "__main__":
    main()
