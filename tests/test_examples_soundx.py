"""The examples on sound, made short."""

import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from networks import SHARED

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RECORDINGS = SHARED / "fsdd"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are missing")


def run(script, *arguments):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def output(script, *arguments):
    result = run(script, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def samples_of(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@needs_recordings
def test_spoken_digits(tmp_path):
    arguments = ("--every", 20, "--epochs", 3, "--plot", tmp_path / "confusion.png")
    printed = output("spoken_digits.py", RECORDINGS, *arguments, "--seeds", 2)
    assert printed.startswith("135 recordings to train on; 15, the test part, to be judged by\n\n")
    losses = re.findall(
        r"^seed (\d), epoch +\d: loss ([\d.]+), accuracy [\d.]+  [\d.]+ s$", printed, re.M
    )
    assert [seed for seed, _ in losses] == ["0"] * 3 + ["1"] * 3
    assert float(losses[2][1]) < float(losses[0][1])
    confusion = np.array(
        re.findall(r"\d+", printed[printed.index("[[") : printed.index("]]")]), int
    )
    assert (len(confusion), confusion.sum()) == (100, 30)
    mean = re.search(r"\nAccuracy ([\d.]+)%, the mean of 2 \(from [\d.]+% to [\d.]+%\)\n", printed)
    right = confusion.reshape(10, 10).trace()
    assert float(mean[1]) == pytest.approx(100 * right / 30, abs=0.06)
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


@needs_recordings
def test_spoken_digits_held_out_of_the_training_part():
    printed = output(
        "spoken_digits.py", RECORDINGS, "--validate", "--every", 50, "--epochs", 1, "--seeds", 1
    )
    assert printed.startswith("48 recordings to train on; 6, takes 5 to 9, to be judged by\n")


def test_melody(tmp_path):
    paths = tmp_path / "melody.png", tmp_path / "melody.wav"
    arguments = ("--seeds", 1, "--epochs", 8, "--layers", 4, "--melodies", 1000)
    printed = output("melody.py", *arguments, "--plot", paths[0], "--out", paths[1])
    assert printed.startswith("1,000 melodies to learn from, 1,000 others to be judged by\n")
    right = [float(share) for share in re.findall(r" ([\d.]+)%", printed)]
    frequent, follower, two, *_, sixteen, best = right
    assert frequent < follower - 10
    assert two == pytest.approx(follower, abs=5)
    assert follower + 5 < sixteen < best
    rows = re.findall(r"^(the melody|\d+ notes seen) +([a-g'| ]+)$", printed, re.M)
    assert [name for name, _ in rows] == [
        "the melody",
        *(f"{2**n} notes seen" for n in range(1, 5)),
    ]
    melody = rows[0][1].replace("|", "").split()
    assert melody[:8] == melody[8:16] == melody[24:]
    for _, notes in rows:
        assert notes.replace("|", "").split()[:24] == melody[:24]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert len(samples_of(paths[1])) == 32 * 0.3 * 8000


@pytest.mark.parametrize("script", ["spoken_digits.py"])
def test_without_recordings(tmp_path, script):
    result = run(script, tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"This needs the Free Spoken Digit Dataset: {tmp_path}: no ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "option"),
    [("spoken_digits.py", "--every"), ("melody.py", "--layers")],
)
def test_refuses_nothing(script, option):
    result = run(script, option, 0)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"{option} must be at least 1\n")
