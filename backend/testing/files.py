"""A web server with files for tests of downloads: ranges, validators, redirects, and bad manners.

Knows: RFC 9110's ranges and If-Range, and how an answer can be cut or changed in the middle.
Does not know: who downloads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file. ``validator`` is sent as ETag (or as Last-Modified if it looks like a date), none
    if empty; ``location`` makes it a redirect; ``cut`` ends the next answer after so many bytes;
    ``wait`` is called in the middle of the next answer."""

    content: bytes = b""
    validator: str = '"1"'
    location: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: Callable[[], object] | None = None


@dataclass
class Files:
    """What the server at ``url`` has, by path, and the Range headers that it was sent."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    files: Files


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer as a server for files does."""
        self.server.files.ranges.append(self.headers.get("Range"))
        served = self.server.files.files.get(self.path.partition("?")[0])
        if served is None or served.status >= 400:
            self.send_error(404 if served is None else served.status)
        elif served.location:
            self.send_response(302)
            self._headers({"Location": served.location, "Content-Length": "0", **served.headers})
        else:
            self._content(served)

    def _content(self, served: Served) -> None:
        start = self._start(served)
        if start is not None and start >= len(served.content):
            self.send_error(416)
            return
        self.send_response(200 if start is None else 206)
        rest = served.content[start or 0 :]
        told = {"Content-Length": str(len(rest)), **served.headers}
        if start is not None:
            size = len(served.content)
            told["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if served.validator:
            told["ETag" if '"' in served.validator else "Last-Modified"] = served.validator
        self._headers(told)
        cut, served.cut = served.cut, None
        wait, served.wait = served.wait, None
        half = len(rest) // 2
        self.wfile.write(rest[:half][:cut])
        self.wfile.flush()
        if wait is not None:
            wait()
        if cut is None or cut > half:
            self.wfile.write(rest[half:cut])

    def _start(self, served: Served) -> int | None:
        """Where the wanted part begins; None for all of it."""
        asked, unless = self.headers.get("Range"), self.headers.get("If-Range")
        if asked is None or (unless is not None and unless != served.validator):
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _headers(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: the tests' output stays clean."""


@contextmanager
def serving() -> Iterator[Files]:
    """The server on a free port of loopback, while the block runs."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        server.files = Files(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.files
        finally:
            server.shutdown()
            thread.join(5)
