"""Folders of image or sound files as arrays: a class a sub-folder, or a table ``labels.csv``.

    folder/cats/1.png        folder/train/cats/1.png      folder/labels.csv
    folder/dogs/2.png        folder/test/dogs/2.png       folder/1.png

Sub-folders ``train`` and ``test`` are the two parts, if there are no others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from convlet.datasets.dataset import DataSet
from convlet.preprocessing import Preprocessing, image_form
from convlet.sources.folder import FileDataset, Listing, list_folder
from convlet.sources.images import IMAGE_SUFFIXES, ImageDataset
from convlet.sources.sounds import SOUND_SUFFIXES, SoundDataset, sound_info

_TABLE = "labels.csv"
_PARTS = ("train", "test")
_SUFFIXES = (*IMAGE_SUFFIXES, *SOUND_SUFFIXES)
_BYTES = (0.0, 255.0)
_WORKERS = 4  # decoders let each other run


class _ByteDataset(ImageDataset):
    """Images as bytes, for values that are bytes anyway: a quarter of the memory."""

    def read(self, paths: Sequence[str]) -> np.ndarray:
        """Return some images as uint8."""
        return super().read(paths).astype(np.uint8)


def holds_files(folder: Path) -> bool:
    """Return whether a folder has images or sounds, or a table of them, somewhere in it."""
    return any(
        name == _TABLE or Path(name).suffix.lower() in _SUFFIXES
        for _, _, names in os.walk(folder)
        for name in names
    )


def open_folder(
    folder: Path,
    preprocessing: Preprocessing | None = None,
    image_size: tuple[int, int] | None = None,
    sound_length: int | None = None,
) -> DataSet:
    """Return the images or the sounds of a folder, all of them in memory.

    Parameters
    ----------
    folder : path
    preprocessing, image_size, sound_length
        As those of `convlet.datasets.open_dataset`.

    Returns
    -------
    DataSet
        Those to train on in an order that mixes the classes, so that a part of them is a fair one.
        Images as uint8, or as float32 if ``preprocessing`` maps them to other values than 0 to 255;
        sounds as float32 of shape (n, frames, channels).

    Raises
    ------
    ValueError
        If a file is damaged, or files do not go together.
    OSError
        If one may not be read.
    ImportError
        If Pillow or soundfile is needed and not installed.
    """
    train, test = _listings(folder)
    listings = [train.mixed()] if test is None else [train.mixed(), test]
    paths = [path for listing in listings for path in listing.paths]
    sounds = [path for path in paths if path.suffix.lower() in SOUND_SUFFIXES]
    if sounds and len(sounds) < len(paths):
        other = next(path for path in paths if path.suffix.lower() not in SOUND_SUFFIXES)
        raise ValueError(f"{folder}: there are sounds and others, {sounds[0]} and {other}")
    rate = None
    parts: list[FileDataset]
    if sounds:
        length, rate = _sound_form(paths, sound_length)
        parts = [SoundDataset(part, None, length, workers=_WORKERS) for part in listings]
    else:
        preprocessing = preprocessing or _preprocessing(folder, paths, image_size)
        as_bytes = (preprocessing.minimum, preprocessing.maximum) == _BYTES
        kind = _ByteDataset if as_bytes else ImageDataset
        parts = [kind(part, preprocessing, workers=_WORKERS) for part in listings]
    return _dataset(folder, parts, None if sounds else preprocessing, rate)


def _dataset(
    folder: Path,
    parts: Sequence[FileDataset],
    preprocessing: Preprocessing | None,
    sampling_rate: int | None,
) -> DataSet:
    (x_train, y_train), *test = [part.arrays() for part in parts]
    x_test, y_test = test[0] if test else (None, None)
    assert y_train is not None  # files were listed with their labels
    names = tuple(parts[0].class_names or ())
    name = folder.resolve().name
    return DataSet(
        x_train, y_train, x_test, y_test, names, preprocessing, name, sampling_rate=sampling_rate
    )


def _listings(folder: Path) -> tuple[Listing, Listing | None]:
    """Return the files to train on and those to test on."""
    owner = str(folder)
    if (folder / _TABLE).is_file():
        return list_folder(owner, folder, _SUFFIXES, folder / _TABLE), None
    folders = {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    if {name for name in folders if not name.startswith(".")} != set(_PARTS):
        return list_folder(owner, folder, _SUFFIXES), None
    train, test = (folder / part for part in _PARTS)
    first = list_folder(owner, train, _SUFFIXES)
    return first, list_folder(owner, test, _SUFFIXES, class_names=first.class_names)


def _preprocessing(
    folder: Path, paths: Sequence[Path], image_size: tuple[int, int] | None
) -> Preprocessing:
    """Return how images are read that have one size: in grey if all of them are, else in RGB."""
    forms = [image_form(path) for path in paths]
    channels = max(form[2] for form in forms)
    if image_size is None:
        sizes = [form[:2] for form in forms]
        image_size = sizes[0]
        if len(set(sizes)) > 1:
            small, large = min(sizes), max(sizes)
            raise ValueError(
                f"{folder}: the images have several sizes, as {small[0]} x {small[1]} and "
                f"{large[0]} x {large[1]}; say to which to bring them (--image-size)"
            )
    return Preprocessing(*image_size, channels, *_BYTES)


def _sound_form(paths: Sequence[Path], length: int | None) -> tuple[int, int]:
    """Return how many frames to take, by default the longest sound's, and the sampling rate."""
    infos = [sound_info(path) for path in paths]
    for path, info in zip(paths, infos, strict=True):
        form, first = (info.sampling_rate, info.channels), infos[0]
        if form != (first.sampling_rate, first.channels):
            raise ValueError(
                f"{path}: all sounds must have one sampling rate and as many channels, got "
                f"{info.sampling_rate} Hz, {info.channels} here and {first.sampling_rate} Hz, "
                f"{first.channels} in {paths[0]}"
            )
    return length or max(info.frames for info in infos), infos[0].sampling_rate
