"""The spoken digits: split, length and scale, from a folder, an archive and a server."""

import io
import re
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from convlet.datasets import fsdd

pytest_plugins = ("servers",)

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/fsdd"
INSIDE = "free-spoken-digit-dataset-1.0.10/recordings"


def recording(samples, channels=1, width=2, rate=8000):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return stream.getvalue()


def samples(digit, take):
    return np.array([-32768, 32767, digit, take] + [100 * digit + take] * take)


FILES = {
    f"{digit}_{speaker}_{take}.wav": recording(samples(digit, take))
    for digit in (0, 7)
    for speaker in ("theo", "george")
    for take in (0, 4, 5, 10)
}


def archive(files, folder=INSIDE):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(f"{Path(folder).parent}/README.md", b"text")
        for name, data in files.items():
            opened.writestr(f"{folder}/{name}", data)
    return stream.getvalue()


ARCHIVE = archive(FILES)


def check(loaded, length):
    (x_train, y_train), (x_test, y_test) = loaded
    for x, y, takes in ((x_train, y_train, (5, 10)), (x_test, y_test, (0, 4))):
        assert (x.shape, x.dtype, y.dtype) == ((8, length), np.float32, np.uint8)
        np.testing.assert_array_equal(y, [0] * 4 + [7] * 4)
        order = [(digit, take) for digit in (0, 7) for _ in range(2) for take in takes]
        for waveform, (digit, take) in zip(x, order, strict=True):
            expected = np.zeros(max(length, 50))
            expected[: 4 + take] = samples(digit, take) / 32768
            np.testing.assert_allclose(waveform, expected[:length], rtol=1e-7)


@pytest.mark.parametrize("length", [1, 6, 20])
@pytest.mark.parametrize("nested", [False, True])
def test_folder(tmp_path, nested, length):
    folder = tmp_path / "recordings" if nested else tmp_path
    folder.mkdir(exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    (folder / "notes.wav").write_bytes(b"no recording")
    check(fsdd.load_data(str(tmp_path), length=length), length)


def test_default_length_is_a_second(tmp_path):
    (tmp_path / "v1.0.10.zip").write_bytes(archive(FILES))
    check(fsdd.load_data(tmp_path), 8000)
    assert fsdd.SAMPLE_RATE == 8000
    assert [path.name for path in tmp_path.iterdir()] == ["v1.0.10.zip"]  # nothing is extracted


def test_recordings_have_their_speakers_and_takes(tmp_path):
    (tmp_path / "v1.0.10.zip").write_bytes(archive(FILES))
    x, digits, speakers, takes = fsdd.load_recordings(tmp_path, length=9)
    assert (x.shape, x.dtype, digits.dtype, takes.dtype) == ((16, 9), "float32", "uint8", "int64")
    names = [f"{d}_{s}_{t}.wav" for d, s, t in zip(digits, speakers, takes, strict=True)]
    assert names[:5] == [f"0_george_{t}.wav" for t in (0, 4, 5, 10)] + ["0_theo_0.wav"]
    assert sorted(names) == sorted(FILES)
    for waveform, digit, take in zip(x, digits, takes, strict=True):
        expected = np.zeros(50)
        expected[: 4 + take] = samples(int(digit), take) / 32768
        np.testing.assert_allclose(waveform, expected[:9], rtol=1e-7)


def test_recordings_need_no_takes_for_testing(tmp_path):
    for name in ("7_theo_5.wav", "7_theo_10.wav"):
        (tmp_path / name).write_bytes(FILES[name])
    assert fsdd.load_recordings(tmp_path).takes.tolist() == [5, 10]


def test_a_length_beyond_any_memory_leaves_the_archive_in_the_cache(server, cache):
    server.files["v1.0.10.zip"] = archive(FILES)
    fsdd.load_data(mirror=server.address, length=9)
    with pytest.raises(ValueError, match="use a smaller length"):
        fsdd.load_data(mirror=server.address, length=10**13)
    assert [file.name for file in (cache / "fsdd").iterdir()] == ["v1.0.10.zip"]


def test_download(server, cache):
    server.files["v1.0.10.zip"] = archive(FILES)
    for _ in range(2):
        check(fsdd.load_data(mirror=server.address, length=9), 9)
    assert server.asked == [("v1.0.10.zip", None)]


def test_what_is_no_archive_does_not_stay_in_the_cache(server, cache):
    server.files["v1.0.10.zip"] = b"<html>Sorry</html>"
    message = f"^{cache}/fsdd/v1.0.10.zip: the archive is damaged, encrypted or no zip file$"
    with pytest.raises(ValueError, match=message):
        fsdd.load_data(mirror=server.address)
    assert list((cache / "fsdd").iterdir()) == []


# --- what is refused ---


def refuses(path, message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(f'{path}{message}')}$")


def test_nothing_there(tmp_path):
    message = (
        ": no spoken digits here, looked for DIGIT_SPEAKER_TAKE.wav, also in recordings, and for "
        "v1.0.10.zip"
    )
    with refuses(tmp_path, message, FileNotFoundError):
        fsdd.load_data(tmp_path)


@pytest.mark.parametrize("length", [0, -1, 2.5, "a", True, None])
def test_length(length):
    message = f"^fsdd: length must be an integer of at least 1, got {length!r}$"
    with pytest.raises(ValueError, match=message):
        fsdd.load_data(length=length)


def test_a_length_beyond_any_memory(tmp_path):
    (tmp_path / "v1.0.10.zip").write_bytes(archive(FILES))
    message = r"^fsdd: waveforms must fit into the .* GB; use a smaller length$"
    with pytest.raises(ValueError, match=message):
        fsdd.load_data(tmp_path, length=10**13)


@pytest.mark.parametrize("takes", [(0, 4), (5, 10)])
def test_a_part_without_recordings(tmp_path, takes):
    for name, data in FILES.items():
        if int(name.split("_")[2].removesuffix(".wav")) in takes:
            (tmp_path / name).write_bytes(data)
    with refuses(tmp_path, ": there must be takes from 0 to 4, for testing, and later ones"):
        fsdd.load_data(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", " is no WAV file, or a damaged one"),
        (b"RIFF....WAVE", " is no WAV file, or a damaged one"),
        (
            recording([1, 2], channels=2),
            " must have 1 channel of 16 bits and 8000 samples a second, got 2 of 16 and 8000",
        ),
        (
            recording([1, 2], width=1),
            " must have 1 channel of 16 bits and 8000 samples a second, got 1 of 8 and 8000",
        ),
        (
            recording([1, 2], rate=16000),
            " must have 1 channel of 16 bits and 8000 samples a second, got 1 of 16 and 16000",
        ),
    ],
)
def test_recordings_of_another_kind(tmp_path, data, message):
    path = tmp_path / "v1.0.10.zip"
    path.write_bytes(archive(FILES | {"7_theo_5.wav": data}))
    with refuses(f"{path}: 7_theo_5.wav", message):
        fsdd.load_data(tmp_path)


