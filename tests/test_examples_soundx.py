"""The examples on sound, made short."""

import re
import wave

import numpy as np
import pytest

from example_runs import RECORDINGS, run

needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are missing")


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
    mean = re.search(r"\nRight, %: ([\d.]+) \([\d.]+ to [\d.]+\)\n", printed)
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
    arguments = ("--seeds", 1, "--epochs", 6, "--layers", 4, "--melodies", 800)
    printed = output("melody.py", *arguments, "--plot", paths[0], "--out", paths[1])
    assert printed.startswith("800 melodies to learn from, 1,000 others to be judged by\n")
    right = [float(share) for share in re.findall(r" (\d+\.\d)$", printed, re.MULTILINE)]
    frequent, follower, two, *_, sixteen, best = right
    assert frequent < follower - 10
    assert two == pytest.approx(follower, abs=5)
    assert follower + 3 < sixteen < best
    rows = re.findall(r"^(the melody|\d+ notes seen) +([a-g'| ]+)$", printed, re.MULTILINE)
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


@needs_recordings
def test_denoise(tmp_path):
    arguments = ("--every", 30, "--epochs", 4, "--seeds", 2, "--validate")
    out = tmp_path / "sounds"
    printed = output(
        "denoise.py", RECORDINGS, *arguments, "--out", out, "--plot", tmp_path / "d.png"
    )
    assert printed.startswith("80 recordings to train on; 10, takes 5 to 9, to be judged by\n\n")
    losses = re.findall(r"^seed 0, epoch +\d: loss ([\d.]+)  [\d.]+ s$", printed, re.MULTILINE)
    assert float(losses[3]) < float(losses[0]) / 2
    row = r"^ +(\d+) dB +([-\d.]+) +([-\d.]+) +([-\d.]+) \([-\d.]+ to [-\d.]+\)$"
    gains = {
        int(level): [float(g) for g in found]
        for level, *found in re.findall(row, printed, re.MULTILINE)
    }
    assert list(gains) == [0, 5, 10]
    assert all(wiener > 1 and spectrogram > 4 for wiener, spectrogram, _ in gains.values())
    assert gains[0][2] > 3
    names = ["Wiener-filter.wav", "clean.wav", "network.wav", "noisy.wav", "spectrogram.wav"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert all(len(samples_of(path)) == 8000 for path in out.iterdir())
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")


def test_spectral_subtraction_and_gain(load_example):
    module = load_example("denoising")
    gain, subtraction, wiener = module.gain, module.subtraction, module.wiener
    time = np.arange(8000) / 8000
    clean = np.sin(2 * np.pi * 500 * time)[np.newaxis] * (time > 0.3)
    noisy = clean + 0.3 * np.random.default_rng(0).normal(size=clean.shape)
    assert gain(clean, noisy, clean + (noisy - clean) / 10) == pytest.approx(20)
    assert gain(clean, noisy, subtraction(noisy, 3)) > 12
    assert gain(clean, noisy, wiener(noisy, 5)) > 1


@pytest.mark.parametrize("head", [(), ("--direct",)])
def test_pitch(tmp_path, head):
    picture = tmp_path / "pitch.png"
    arguments = ("--seeds", 1, "--epochs", 2, "--tones", 1000, "--judges", 100, "--plot", picture)
    printed = output("pitch.py", *arguments, *head)
    losses = [
        float(loss)
        for loss in re.findall(r"^seed 0, epoch +\d: loss ([\d.]+) ", printed, re.MULTILINE)
    ]
    assert losses[1] < losses[0]
    row = r"^ +(-?\d+) dB +([\d.]+) cents +([\d.]+)% +([\d.]+) cents +([\d.]+)%$"
    rows = {
        int(level): [float(x) for x in found]
        for level, *found in re.findall(row, printed, re.MULTILINE)
    }
    assert list(rows) == [20, 10, 0, -5, -10]
    assert rows[20][0] < 5
    assert rows[20][1] > 85
    assert rows[-10][1] < 70
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_pitch_of_pure_tones_by_autocorrelation(load_example):
    tones = load_example("tones")
    hertz = np.array([82.0, 110.0, 261.63, 440.0, 630.0])
    time = np.arange(tones.LENGTH) / tones.RATE
    sounds = np.sin(2 * np.pi * hertz[:, np.newaxis] * time)
    np.testing.assert_allclose(
        tones.autocorrelation(sounds, 0.9), 1200 * np.log2(hertz / 80), atol=10
    )


@needs_recordings
def test_silence_learned(tmp_path):
    picture = tmp_path / "silence.png"
    arguments = ("--seeds", 1, "--epochs", 4, "--sounds", 160, "--plot", picture)
    printed = output("silence_learned.py", RECORDINGS, *arguments)
    assert printed.startswith("160 sounds to learn from, 300 to be judged by\n\n")
    row = r"^(none|\d+ dB)" + r" +([\d.]+)%" * 4 + "$"
    right = {
        level: [float(share) for share in shares]
        for level, *shares in re.findall(row, printed, re.MULTILINE)
    }
    assert list(right) == ["none", "20 dB", "10 dB", "5 dB", "0 dB"]
    assert right["none"][0] == 100
    by_hand, fitted, _, network = right["0 dB"]
    assert by_hand < 50 < fitted
    assert network > by_hand + 20
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("script", ["spoken_digits.py", "denoise.py", "silence_learned.py"])
def test_without_recordings(tmp_path, script):
    result = run(script, tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"This needs the Free Spoken Digit Dataset: {tmp_path}: no ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "option"),
    [
        ("spoken_digits.py", "--every"),
        ("denoise.py", "--epochs"),
        ("pitch.py", "--tones"),
        ("melody.py", "--layers"),
        ("silence_learned.py", "--seeds"),
    ],
)
def test_refuses_nothing(script, option):
    result = run(script, option, 0)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: argument {option}: must be at least 1, got 0\n")


def test_melody_needs_a_place_for_its_sound(tmp_path):
    result = run("melody.py", "--out", tmp_path / "none" / "melody.wav")
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: --out must be a file in a folder, got " in result.stderr
