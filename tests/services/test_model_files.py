"""Model files are fetched when told to, whole or not at all, and go on where they stopped."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend.errors import OperationFailed, UpstreamFailed
from backend.hookspecs import ModelFile
from backend.services import model_files

CONTENT = bytes(range(256)) * 4000


class Source(ThreadingHTTPServer):
    """A web server with one file; ``cut`` ends the next answer after so many bytes."""

    cut: int | None = None
    ranges: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.safetensors"


class Answers(BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if not self.path.endswith("model.safetensors"):
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut, self.server.cut = self.server.cut, None
        self.wfile.write(CONTENT[start:][:cut])

    def log_message(self, *args: object) -> None:
        """Nothing: the tests' output stays clean."""


@pytest.fixture
def source() -> Iterator[Source]:
    with Source(("127.0.0.1", 0), Answers) as server:
        server.ranges = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def wanted(url: str, sha256: str = "") -> ModelFile:
    return ModelFile("net/1", "stems/net", "1.safetensors", "MIT", url, sha256)


def test_a_file_is_fetched_to_its_place(source: Source, tmp_path: Path) -> None:
    """It lies in its folder, was checked, and progress reached its length; once is enough."""
    told: list[tuple[int, int]] = []
    model = wanted(source.url, hashlib.sha256(CONTENT).hexdigest())
    path = model_files.download(model, tmp_path, lambda *done: told.append(done))
    assert path == tmp_path / "stems" / "net" / "1.safetensors"
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert list(path.parent.iterdir()) == [path]
    model_files.download(model, tmp_path, lambda *done: None)
    assert len(source.ranges) == 1


def test_a_broken_download_goes_on(source: Source, tmp_path: Path) -> None:
    """What came of a cut answer is kept, but not as the file; the next call fetches the rest."""
    source.cut = 100_000
    with pytest.raises(UpstreamFailed, match="too early"):
        model_files.download(wanted(source.url), tmp_path, lambda *done: None)
    assert not (tmp_path / "stems" / "net" / "1.safetensors").exists()
    path = model_files.download(wanted(source.url), tmp_path, lambda *done: None)
    assert path.read_bytes() == CONTENT
    assert source.ranges == [None, "bytes=100000-"]


def test_a_leftover_longer_than_the_file_is_dropped(source: Source, tmp_path: Path) -> None:
    """The source has become shorter: it is fetched from its beginning."""
    partial = tmp_path / "stems" / "net" / "1.safetensors.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * (len(CONTENT) + 5))
    path = model_files.download(wanted(source.url), tmp_path, lambda *done: None)
    assert path.read_bytes() == CONTENT


def test_other_content_is_refused(source: Source, tmp_path: Path) -> None:
    """A file with another digest is not kept."""
    with pytest.raises(OperationFailed, match="SHA-256"):
        model_files.download(wanted(source.url, "0" * 64), tmp_path, lambda *done: None)
    assert list((tmp_path / "stems" / "net").iterdir()) == []


@pytest.mark.parametrize("path", ["/gone", ""])
def test_a_source_that_does_not_answer_is_told(source: Source, tmp_path: Path, path: str) -> None:
    """404 and a closed port become a sentence with the address."""
    url = source.url.replace("/model.safetensors", path) if path else "http://127.0.0.1:9/x"
    with pytest.raises(UpstreamFailed, match=re.escape(url)):
        model_files.download(wanted(url), tmp_path, lambda *done: None)


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    """A file address is no download."""
    with pytest.raises(OperationFailed, match="web address"):
        model_files.download(wanted("file:///etc/passwd"), tmp_path, lambda *done: None)


def test_a_name_stands_for_all_its_files() -> None:
    """An id is one file; what stands in front of the slash is the model."""
    files = [ModelFile(each, "f", "n", "MIT", "") for each in ("a/1", "a/2", "ab/1", "a")]
    assert [file.id for file in model_files.named("a", files)] == ["a/1", "a/2", "a"]
    assert [file.id for file in model_files.named("a/2", files)] == ["a/2"]
