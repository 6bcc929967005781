"""Writing files: the old one or the new one, whatever happens, and never half or a leftover."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from convlet import Sequential
from convlet.layers import Dense, Input
from convlet.saving.files import write_atomically

OLD, NEW = b"old", b"new" * 10_000
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def holds_only(path: Path, content: bytes) -> bool:
    """Whether a file has the content and is alone in its folder."""
    return path.read_bytes() == content and list(path.parent.iterdir()) == [path]


def raises(error: BaseException) -> Callable[..., NoReturn]:
    """Return a function that raises, to stand in for one of the system's."""

    def function(*args: object, **kwargs: object) -> NoReturn:
        raise error

    return function


# --- when all goes well ---


def test_a_file_is_made_and_replaced(path: Path):
    for content in (OLD, NEW, b""):
        write_atomically(path, content)
        assert holds_only(path, content)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_a_new_file_has_the_mode_that_the_umask_leaves(path: Path, umask: int):
    previous = os.umask(umask)
    try:
        write_atomically(path, NEW)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_mode(path: Path, mode: int):
    path.write_bytes(OLD)
    path.chmod(mode)
    write_atomically(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_name_of_the_greatest_length_will_do(tmp_path: Path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, NEW)
    assert holds_only(path, NEW)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path, exists: bool):
    target = tmp_path / "elsewhere" / "target"
    target.parent.mkdir()
    if exists:
        target.write_bytes(OLD)
    first, second = tmp_path / "first", tmp_path / "second"
    first.symlink_to(Path("elsewhere", "target"))
    second.symlink_to(first)
    write_atomically(second, NEW)
    assert first.is_symlink()
    assert second.is_symlink()
    assert holds_only(target, NEW)


def test_a_file_reached_through_a_linked_folder_is_replaced(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    write_atomically(tmp_path / "link" / "file", NEW)
    assert holds_only(tmp_path / "folder" / "file", NEW)


def test_readers_see_one_of_the_two(path: Path):
    write_atomically(path, OLD)
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in (NEW, OLD) * 50:
        write_atomically(path, content)
    done.set()
    reader.join()
    assert seen <= {OLD, NEW}


# --- when it does not ---

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
STEPS = [(os, "fsync"), (os, "fchmod"), (Path, "replace")]


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), MemoryError()], ids=repr)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_a_failure_leaves_the_old_file_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple, error: BaseException
):
    path.write_bytes(OLD)
    monkeypatch.setattr(*step, raises(error))
    with pytest.raises(type(error)):
        write_atomically(path, NEW)
    assert holds_only(path, OLD)


@pytest.mark.parametrize("step", [(os, "fsync"), (Path, "replace")], ids=lambda step: step[1])
def test_a_failure_leaves_no_file_where_there_was_none(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: tuple
):
    monkeypatch.setattr(*step, raises(FULL))
    with pytest.raises(OSError, match=f"No space left on device: '{re.escape(str(path))}'$"):
        write_atomically(path, NEW)
    assert list(path.parent.iterdir()) == []


# the limit holds for every file of a process, a test runner's log among them
ON_A_DISK_THAT_FILLS_UP = """
import resource, sys
from pathlib import Path
from convlet.saving.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"new" * 10_000)
except OSError as error:
    sys.exit(str(error))
"""


def test_a_disk_that_fills_up_half_way_is_named_and_leaves_the_old_file(path: Path):
    path.write_bytes(OLD)
    command = [sys.executable, "-c", ON_A_DISK_THAT_FILLS_UP, str(path)]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    expected = rf"\[Errno {errno.EFBIG}\] .*: '{re.escape(str(path))}'\n"
    assert re.fullmatch(expected, result.stderr)
    assert holds_only(path, OLD)


def test_a_folder_that_cannot_be_synced_is_no_failure(path: Path, monkeypatch: pytest.MonkeyPatch):
    # some network file systems cannot
    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no folders")

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, NEW)
    assert holds_only(path, NEW)


