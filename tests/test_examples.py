"""The lectures' experiments, made short, and one recording; `make demo` runs the other example."""

import re
import wave

import numpy as np
import pytest

from example_runs import MNIST, RECORDINGS, run


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")
def test_lecture_mnist():
    result = run("lecture_mnist.py", MNIST, "--seeds", 2, "--epochs", 2, "--limit", 600)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("MNIST: 600, 600, 600 images to train on, to validate on, to ")
    epochs = r"(?:seed \d, epoch   \d: loss [\d.]+, validation error [\d. ]+ %  [\d.]+ s\n){2}"
    assert re.search(
        rf"\n{epochs}Seed 0: test error [\d.]+ %, at epoch \d\n\n"
        rf"{epochs}Seed 1: test error [\d.]+ %, at epoch \d\n\n"
        r"Test error, % +[\d.]+ \([\d.]+ to [\d.]+\); the lecture's 1.37 % at epoch 28\n"
        r"Time an epoch +[\d.]+ s; the lecture's 668 to 712 s\n$",
        result.stdout,
    )


def test_lecture_mnist_without_data(tmp_path):
    result = run("lecture_mnist.py", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        f"This needs MNIST, four IDX files in a folder: {tmp_path}: no "
    )
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--seeds", "--epochs", "--limit"])
def test_lecture_mnist_refuses_nothing(option):
    result = run("lecture_mnist.py", option, 0)
    assert result.returncode == 2
    assert result.stderr.endswith(f"error: argument {option}: must be at least 1, got 0\n")


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not there")
def test_silence():
    result = run("silence.py", RECORDINGS)
    assert (result.returncode, result.stderr) == (0, "")
    loudness, silence = re.findall(r"^\w+ +\|(.{80})\|$", result.stdout, re.MULTILINE)
    assert silence.startswith("@" * 29)
    assert loudness.startswith(" " * 29)
    assert silence[loudness.index("@")] == " "
    assert result.stdout.startswith("6_jackson_0.wav: 0.83 s at 8000 Hz\n")
    assert result.stdout.endswith(
        "Silences of at least 0.05 s: 0.00 to 0.33 s, 0.45 to 0.83 s\n"
        "A tenth of a second later: 0.10 to 0.43 s, 0.55 to 0.93 s\n"
        "The filter's answers are the same, only later.\n"
    )


def write_tone(path, silent_from, silent_to, seconds=1.0, rate=8000):
    """Write a tone of 440 Hz that stops for a while."""
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 440 * time) * ((time < silent_from) | (time >= silent_to))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((30_000 * tone).astype("<i2").tobytes())


def test_silence_finds_where_a_tone_stops(tmp_path):
    write_tone(tmp_path / "tone.wav", 0.4, 0.65)
    result = run("silence.py", tmp_path / "tone.wav")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Silences of at least 0.05 s: 0.40 to 0.65 s\n" in result.stdout
    assert "A tenth of a second later: 0.50 to 0.75 s\n" in result.stdout


@pytest.mark.parametrize("what", ["no file", "no sound", "stereo", "too short"])
def test_silence_without_a_recording(tmp_path, what):
    path = tmp_path / "sound.wav"
    if what == "no sound":
        path.write_text("nothing")
    elif what == "too short":
        write_tone(path, 0, 0, seconds=0.01)
    elif what == "stereo":
        with wave.open(str(path), "wb") as file:
            file.setparams((2, 2, 8000, 0, "NONE", ""))
    result = run("silence.py", path)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(rf"This needs a .*{re.escape(str(path))}.*\n", result.stderr)


PARTS = [
    *("convolution 1", "max pooling 1", "convolution 2", "max pooling 2"),
    *("pooling gradient 2", "kernel gradient 2", "input gradient 2"),
    *("pooling gradient 1", "kernel gradient 1"),
]


def bottleneck(*arguments):
    return run("lecture_bottleneck.py", "--images", 3, "--repeat", 1, *arguments)


