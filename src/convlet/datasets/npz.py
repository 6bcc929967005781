"""Data sets in one ``.npz`` file, as ``numpy.savez`` and ``numpy.savez_compressed`` write it.

The arrays are ``x_train``, ``y_train``, ``x_test``, ``y_test`` as in Keras's own files, or ``x``
and ``y``; ``class_names`` may come with them. Others are left unread.
"""

from __future__ import annotations

import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from convlet.datasets.dataset import DataSet
from convlet.datasets.idx import DEFLATE_RATIO
from convlet.npy import read_npy

_KERAS_KEYS = ("x_train", "y_train", "x_test", "y_test")
_PLAIN_KEYS = ("x", "y")
ZIP_DAMAGE = (  # zipfile tells it in many ways
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, or of a later version of zip
    UnicodeError,
)


def load_data(
    path: str | os.PathLike[str],
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray | None, np.ndarray | None]]:
    """Return the data of a ``.npz`` file, as stored.

    Parameters
    ----------
    path : str or path
        A file with the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test``, or ``x``, ``y``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        The arrays; ``x_test`` and ``y_test`` are None for a file of ``x`` and ``y``.

    Raises
    ------
    ValueError
        If the file is damaged, an array is missing or holds something else than numbers, or samples
        and labels differ in number.
    OSError
        If the file is missing or may not be read.
    """
    data = open_npz(path)
    return (data.x_train, data.y_train), (data.x_test, data.y_test)


def open_npz(path: str | os.PathLike[str]) -> DataSet:
    """Return the data set of a ``.npz`` file, named like the file.

    Parameters
    ----------
    path : str or path
        As for ``load_data``; an array ``class_names`` of strings, one a class, is read too.

    Raises
    ------
    ValueError, OSError
        As for ``load_data``.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile tells damage in a dozen ways
            raise ValueError(f"{path}: not a .npz archive, or a damaged one") from error
        with archive:
            arrays = {key: _read_array(archive, key, path) for key in _find_keys(archive, path)}
            class_names = _read_class_names(archive, path)
    _check_counts(arrays, path)
    x_train, y_train, *test = arrays.values()
    x_test, y_test = test or (None, None)
    return DataSet(x_train, y_train, x_test, y_test, class_names, None, path.stem)


def _find_keys(archive: zipfile.ZipFile, path: Path) -> tuple[str, ...]:
    """Return the names of the arrays that make up the data set, samples before their labels."""
    members = archive.namelist()
    keys = _KERAS_KEYS if any(f"{key}.npy" in members for key in _KERAS_KEYS) else _PLAIN_KEYS
    missing = [key for key in keys if f"{key}.npy" not in members]
    if missing:
        raise ValueError(
            f"{path}: no array {', '.join(missing)}; "
            f"a data set holds {', '.join(_KERAS_KEYS)}, or {', '.join(_PLAIN_KEYS)}"
        )
    return keys


def _read_array(
    archive: zipfile.ZipFile, key: str, path: Path, *, text: bool = False
) -> np.ndarray:
    """Return one array, once its archive has been seen able to hold it."""
    where = f"{path}: array {key}"
    member = archive.getinfo(f"{key}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{where}: compressed in another way than NumPy's")
    if member.file_size > DEFLATE_RATIO * path.stat().st_size:
        raise ValueError(f"{where}: {member.file_size} bytes are more than the archive can hold")
    try:
        with archive.open(member) as stream:
            return read_npy(stream, member.file_size, where, text=text)
    except ZIP_DAMAGE as error:
        raise ValueError(f"{where}: the archive is damaged or encrypted") from error


def _read_class_names(archive: zipfile.ZipFile, path: Path) -> tuple[str, ...] | None:
    if "class_names.npy" not in archive.namelist():
        return None
    names = _read_array(archive, "class_names", path, text=True)
    if names.ndim != 1:
        raise ValueError(f"{path}: array class_names must have one axis, got shape {names.shape}")
    code_points = names.view(f"{names.dtype.str[0]}u4")
    if code_points.max() > sys.maxunicode:
        raise ValueError(f"{path}: array class_names holds what is no Unicode text")
    return tuple(names.tolist())


def _check_counts(arrays: dict[str, np.ndarray], path: Path) -> None:
    keys = list(arrays)
    for x_key, y_key in zip(keys[::2], keys[1::2], strict=True):
        x, y = arrays[x_key], arrays[y_key]
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise ValueError(
                f"{path}: arrays {x_key} and {y_key} must have the same number of samples, "
                f"got shapes {x.shape} and {y.shape}"
            )
    (x_key, x), *others = list(arrays.items())[::2]
    for key, other in others:
        if other.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"{path}: samples of {x_key} and {key} must have the same shape, "
                f"got {x.shape[1:]} and {other.shape[1:]}"
            )
