"""Checkpoints: what is written is read, and what has been damaged is not."""

import contextlib
import json
import math

import numpy as np
import pytest

from convlet.saving import read_checkpoint, write_checkpoint
from convlet.saving.tensors import write_tensors

CONTENT = {
    "numbers": [1, -2.5, 1 / 3, 1e-310, True, None, "text", 2**100],
    "no numbers": [math.inf, -math.inf, math.nan],
    "dict": {"array": "a name", "number": {"dict": {}}, "": []},
    "arrays": [
        np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
        np.array(7),
        np.zeros((0, 3), "b"),
    ],
    "slots": {"a/b": np.array([1.0, np.nan]), "a": {"b": np.array([True, False])}},
}


def assert_same(value, expected):
    if isinstance(expected, dict):
        assert list(value) == sorted(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, list):
        assert len(value) == len(expected)
        for pair in zip(value, expected, strict=True):
            assert_same(*pair)
    elif isinstance(expected, np.ndarray):
        assert (value.dtype, value.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(value, expected)
    else:
        assert type(value) is type(expected)
        assert value == expected or (math.isnan(value) and math.isnan(expected))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, CONTENT)
    assert_same(read_checkpoint(path), CONTENT)


def test_numpy_s_numbers_are_numbers(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, {"a": np.float32(0.1), "b": (np.int64(3), np.bool_(True))})
    assert read_checkpoint(path) == {"a": float(np.float32(0.1)), "b": [3, True]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": [{1, 2}]}, "a/0 is of type set$"),
        ({"a": {3: 4}}, "a is of type dict$"),
        ({"a": 1j}, "a is of type complex$"),
        ({"a": np.array(["x"])}, "a is of type ndarray$"),
    ],
)
def test_what_it_does_not_hold(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        write_checkpoint(tmp_path / "c.safetensors", content)
    assert list(tmp_path.iterdir()) == []


def test_every_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, {"weights": {"w": np.arange(3.0)}, "best": 0.25})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        content = {"weights": {"w": np.arange(3.0)}, "best": 0.25}
        with contextlib.suppress(ValueError):  # spaces at the header's end say nothing
            assert_same(read_checkpoint(path), content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the file holds no checkpoint"),
        ("{}", "the file holds no checkpoint"),
        ('{"format":2,"checksum":0,"content":{}}', "has format 2, this convlet reads 1"),
        ('{"format":1,"checksum":0,"content":{}}', "its checksum does not fit"),
        ("{", "Expecting property name"),
        ('{"format":NaN}', "it holds NaN"),
    ],
)
def test_other_files(tmp_path, text, message):
    path = tmp_path / "c.safetensors"
    write_tensors(path, {"a": np.zeros(1)}, text)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"dict": 3},
        {"dict": {"a": {"array": "b"}}},
        {"dict": {"a": {"array": ["b"]}}},
        {"dict": {"a": {"number": "1"}}},
        {"dict": {"a": {"x": 1, "y": 2}}},
    ],
)
def test_forged_content(tmp_path, content):
    import zlib

    described = json.dumps(content, sort_keys=True, separators=(",", ":"))
    text = json.dumps({"format": 1, "checksum": zlib.crc32(described.encode()), "content": content})
    path = tmp_path / "c.safetensors"
    write_tensors(path, {}, text)
    with pytest.raises(ValueError, match="the checkpoint is damaged: it is not of its form"):
        read_checkpoint(path)
