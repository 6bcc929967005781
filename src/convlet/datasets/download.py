"""Files from the network: fetched once, checked, and kept in the user's cache.

pooch knows the cache and the checksums, and renames a file once it is whole. What it cannot do, to
go on with a download that ended early, is in ``convlet.datasets.resume``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


@dataclass(frozen=True)
class RemoteFile:
    """A file that may be downloaded.

    Parameters
    ----------
    name : str
        Its name, in the cache and at the end of its address.
    size : int or None
        Its bytes; None where they are not published.
    sha256 : str or None
        Its checksum; None where none is published, and then a broken download starts anew.
    """

    name: str
    size: int | None
    sha256: str | None


def fetch(
    dataset: str, base: str, files: Sequence[RemoteFile], mirror: str | None = None
) -> list[Path]:
    """Return where files are in the cache; those that are not there are downloaded.

    The cache is the folder ``CONVLET_DATA`` if that is set, otherwise the user's, such as
    ``~/.cache/convlet``.

    Parameters
    ----------
    dataset : str
        The data set's name, and that of its folder in the cache.
    base : str
        The address to which the files' names are added.
    files : sequence of RemoteFile
    mirror : str, optional
        An address in place of ``base``.

    Raises
    ------
    ValueError
        If ``mirror`` is no http address, or a file came with another checksum; it is removed then.
    ConnectionError
        If the address cannot be reached or the connection breaks; what came is kept.
    OSError
        If nothing can be written to the cache, or the disk is full.
    ImportError
        If pooch is not installed.
    """
    address = base if mirror is None else _checked_mirror(dataset, mirror)
    pooch = _pooch(dataset)
    # here, not above: Python's network library takes a tenth of the package's import time
    from convlet.datasets.resume import downloader

    keys = [f"{dataset}/{file.name}" for file in files]
    store = pooch.create(
        path=pooch.os_cache("convlet"),
        base_url=address,
        env="CONVLET_DATA",
        registry={
            key: file.sha256 and f"sha256:{file.sha256}"
            for key, file in zip(keys, files, strict=True)
        },
        urls={key: address + file.name for key, file in zip(keys, files, strict=True)},
    )
    with _silent(pooch.get_logger()):
        return [
            Path(store.fetch(key, downloader=downloader(pooch, file)))
            for key, file in zip(keys, files, strict=True)
        ]


def _checked_mirror(dataset: str, mirror: object) -> str:
    if not isinstance(mirror, str) or not mirror.startswith(("http://", "https://")):
        raise ValueError(
            f"{dataset}: mirror must be an address that starts with http:// or https://, "
            f"got {mirror!r}"
        )
    return mirror if mirror.endswith("/") else f"{mirror}/"


def _pooch(dataset: str) -> ModuleType:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f'downloading {dataset} needs pooch: pip install "convlet[learn]"'
        ) from error
    return pooch


@contextlib.contextmanager
def _silent(logger: Logger) -> Iterator[None]:
    """Keep pooch from announcing what the progress bar shows."""
    before = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(before)
