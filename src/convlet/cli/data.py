"""From what a user names to arrays that fit a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convlet import preprocessing, random
from convlet.cli.report import size, warn
from convlet.datasets import DataSet, open_dataset
from convlet.losses import SparseCategoricalCrossentropy
from convlet.models.data import fits
from convlet.preprocessing import Preprocessing
from convlet.sources.sounds import SOUND_SUFFIXES, load_sound
from convlet.utils import to_categorical

IMAGE_AXES = 3  # rows, columns, channels
SERIES_AXES = 2  # steps or frames, channels
_BYTE_MAXIMUM = 255.0
_MAX_LABEL = 2**31  # far above what fits into memory, and below what int64 holds
_IMAGE_CHANNELS = (1, 3, 4)


def open_data(
    source: str,
    model: Any = None,
    image_size: tuple[int, int] | None = None,
    sample_axes: int = IMAGE_AXES,
) -> DataSet:
    """Return a data set whose samples have channels and whose labels are integers.

    Parameters
    ----------
    source : str
        What `convlet.datasets.open_dataset` takes.
    model : Model, optional
        The network to fit; a new one if left out. The files of a folder are brought to what it
        takes. Samples with an axis less than it takes, such as greyscale images of rows and
        columns, get one of size 1.
    image_size : (int, int), optional
        Height and width of a folder's images for a new network.
    sample_axes : int
        How many axes the samples of a new network have, channels included. Sounds, and samples
        of one axis, have 2 for any of them.

    Raises
    ------
    ValueError
        If the labels are no integers, and for what `open_dataset` refuses.
    OSError, ImportError
        Those of `open_dataset`.
    """
    if model is None:
        data = open_dataset(source, image_size=image_size)
    else:
        sample_axes = len(model.input_shape) - 1
        length = model.input_shape[1] if sample_axes == SERIES_AXES else None
        data = open_dataset(source, _preprocessing_for(model), sound_length=length)
    if data.sampling_rate is not None or (model is None and data.x_train.ndim == SERIES_AXES):
        sample_axes = SERIES_AXES
    data = replace(
        data,
        x_train=_with_channels(data.x_train, sample_axes),
        y_train=_labels(data.y_train, source),
    )
    if data.x_test is not None and data.y_test is not None:
        data = replace(
            data,
            x_test=_with_channels(data.x_test, sample_axes),
            y_test=_labels(data.y_test, source),
        )
    if data.preprocessing is None:
        data = replace(data, preprocessing=_preprocessing_of_bytes(data.x_train))
    return data if model is None else _numbered_as(model, data)


def first_samples(data: DataSet, limit: int | None) -> DataSet:
    """Return the data with so many to train on; None for all.

    If they come class by class, they are mixed before, so that a part of them is a fair one.
    """
    x, y = data.x_train, data.y_train
    if not (np.diff(y) < 0).any():
        order = random.generator(0).permutation(len(y))
        x, y = x[order], y[order]
    return replace(data, x_train=x[:limit], y_train=y[:limit])


def _numbered_as(model: Any, data: DataSet) -> DataSet:
    """Return the data with the network's labels, if it knows all classes by their names."""
    names, found = model.class_names, data.class_names
    if names is None or found is None or not set(found) <= set(names):
        return data
    if _highest_label(data) >= len(found) or list(found) == names:
        return data
    numbers = np.array([names.index(name) for name in found])
    y_test = None if data.y_test is None else numbers[data.y_test]
    return replace(data, y_train=numbers[data.y_train], y_test=y_test, class_names=tuple(names))


def _preprocessing_for(model: Any) -> Preprocessing | None:
    """Return how image files become a network's inputs, None if that is for their sizes to say."""
    shape = model.input_shape[1:]
    is_image = len(shape) == IMAGE_AXES and None not in shape and shape[-1] in _IMAGE_CHANNELS
    if model.preprocessing is not None or not is_image:
        return model.preprocessing
    height, width, channels = shape
    return Preprocessing(height, width, channels, 0.0, _BYTE_MAXIMUM)


def _with_channels(x: np.ndarray, sample_axes: int) -> np.ndarray:
    return x[..., np.newaxis] if x.ndim == sample_axes else x


