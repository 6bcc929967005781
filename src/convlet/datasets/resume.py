"""A download that goes on where the last one ended.

What has come lies in ``NAME.part`` until it is whole and its checksum is right. The next call asks
the server for the rest; from one that sends the file from its beginning, it is read from there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from types import ModuleType
from typing import Any

from convlet.datasets.download import RemoteFile

_CHUNK = 1 << 18  # bytes
_TIMEOUT = 30  # seconds without an answer
_LARGEST = 1 << 28  # bytes of a file whose size is not known


def downloader(pooch: ModuleType, file: RemoteFile) -> Callable[[str, str, Any], None]:
    """Return what pooch calls with an address, the name to write to, and itself.

    Raises
    ------
    ValueError, OSError
        When called; see ``convlet.datasets.download.fetch``.
    """

    def download(url: str, output_file: str, store: Any) -> None:
        part = Path(output_file).with_name(f"{file.name}.part")
        with _locked(part) as stream:
            try:
                _receive(url, file, stream)
            finally:
                if stream.seek(0, os.SEEK_END) == 0:
                    part.unlink()
            os.fsync(stream.fileno())
            if file.sha256 is not None:
                _check(pooch.file_hash(str(part)), url, file, part)
            part.replace(output_file)

    return download


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[FileIO]:
    """Open a file to be continued, for this process alone."""
    with part.open("ab", buffering=0) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{part}: another process is downloading this file") from None
        yield stream


def _check(found: str, url: str, file: RemoteFile, part: Path) -> None:
    if found != file.sha256:
        size = part.stat().st_size
        part.unlink()
        raise ValueError(
            f"{url}: the file must have the SHA-256 checksum {file.sha256}, got {size} bytes with "
            f"{found}; they have been removed"
        )


def _receive(url: str, file: RemoteFile, stream: FileIO) -> None:
    """Write what is missing of a file behind what is there of it."""
    start = stream.seek(0, os.SEEK_END)
    if file.sha256 is None or (file.size is not None and start > file.size):
        start = 0  # what is there cannot be trusted
    if start == file.size:
        return
    with _answer(url, start) as answer:
        start = _first_byte(answer, start)
        total = _checked_total(answer, url, file, start)
        _check_space(stream, start, total)
        stream.truncate(start)
        stream.seek(start)
        broken = False
        try:
            _copy(answer, stream, start, total)
        except KeyboardInterrupt:
            kept = _kept(stream, file, total)
            raise KeyboardInterrupt(f"{url}: the download was interrupted; {kept}") from None
        except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException):
            broken = True
        if broken or (total is not None and stream.tell() < total):
            kept = _kept(stream, file, total)
            raise ConnectionError(f"{url}: the connection broke; {kept}")


def _answer(url: str, start: int) -> http.client.HTTPResponse:
    """Ask for a file from a byte on."""
    headers = {"User-Agent": "convlet"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _answer(url, 0)
        raise ConnectionError(
            f"{url}: the server answered {error.code} {error.reason}; another address may be given "
            "as mirror, or a folder with the files as path"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise ConnectionError(
            f"{url}: the server cannot be reached ({reason}); without a network, a folder with the "
            "files may be given as path"
        ) from None


def _first_byte(answer: http.client.HTTPResponse, start: int) -> int:
    """Return where an answer begins: where it was asked to, or with the file itself."""
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return start if answer.status == http.HTTPStatus.PARTIAL_CONTENT and begins else 0


def _checked_total(
    answer: http.client.HTTPResponse, url: str, file: RemoteFile, start: int
) -> int | None:
    """Return a file's size, once the server is seen to announce the same."""
    length = answer.headers.get("Content-Length", "")
    announced = start + int(length) if length.isdecimal() else None
    if None not in (file.size, announced) and announced != file.size:
        raise ValueError(
            f"{url}: the file must have {file.size} bytes, the server announces {announced}; "
            "another address may be given as mirror"
        )
    return file.size or announced


def _check_space(stream: FileIO, start: int, total: int | None) -> None:
    free = shutil.disk_usage(Path(stream.name).parent).free
    if total is not None and total - start > free:
        raise _disk_full(stream, f"{_megabytes(total - start)} are needed, {_megabytes(free)} free")


def _copy(answer: http.client.HTTPResponse, stream: FileIO, start: int, total: int | None) -> None:
    """Write an answer to a file, but no more than was announced."""
    position, end = start, total or _LARGEST
    with _bar(Path(stream.name).stem, start, total) as advance:
        while position < end and (data := answer.read(min(_CHUNK, end - position))):
            try:
                _write(stream, data)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise _disk_full(stream, "what fitted is kept, and the next call goes on") from None
            position += len(data)
            advance(len(data))


def _write(stream: FileIO, data: bytes) -> None:
    """Write all of it: a nearly full disk first takes less, and then tells why."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def _disk_full(stream: FileIO, what: str) -> OSError:
    return OSError(errno.ENOSPC, f"the disk is full: {what}", stream.name)


def _kept(stream: FileIO, file: RemoteFile, total: int | None) -> str:
    """Return what has become of a download that ended early, and what the next one will do."""
    came = _megabytes(stream.tell())
    share = came if total is None else f"{came} of {_megabytes(total)}"
    if file.sha256 is None:
        return f"{share} came, and the next call starts anew"
    return f"{share} are kept in {stream.name}, and the next call goes on from there"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


@contextlib.contextmanager
def _bar(name: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far a download is, on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(name, total=total, completed=start)
        yield lambda count: progress.update(task, advance=count)
