"""Downloads: whole, continued, broken, forged, with no room and no network; never the real one."""

import errno
import fcntl
import hashlib
import os
import re
import socket
import sys
from types import SimpleNamespace

import pytest

from convlet.datasets import resume
from convlet.datasets.download import RemoteFile, fetch

pytest_plugins = ("servers",)

DATA = bytes(range(256)) * 5000
FILE = RemoteFile("toy.bin", len(DATA), hashlib.sha256(DATA).hexdigest())
UNKNOWN = RemoteFile("toy.bin", None, None)


def get(server, file=FILE):
    (path,) = fetch("toy", server.address, [file])
    return path


def names(cache):
    return sorted(path.name for path in (cache / "toy").iterdir())


@pytest.fixture(autouse=True)
def toy(server):
    server.files["toy.bin"] = DATA


def test_a_file_is_downloaded_once(server, cache):
    path = get(server)
    assert path == cache / "toy/toy.bin"
    assert path.read_bytes() == DATA
    assert names(cache) == ["toy.bin"]
    assert get(server) == path
    assert server.asked == [("toy.bin", None)]


def test_a_damaged_file_in_the_cache_is_fetched_anew(server, cache):
    get(server).write_bytes(b"torn")
    assert get(server).read_bytes() == DATA


def test_a_mirror_is_asked_instead(server, cache):
    server.files = {"mirror/toy.bin": DATA}
    for mirror in (f"{server.address}mirror", f"{server.address}mirror/"):
        (path,) = fetch("toy", "http://127.0.0.1:9/", [FILE], mirror)
        assert path.read_bytes() == DATA
        path.unlink()
    assert [name for name, _ in server.asked] == ["mirror/toy.bin"] * 2


@pytest.mark.parametrize("mirror", ["file:///etc/", "ftp://a.b/", "/tmp", 5])
def test_a_mirror_is_an_http_address(cache, mirror):
    message = f"toy: mirror must be an address that starts with http:// or https://, got {mirror!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fetch("toy", "http://127.0.0.1:9/", [FILE], mirror)


