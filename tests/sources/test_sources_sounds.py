"""Folders of WAV files: lengths, rates, channels, and files that are none."""

import re
import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from convlet.sources.sounds import load_sound, sound_info
from convlet.utils import audio_dataset_from_directory

soundfile = pytest.importorskip("soundfile")

SPOKEN = Path(__file__).resolve().parents[2].parent / "shared/data/fsdd/recordings"


def write(path, samples, rate=8000):
    """Write 16-bit samples with Python's own module, of shape (frames, channels)."""
    samples = np.atleast_2d(np.asarray(samples, "<i2").T).T
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "no/1.wav", [0, 16384, -32768])
    write(tmp_path / "yes/2.wav", [8192] * 5)
    write(tmp_path / "yes/3.WAV", [-8192] * 2)
    return tmp_path


def test_samples_and_labels(folder):
    dataset = audio_dataset_from_directory(folder, shuffle=False, batch_size=2)
    assert dataset.class_names == ["no", "yes"]
    x, y = dataset[0]
    assert (x.shape, x.dtype) == ((2, 5, 1), np.float32)
    np.testing.assert_array_equal(x[..., 0], [[0, 0.5, -1, 0, 0], [0.25] * 5])
    assert y.tolist() == [0, 1]
    assert dataset[1][0].shape == (1, 2, 1)


def test_output_sequence_length(folder):
    dataset = audio_dataset_from_directory(folder, shuffle=False, output_sequence_length=4)
    x, y = dataset.arrays()
    np.testing.assert_array_equal(x[..., 0], [[0, 0.5, -1, 0], [0.25] * 4, [-0.25, -0.25, 0, 0]])
    assert y.tolist() == [0, 1, 1]


def test_arrays_need_one_length(folder):
    message = re.escape("all files must give arrays of one shape, got (5, 1) here and (3, 1) in ")
    with pytest.raises(ValueError, match=f"2.wav: {message}"):
        audio_dataset_from_directory(folder, shuffle=False).arrays()


def test_resampling_keeps_a_tone(tmp_path):
    path = tmp_path / "a/tone.wav"
    write(path, 16000 * np.sin(2 * np.pi * 200 * np.arange(8000) / 8000))
    x = load_sound(path, sampling_rate=6000)
    assert x.shape == (6000, 1)
    expected = 16000 / 32768 * np.sin(2 * np.pi * 200 * np.arange(6000) / 6000)
    np.testing.assert_allclose(x[100:-100, 0], expected[100:-100], atol=2e-3)
    (only,) = audio_dataset_from_directory(tmp_path, sampling_rate=6000)[0][0]
    np.testing.assert_array_equal(only, x)


def test_soundfile_is_named_where_it_is_missing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    message = re.escape('reading sounds needs soundfile: pip install "convlet[audio]"')
    with pytest.raises(ImportError, match=f"^{message}$"):
        audio_dataset_from_directory(folder)[0]


def test_channels(tmp_path):
    write(tmp_path / "a/1.wav", [[1, 2], [3, 4]])
    assert sound_info(tmp_path / "a/1.wav").channels == 2
    assert audio_dataset_from_directory(tmp_path)[0][0].shape == (1, 2, 2)
    write(tmp_path / "a/2.wav", [1, 2])
    message = "2.wav: all sounds must have as many channels, got 1 here and 2 in "
    with pytest.raises(ValueError, match=message):
        audio_dataset_from_directory(tmp_path, shuffle=False)[0]


def floats(values):
    data = np.asarray(values, "<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def of_many_frames(content):
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", 2**31) + content[at + 4 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "the file is damaged or not one of WAV"),
        (lambda content: content[:30], "the file is damaged or not one of WAV"),
        (lambda content: content[:44], "the file is empty, damaged or not one of WAV"),
        (lambda content: b"fLaC" + content, "the file is damaged or not one of WAV"),
        (lambda content: floats([0, np.nan]), "the sound holds numbers that are not finite"),
    ],
)
def test_files_that_will_not_do(folder, change, message):
    path = folder / "yes/2.wav"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$"):
        load_sound(path)


def test_a_header_is_not_believed(folder):
    path = folder / "yes/2.wav"
    path.write_bytes(of_many_frames(path.read_bytes()))
    assert load_sound(path).shape == (5, 1)


def test_another_format_under_the_name(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 8000, format="FLAC")
    with pytest.raises(ValueError, match=r"a\.wav: the file is empty, damaged or not one of WAV"):
        load_sound(path)


@pytest.mark.parametrize("name", ["sampling_rate", "output_sequence_length"])
def test_sizes_that_will_not_do(folder, name):
    message = f"^audio_dataset_from_directory: {name} must be an integer of at least 1, got 0$"
    with pytest.raises(ValueError, match=message):
        audio_dataset_from_directory(folder, **{name: 0})


@pytest.mark.skipif(not SPOKEN.is_dir(), reason="needs the spoken digits")
def test_spoken_digits_are_read_as_python_reads_them():
    path = SPOKEN / "7_jackson_0.wav"
    with wave.open(str(path)) as file:
        expected = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        assert sound_info(path).sampling_rate == file.getframerate()
    np.testing.assert_array_equal(load_sound(path)[:, 0], expected.astype(np.float32))
