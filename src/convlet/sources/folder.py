"""Files of a folder and their labels: a class a sub-folder, or a table of files and labels.

A folder comes from anywhere, so what is in it is not believed: files must be regular ones, a table
leads nowhere outside of its folder, and links to other folders are followed only on request, each
folder once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convlet import arguments, random
from convlet.sources.one_hot import one_hot
from convlet.sources.py_dataset import PyDataset
from convlet.sources.threads import in_order

_LABEL_MODES = ("int", "categorical", "binary")
_SUBSETS = ("training", "validation", "both")
_MAX_TABLE = 1 << 28  # bytes


@dataclass(frozen=True)
class Listing:
    """Files, sorted by their path, and their labels.

    Parameters
    ----------
    paths : tuple of Path
    labels : tuple of int or None
        One for each path; None if there are none.
    class_names : tuple of str or None
        What the labels stand for, if that is known.
    classes : int
        How many there are in the whole folder; a part of it need not have all of them.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    classes: int

    def part(self, numbers: Sequence[int]) -> Listing:
        """Return the files of some numbers, in that order."""
        labels = None if self.labels is None else tuple(self.labels[n] for n in numbers)
        paths = tuple(self.paths[n] for n in numbers)
        return Listing(paths, labels, self.class_names, self.classes)

    def mixed(self) -> Listing:
        """Return the files in an order that mixes the classes, each time the same."""
        return self.part(random.generator(0).permutation(len(self.paths)).tolist())


