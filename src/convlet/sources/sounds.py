"""Folders of sounds as data sets: Keras's ``audio_dataset_from_directory``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convlet import arguments
from convlet.sources.folder import FileDataset, Listing, check_options, datasets, list_folder

SOUND_SUFFIXES = (".wav",)
_OWNER = "audio_dataset_from_directory"
_FORMATS = ("WAV", "WAVEX")  # soundfile goes by a file's content, whatever its name
_SAMPLES_IN_A_BYTE = 4  # more than any of the encodings puts there


@dataclass(frozen=True)
class SoundInfo:
    """What a sound file's header says.

    Parameters
    ----------
    frames : int
        Samples of each channel.
    channels : int
    sampling_rate : int
        Frames in a second.
    """

    frames: int
    channels: int
    sampling_rate: int


def _open(path: Path, file: Any) -> Any:
    """Return an open WAV file, its header checked."""
    try:
        import soundfile
    except ImportError as error:
        raise ImportError('reading sounds needs soundfile: pip install "convlet[audio]"') from error
    try:
        sound = soundfile.SoundFile(file)
    except Exception as error:
        raise ValueError(f"{path}: the file is damaged or not one of WAV") from error
    limit = _SAMPLES_IN_A_BYTE * os.fstat(file.fileno()).st_size
    if sound.format not in _FORMATS or not 0 < sound.frames * sound.channels <= limit:
        raise ValueError(f"{path}: the file is empty, damaged or not one of WAV")
    return sound


def sound_info(path: str | os.PathLike[str]) -> SoundInfo:
    """Return what a WAV file's header says.

    Raises
    ------
    ValueError
        If the file is damaged, empty or no WAV file.
    ImportError
        If soundfile is not installed.
    OSError
        If the file is missing or may not be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        sound = _open(path, file)
        return SoundInfo(sound.frames, sound.channels, sound.samplerate)


def load_sound(
    path: str | os.PathLike[str], sampling_rate: int | None = None, length: int | None = None
) -> np.ndarray:
    """Return a WAV file's samples, -1 to 1.

    Parameters
    ----------
    path : str or path
    sampling_rate : int, optional
        Frames in a second to resample to, with SciPy's polyphase filter; as recorded by default.
    length : int, optional
        Frames to return: later ones are cut off, missing ones are 0 at the end.

    Returns
    -------
    ndarray
        float32 of shape (length, channels).

    Raises
    ------
    ValueError
        If the file is damaged, empty, no WAV file, or holds numbers that are not finite.
    ImportError
        If soundfile is not installed, or SciPy where it is needed.
    OSError
        If the file is missing or may not be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        sound = _open(path, file)
        rate = sound.samplerate
        try:
            x = sound.read(dtype="float32", always_2d=True)
        except Exception as error:  # soundfile raises its own
            raise ValueError(f"{path}: the file is damaged") from error
    if not np.isfinite(x).all():
        raise ValueError(f"{path}: the sound holds numbers that are not finite")
    if sampling_rate is not None and sampling_rate != rate:
        x = _resampled(x, rate, sampling_rate)
    if length is None:
        return x
    return np.pad(x[:length], ((0, max(0, length - len(x))), (0, 0)))


def _resampled(x: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    try:
        from scipy.signal import resample_poly
    except ImportError as error:
        raise ImportError('resampling sounds needs SciPy: pip install "convlet[learn]"') from error
    shape = (-(-len(x) * wanted // rate), x.shape[1])
    arguments.fits_memory(_OWNER, "a resampled sound", shape, np.float64, "a lower sampling_rate")
    return resample_poly(x, wanted, rate, axis=0).astype(np.float32)


class SoundDataset(FileDataset):
    """Batches of sounds, float32 of shape (n, length, channels), and their labels."""

    def __init__(
        self,
        listing: Listing,
        sampling_rate: int | None,
        length: int | None,
        label_mode: str | None = "int",
        batch_size: int = 32,
        seed: int | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__(_OWNER, listing, label_mode, batch_size, seed, workers)
        self.sampling_rate, self.output_sequence_length = sampling_rate, length

    def read(self, paths: Sequence[str]) -> np.ndarray:
        """Return some sounds, of the longest one's length if none was asked for."""
        sounds = [
            load_sound(path, self.sampling_rate, self.output_sequence_length) for path in paths
        ]
        length, channels = max(map(len, sounds)), sounds[0].shape[1]
        x = np.zeros((len(sounds), length, channels), np.float32)
        for number, sound in enumerate(sounds):
            if sound.shape[1] != channels:
                raise ValueError(
                    f"{paths[number]}: all sounds must have as many channels, got "
                    f"{sound.shape[1]} here and {channels} in {paths[0]}"
                )
            x[number, : len(sound)] = sound
        return x


def audio_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    workers: int = 1,
) -> Any:
    """Return the WAV files of a folder as a data set that reads them when they are needed.

    Parameters
    ----------
    directory, labels, label_mode, class_names, batch_size
        As those of `image_dataset_from_directory`.
    sampling_rate : int, optional
        Frames in a second, to which sounds are resampled; as recorded by default.
    output_sequence_length : int, optional
        Frames of each sound, cut off or filled up with 0 at the end. By default those of the
        longest in its batch.
    shuffle, seed, validation_split, subset, follow_links, workers
        As those of `image_dataset_from_directory`.

    Returns
    -------
    PyDataset
        Of float32, -1 to 1, of shape (n, length, channels), with the attributes ``class_names``,
        ``file_paths`` and ``labels``, and ``arrays()``, all of it as arrays.

    Raises
    ------
    ValueError
        If an argument is not of its form, or there is no WAV file. A damaged file is named when it
        is read.
    OSError
        If a folder or file is missing or may not be read.
    ImportError
        When a file is read and soundfile is not installed, or SciPy to resample it.
    """
    sizes = {"sampling_rate": sampling_rate, "output_sequence_length": output_sequence_length}
    rate, length = (
        None if value is None else arguments.integer(_OWNER, name, value)
        for name, value in sizes.items()
    )
    seed, fraction = check_options(_OWNER, label_mode, shuffle, seed, validation_split, subset)
    listing = list_folder(_OWNER, directory, SOUND_SUFFIXES, labels, class_names, follow_links)

    def make(part: Listing, order: int | None) -> SoundDataset:
        return SoundDataset(part, rate, length, label_mode, batch_size, order, workers)

    return datasets(_OWNER, listing, make, subset, fraction, seed)