def test_recordings_elsewhere_in_the_archive(tmp_path):
    path = tmp_path / "v1.0.10.zip"
    path.write_bytes(archive(FILES, folder="other/sounds"))
    with refuses(path, ": the archive has no DIGIT_SPEAKER_TAKE.wav in recordings"):
        fsdd.load_data(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: b"no archive",
        lambda data: data[:200] + b"\xff" * 20 + data[220:],
    ],
)
def test_damaged_archives(tmp_path, damage):
    path = tmp_path / "v1.0.10.zip"
    path.write_bytes(damage(archive(FILES)))
    with refuses(path, ": the archive is damaged, encrypted or no zip file"):
        fsdd.load_data(tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(ARCHIVE) - 1), st.binary(min_size=1, max_size=8))
def test_hostile_bytes_load_or_raise_value_error(tmp_path, place, change):
    changed = ARCHIVE[:place] + change + ARCHIVE[place + len(change) :]
    path = tmp_path / "v1.0.10.zip"
    path.write_bytes(changed)
    try:
        fsdd.load_data(tmp_path, length=9)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the spoken digits")
def test_real_recordings():
    (x_train, y_train), (x_test, y_test) = fsdd.load_data(REAL)

    assert (x_train.shape, x_test.shape) == ((2700, 8000), (300, 8000))
    np.testing.assert_array_equal(np.bincount(y_train), [270] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [30] * 10)
    rate, first = wavfile.read(REAL / "recordings/0_george_5.wav")
    assert rate == fsdd.SAMPLE_RATE
    np.testing.assert_array_equal(x_train[0, : len(first)], first / np.float32(32768))
    assert not x_train[0, len(first) :].any()
    _, last = wavfile.read(REAL / "recordings/9_yweweler_4.wav")
    np.testing.assert_array_equal(x_test[-1, : len(last)], last / np.float32(32768))
    recordings = fsdd.load_recordings(REAL, length=10)
    assert np.unique(recordings.speakers, return_counts=True)[1].tolist() == [500] * 6