def list_folder(
    owner: str,
    directory: str | os.PathLike[str],
    suffixes: Sequence[str],
    labels: Any = "inferred",
    class_names: Sequence[str] | None = None,
    follow_links: bool = False,
) -> Listing:
    """Return the files of a folder whose names end in one of ``suffixes``, with their labels.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    directory : str or path
    suffixes : sequence of str
        In lower case, with the dot.
    labels : "inferred", None, sequence of int, or path of a .csv file
        As in `image_dataset_from_directory`.
    class_names : sequence of str, optional
        All classes, in the order of their labels.
    follow_links : bool
        Whether to go into folders that are symbolic links.

    Raises
    ------
    ValueError
        If an argument is not of its form, there is no such file, or labels do not fit.
    OSError
        If the folder or the table is missing or may not be read.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise NotADirectoryError(f"{owner}: {folder} is no folder")
    if isinstance(labels, (str, os.PathLike)) and labels != "inferred":
        listing = _from_table(owner, folder, Path(labels), class_names)
    elif isinstance(labels, str):
        listing = _from_subfolders(owner, folder, suffixes, class_names, follow_links)
    else:
        paths = tuple(_files(folder, suffixes, follow_links))
        given = _given_labels(owner, labels, len(paths), class_names)
        listing = Listing(paths, given, None, max(given or (-1,)) + 1)
    if not listing.paths:
        where = "a sub-folder of it" if listing.class_names is not None else "it"
        raise ValueError(
            f"{owner}: {folder} must hold files, in {where}, that end in {', '.join(suffixes)}"
        )
    return listing


def _files(folder: Path, suffixes: Sequence[str], follow_links: bool) -> Iterator[Path]:
    """Yield the files in a folder and the folders in it, sorted, without hidden ones."""
    seen = set()
    found = []
    for place, folders, names in os.walk(folder, followlinks=follow_links):
        seen.add(os.path.realpath(place))
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not (follow_links and os.path.realpath(Path(place, name)) in seen)
        ]
        found += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes
        ]
    # a pipe under an image's name would never end
    yield from (path for path in sorted(found) if path.is_file())


def _from_subfolders(
    owner: str,
    folder: Path,
    suffixes: Sequence[str],
    class_names: Sequence[str] | None,
    follow_links: bool,
) -> Listing:
    there = [
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir(follow_symlinks=follow_links) and not entry.name.startswith(".")
    ]
    names = _names(owner, class_names, there, f"the sub-folders of {folder}")
    paths, labels = [], []
    for label, name in enumerate(names):
        of_class = list(_files(folder / name, suffixes, follow_links))
        paths += of_class
        labels += [label] * len(of_class)
    return Listing(tuple(paths), tuple(labels), names, len(names))


def _names(
    owner: str, given: Sequence[str] | None, found: Sequence[str], where: str
) -> tuple[str, ...]:
    """Return the class names, sorted unless they were given."""
    if given is None:
        return tuple(sorted(set(found)))
    names = tuple(given)
    if len(set(names)) < len(names) or set(names) != set(found):
        raise ValueError(
            f"{owner}: class_names must be {where}, {', '.join(sorted(set(found)))}; "
            f"got {', '.join(map(str, names))}"
        )
    return names


def _given_labels(
    owner: str, labels: Any, count: int, class_names: Sequence[str] | None
) -> tuple[int, ...] | None:
    if class_names is not None:
        raise ValueError(f"{owner}: class_names goes with labels from sub-folders or a table")
    if labels is None:
        return None
    if not isinstance(labels, (list, tuple, np.ndarray)) or len(labels) != count:
        raise ValueError(
            f"{owner}: labels must be 'inferred', None, a .csv file, or a list of {count} labels, "
            f"one for each file; got {type(labels).__name__}"
            + (f" of {len(labels)}" if isinstance(labels, (list, tuple, np.ndarray)) else "")
        )
    return tuple(arguments.integer(owner, "labels", label, 0) for label in labels)


def _from_table(
    owner: str, folder: Path, table: Path, class_names: Sequence[str] | None
) -> Listing:
    """Return the files and labels in a .csv file of two columns; ``file,label`` may head them."""
    path = table if table.is_absolute() or table.exists() else folder / table
    if path.suffix.lower() != ".csv":
        raise arguments.invalid(owner, "labels", "'inferred', None, a list or a .csv file", table)
    if path.stat().st_size > _MAX_TABLE:
        raise ValueError(f"{path}: the table must have at most {_MAX_TABLE} bytes")
    import csv  # here, and not with every import of convlet

    inside, rows = folder.resolve(), []
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            for line, row in enumerate(csv.reader(file, strict=True), 1):
                if row and not (
                    line == 1 and [cell.strip().lower() for cell in row][:1] == ["file"]
                ):
                    rows.append(_row(path, line, row, folder, inside))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a table of files and labels: {error}") from None
    rows.sort(key=lambda row: row[0])
    names = _names(owner, class_names, [label for _, label in rows], f"the labels in {path}")
    numbers = {name: number for number, name in enumerate(names)}
    paths = tuple(file_path for file_path, _ in rows)
    return Listing(paths, tuple(numbers[label] for _, label in rows), names, len(names))


def _row(
    table: Path, line: int, row: Sequence[str], folder: Path, inside: Path
) -> tuple[Path, str]:
    """Return the file and the label of a table's line."""
    if len(row) != 2 or not row[1].strip() or "\0" in row[0]:
        raise ValueError(f"{table}, line {line}: there must be a file and a label, got {row!r:.80}")
    path = folder / row[0].strip()
    # the folder that the file is in, not what a link in its place leads to
    if not (path.parent.resolve() / path.name).is_relative_to(inside) or path.name in ("", ".."):
        raise ValueError(f"{table}, line {line}: the file must be in {folder}, got {row[0]!r}")
    if not path.is_file():
        raise ValueError(f"{table}, line {line}: there is no file {path}")
    return path, row[1].strip()


