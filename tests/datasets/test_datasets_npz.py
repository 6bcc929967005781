"""Data sets in .npz files: what is read, what is left alone, and hostile archives."""

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.datasets import npz

X = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
Y = np.array([2, 0, 1])


def refuses(path, message):
    return pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}$")


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def npy_with_header(header, data=b""):
    """Return a file of version 1.0 with a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def write_archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shapes.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_keras_keys(path, save):
    save(path, x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])

    (x_train, y_train), (x_test, y_test) = npz.load_data(str(path))

    for array, expected in ((x_train, X), (y_train, Y), (x_test, X[:2]), (y_test, Y[:2])):
        assert array.dtype == expected.dtype
        assert array.flags.writeable
        np.testing.assert_array_equal(array, expected)


def test_plain_keys_have_no_test_part(path):
    np.savez(path, x=X, y=Y)
    (x_train, y_train), (x_test, y_test) = npz.load_data(path)
    np.testing.assert_array_equal(x_train, X)
    np.testing.assert_array_equal(y_train, Y)
    assert x_test is None
    assert y_test is None


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(X),
        X.astype(">f8"),
        X.astype(np.float16),
        X > 3,
        X.astype(np.int16),
        np.arange(3),
    ],
)
def test_arrays_are_kept_as_they_are(path, x):
    np.savez(path, x=x, y=Y)
    (loaded, _), _ = npz.load_data(path)
    assert loaded.dtype == x.dtype
    np.testing.assert_array_equal(loaded, x)


@pytest.mark.parametrize("order", "<>")
def test_class_names(path, order):
    names = np.array(["circle", "square", "Δ"], f"{order}U6")
    np.savez(path, x=X, y=Y, class_names=names)
    assert npz.open_npz(path).class_names == ("circle", "square", "Δ")


def test_other_arrays_are_left_unread(path):
    write_archive(path, x=npy(X), y=npy(Y), weights=b"not an array", notes=b"")
    data = npz.open_npz(path)
    assert (data.class_names, data.preprocessing, data.name) == (None, None, "shapes")


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        (("x_train", "y_train"), "x_test, y_test"),
        (("x_train", "y_train", "x_test"), "y_test"),
        (("x",), "y"),
        (("images", "labels"), "x, y"),
    ],
)
def test_missing_arrays(path, keys, missing):
    np.savez(path, **dict.fromkeys(keys, X))
    message = f"no array {missing}; a data set holds x_train, y_train, x_test, y_test, or x, y"
    with refuses(path, message):
        npz.load_data(path)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([{}, 1, None], dtype=object), "object"),
        (Y.astype(complex), "complex128"),
        (Y.astype(str), "<U21"),
        (Y.astype("S1"), "|S1"),
        (Y.astype("datetime64[s]"), "datetime64[s]"),
        (np.zeros(3, [("a", "f4")]), "[('a', '<f4')]"),
    ],
)
def test_only_numbers_and_booleans(path, array, dtype):
    write_archive(path, x=npy(X), y=npy(array))
    message = f"array y: the array must hold numbers or booleans, got dtype {dtype}"
    with refuses(path, message):
        npz.load_data(path)


@pytest.mark.parametrize("y", [Y[:2], np.array(3)])
def test_counts_that_differ(path, y):
    np.savez(path, x_train=X, y_train=Y, x_test=X, y_test=y)
    message = (
        "arrays x_test and y_test must have the same number of samples, "
        f"got shapes (3, 2, 4) and {y.shape}"
    )
    with refuses(path, message):
        npz.load_data(path)


def test_class_names_must_be_strings(path):
    np.savez(path, x=X, y=Y, class_names=np.arange(3))
    message = "array class_names: the array must hold strings, got dtype int64"
    with refuses(path, message):
        npz.open_npz(path)


def test_class_names_must_have_one_axis(path):
    np.savez(path, x=X, y=Y, class_names=np.array([["a"], ["b"], ["c"]]))
    with refuses(path, "array class_names must have one axis, got shape (3, 1)"):
        npz.open_npz(path)


def test_class_names_must_be_unicode(path):
    header = "{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}"
    names = npy_with_header(header, b"\x41\0\0\0" + b"\0\0\x11\0")
    write_archive(path, x=npy(X), y=npy(Y), class_names=names)
    with refuses(path, "array class_names holds what is no Unicode text"):
        npz.open_npz(path)


def test_class_names_of_no_characters(path):
    header = "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,)}"
    write_archive(path, x=npy(X), y=npy(Y), class_names=npy_with_header(header))
    message = (
        "array class_names: the header announces shape (1000000000000,) of <U0, but 0 bytes follow"
    )
    with refuses(path, message):
        npz.open_npz(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x93NUMPY", b"text" * 100])
def test_not_an_archive(path, data):
    path.write_bytes(data)
    with refuses(path, "not a .npz archive, or a damaged one"):
        npz.load_data(path)


def test_damaged_values_fail_the_checksum(path):
    x = np.arange(30_000.0).reshape(3, 10_000)
    np.savez(path, x=x, y=Y)
    data = bytearray(path.read_bytes())
    data[data.index(x.tobytes())] ^= 1
    path.write_bytes(data)
    with refuses(path, "array x: the archive is damaged or encrypted"):
        npz.load_data(path)


@pytest.mark.parametrize("available", [95, 97])
def test_header_that_announces_another_size(path, available):
    write_archive(path, x=npy(X)[:128] + bytes(available), y=npy(Y))
    message = (
        f"array x: the header announces shape (3, 2, 4) of float32, but {available} bytes follow"
    )
    with refuses(path, message):
        npz.load_data(path)


def test_sizes_beyond_any_memory(path):
    sizes = "1" + "0" * 4000  # Python refuses to print the product of two such
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}, {sizes})}}"
    write_archive(path, x=npy_with_header(header, bytes(96)), y=npy(Y))
    message = f"array x: the header announces shape ({sizes}, {sizes}) of float32, but 96 bytes"
    with pytest.raises(ValueError, match=re.escape(message)):
        npz.load_data(path)


@pytest.mark.parametrize("shape", [(0, 10**30), (-3, -8), (1,) * 33])
def test_absurd_shapes(path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    write_archive(path, x=npy_with_header(header, bytes(96)), y=npy(Y))
    message = f"array x: the shape must be at most 32 sizes of at least 1, got {shape}"
    with refuses(path, message):
        npz.load_data(path)


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"no array",
        npy_with_header("{'descr': '<f4', 'fortran_order': False}"),
        npy_with_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}"),
        npy_with_header("{[]: 1}"),
        npy_with_header("(" * 9000),
        npy_with_header("-" * 9000 + "1"),
        npy_with_header(" " * 60_000 + "{}"),
        npy(X, version=(2, 0)),
        npy(X, version=(3, 0)),
    ],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_damaged_header(path, member):
    write_archive(path, x=member, y=npy(Y))
    with refuses(path, "array x: damaged, or not a .npy array of version 1.0"):
        npz.load_data(path)


def test_other_compression(path):
    write_archive(path, zipfile.ZIP_LZMA, x=npy(X), y=npy(Y))
    with refuses(path, "array x: compressed in another way than NumPy's"):
        npz.load_data(path)


def test_encrypted_archive(path):
    write_archive(path, x=npy(X), y=npy(Y))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag, in the central directory
    data[6] |= 1
    path.write_bytes(data)
    with refuses(path, "array x: the archive is damaged or encrypted"):
        npz.load_data(path)


def test_member_larger_than_any_expansion_of_the_archive(path):
    write_archive(path, x=npy(X), y=npy(Y))
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") + 24  # file_size in the central directory
    data[start : start + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    with refuses(path, "array x: 4294967280 bytes are more than the archive can hold"):
        npz.load_data(path)


def test_bomb_is_not_expanded(path):
    bomb = npy_with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", bytes(10**8))
    write_archive(path, zipfile.ZIP_DEFLATED, x=bomb, y=npy(Y))
    message = "array x: the header announces shape (3,) of uint8, but 100000000 bytes follow"
    with refuses(path, message):
        npz.load_data(path)


def test_missing_file(path):
    with pytest.raises(FileNotFoundError, match=f"No such file or directory: '{path}'"):
        npz.load_data(path)


def archive_bytes(save):
    stream = io.BytesIO()
    save(stream, x=X, y=Y, class_names=np.array(["a", "b", "c"]))
    return stream.getvalue()


VALID = {"stored": archive_bytes(np.savez), "deflated": archive_bytes(np.savez_compressed)}


@settings(deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", VALID)
def test_hostile_bytes_load_or_raise_value_error(tmp_path_factory, kind, data):
    valid = VALID[kind]
    changed = data.draw(
        st.binary(max_size=64)
        | st.integers(0, len(valid)).map(lambda end: valid[:end])
        | st.tuples(st.integers(0, len(valid) - 1), st.binary(min_size=1, max_size=1)).map(
            lambda change: valid[: change[0]] + change[1] + valid[change[0] + 1 :]
        )
    )
    path = tmp_path_factory.getbasetemp() / "hostile.npz"
    path.write_bytes(changed)
    try:
        (x, y), _ = npz.load_data(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape
    else:
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)
