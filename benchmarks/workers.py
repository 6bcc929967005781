"""The contenders' processes: started once, asked in turn, stopped while it is another's turn.

A stopped process cannot spin. So every library keeps the waiting policy that it has for its users,
and no one's threads, which some let spin for a while after their work, disturb the next one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from cases import Case
from contenders import Entry

_START_SECONDS = 300
_ANSWER_SECONDS = 1800


class ContenderError(Exception):
    """A contender is absent, or could not do what it was asked for; the message says why."""


class Worker:
    """A contender in a process of its own.

    Parameters
    ----------
    entry : Entry
    cpus : sequence of int
        The processors it may use, one for each thread.
    mnist : Path or None
        Folder of MNIST's files.
    scratch : str
        A folder for what libraries write where they find a home.

    Raises
    ------
    ContenderError
        If it cannot be imported.
    """

    def __init__(self, entry: Entry, cpus: list[int], mnist: Path | None, scratch: str) -> None:
        self.entry = entry
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
        self._pipe, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serve.py")), str(theirs.fileno())],
            env=_environment(entry, len(cpus), scratch),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        theirs.close()
        try:
            self._pipe.send((entry, cpus, mnist))
            self.version = self._answer(_START_SECONDS)
        except BaseException:
            self.end()
            raise
        self._stop()

    @property
    def name(self) -> str:
        """What the report calls it."""
        return self.entry.name

    def takes_part_in(self, case: Case) -> bool:
        """Whether its entry names the kind of case and can do its network."""
        able = case.network.is_chain or not self.entry.chains_only
        return able and case.kind in self.entry.kinds

    def ask(self, method: str, *arguments: Any) -> Any:
        """Wake the process, have it call a method of `serve.Server`, stop it again.

        Raises
        ------
        ContenderError
            If the method failed, the process ended, or no answer came.
        """
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            self._pipe.send((method, *arguments))
            return self._answer(_ANSWER_SECONDS)
        except BrokenPipeError:
            raise ContenderError(self._last_words()) from None
        finally:
            self._stop()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()  # unlike a polite request, this reaches a stopped process
        self.process.wait()
        self._pipe.close()
        self._errors.close()

    def _answer(self, seconds: float) -> Any:
        """Return the answer to a request."""
        if not self._pipe.poll(seconds):
            raise ContenderError(f"gave no answer in {seconds} s")
        try:
            outcome, value = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise ContenderError(self._last_words()) from None
        if outcome == "failed":
            raise ContenderError(value)
        return value

    def _stop(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGSTOP)

    def _last_words(self) -> str:
        """Return how the process ended and the last line that it wrote."""
        status = self.process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        words = [line for line in lines if line.strip()][-1:]
        return " ".join([f"the process ended with status {status}:", *words])


def _environment(entry: Entry, threads: int, scratch: str) -> dict[str, str]:
    """Return the environment of a contender's process."""
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(limits, str(threads)),
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "KERAS_HOME": scratch,  # neither read nor write the settings of who runs this
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes that would outlive compiling
        **entry.environment,
    }
