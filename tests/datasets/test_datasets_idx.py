"""The IDX reader: every type, gzipped or not, and what is wrong with files that it refuses."""

import gzip
import os
import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.datasets.idx import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def header(code, *shape):
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


VALID = header(0x08, 2, 3) + bytes(range(6))


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return write


def refuses(path, message):
    return pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", CODES)
def test_every_type_in_native_order(write, dtype, compress):
    expected = np.arange(-12, 12).astype(dtype).reshape(2, 3, 4)
    data = header(CODES[dtype], 2, 3, 4) + expected.astype(f">{dtype}").tobytes()

    array = read_idx(write(compress(data)))

    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.flags.writeable
    np.testing.assert_array_equal(array, expected)


def test_path_may_be_a_string(write):
    assert read_idx(str(write(VALID))).shape == (2, 3)


def test_as_many_dimensions_as_numpy_1_has(write):
    assert read_idx(write(header(0x08, *[1] * 32) + b"\x07")).shape == (1,) * 32


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\x08", VALID[:4], VALID[:11]])
def test_header_ends_early(write, data):
    path = write(data)
    with refuses(path, "the file ends within its IDX header"):
        read_idx(path)


def test_not_idx(write):
    path = write(b"PK\x03\x04 and so on")
    with refuses(path, "not an IDX file, which starts with two zero bytes"):
        read_idx(path)


def test_unknown_type(write):
    path = write(header(0x0A, 1) + b"\0")
    with refuses(path, "the IDX type must be one of 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, got 0x0a"):
        read_idx(path)


@pytest.mark.parametrize("rank", [0, 33, 255])
def test_number_of_dimensions(write, rank):
    path = write(header(0x08, *[1] * rank) + b"\0")
    with refuses(path, f"an IDX array must have 1 to 32 dimensions, got {rank}"):
        read_idx(path)


def test_empty_array(write):
    path = write(header(0x08, 0, 0xFFFFFFFF, 0xFFFFFFFF))
    with refuses(path, "every size must be at least 1, got shape (0, 4294967295, 4294967295)"):
        read_idx(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_too_few_bytes(write, compress):
    path = write(compress(header(0x0B, 2, 3) + bytes(11)))
    with refuses(
        path,
        "the header announces shape (2, 3) of int16, 12 bytes, but the data ends before that",
    ):
        read_idx(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_too_many_bytes(write, compress):
    path = write(compress(VALID + b"\0"))
    with refuses(path, "the header announces shape (2, 3) of uint8, 6 bytes, but more follow"):
        read_idx(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_sizes_beyond_any_memory(write, compress):
    path = write(compress(header(0x0E, *[0xFFFFFFFF] * 8)))
    with pytest.raises(ValueError, match=r"float64, [0-9]{70,} bytes, but the data ends before"):
        read_idx(path)


def test_gzip_is_not_expanded_beyond_the_announced_size(write, monkeypatch):
    bomb = write(gzip.compress(header(0x08, 1000) + bytes(50_000_000)))
    expanded = 0
    read = gzip._GzipReader.read

    def counting_read(reader, size=-1):
        nonlocal expanded
        data = read(reader, size)
        expanded += len(data)
        return data

    monkeypatch.setattr(gzip._GzipReader, "read", counting_read)
    with pytest.raises(ValueError, match="1000 bytes, but more follow"):
        read_idx(bomb)
    assert 0 < expanded < 1_000_000  # one buffer, not fifty megabytes


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:12],
        lambda data: data[:3],
        lambda data: data[:-8] + b"\0\0\0\0" + data[-4:],  # the checksum
        lambda data: data[:10] + b"\xff" + data[11:],  # the first block
        lambda data: data + b"more",
    ],
)
def test_damaged_gzip(write, damage):
    path = write(damage(gzip.compress(VALID)))
    with refuses(path, "the gzip data is damaged or ends early"):
        read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*absent'"):
        read_idx(tmp_path / "absent")


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match=f"Is a directory: '{tmp_path}'"):
        read_idx(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(write):
    path = write(VALID)
    path.chmod(0)
    with pytest.raises(PermissionError, match=f"Permission denied: '{path}'"):
        read_idx(path)


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("valid", [VALID, gzip.compress(VALID, mtime=0)], ids=["plain", "gzip"])
def test_hostile_bytes_load_or_raise_value_error(tmp_path_factory, valid, data):
    changed = data.draw(
        st.binary(max_size=64)
        | st.binary(max_size=64).map(lambda tail: valid[:4] + tail)
        | st.integers(0, len(valid)).map(lambda end: valid[:end])
        | st.tuples(st.integers(0, len(valid) - 1), st.binary(min_size=1, max_size=1)).map(
            lambda change: valid[: change[0]] + change[1] + valid[change[0] + 1 :]
        )
    )
    path = tmp_path_factory.getbasetemp() / "hostile-idx"
    path.write_bytes(changed)
    try:
        array = read_idx(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape
    else:
        assert array.size >= 1
