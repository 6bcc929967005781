"""A server of files on this machine, which can be told to break off, to lie, or not to continue.

PYTEST_DONT_REWRITE: the search for doctests imports this file before it is used as a plugin.
"""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class FileServer(ThreadingHTTPServer):
    """Serves ``files``, bytes by name, and notes what was asked for.

    ``cut`` is how many bytes of an answer are sent before the connection is closed; ``ranges`` is
    whether a part may be asked for; ``status`` is an answer in place of any file; ``chunked`` is
    whether sizes are left out, and the answer comes in chunks.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.cut: int | None = None
        self.ranges = True
        self.status: int | None = None
        self.chunked = False

    def handle_error(self, request, client_address):
        """Do not print that a client has hung up."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name, wanted = self.path.lstrip("/"), self.headers["Range"]
        self.server.asked.append((name, wanted))
        data = self.server.files.get(name)
        if self.server.status is not None or data is None:
            self.send_error(self.server.status or 404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if start and not self.server.ranges:
            start = 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        body = data[start:]
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def server():
    """Return a running `FileServer`."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder that downloads go to."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CONVLET_DATA", str(folder))
    return folder