def test_a_link_that_leads_to_itself_is_refused(path: Path):
    path.symlink_to(path.name)
    model = Sequential([Input((2,)), Dense(1)])
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ELOOP))):
        model.save(path)
    assert path.is_symlink()


def test_the_temporary_name_is_in_no_error(path: Path):
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=rf"Is a directory: '{re.escape(str(path))}'$"):
        write_atomically(path, NEW)
    assert list(path.parent.iterdir()) == [path]


@as_user
def test_a_folder_that_may_not_be_written_is_refused(path: Path):
    path.write_bytes(OLD)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match=rf"Permission denied: '{re.escape(str(path))}'$"):
            write_atomically(path, NEW)
    finally:
        path.parent.chmod(0o755)
    assert holds_only(path, OLD)


WRITER = """
import sys
from pathlib import Path
from convlet.saving.files import write_atomically
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        write_atomically(Path(sys.argv[1]), letter * 1_000_000)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_whole_file(path: Path):
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


# --- what is refused before anything is written, by both ways of saving ---

SAVERS = pytest.mark.parametrize("save", ["save", "save_weights"])


def saved(save: str, path: Path | str, **keywords: bool) -> None:
    getattr(Sequential([Input((2,)), Dense(1)]), save)(path, **keywords)


@SAVERS
@pytest.mark.parametrize("name", ["model", "model.h5", "model.safetensors.bak", ".safetensors"])
def test_a_name_must_say_what_the_file_is(tmp_path: Path, save: str, name: str):
    path = tmp_path / name
    known = ".keras" if save == "save" else ".npz or .weights.h5"
    message = f"^{re.escape(str(path))}: the file's name must end in .safetensors or {known}$"
    with pytest.raises(ValueError, match=message):
        saved(save, path)
    assert list(tmp_path.iterdir()) == []


@SAVERS
def test_a_missing_folder_is_named(tmp_path: Path, save: str):
    path = tmp_path / "missing" / "model.safetensors"
    message = f"^{re.escape(str(path))}: there is no folder {re.escape(str(path.parent))}$"
    with pytest.raises(FileNotFoundError, match=message):
        saved(save, path)


@SAVERS
def test_a_file_is_no_folder(tmp_path: Path, save: str):
    (tmp_path / "file").write_bytes(OLD)
    path = tmp_path / "file" / "model.safetensors"
    message = f"^{re.escape(str(path))}: {re.escape(str(path.parent))} is no folder$"
    with pytest.raises(NotADirectoryError, match=message):
        saved(save, path)


@SAVERS
def test_a_folder_is_no_file(path: Path, save: str):
    path.mkdir()
    with pytest.raises(IsADirectoryError, match=f"^{re.escape(str(path))}: this is a folder$"):
        saved(save, path)


@SAVERS
def test_overwrite_false_leaves_what_is_there(path: Path, save: str):
    path.write_bytes(OLD)
    message = f"^{re.escape(str(path))}: the file exists; overwrite=True replaces it$"
    with pytest.raises(FileExistsError, match=message):
        saved(save, path, overwrite=False)
    assert holds_only(path, OLD)
    saved(save, path)
    assert path.read_bytes() != OLD
    path.unlink()
    saved(save, path, overwrite=False)
    assert path.exists()


@SAVERS
def test_a_read_only_file_is_not_replaced(path: Path, save: str, monkeypatch: pytest.MonkeyPatch):
    path.write_bytes(OLD)
    path.chmod(0o444)
    if os.geteuid() == 0:  # who may write it all the same
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=f"^{re.escape(str(path))}: the file is read-only$"):
        saved(save, path)
    assert holds_only(path, OLD)


@SAVERS
def test_paths_may_be_strings_and_stand_in_the_current_folder(
    tmp_path: Path, save: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    saved(save, "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size > 0
