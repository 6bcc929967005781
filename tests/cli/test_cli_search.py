"""``convlet search``: which values are tried, on what, what is printed and drawn, how it ends."""

import math
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlet import NonFiniteLossError
from convlet.cli import grid
from convlet.cli.grid import Trial
from convlet.estimators import ConvletClassifier

pytest_plugins = ("cli_fixtures",)

QUICK = ("--epochs", 1, "--seed", 0, "--points", 3, "--rounds", 1)


def trial(value, error, loss=1.0, round=1):
    return Trial(value, round, error, loss, 0.1)


# --- the grid ---


def test_the_coarse_grid_is_log_spaced():
    assert grid.coarse(1e-4, 1.0, 5) == [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert grid.coarse(0.01, 0.1, 3) == [0.01, 0.0316, 0.1]  # the root of 1/1000 to three digits


def test_whole_values_are_powers_of_two():
    assert grid.coarse(8, 512, 7, whole=True) == [8, 16, 32, 64, 128, 256, 512]
    assert grid.coarse(1, 3, 10, whole=True) == [1, 2, 3]


def test_the_finer_grid_is_between_the_neighbours_of_the_best():
    trials = [trial(0.001, 0.5), trial(0.01, 0.2), trial(0.1, 0.3), trial(1, 0.9)]
    # 0.001 to 0.1 in quarters of two decades; the middle one, 0.01, has been tried
    assert grid.finer(trials, 3) == [0.00316, 0.0316]
    assert grid.finer(trials, 1) == []


def test_each_round_is_narrower():
    trials = []
    values = grid.coarse(1e-4, 1, 5)
    for _ in range(4):
        trials += [trial(value, abs(math.log10(value / 0.02))) for value in values]
        values = grid.finer(trials, 4)
    assert grid.best(trials).value == pytest.approx(0.02, rel=0.05)
    assert len({t.value for t in trials}) == len(trials)


@pytest.mark.parametrize(("errors", "expected"), [((0.1, 0.5), (0.1, 1)), ((0.5, 0.1), (0.1, 1))])
def test_at_an_end_there_is_one_neighbour(errors, expected):
    trials = [trial(0.1, errors[0]), trial(1, errors[1])]
    low, high = expected
    values = grid.finer(trials, 3)
    assert all(low < value < high for value in values)
    assert len(values) == 3
    assert grid.is_at_an_end(grid.best(trials), trials)


def test_equal_errors_are_told_apart_by_the_loss():
    trials = [trial(0.1, 0.2, 0.9), trial(0.2, 0.2, 0.8), trial(0.3, 0.2, 0.85)]
    assert grid.best(trials) is trials[1]
    assert not grid.is_at_an_end(trials[1], trials)


def test_what_diverged_is_never_the_best():
    diverged = trial(1, math.nan, math.nan)
    assert diverged.diverged
    assert grid.best([diverged, trial(0.1, 0.9)]).value == 0.1
    assert grid.best([diverged]) is None
    assert grid.finer([diverged], 3) == []


# --- the command ---


def tried(output):
    """Return the values of the lines of the rounds, in order."""
    return [float(v) for v in re.findall(r"^  ([\d.e-]+) +(?:error|diverged)", output, re.M)]


def test_what_is_printed(convlet):
    result = convlet(
        "search", "halves.npz", "--seed", 0, "--points", 3, "--rounds", 2, "--epochs", 3,
        "--low", 0.001, "--high", 0.1,
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output.startswith(
        "Data:     halves, 51 samples of 8 x 8 x 1 to train on, 13 to judge on\n"
        "Network:  small-lenet, seed 0\n"
        "Search:   learning_rate from 0.001 to 0.1, 2 rounds of 3, 3 epochs each\n"
        "\nRound 1, learning_rate 0.001 to 0.1\n  0.001     error "
    )
    values = tried(result.output)
    assert values[:3] == [0.001, 0.01, 0.1]
    table = re.findall(r"^ *([\d.]+) +[\d.]+ % +[\d.]+ +\d(?: +best)? *$", result.output, re.M)
    assert [float(value) for value in table] == sorted(values)
    (best,) = re.findall(r"^Best: learning_rate ([\d.]+), validation error [\d.]+ %$",
                         result.output, re.M)  # fmt: skip
    (marked,) = re.findall(r"^ *([\d.]+) .* best *$", result.output, re.M)
    assert best == marked
    assert result.output.endswith(
        f"\nTrain with it:\n  convlet train halves.npz --model small-lenet --learning-rate {best}\n"
    )
    assert convlet("train", "halves.npz", "--learning-rate", best, "--epochs", 1).exit_code == 0


def test_a_seed_repeats_the_search(convlet):
    outputs = [
        re.sub(r"[\d.]+ s$", "", convlet("search", "halves.npz", *QUICK).output, flags=re.M)
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1]


def test_validation_is_apart_and_the_test_part_untouched(convlet, arrays, monkeypatch):
    seen = {"fit": [], "predict_proba": []}

    def spy(name):
        method = getattr(ConvletClassifier, name)

        def spied(self, X, *rest):
            seen[name].append(X)
            return method(self, X, *rest)

        monkeypatch.setattr(ConvletClassifier, name, spied)

    spy("fit")
    spy("predict_proba")
    assert convlet("search", "halves.npz", *QUICK).exit_code == 0
    assert (len(seen["fit"]), len(seen["predict_proba"])) == (3, 3)
    rows = lambda x: {image.tobytes() for image in x}  # noqa: E731
    for train, validation in zip(seen["fit"], seen["predict_proba"], strict=True):
        assert (len(train), len(validation)) == (51, 13)
        assert rows(train) | rows(validation) == rows(arrays["x_train"])
        assert not rows(validation) & rows(arrays["x_test"])


def test_batch_sizes(convlet):
    result = convlet(
        "search", "halves.npz", "--param", "batch_size", "--low", 4, "--high", 16, *QUICK
    )
    assert tried(result.output) == [4, 8, 16]
    assert re.search(r"--model small-lenet --batch-size \d+\n$", result.output)


def test_limit_and_model(convlet):
    result = convlet(
        "search", "halves.npz", "--limit", 20, "--validation-split", 0.5, *QUICK,
        "--model", "small-lenet",
    )  # fmt: skip
    assert "halves, 10 samples of 8 x 8 x 1 to train on, 10 to judge on\n" in result.output


def test_divergence_is_a_result(convlet):
    result = convlet("search", "halves.npz", *QUICK, "--low", 0.001, "--high", 1e38)
    assert result.exit_code == 0
    assert re.search(r"^  1e\+38 +diverged after [\d.]+ s$", result.output, re.M)
    assert re.search(r"^ *1e\+38 +diverged +1 *$", result.output, re.M)


@pytest.mark.parametrize(("best", "is_said"), [(0.0001, True), (0.01, False), (1.0, True)])
def test_the_best_at_an_end_is_said(convlet, monkeypatch, best, is_said):
    monkeypatch.setattr(
        "convlet.cli.search._try",
        lambda made, value, number: trial(value, abs(math.log10(value / best)) / 10, round=number),
    )
    result = convlet("search", "halves.npz", *QUICK)
    assert f"\nBest: learning_rate {best:g}, validation error 0.00 %\n" in result.output
    said = "\nThis is an end of the range; --low and --high widen it.\n" in result.output
    assert said == is_said


def test_when_everything_diverges(convlet, monkeypatch):
    def diverging(self, X, y):
        raise NonFiniteLossError("the loss became nan")

    monkeypatch.setattr(ConvletClassifier, "fit", diverging)
    result = convlet("search", "halves.npz", *QUICK)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: learning_rate: every value diverged; try smaller ones, with --high\n"
    )


def test_the_plot_is_a_picture(convlet, folder):
    result = convlet("search", "halves.npz", *QUICK, "--high", 1e38, "--plot", "rates.png")
    assert result.exit_code == 0, result.stderr
    assert "\nDrawn into rates.png\n" in result.output
    with Image.open("rates.png") as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture.convert("L")).std() > 5  # something is drawn


