"""The lectures' experiments on MNIST that took long: here a few images and epochs of each."""

import re

import pytest

from example_runs import EXAMPLES, MNIST, run

SCRIPTS = ["mnist.py", "mnist_advice.py", "time_to_99.py"]
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")


@needs_mnist
@pytest.mark.parametrize("distort", [False, True])
def test_mnist(distort):
    arguments = ["--seeds", 2, "--epochs", 3, "--limit", 1000, *["--distort"] * distort]
    result = run("mnist.py", MNIST, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("MNIST: 1,000, 1,000, 1,000 images to train on, to validate ")
    epochs = r"(?:seed \d, epoch   \d: loss [\d.]+, validation error [\d. ]+ %  [\d.]+ s\n){3}"
    found = re.search(
        rf"\n{epochs}Seed 0: test error ([\d.]+) %\n\n{epochs}Seed 1: test error ([\d.]+) %\n\n"
        r"Test error, % +([\d.]+) \(([\d.]+) to ([\d.]+)\); LISA's 0.92\n"
        r"Time +[\d.]+ minutes; LISA's 380\n$",
        result.stdout,
    )
    first, second, mean, least, most = map(float, found.groups())
    assert sorted([first, second]) == [least, most]
    assert mean == pytest.approx((first + second) / 2, abs=0.011)
    assert most < 80  # guessing has 90


@needs_mnist
def test_mnist_advice(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "advice.svg"
    arguments = ["--seeds", 1, "--epochs", 2, "--limit", 200, "--plot", path]
    result = run("mnist_advice.py", MNIST, *arguments)
    assert result.returncode == 0  # matplotlib may say that it looks for fonts
    tables = [table.splitlines() for table in result.stdout.split("\n\n")]
    assert [len(table) for table in tables] == [10, 5, 5, 5, 2]
    assert tables[2][1].split()[:5] == ["6-24-96", "42", "254", "1016", "9"]
    errors = [float(error) for line in tables[0][1:] for error in line.split()[1:]]
    assert errors[0] > errors[-1]  # 2 units and 512
    assert "</svg>" in path.read_text()


@needs_mnist
def test_time_to_99():
    arguments = ["--libraries", "convlet", "--seeds", 2, "--limit", 4000]
    result = run("time_to_99.py", MNIST, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    row = r"convlet +seed \d: +[\d.]+ s, of processors +[\d.]+ s, accuracy (\d\d.\d\d) %\n"
    means = r"\nMeans of .*\nconvlet +[\d.]+ s, of processors +[\d.]+ s, accuracy [\d.]+ % \("
    found = re.match(rf"{row}{row}{means}", result.stdout)
    assert min(map(float, found.groups())) > 90


@needs_mnist
def test_time_to_99_without_peers():
    arguments = ["--libraries", "convlet", "torch", "--python", EXAMPLES / "no-python"]
    result = run("time_to_99.py", MNIST, *arguments, "--seeds", 1, "--limit", 500)
    assert (result.returncode, result.stderr) == (0, "")
    assert "torch    did not run: " in result.stdout
    assert result.stdout.count("\ntorch") == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_data(script, tmp_path):
    result = run(script, tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("This needs MNIST, four IDX files in a folder: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("option", ["--seeds", "--limit"])
def test_refuses_nothing(script, option):
    result = run(script, option, 0)
    assert result.returncode == 2
    assert result.stderr.endswith(f"error: argument {option}: must be at least 1, got 0\n")
