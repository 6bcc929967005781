"""Folders of images as data sets: Keras's ``image_dataset_from_directory``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import arguments
from convlet.preprocessing import Preprocessing
from convlet.sources.folder import FileDataset, Listing, check_options, datasets, list_folder

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"
)  # fmt: skip
_OWNER = "image_dataset_from_directory"
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


class ImageDataset(FileDataset):
    """Batches of images, float32 of shape (n, height, width, channels), and their labels.

    Attributes
    ----------
    preprocessing : Preprocessing
        How an image is read; a model that carries it predicts files.
    """

    def __init__(
        self,
        listing: Listing,
        preprocessing: Preprocessing,
        label_mode: str | None = "int",
        batch_size: int = 32,
        seed: int | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__(_OWNER, listing, label_mode, batch_size, seed, workers)
        self.preprocessing = preprocessing

    def read(self, paths: Sequence[str]) -> np.ndarray:
        """Return some images; an error names the file."""
        return np.stack([self.preprocessing.load_image(path) for path in paths])


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    workers: int = 1,
) -> Any:
    """Return the images of a folder as a data set that reads them when they are needed.

    Images are read as `convlet.preprocessing.Preprocessing` does, to values from 0 to 255, and
    resized with its bilinear filter. Files and folders whose names begin with a dot are left out.

    Parameters
    ----------
    directory : str or path
    labels : "inferred", None, sequence of int, or path of a .csv file
        "inferred": a class is a sub-folder. None: no labels. A list: one label for each file in the
        order of their paths. A table has a file, from ``directory`` on, and a label in each line,
        and may begin with the line ``file,label``; it may lie in ``directory``.
    label_mode : {"int", "categorical", "binary"} or None
        Labels as int32 of shape (n,); one-hot; 0.0 and 1.0 of shape (n, 1); none.
    class_names : sequence of str, optional
        The classes in the order of their labels, sorted by default.
    color_mode : {"rgb", "grayscale", "rgba"}
    batch_size : int
    image_size : (int, int)
        Height and width.
    shuffle : bool
        Whether each epoch has an order of its own; otherwise files are sorted by their path.
    seed : int, optional
        What the orders and the split follow from.
    validation_split : float, optional
        Share of the files kept for validation.
    subset : {"training", "validation", "both"}, optional
        Which part to return; a list of the two for "both".
    follow_links : bool
        Whether to go into sub-folders that are symbolic links.
    workers : int
        Threads that read files while a network is trained.

    Returns
    -------
    PyDataset
        With the attributes ``class_names``, ``file_paths``, ``labels`` and ``preprocessing``, and
        ``arrays()``, all of it as arrays.

    Raises
    ------
    ValueError
        If an argument is not of its form, or there is no image. A damaged file is named when it
        is read.
    OSError
        If a folder or file is missing or may not be read.
    ImportError
        When an image is read and Pillow is not installed.
    """
    channels = _CHANNELS[arguments.choice(_OWNER, "color_mode", color_mode, _CHANNELS)]
    height, width = arguments.per_axis(_OWNER, "image_size", image_size, 2)
    preprocessing = Preprocessing(height, width, channels, 0.0, 255.0)
    seed, fraction = check_options(_OWNER, label_mode, shuffle, seed, validation_split, subset)
    listing = list_folder(_OWNER, directory, IMAGE_SUFFIXES, labels, class_names, follow_links)

    def make(part: Listing, order: int | None) -> ImageDataset:
        return ImageDataset(part, preprocessing, label_mode, batch_size, order, workers)

    return datasets(_OWNER, listing, make, subset, fraction, seed)
