"""CIFAR's binary files: records of labels and a 32x32 image, from a folder or the archive itself.

A record is one or two bytes of labels, then the red, the green and the blue plane, row by row. The
other edition of these data sets is Python's pickle format, which is never read: it can hold code.
Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009, and its page.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convlet.datasets.download import RemoteFile, fetch

if TYPE_CHECKING:
    import tarfile

_SIDE, _CHANNELS = 32, 3
_MOST_RECORDS = 50_000  # in one file
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Edition:
    """CIFAR-10 or CIFAR-100: what its archive and the files in it are called.

    Parameters
    ----------
    name : str
        The data set's name.
    archive : RemoteFile
    folder : str
        The folder in the archive.
    train, test : tuple of str
        The files of each part.
    classes : tuple of int
        How many values each byte of labels may have.
    """

    name: str
    archive: RemoteFile
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: tuple[int, ...]

    @property
    def record(self) -> int:
        """The bytes of a record."""
        return len(self.classes) + _CHANNELS * _SIDE * _SIDE


Records = tuple[np.ndarray, np.ndarray]
"""Images, uint8 of shape (n, 32, 32, 3), and labels, uint8 of shape (n, bytes of labels)."""


def load_records(
    edition: Edition, base: str, path: str | os.PathLike[str] | None, mirror: str | None
) -> tuple[Records, Records]:
    """Return the training and the test records of a folder, or downloaded.

    Raises
    ------
    FileNotFoundError
        If the folder has neither the files nor the archive.
    ValueError
        If one is damaged or holds something else.
    ConnectionError, OSError, ImportError
        Those of ``convlet.datasets.download.fetch``.
    """
    if path is None:
        (archive,) = fetch(edition.name, base, [edition.archive], mirror)
        return _from_archive(archive, edition)
    folder = Path(path)
    for place in (folder, folder / edition.folder):
        if all((place / name).is_file() for name in edition.train + edition.test):
            return _from_folder(place, edition)
    archive = folder / edition.archive.name
    if not archive.is_file():
        raise FileNotFoundError(
            f"{folder}: no {edition.name} here, looked for {archive.name} and for "
            f"{', '.join(edition.train + edition.test)}, also in {edition.folder}"
        )
    return _from_archive(archive, edition)


def _from_folder(folder: Path, edition: Edition) -> tuple[Records, Records]:
    def part(names: Sequence[str]) -> Records:
        return _joined([_read_file(folder / name, edition) for name in names])

    return part(edition.train), part(edition.test)


def _read_file(file: Path, edition: Edition) -> Records:
    _check_size(str(file), file.stat().st_size, edition)
    return _records(str(file), file.read_bytes(), edition)


def _from_archive(archive: Path, edition: Edition) -> tuple[Records, Records]:
    """Return the records of an archive, whose members are read by name and never written."""
    import gzip  # here, and not with every import of convlet
    import tarfile

    try:
        with gzip.open(archive) as unzipped:
            with tarfile.open(fileobj=unzipped, mode="r|") as opened:
                found = _read_members(opened, archive, edition)
            while unzipped.read(_CHUNK):
                pass  # gzip's checksum comes at the end
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{archive}: the archive is damaged or ends early") from error
    missing = [name for name in edition.train + edition.test if name not in found]
    if missing:
        raise ValueError(f"{archive}: no {', '.join(missing)} in {edition.folder}")
    train, test = ([found[name] for name in part] for part in (edition.train, edition.test))
    return _joined(train), _joined(test)


def _read_members(archive: tarfile.TarFile, path: Path, edition: Edition) -> dict[str, Records]:
    """Return the records of the files that are wanted, in one pass over all of them."""
    wanted = {f"{edition.folder}/{name}": name for name in edition.train + edition.test}
    found = {}
    for member in archive:
        if member.name not in wanted:
            continue
        where = f"{path}: {member.name}"
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            raise ValueError(f"{where} is no file")
        _check_size(where, member.size, edition)
        found[wanted[member.name]] = _records(where, stream.read(member.size), edition)
    return found


def _check_size(where: str, size: int, edition: Edition) -> None:
    records, rest = divmod(size, edition.record)
    if rest or not 1 <= records <= _MOST_RECORDS:
        raise ValueError(
            f"{where} must hold 1 to {_MOST_RECORDS} records of {edition.record} bytes, "
            f"got {size} bytes"
        )


def _records(where: str, data: bytes, edition: Edition) -> Records:
    """Return the images and labels of a file, the labels seen to be in their range."""
    table = np.frombuffer(data, np.uint8).reshape(-1, edition.record)
    bytes_of_labels = len(edition.classes)
    labels, planes = table[:, :bytes_of_labels], table[:, bytes_of_labels:]
    for column, classes in enumerate(edition.classes):
        highest = labels[:, column].max()
        if highest >= classes:
            raise ValueError(f"{where}: labels must be 0 to {classes - 1}, got {highest}")
    return planes.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1), labels


def _joined(parts: Sequence[Records]) -> Records:
    images, labels = zip(*parts, strict=True)
    return np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels)