def test_lecture_bottleneck():
    result = bottleneck()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("3 images, milliseconds, medians of 1. Native: ")
    rows = re.findall(r"^([a-z ]+ [12]) +(.*)$", result.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == PARTS
    cells = {name: row.split() for name, row in rows}
    assert all(len(row) == 7 for row in cells.values())
    # the lecture's 25.103031 s and 1.434986 s; it prints nothing for going back through a pooling
    assert cells["convolution 2"][:2] == ["25,103", "1,435"]
    assert cells["pooling gradient 1"][:2] == ["-", "-"]
    for name, row in cells.items():
        loops, by_fft, *others = row[2:]
        assert (by_fft == "-") == ("pooling" in name)
        assert all(float(cell.replace(",", "")) >= 0 for cell in (loops, *others))
    assert (
        "\nLoops took 2 of the images and are scaled up.\n"
        "All ways agree to 0.0001 of the largest number.\n"
    ) in result.stdout


@pytest.mark.parametrize("way", ["Loops", "FFT", "Im2col"])
def test_lecture_bottleneck_stops_at_other_numbers(way, monkeypatch, load_example):
    script = load_example("lecture_bottleneck")
    convolution = getattr(script, way).convolution
    monkeypatch.setattr(getattr(script, way), "convolution", lambda self: 1.01 * convolution(self))
    with pytest.raises(
        SystemExit, match=f"^{way}, convolution: differs from the reference by 0.01 "
    ):
        script.measure(script.network(1), repeat=1)


def test_lecture_bottleneck_holds_native_against_the_reference(monkeypatch, load_example):
    script = load_example("lecture_bottleneck")
    monkeypatch.setattr(script.Reference, "convolution", lambda self: 2 * self.layer.y)
    with pytest.raises(
        SystemExit, match=r"^native, convolution: differs from the reference by 0\.5 "
    ):
        script.measure(script.network(1), repeat=1)


def test_lecture_bottleneck_draws(tmp_path):
    pytest.importorskip("matplotlib")
    result = bottleneck("--plot", tmp_path / "bars.svg")
    assert result.returncode == 0  # matplotlib may say that it looks for fonts
    assert result.stdout.endswith(f"\nPicture: {tmp_path / 'bars.svg'}\n")
    assert (tmp_path / "bars.svg").read_text().rstrip().endswith("</svg>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", 0], "argument --images: must be at least 1, got 0"),
        (["--repeat", 0], "argument --repeat: must be at least 1, got 0"),
        (
            ["--images", 10**9],
            "--images: 1000000000 of them would take 1.2e+06 GB, this machine has ",
        ),
    ],
)
def test_lecture_bottleneck_refuses(arguments, message):
    result = bottleneck(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"error: {message}" in result.stderr


def test_depth():
    result = run("depth.py", "--depths", 8, 14, "--epochs", 2, "--limit", 96)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("96 digits; a loss of 2.303 is guessing\n\nnetwork ")
    rows = re.findall(r"^(\w+) +([\d.]+) ([\d.]+)  [\d.]+ s$", result.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["plain8", "resnet8", "plain14", "resnet14"]


@pytest.mark.slow
def test_110_layers_learn_with_shortcuts_alone():
    result = run("depth.py", "--depths", 110, "--epochs", 5)
    plain, residual = re.findall(r"^\w+110 +(.*?)  ", result.stdout, re.MULTILINE)
    assert float(plain.split()[-1]) > 2.2
    assert float(residual.split()[-1]) < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", 0], "argument --epochs: must be at least 1, got 0"),
        (["--limit", 0], "argument --limit: must be at least 1, got 0"),
        (["--depths", 20, 21], "--depths must be 6n + 2, such as 8, 20 or 110"),
        (["--depths", 2], "--depths must be 6n + 2, such as 8, 20 or 110"),
    ],
)
def test_depth_refuses(arguments, message):
    result = run("depth.py", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: {message}\n")
