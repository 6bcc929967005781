"""CIFAR-10 and CIFAR-100 from folders, archives and a server, and archives that are refused."""

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convlet.datasets import cifar10, cifar100
from convlet.datasets.download import RemoteFile

pytest_plugins = ("servers",)

TEN = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
HUNDRED = ["train.bin", "test.bin"]
NAMES = {cifar10: TEN, cifar100: HUNDRED}
FOLDERS = {cifar10: "cifar-10-batches-bin", cifar100: "cifar-100-binary"}
ARCHIVES = {cifar10: "cifar-10-binary.tar.gz", cifar100: "cifar-100-binary.tar.gz"}


def records(module, count, seed=0):
    """Return images, labels, and the bytes of the published layout: labels, then three planes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    if module is cifar10:
        labels = rng.integers(0, 10, (count, 1), np.uint8)
    else:
        labels = np.stack([rng.integers(0, 20, count), rng.integers(0, 100, count)], 1)
        labels = labels.astype(np.uint8)
    data = b""
    for image, label in zip(images, labels, strict=True):
        data += bytes(label) + b"".join(image[:, :, plane].tobytes() for plane in range(3))
    return images, labels, data


def files(module):
    """Return the files of a small edition by name, and its arrays: training, then test."""
    parts = [records(module, 3 + seed, seed) for seed in range(len(NAMES[module]))]
    data = dict(zip(NAMES[module], (part[2] for part in parts), strict=True))
    train = [np.concatenate([part[i] for part in parts[:-1]]) for i in range(2)]
    return data, train, parts[-1][:2]


def archive(module, members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(f"{FOLDERS[module]}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


SMALL = archive(cifar100, {"train.bin": bytes(3074), "test.bin": bytes(3074)})


def check(module, loaded, train, test):
    column = slice(None) if module is cifar10 else slice(1, 2)
    for (x, y), (images, labels) in zip(loaded, (train, test), strict=True):
        assert (x.dtype, y.dtype) == (np.uint8, np.uint8)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels[:, column])


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("module", [cifar10, cifar100])
def test_folder(tmp_path, module, nested):
    data, train, test = files(module)
    folder = tmp_path / FOLDERS[module] if nested else tmp_path
    folder.mkdir(exist_ok=True)
    for name, content in data.items():
        (folder / name).write_bytes(content)
    check(module, module.load_data(path=tmp_path), train, test)


@pytest.mark.parametrize("module", [cifar10, cifar100])
def test_archive_in_a_folder(tmp_path, module):
    data, train, test = files(module)
    (tmp_path / ARCHIVES[module]).write_bytes(archive(module, {"readme.html": b"..."} | data))
    check(module, module.load_data(path=str(tmp_path)), train, test)
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVES[module]]  # nothing is extracted


@pytest.mark.parametrize("module", [cifar10, cifar100])
def test_download(server, cache, monkeypatch, module):
    data, train, test = files(module)
    packed = archive(module, data)
    server.files[ARCHIVES[module]] = packed
    published = module._EDITION.archive
    assert len(published.sha256) == 64
    assert published.size > 168_000_000
    served = RemoteFile(published.name, len(packed), hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(module, "_EDITION", replace(module._EDITION, archive=served))
    for _ in range(2):
        check(module, module.load_data(mirror=server.address), train, test)
    assert server.asked == [(ARCHIVES[module], None)]


def test_coarse_labels(tmp_path):
    data, train, test = files(cifar100)
    (tmp_path / ARCHIVES[cifar100]).write_bytes(archive(cifar100, data))
    (_, y_train), (_, y_test) = cifar100.load_data("coarse", tmp_path)
    np.testing.assert_array_equal(y_train, train[1][:, :1])
    np.testing.assert_array_equal(y_test, test[1][:, :1])


@pytest.mark.parametrize("mode", ["superclass", None, 1])
def test_label_mode(mode):
    message = f"^cifar100: label_mode must be one of 'fine', 'coarse', got {mode!r}$"
    with pytest.raises(ValueError, match=message):
        cifar100.load_data(mode)


# --- what is refused ---


def refuses(tmp_path, module, content, message):
    path = tmp_path / ARCHIVES[module]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}{message}')}$"):
        module.load_data(path=tmp_path)


def test_nothing_there(tmp_path):
    message = (
        f"{tmp_path}: no cifar100 here, looked for cifar-100-binary.tar.gz and for train.bin, "
        "test.bin, also in cifar-100-binary"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        cifar100.load_data(path=tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-200],
        lambda data: data[:50],
        lambda data: b"no archive",
        lambda data: b"",
        lambda data: data[:2000] + bytes(100) + data[2100:],
    ],
)
def test_damaged_archives(tmp_path, damage):
    data = damage(archive(cifar100, files(cifar100)[0]))
    refuses(tmp_path, cifar100, data, ": the archive is damaged or ends early")


def test_a_missing_member(tmp_path):
    data, _, _ = files(cifar10)
    del data["data_batch_4.bin"]
    message = ": no data_batch_4.bin in cifar-10-batches-bin"
    refuses(tmp_path, cifar10, archive(cifar10, data), message)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(records(cifar100, 3)[2])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("cifar-100-binary/train.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    refuses(tmp_path, cifar100, stream.getvalue(), ": cifar-100-binary/train.bin is no file")


@pytest.mark.parametrize("size", [0, 3072, 3073 * 2 + 1])
def test_sizes_that_are_no_records(tmp_path, size):
    data, _, _ = files(cifar10)
    data["data_batch_1.bin"] = bytes(size)
    message = (
        f": cifar-10-batches-bin/data_batch_1.bin must hold 1 to 50000 records of 3073 bytes, "
        f"got {size} bytes"
    )
    refuses(tmp_path, cifar10, archive(cifar10, data), message)


def test_a_size_beyond_any_memory(tmp_path):
    info = tarfile.TarInfo("cifar-100-binary/train.bin")
    info.size = 3074 * 10**12
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        tar.fileobj.write(info.tobuf())
    message = (
        ": cifar-100-binary/train.bin must hold 1 to 50000 records of 3074 bytes, "
        f"got {info.size} bytes"
    )
    refuses(tmp_path, cifar100, stream.getvalue(), message)


def test_labels_out_of_range(tmp_path):
    data, _, _ = files(cifar100)
    (tmp_path / "test.bin").write_bytes(data["test.bin"])
    (tmp_path / "train.bin").write_bytes(bytes([3, 100]) + data["train.bin"][2:])
    message = f"^{tmp_path}/train.bin: labels must be 0 to 99, got 100$"
    with pytest.raises(ValueError, match=message):
        cifar100.load_data(path=tmp_path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1023), st.binary(min_size=1, max_size=8))
def test_hostile_bytes_load_or_raise_value_error(tmp_path, place, change):
    tar = gzip.decompress(SMALL)
    changed = tar[:place] + change + tar[place + len(change) :]
    path = tmp_path / ARCHIVES[cifar100]
    path.write_bytes(gzip.compress(changed, 1))
    try:
        cifar100.load_data(path=tmp_path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - other exceptions must escape