class FileDataset(PyDataset):
    """Batches of files that are read when they are asked for.

    Parameters
    ----------
    owner : str
        Who asks, for messages.
    listing : Listing
    label_mode : {"int", "categorical", "binary"} or None
    batch_size : int
    seed : int or None
        What the order of each epoch follows from; None for the listing's own.
    workers : int

    Attributes
    ----------
    class_names : list of str or None
    file_paths : list of str
    """

    def __init__(
        self,
        owner: str,
        listing: Listing,
        label_mode: str | None,
        batch_size: int,
        seed: int | None,
        workers: int,
    ) -> None:
        super().__init__(workers=workers)
        self.batch_size = arguments.integer(owner, "batch_size", batch_size)
        self.label_mode = None if listing.labels is None else label_mode
        self.seed = seed
        self.class_names = None if listing.class_names is None else list(listing.class_names)
        self.file_paths = [str(path) for path in listing.paths]
        if self.label_mode == "binary" and listing.classes != 2:
            requirement = "'int' or 'categorical' unless there are 2 classes"
            raise arguments.invalid(owner, "label_mode", requirement, label_mode)
        self.labels = np.array(listing.labels or (), np.int32)
        self._owner, self._classes = owner, listing.classes

    def __len__(self) -> int:
        return -(-len(self.file_paths) // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        start = range(len(self))[index] * self.batch_size
        rows = self._order()[start : start + self.batch_size]
        x = self.read([self.file_paths[row] for row in rows])
        return x if self.label_mode is None else (x, self._targets(rows))

    def _order(self) -> np.ndarray:
        if self.seed is None:
            return np.arange(len(self.file_paths))
        return random.generator(self.seed, self.epoch).permutation(len(self.file_paths))

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        labels = self.labels[rows]
        if self.label_mode == "categorical":
            return one_hot(self._owner, labels, self._classes)
        return labels.astype(np.float32)[:, np.newaxis] if self.label_mode == "binary" else labels

    def read(self, paths: Sequence[str]) -> np.ndarray:
        """Return what some files hold, one along the first axis each."""
        raise NotImplementedError(f"{type(self).__name__} must define read")

    def arrays(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return all files and their labels, in the order of ``file_paths``.

        Raises
        ------
        ValueError
            If they do not fit into memory, or differ in shape.
        """
        owner = type(self).__name__
        first = self.read(self.file_paths[:1])
        shape = (len(self.file_paths), *first.shape[1:])
        arguments.fits_memory(owner, "the folder", shape, first.dtype, "it batch by batch")
        x = np.empty(shape, first.dtype)
        tasks = (partial(self.read, [path]) for path in self.file_paths)
        with closing(in_order(tasks, max(1, self.workers), self.max_queue_size)) as read:
            for number, one in enumerate(read):
                if one.shape[1:] != shape[1:]:
                    raise ValueError(
                        f"{self.file_paths[number]}: all files must give arrays of one shape, got "
                        f"{one.shape[1:]} here and {shape[1:]} in {self.file_paths[0]}"
                    )
                x[number] = one[0]
        return x, None if self.label_mode is None else self._targets(np.arange(len(x)))


def check_options(
    owner: str, label_mode: Any, shuffle: Any, seed: Any, validation_split: Any, subset: Any
) -> tuple[int | None, float]:
    """Return the seed, None without shuffling, and the share to keep for validation.

    Raises
    ------
    ValueError
        If an argument is not of its form, or they do not go together.
    """
    if label_mode is not None:
        arguments.choice(owner, "label_mode", label_mode, _LABEL_MODES)
    arguments.boolean(owner, "shuffle", shuffle)
    if (validation_split is None) != (subset is None):
        raise ValueError(f"{owner}: validation_split and subset must be given together")
    fraction = 0.0
    if subset is not None:
        arguments.choice(owner, "subset", subset, _SUBSETS)
        fraction = arguments.real(owner, "validation_split", validation_split, 0, below=1)
        if shuffle and seed is None and subset != "both":
            raise ValueError(
                f"{owner}: seed must be given with validation_split and shuffle, or the two "
                "subsets may overlap"
            )
    if seed is not None:
        seed = arguments.integer(owner, "seed", seed, 0)
    if shuffle and seed is None:
        seed = random.next_seed()
    return (seed if shuffle else None), fraction


def datasets(
    owner: str,
    listing: Listing,
    make: Callable[[Listing, int | None], FileDataset],
    subset: str | None,
    fraction: float,
    seed: int | None,
) -> FileDataset | list[FileDataset]:
    """Return what ``make`` makes of a subset, or of both: the last files are those for validation.

    Parameters
    ----------
    make : callable
        Takes a listing and the seed of its order.

    Raises
    ------
    ValueError
        If a subset is empty.
    """
    if subset is None:
        return make(listing, seed)
    count = len(listing.paths)
    order = np.arange(count) if seed is None else random.generator(seed).permutation(count)
    kept = int(fraction * count)
    if not 0 < kept < count:
        raise ValueError(
            f"{owner}: validation_split must leave files on both sides, got {fraction:g} of {count}"
        )
    numbers = order.tolist()
    training = make(listing.part(numbers[: count - kept]), seed)
    validation = make(listing.part(numbers[count - kept :]), None)
    return {"training": training, "validation": validation}.get(subset, [training, validation])
