"""How tests run the examples: each as a script of its own, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from networks import SHARED

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MNIST, RECORDINGS = SHARED / "mnist", SHARED / "fsdd"


def run(script, *arguments, **environment):
    """Return what a script printed, and how it ended."""
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    quiet = {"OPENBLAS_NUM_THREADS": "1"}  # its threads wait by computing
    environment = os.environ | quiet | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment)
