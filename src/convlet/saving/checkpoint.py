"""A checkpoint of a training run: nested lists and dicts with arrays, in one `.safetensors` file.

Each array is written under the way to it, ``weights/conv2d/kernel``; the rest is JSON in the file's
text, where ``{"array": name}`` stands in its place, ``{"number": "nan"}`` for a number that JSON
has not, and ``{"dict": ...}`` for a dict. A checksum covers all of it, so that what a disk has
changed is not taken for a state.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convlet.saving.description import from_text
from convlet.saving.tensors import open_tensors, write_tensors

_FORMAT = 1
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write nested lists and dicts of JSON types and arrays; the file is complete or not there.

    Raises
    ------
    ValueError
        If there is anything else in them.
    OSError
        If it cannot be written; a file that was at ``path`` is still there then.
    """
    arrays: dict[str, np.ndarray] = {}
    described = _described("", content, arrays)
    text = _text(described)
    checksum = _checksum(text, arrays)
    whole = _text({"format": _FORMAT, "checksum": checksum, "content": described})
    write_tensors(path, arrays, whole)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `write_checkpoint` was given.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If there is no file that may be read.
    ValueError
        If the file is damaged, or no checkpoint.
    """
    with open_tensors(path) as file:
        if file.text is None:
            raise ValueError("the file holds no checkpoint")
        whole = from_text(file.text)
        if not isinstance(whole, dict) or set(whole) != {"format", "checksum", "content"}:
            raise ValueError("the file holds no checkpoint")
        if whole["format"] != _FORMAT:
            raise ValueError(
                f"the checkpoint has format {whole['format']!r}, this convlet reads {_FORMAT}"
            )
        arrays = {name: file.read(name) for name in file.header}
        content = whole["content"]
        is_whole = whole["checksum"] == _checksum(_text(content), arrays)
        if not is_whole or not isinstance(content, dict):
            raise ValueError("the checkpoint is damaged: its checksum does not fit")
        try:
            return _restored({"dict": content["dict"]}, arrays)
        except (ValueError, TypeError, LookupError, AttributeError):
            raise ValueError("the checkpoint is damaged: it is not of its form") from None


def _text(described: Any) -> str:
    return json.dumps(described, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    checksum = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        heading = f"{name} {array.dtype.str} {array.shape}"
        checksum = zlib.crc32(heading.encode(), checksum)
        checksum = zlib.crc32(array.reshape(-1).view(np.uint8).data, checksum)
    return checksum


def _described(place: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a value as JSON types, its arrays put aside under their places."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"number": str(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        while place in arrays:  # keys may have slashes, too
            place += "+"
        arrays[place] = value
        return {"array": place}
    if isinstance(value, (list, tuple)):
        return [_described(f"{place}/{n}", item, arrays) for n, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        inside = {
            key: _described(f"{place}/{key}" if place else key, item, arrays)
            for key, item in value.items()
        }
        return {"dict": inside}
    raise ValueError(
        f"a checkpoint holds numbers, strings, None, lists, arrays and dicts with strings as keys; "
        f"{place} is of type {type(value).__name__}"
    )


def _restored(described: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the value that JSON types and the arrays besides them stand for."""
    if isinstance(described, list):
        return [_restored(item, arrays) for item in described]
    if not isinstance(described, dict):
        return described
    ((kind, inside),) = described.items()
    if kind == "array":
        return arrays[inside]
    if kind == "number":
        return _NUMBERS[inside]
    return {key: _restored(item, arrays) for key, item in inside.items()}
