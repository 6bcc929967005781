"""Files as such: which path may be written or read, and how.

Written so that a crash, a full disk or Ctrl-C leaves the old or the new, never half; read so that
whatever is wrong with a file is one error with its name.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

# of the files whose readers and writers are imported when they are needed
KERAS, KERAS_WEIGHTS, NPZ = ".keras", ".weights.h5", ".npz"

_LONGEST_MESSAGE = 1000  # characters; errors quote values, which in a hostile file have any length


def checked_path(filepath: str | PathLike[str], suffixes: tuple[str, ...], overwrite: bool) -> Path:
    """Return the path to write to.

    Raises
    ------
    ValueError
        If the name ends in none of the suffixes.
    FileNotFoundError, NotADirectoryError
        If the folder is missing or none.
    FileExistsError
        If the file exists and ``overwrite`` is False.
    IsADirectoryError, PermissionError
        If what exists is a folder, or a file that may not be written.
    """
    path = Path(filepath)
    if not path.name.endswith(suffixes) or path.name in suffixes:
        raise ValueError(f"{path}: the file's name must end in {' or '.join(suffixes)}")
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(f"{path}: there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{path}: {folder} is no folder")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: the file exists; overwrite=True replaces it")
    # the file is replaced, not written into, which the system would allow
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path}: the file is read-only")
    return path


@contextlib.contextmanager
def errors_with_path(filepath: str | PathLike[str]) -> Iterator[Path]:
    """Give the path of a file that may be read; a ValueError in the block gets its name.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ValueError
        If it is no file, or something is wrong with it.
    """
    path = Path(filepath)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: no file, but a pipe or a device")  # which might never answer
    with path.open("rb"):
        pass  # the clearest errors about files are Python's own
    try:
        yield path
    except ValueError as error:
        raise ValueError(f"{path}: {_printable(str(error))}") from None


def _printable(message: str) -> str:
    """Return a message of bearable length, without what could steer a terminal."""
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 3] + "..."
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, sync it to the disk, and rename it.

    As with a file that is opened and written, a link stays and the file that it leads to is
    replaced; that file keeps its mode, and a new one has what the umask leaves.

    Raises
    ------
    OSError
        If any of that fails; what was at ``path`` is still there then, and nothing else.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = target.with_name(f".convlet-{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as file:  # "x": a new file, whatever may be lying there
            _take_mode(file.fileno(), target)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):  # people know nothing of the temporary name
            error.filename = str(path)
            del error.filename2
        raise
    _sync_folder(target.parent)


def _take_mode(handle: int, old: Path) -> None:
    """Give an open file the mode of the one that it will replace, before it holds anything."""
    with contextlib.suppress(FileNotFoundError):
        os.fchmod(handle, stat.S_IMODE(old.stat().st_mode))


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the file system can.

    The file is in its place by then: that a folder cannot be opened or synced is no failure.
    """
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
