"""Writes files so that a crash, a full disk or Ctrl-C leaves the old or the new, never half."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


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