def _labels(y: np.ndarray, source: str) -> np.ndarray:
    """Return labels as int64 of shape (n,)."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"{source}: there must be one label for each sample, got labels of shape {y.shape}"
        )
    wrong = ~((y == np.floor(y)) & (y >= 0) & (y <= _MAX_LABEL))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{source}: labels must be whole numbers from 0, that of sample {first} is {y[first]}"
        )
    return y.astype(np.int64)


def _preprocessing_of_bytes(x: np.ndarray) -> Preprocessing | None:
    """Return what makes a sample of an image file, if the samples are images of bytes.

    Bytes are often stored as larger integers; values that no byte has are told.
    """
    if x.dtype.kind not in "iu" or x.ndim != IMAGE_AXES + 1 or x.shape[-1] not in _IMAGE_CHANNELS:
        return None
    lowest, highest = int(x.min()), int(x.max())
    if lowest < 0 or highest > _BYTE_MAXIMUM:
        warn(f"the images' values, from {lowest} to {highest}, are no bytes and used as they are")
        return None
    _, height, width, channels = x.shape
    return Preprocessing(height, width, channels, 0.0, _BYTE_MAXIMUM)


def count_classes(data: DataSet) -> int:
    """Return how many classes a data set has, by its class names or else by its labels.

    Raises
    ------
    ValueError
        If there are less than two, or a label has no name.
    """
    highest = _highest_label(data)
    classes = highest + 1 if data.class_names is None else len(data.class_names)
    if highest >= classes:
        raise ValueError(f"{data.name}: there is a label {highest}, but only {classes} class names")
    if data.class_names is None and classes > len(data.x_train):
        raise ValueError(
            f"{data.name}: there is a label {highest}, but only {len(data.x_train)} samples to "
            "train on; labels must count the classes from 0"
        )
    if classes < 2:
        raise ValueError(f"{data.name}: all labels are 0; at least two classes are needed")
    return classes


def _highest_label(data: DataSet) -> int:
    return max(int(y.max()) for y in (data.y_train, data.y_test) if y is not None)


def give_names(model: Any, data: DataSet) -> None:
    """Give a network the data's class names and preprocessing where it has none of its own.

    Prints a warning where it has others: the labels or the values may mean something else then.
    """
    if data.class_names is not None:
        if model.class_names is None and len(data.class_names) == model.output_shape[-1]:
            model.class_names = list(data.class_names)
        if list(data.class_names) != list(model.class_names or ()):
            warn(f"{data.name} has other classes than the network, whose own are used")
    if model.preprocessing is None:
        model.preprocessing = data.preprocessing
    if data.preprocessing is not None:
        _compare_ranges(model.preprocessing, data.preprocessing, data.name)


def _compare_ranges(own: Preprocessing, found: Preprocessing, name: str) -> None:
    if (own.minimum, own.maximum) != (found.minimum, found.maximum):
        warn(
            f"the network was made for values from {own.minimum:g} to {own.maximum:g}, "
            f"those of {name} go from {found.minimum:g} to {found.maximum:g}"
        )


def targets_for(model: Any, labels: np.ndarray) -> np.ndarray:
    """Return labels as the network's loss wants them: as they are, or one-hot."""
    if isinstance(model.loss, SparseCategoricalCrossentropy):
        return labels
    return to_categorical(labels, model.output_shape[-1])


def class_name(model: Any, label: int) -> str:
    """Return what a label stands for, or the label itself."""
    return str(label) if model.class_names is None else model.class_names[label]


def load_samples(path: str, model: Any) -> np.ndarray:
    """Return the samples in a file as a batch: an image, a sound, a ``.npy`` array of some.

    A WAV file is taken as it was recorded, and cut off or filled up with 0 at the end.

    Raises
    ------
    ValueError
        If the file is damaged, or its samples do not fit the network.
    OSError, ImportError
        Those of `convlet.preprocessing.load_input` and `convlet.sources.sounds.load_sound`.
    """
    array = _load(path, model)
    for batch in (array[None], array, array[None, ..., None], array[..., None]):
        if fits(batch.shape, model.input_shape):
            return batch
    raise ValueError(
        f"{path}: the network takes samples of shape {size(model.input_shape[1:])}, "
        f"got an array of shape {size(array.shape)}"
    )


def _load(path: str, model: Any) -> np.ndarray:
    if Path(path).suffix.lower() in SOUND_SUFFIXES and len(model.input_shape) == SERIES_AXES + 1:
        return load_sound(path, length=model.input_shape[1])
    return preprocessing.load_input(path, model.preprocessing)
