"""The Free Spoken Digit Dataset: recordings of the words zero to nine, 8,000 samples a second."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convlet import arguments
from convlet.datasets.download import RemoteFile, fetch

if TYPE_CHECKING:
    import zipfile

SAMPLE_RATE = 8000
"""Samples a second."""

_BASE = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/"
_ARCHIVE = RemoteFile("v1.0.10.zip", None, None)
_IN_ARCHIVE = 3000  # recordings
_NAME = re.compile(r"(\d)_([^_/]+)_(\d{1,9})\.wav")
_TEST_TAKES = 5  # the first ones of each speaker and digit
_LARGEST = 1 << 24  # bytes of a recording, far above the longest one's 36 KB
_FULL_SCALE = 32768  # of 16 bits


class Recordings(NamedTuple):
    """Recordings as waveforms of one length, and what is known of each.

    Attributes
    ----------
    x : ndarray of float32, shape (n, length)
        Waveforms, -1 to 1.
    digits : ndarray of uint8, shape (n,)
    speakers : ndarray of str, shape (n,)
        Names, such as "george".
    takes : ndarray of int64, shape (n,)
        Which of a speaker's recordings of a digit it is, from 0.
    """

    x: np.ndarray
    digits: np.ndarray
    speakers: np.ndarray
    takes: np.ndarray


class _Name(NamedTuple):
    """What a recording's name says, in the order in which the data set is returned."""

    digit: int
    speaker: str
    take: int


_Reader = Callable[[], bytes]