def test_the_cache_is_the_users(server, tmp_path, monkeypatch):
    monkeypatch.delenv("CONVLET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert get(server) == tmp_path / "convlet/toy/toy.bin"


def test_a_terminal_sees_how_far_it_is(server, cache, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    get(server)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "toy.bin" in shown.err


def test_a_pipe_sees_nothing(server, cache, monkeypatch, capsys):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    get(server)
    assert capsys.readouterr() == ("", "")


# --- what ends early ---


def broken(server, cache, count=300_000):
    """Let a download end after some bytes, and return the error's text."""
    server.cut = count
    with pytest.raises(ConnectionError) as error:
        get(server)
    server.cut = None
    assert names(cache) == ["toy.bin.part"]
    return str(error.value)


def test_a_broken_download_goes_on(server, cache):
    text = broken(server, cache)
    part = cache / "toy/toy.bin.part"
    assert text == (
        f"{server.address}toy.bin: the connection broke; 0.3 MB of 1.3 MB are kept in {part}, and "
        "the next call goes on from there"
    )
    assert part.read_bytes() == DATA[:300_000]
    assert get(server).read_bytes() == DATA
    assert server.asked == [("toy.bin", None), ("toy.bin", "bytes=300000-")]
    assert names(cache) == ["toy.bin"]


def test_a_download_may_break_twice(server, cache):
    broken(server, cache)
    assert "; 0.7 MB of 1.3 MB are kept" in broken(server, cache, 400_000)
    assert get(server).read_bytes() == DATA
    assert server.asked[-1] == ("toy.bin", "bytes=700000-")


def test_a_server_that_cannot_continue_sends_all(server, cache):
    broken(server, cache)
    server.ranges = False
    assert get(server).read_bytes() == DATA
    assert server.asked[-1] == ("toy.bin", "bytes=300000-")


def test_a_whole_part_needs_no_server(server, cache):
    broken(server, cache)
    (cache / "toy/toy.bin.part").write_bytes(DATA)
    server.asked.clear()
    assert get(server).read_bytes() == DATA
    assert server.asked == []


def test_a_part_that_is_too_long_is_thrown_away(server, cache):
    broken(server, cache)
    (cache / "toy/toy.bin.part").write_bytes(DATA + b"more")
    assert get(server).read_bytes() == DATA
    assert server.asked[1:] == [("toy.bin", None)]


def test_a_range_that_the_server_refuses(server, cache):
    broken(server, cache)
    server.files["toy.bin"] = DATA[:1000]  # answers 416 to the range, then too few bytes
    message = (
        f"{server.address}toy.bin: the file must have {len(DATA)} bytes, the server announces "
        "1000; another address may be given as mirror"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        get(server)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=300000-", None]


def test_ctrl_c_keeps_what_came(server, cache, monkeypatch):
    write, calls = resume._write, []

    def interrupted(stream, data):
        write(stream, data)
        calls.append(len(data))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(resume, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt) as interrupt:
            get(server)
    assert str(interrupt.value) == (
        f"{server.address}toy.bin: the download was interrupted; 0.5 MB of 1.3 MB are kept in "
        f"{cache / 'toy/toy.bin.part'}, and the next call goes on from there"
    )
    assert names(cache) == ["toy.bin.part"]
    assert get(server).read_bytes() == DATA
    assert server.asked[-1] == ("toy.bin", f"bytes={sum(calls)}-")


def test_without_a_checksum_a_broken_download_starts_anew(server, cache):
    server.cut = 300_000
    with pytest.raises(
        ConnectionError, match=r"broke; 0\.3 MB of 1\.3 MB came, and the next call s"
    ):
        get(server, UNKNOWN)
    server.cut = None
    assert get(server, UNKNOWN).read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == [None, None]


def test_a_size_that_nobody_knows(server, cache):
    server.chunked, server.cut = True, 300_000
    with pytest.raises(
        ConnectionError, match=r"broke; 0\.3 MB came, and the next call starts anew$"
    ):
        get(server, UNKNOWN)
    server.cut = None
    assert get(server, UNKNOWN).read_bytes() == DATA


# --- what must not come in ---


@pytest.mark.parametrize("continued", [False, True])
def test_a_forged_file_is_removed(server, cache, continued):
    if continued:
        broken(server, cache)
    forged = DATA[:300_000] + bytes(len(DATA) - 300_000)
    server.files["toy.bin"] = forged
    message = (
        f"{server.address}toy.bin: the file must have the SHA-256 checksum {FILE.sha256}, got "
        f"{len(forged)} bytes with {hashlib.sha256(forged).hexdigest()}; they have been removed"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        get(server)
    assert names(cache) == []


def test_another_size_is_refused_before_anything_is_written(server, cache):
    server.files["toy.bin"] = DATA[:-1]
    message = rf"must have {len(DATA)} bytes, the server announces {len(DATA) - 1}; another address"
    with pytest.raises(ValueError, match=message):
        get(server)
    assert names(cache) == []


def test_no_more_is_read_than_the_file_has(server, cache):
    server.chunked = True
    server.files["toy.bin"] = DATA + b"more"
    assert get(server).read_bytes() == DATA


@pytest.mark.parametrize("status", [403, 404, 500])
def test_the_server_refuses(server, cache, status):
    server.status = status
    message = (
        rf"^{server.address}toy\.bin: the server answered {status} [A-Z][\w ]+; another address "
        r"may be given as mirror, or a folder with the files as path$"
    )
    with pytest.raises(ConnectionError, match=message):
        get(server)
    assert names(cache) == []


def test_no_network(cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        message = (
            rf"^{url}toy\.bin: the server cannot be reached \(.*Connection refused\); without a "
            r"network, a folder with the files may be given as path$"
        )
        with pytest.raises(ConnectionError, match=message):
            fetch("toy", url, [FILE])


# --- the disk ---


def test_a_disk_without_room_is_seen_before_anything_is_written(server, cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(OSError, match="the disk is full") as error:
        get(server)
    assert error.value.errno == errno.ENOSPC
    assert error.value.strerror == "the disk is full: 1.3 MB are needed, 1.0 MB free"
    assert error.value.filename == str(cache / "toy/toy.bin.part")
    assert names(cache) == []


def test_a_disk_that_fills_up_keeps_what_fitted(server, cache, monkeypatch):
    write = resume._write

    def full(stream, data):
        if stream.tell() > 500_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(stream, data)

    with monkeypatch.context() as patch:
        patch.setattr(resume, "_write", full)
        with pytest.raises(
            OSError, match="the disk is full: what fitted is kept, and the next call"
        ):
            get(server)
    size = (cache / "toy/toy.bin.part").stat().st_size
    assert size > 500_000
    assert get(server).read_bytes() == DATA
    assert server.asked[-1] == ("toy.bin", f"bytes={size}-")


def test_a_nearly_full_disk_takes_a_piece_at_a_time():
    class Slow:
        taken = b""

        def write(self, data):
            self.taken += bytes(data[:3])
            return min(3, len(data))

    stream = Slow()
    resume._write(stream, b"0123456789")
    assert stream.taken == b"0123456789"


def test_two_processes_do_not_write_the_same_file(server, cache):
    part = cache / "toy/toy.bin.part"
    part.parent.mkdir(parents=True)
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=f"^{part}: another process is downloading this file$"):
            get(server)
    assert get(server).read_bytes() == DATA


def test_missing_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    message = r'^downloading toy needs pooch: pip install "convlet\[learn\]"$'
    with pytest.raises(ImportError, match=message):
        fetch("toy", "http://127.0.0.1:9/", [FILE])