# --- Ctrl-C ---


def test_ctrl_c_shows_what_was_found(convlet, monkeypatch):
    fit, calls = ConvletClassifier.fit, []

    def interrupted(self, X, y):
        calls.append(self.learning_rate)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(self, X, y)

    monkeypatch.setattr(ConvletClassifier, "fit", interrupted)
    result = convlet("search", "halves.npz", "--seed", 0, "--epochs", 1, "--plot", "rates.png")
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted after 2 trials\n"
    assert tried(result.output) == [0.0001, 0.001]
    assert re.search(r"\nBest: learning_rate 0\.0+1, ", result.output)
    assert Path("rates.png").exists()


def test_ctrl_c_before_anything_was_found(convlet, monkeypatch):
    def interrupted(self, X, y):
        raise KeyboardInterrupt

    monkeypatch.setattr(ConvletClassifier, "fit", interrupted)
    result = convlet("search", "halves.npz", *QUICK)
    assert (result.exit_code, result.stderr) == (130, "\nInterrupted\n")


def test_ctrl_c_pressed(start):
    process = start("search", "halves.npz", "--points", 10_000, "--seed", 0, "--epochs", 1)
    while " error " not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(r"\nInterrupted after \d+ trials?\n", errors)
    assert "\nBest: learning_rate " in output


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--low", 0), "'--low': 0.0 is not in the range x>0"),
        (("--high", "inf"), "'--high': inf is not a finite number"),
        (("--points", 1), "'--points': 1 is not in the range x>=2"),
        (("--rounds", 0), "'--rounds': 0 is not in the range x>=1"),
        (("--param", "momentum"), "'--param': 'momentum' is not one of 'learning_rate', 'batch_s"),
        (("--low", 1, "--high", 1), "'--low': 1 is not below 1, the largest value"),
        (("--param", "batch_size", "--low", 0.5), "'--low': 0.5 is less than 1 sample"),
        (("--validation-split", 0), "'--validation-split': 0.0 is not in the range 0<x<1"),
        (("--plot", "rates.jpg"), "'--plot': rates.jpg: the name must end in .png"),
        (("--plot", "no/rates.png"), "'--plot': no/rates.png: there is no folder no"),
    ],
)
def test_wrong_usage(convlet, arguments, message):
    result = convlet("search", "halves.npz", *arguments)
    assert result.exit_code == 2
    assert f"Error: Invalid value for {message}" in result.stderr
    assert result.stdout == ""


def test_no_samples_to_judge_on(convlet):
    result = convlet("search", "halves.npz", "--limit", 2, "--validation-split", 0.01, *QUICK)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: halves: --validation-split must leave samples on both sides, got 0.01 of "
        "2 samples\n"
    )


def test_missing_matplotlib(convlet, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = convlet("search", "halves.npz", *QUICK, "--plot", "rates.png")
    assert result.exit_code == 1
    assert result.stderr == 'Error: --plot needs matplotlib: pip install "convlet[plot]"\n'