def load_data(
    path: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    length: int = SAMPLE_RATE,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the spoken digits as waveforms of one length, split as its authors split it.

    Takes 0 to 4 of each speaker and digit are for testing, the others for training. So the same
    six speakers are in both parts; `load_recordings` tells them apart.

    Parameters
    ----------
    path : str or path, optional
        A folder with the recordings, ``DIGIT_SPEAKER_TAKE.wav``, or with a folder ``recordings`` of
        them, or with the archive ``v1.0.10.zip``. By default that is downloaded once, some 16 MB,
        into the user's cache, or into ``CONVLET_DATA``.
    mirror : str, optional
        Another address to download from, to which the archive's name is added.
    length : int, default 8000
        Samples of each waveform, ``SAMPLE_RATE`` being 8,000 a second: shorter ones get zeros at
        their end, longer ones are cut there. The recordings have 1,148 to 18,262 samples.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Waveforms, float32 of shape (n, length) with values from -1 to 1, and the digits, uint8 of
        shape (n,); ordered by digit, speaker and take. 2,700 and 300 for version 1.0.10.

    Raises
    ------
    FileNotFoundError
        If ``path`` has no recordings.
    ValueError
        If a recording is damaged, or no mono WAV file of 16 bits and 8,000 samples a second; if one
        of the two parts is empty.
    ConnectionError, ImportError
        If the download fails, or pooch is not installed.

    Notes
    -----
    Source: Z. Jackson et al., *Free Spoken Digit Dataset* 1.0.10, 2020. No checksum of its archive
    is published, and GitHub, which makes the archive when it is asked for, does not promise equal
    bytes: what is checked is the checksum that the archive has of each recording.
    """
    x, digits, _, takes = load_recordings(path, mirror, length)
    test = takes < _TEST_TAKES
    if test.all() or not test.any():
        where = "fsdd" if path is None else path
        raise ValueError(f"{where}: there must be takes from 0 to 4, for testing, and later ones")
    return (x[~test], digits[~test]), (x[test], digits[test])


def load_recordings(
    path: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    length: int = SAMPLE_RATE,
) -> Recordings:
    """Return all spoken digits, with their speakers and takes, for a split of one's own.

    Whether a network knows a digit from a voice that it has never heard, a split by speaker tells::

        x, digits, speakers, takes = fsdd.load_recordings()
        test = speakers == "theo"
        model.fit(x[~test], digits[~test], validation_data=(x[test], digits[test]))

    Parameters
    ----------
    path, mirror, length
        As those of `load_data`.

    Returns
    -------
    Recordings
        Ordered by digit, speaker and take: 3,000 for version 1.0.10, 50 of each of ten digits by
        each of six speakers.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError, ImportError
        As by `load_data`; which takes there are does not matter.
    """
    length = arguments.integer("fsdd", "length", length)
    if path is not None:
        return _load_folder(Path(path), length)
    _check_memory(_IN_ARCHIVE, length)
    (archive,) = fetch("fsdd", _BASE, [_ARCHIVE], mirror)
    try:
        return _load_archive(archive, length)
    except ValueError:
        archive.unlink()  # it would be found, and refused, for ever
        raise


def _load_folder(folder: Path, length: int) -> Recordings:
    for place in (folder / "recordings", folder):
        files = {file.name: file for file in place.glob("*.wav") if file.is_file()}
        if named := _recordings(files):
            readers = {recording: files[name].read_bytes for recording, name in named.items()}
            return _load(readers, str(place), length)
    archive = folder / _ARCHIVE.name
    if not archive.is_file():
        raise FileNotFoundError(
            f"{folder}: no spoken digits here, looked for DIGIT_SPEAKER_TAKE.wav, also in "
            f"recordings, and for {_ARCHIVE.name}"
        )
    return _load_archive(archive, length)


def _load_archive(path: Path, length: int) -> Recordings:
    """Return the recordings of an archive, read by name and never written."""
    import zipfile  # here, and not with every import of convlet

    from convlet.datasets.npz import ZIP_DAMAGE

    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _load(_readers(archive, path), str(path), length)
        except ZIP_DAMAGE as error:
            raise ValueError(f"{path}: the archive is damaged, encrypted or no zip file") from error


def _readers(archive: zipfile.ZipFile, path: Path) -> dict[_Name, _Reader]:
    members = {
        Path(info.filename).name: info
        for info in archive.infolist()
        if Path(info.filename).parent.name == "recordings"
    }
    named = _recordings(members)
    if not named:
        raise ValueError(f"{path}: the archive has no DIGIT_SPEAKER_TAKE.wav in recordings")
    return {recording: _member_reader(archive, members[name]) for recording, name in named.items()}


def _member_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Reader:
    def read() -> bytes:
        with archive.open(member) as stream:
            return stream.read(_LARGEST)

    return read


def _recordings(names: Mapping[str, object]) -> dict[_Name, str]:
    """Return the names that are recordings', in order."""
    matches = {name: match for name in names if (match := _NAME.fullmatch(name))}
    found = {_Name(int(m[1]), m[2], int(m[3])): name for name, m in matches.items()}
    return dict(sorted(found.items()))


def _check_memory(recordings: int, length: int) -> None:
    instead = "a smaller length"
    arguments.fits_memory("fsdd", "waveforms", (recordings, length), np.float32, instead)


def _load(readers: Mapping[_Name, _Reader], where: str, length: int) -> Recordings:
    _check_memory(len(readers), length)
    x = np.zeros((len(readers), length), np.float32)
    for waveform, (named, read) in zip(x, readers.items(), strict=True):
        name = f"{where}: {named.digit}_{named.speaker}_{named.take}.wav"
        samples = _samples(read(), name)[:length]
        waveform[: len(samples)] = samples / np.float32(_FULL_SCALE)
    digits, speakers, takes = zip(*readers, strict=True)
    return Recordings(x, np.array(digits, np.uint8), np.array(speakers), np.array(takes, np.int64))


def _samples(data: bytes, name: str) -> np.ndarray:
    """Return the samples of a WAV file, 16-bit integers."""
    import wave  # here, and not with every import of convlet

    try:
        with wave.open(io.BytesIO(data)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            frames = file.readframes(min(file.getnframes(), len(data)))
    except (wave.Error, EOFError, struct.error) as error:
        raise ValueError(f"{name} is no WAV file, or a damaged one") from error
    if form != (1, 2, SAMPLE_RATE):
        raise ValueError(
            f"{name} must have 1 channel of 16 bits and {SAMPLE_RATE} samples a second, got "
            f"{form[0]} of {8 * form[1]} and {form[2]}"
        )
    return np.frombuffer(frames, "<i2")
