"""Zip archives: equal contents are equal files, and no size is believed before it is checked."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted, or of a later version of zip
    UnicodeError,
    OverflowError,
    LookupError,
)
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of the zip format, in place of the time of writing
_MODE = (stat.S_IFREG | 0o644) << 16


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of named contents, stored as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _FIRST_DAY)
            info.external_attr = _MODE
            file.writestr(info, content)
    return buffer.getvalue()


class Archive:
    """An open archive whose members are plain files, each of them there once.

    Attributes
    ----------
    sizes : dict of str to int
        The members, and the bytes that each of them says it has.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.sizes: dict[str, int] = {}
        for member in file.infolist():
            _check_member(member)
            if member.filename in self.sizes:
                raise ValueError(f"the member {member.filename!r} stands twice in the archive")
            self.sizes[member.filename] = member.file_size

    def check_names(self, known: Iterable[str]) -> None:
        """Raise a ValueError for a member that is not known."""
        for name in self.sizes:
            if name not in known:
                raise ValueError(f"the archive holds {name!r}, which has no meaning here")

    def read(self, name: str, most: int) -> bytes:
        """Return a member's content.

        Raises
        ------
        ValueError
            If there is no such member, it is damaged, or has more bytes than ``most``.
        """
        if name not in self.sizes:
            raise ValueError(f"the archive holds no {name!r}")
        if self.sizes[name] > most:
            raise ValueError(
                f"{name!r} has {self.sizes[name]} bytes, and {most} are the most that it may need"
            )
        try:
            with self._file.open(name) as stream:
                content = stream.read(self.sizes[name] + 1)  # which unpacks no more than that
        except _DAMAGE as error:
            raise ValueError(f"{name!r} in the archive is damaged or encrypted: {error}") from None
        if len(content) != self.sizes[name]:
            raise ValueError(f"{name!r} has not as many bytes as the archive says")
        return content


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive.

    Raises
    ------
    ValueError
        If it is none, is damaged, or holds anything but plain files under plain names.
    """
    try:
        file = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise ValueError(f"no zip archive, or a damaged one: {error}") from None
    with file:
        yield Archive(file)


def _check_member(member: zipfile.ZipInfo) -> None:
    """Raise a ValueError for what is no plain file, or could lie outside of the archive."""
    name = member.filename
    parts = name.split("/")
    if name != member.orig_filename or "\\" in name or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"the archive holds {member.orig_filename!r}, which is no plain name")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ValueError(f"{name!r} in the archive is a link or a device, and no plain file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name!r} in the archive is compressed in a way that is not known")
    if member.flag_bits & 1:
        raise ValueError(f"{name!r} in the archive is encrypted")
