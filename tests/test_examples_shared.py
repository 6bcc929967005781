"""What the examples share: command lines, reports of training, pictures."""

import re
import sys

import numpy as np
import pytest

from convlet import Sequential
from convlet.layers import Dense, Input


@pytest.fixture
def parser(load_example):
    counts = {"seeds": (3, "how often"), "test_limit": (None, "so many"), "many": (6000, "tones")}
    return load_example("command_line").parser_of(
        "First line.\n\nMore.", mnist=True, plot=True, **counts
    )


def test_command_line(parser, tmp_path):
    options = parser.parse_args([])
    assert (options.seeds, options.test_limit, options.many, options.plot) == (3, None, 6000, None)
    assert options.folder.parts[-3:] == ("shared", "data", "mnist")
    pytest.importorskip("matplotlib")
    path = tmp_path / "x.svg"
    options = parser.parse_args(["here", "--test-limit", "7", "--plot", str(path)])
    assert (options.folder, options.test_limit, options.plot) == ("here", 7, path)
    said = " ".join(parser.format_help().split())
    assert "First line." in said
    assert "More." not in said
    assert re.search(r"--many N +tones \(6,000\)", said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "argument --seeds: must be at least 1, got 0"),
        (["--seeds", "-3"], "argument --seeds: must be at least 1, got -3"),
        (["--test-limit", "many"], "argument --test-limit: invalid count value: 'many'"),
        (
            ["--plot", "x.txt"],
            "argument --plot: must be a .pdf, .png, .svg file in a folder, got x.txt",
        ),
        (
            ["--plot", "no/x.png"],
            "argument --plot: must be a .pdf, .png, .svg file in a folder, got no/x.png",
        ),
    ],
)
def test_command_line_refuses(parser, capsys, arguments, message):
    with pytest.raises(SystemExit, match=r"^2$"):
        parser.parse_args(arguments)
    assert capsys.readouterr().err.endswith(f"error: {message}\n")


def test_a_picture_needs_matplotlib(parser, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"^2$"):
        parser.parse_args(["--plot", "x.png"])
    said = "error: argument --plot: needs matplotlib: pip install matplotlib\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.fixture
def model():
    model = Sequential([Input((3,)), Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def test_progress(load_example, model, capsys, monkeypatch):
    training = load_example("training")
    x, y = np.ones((4, 3), np.float32), np.array([0, 1, 1, 1])
    progress = training.Progress("seed 0")
    model.fit(x, y, epochs=2, callbacks=[progress], verbose=0)
    row = r"seed 0, epoch   {}: loss \d\.\d{{4}}, accuracy [\d.]{{6}}  \d\.\d s\n"
    assert re.fullmatch(row.format(1) + row.format(2), capsys.readouterr().out)
    assert len(progress.seconds) == 2
    model.fit(x, y, callbacks=[progress], validation_data=(x, y), verbose=0)
    error = training.error_of(model, x, y)
    assert f", validation error {error:5.2f} %  " in capsys.readouterr().out
    clock = iter(range(0, 600, 100))
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    model.fit(x, y, epochs=3, callbacks=[training.Progress("slow")], verbose=0)
    ends = [line.partition("100.0 s")[2] for line in capsys.readouterr().out.splitlines()]
    assert ends == [", 3 min left", ", 2 min left", ""]


def test_new_data_for_each_epoch(load_example, model, capsys):
    training = load_example("training")
    given = []

    def data():
        given.append(np.full((4, 3), len(given), np.float32))
        return given[-1], np.array([0, 1, 1, 1])

    training.fit_anew(model, data, 3, 2, "new")
    assert [x[0, 0] for x in given] == [0, 1, 2]
    epochs = re.findall(r"^new, epoch +(\d): ", capsys.readouterr().out, re.MULTILINE)
    assert epochs == ["1", "2", "3"]
    assert model.optimizer.iterations == 3 * 2


def test_a_rate_that_falls_to_nothing(load_example, model):
    model.compile(load_example("training").adam(0.01, 3, 10, 4), "mean_squared_error")
    rates = [model.optimizer.learning_rate]
    for _ in range(3):  # epochs of 4, 4 and 2 samples
        model.fit(np.ones((10, 3)), np.ones((10, 2)), batch_size=4, verbose=0)
        rates.append(model.optimizer.learning_rate)
    expected = [0.005 * (1 + np.cos(np.pi * step / 9)) for step in (0, 3, 6, 9)]
    np.testing.assert_allclose(rates, expected, atol=1e-9)


def test_means_of_seeds(load_example):
    mean_of = load_example("training").mean_of
    assert mean_of([1.0, 2.0, 6.0]) == "3.00 (1.00 to 6.00)"
    assert mean_of([0.25, 0.5], ".3f") == "0.375 (0.250 to 0.500)"
    assert mean_of([4.125], ".1f") == "4.1"
