"""Model files are fetched whole or not at all, resumed only where they still are the same file."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.config import ROOT, inherited_environment
from backend.errors import Conflict, OperationFailed, StorageFull, UpstreamFailed
from backend.services import model_download
from backend.services.model_download import download
from backend.testing.files import Files, Served, serving


def weights(letter: bytes, size: int = 1_000_000) -> bytes:
    """A whole safetensors file."""
    head = {"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + letter * size


ONE, TWO = weights(b"1"), weights(b"2")
SHA = hashlib.sha256(ONE).hexdigest()
PATH = "/model.safetensors"


@pytest.fixture
def web() -> Iterator[Files]:
    with serving() as files:
        files.files[PATH] = Served(ONE)
        yield files


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "loras" / "deep" / "a.safetensors"


def fetch(web: Files, target: Path, sha256: str = "") -> Path:
    return download(web.url + PATH, target, lambda done, total: None, sha256)


def holding(inside: threading.Event, go: threading.Event) -> Callable[[], object]:
    """For the middle of an answer: say that it is reached, and wait to be let on."""

    def wait() -> None:
        inside.set()
        go.wait(120)

    return wait


def left(target: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_is_fetched_to_its_place(web: Files, target: Path) -> None:
    """It lies in its folder, was checked, and progress reached its length; once is enough."""
    told: list[tuple[int, int]] = []
    download(web.url + PATH, target, lambda *done: told.append(done), SHA)
    assert target.read_bytes() == ONE
    assert told[-1] == (len(ONE), len(ONE))
    assert left(target) == ["a.safetensors"]
    fetch(web, target)
    assert web.ranges == [None]


@pytest.mark.parametrize("validator", ['"1"', "Sat, 21 Nov 2026 10:00:00 GMT"])
def test_a_broken_download_goes_on(web: Files, target: Path, validator: str) -> None:
    """What came of a cut answer is kept, but not as the file; the next call fetches the rest."""
    web.files[PATH] = Served(ONE, validator, cut=100_000)
    with pytest.raises(UpstreamFailed, match="too early"):
        fetch(web, target)
    assert left(target) == ["a.safetensors.partial", "a.safetensors.partial.source"]
    fetch(web, target, SHA)
    assert target.read_bytes() == ONE
    assert web.ranges == [None, "bytes=100000-"]
    assert left(target) == ["a.safetensors"]


def test_another_content_is_begun_anew(web: Files, target: Path) -> None:
    """The source changed between two calls: halves of two files are never put together."""
    web.files[PATH].cut = 100_000
    with pytest.raises(UpstreamFailed):
        fetch(web, target)
    web.files[PATH] = Served(TWO, '"2"')
    assert fetch(web, target).read_bytes() == TWO
    assert web.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("validator", ["", 'W/"1"'])
def test_without_a_validator_nothing_is_resumed(web: Files, target: Path, validator: str) -> None:
    """Nobody could tell whether the rest belongs to what is here; a weak tag promises no bytes."""
    web.files[PATH] = Served(ONE, validator, cut=100_000)
    with pytest.raises(UpstreamFailed):
        fetch(web, target)
    fetch(web, target)
    assert web.ranges == [None, None]


def test_another_address_is_begun_anew(web: Files, target: Path) -> None:
    """What came from one address is no beginning of what another has."""
    web.files[PATH].cut = 100_000
    with pytest.raises(UpstreamFailed):
        fetch(web, target)
    web.files["/other"] = Served(TWO)
    assert download(f"{web.url}/other", target, lambda *done: None).read_bytes() == TWO


def test_a_leftover_longer_than_the_file_is_dropped(web: Files, target: Path) -> None:
    """The source answers 416: it is fetched from its beginning."""
    target.parent.mkdir(parents=True)
    target.with_name("a.safetensors.partial").write_bytes(b"x" * (len(ONE) + 5))
    note = {"url": web.url + PATH, "validator": '"1"'}
    target.with_name("a.safetensors.partial.source").write_text(json.dumps(note))
    assert fetch(web, target).read_bytes() == ONE


def test_other_content_is_refused_and_removed(web: Files, target: Path) -> None:
    """A file with another digest is not kept, nor is anything beside it."""
    with pytest.raises(OperationFailed, match="SHA-256"):
        fetch(web, target, "0" * 64)
    assert left(target) == []


def test_a_page_is_no_model(web: Files, target: Path) -> None:
    """A login page with status 200 under the file's name is refused, and removed."""
    web.files[PATH] = Served(b"<html>Log in</html>")
    with pytest.raises(OperationFailed, match="no safetensors file") as caught:
        fetch(web, target)
    assert "login" in str(caught.value.remedy)
    assert left(target) == []


def test_a_present_file_is_held_against_the_checksum(web: Files, target: Path) -> None:
    """It is kept, and the difference is told; with the right one nothing is fetched."""
    target.parent.mkdir(parents=True)
    target.write_bytes(TWO)
    with pytest.raises(OperationFailed, match="SHA-256"):
        fetch(web, target, SHA)
    assert target.read_bytes() == TWO and web.ranges == []


def test_redirects_are_followed_and_their_checksum_believed(web: Files, target: Path) -> None:
    """As at Hugging Face: the redirect carries the SHA-256 of what comes behind it."""
    web.files["/resolve"] = Served(location=PATH, headers={"X-Linked-ETag": f'"{SHA}"'})
    url = f"{web.url}/resolve"
    assert download(url, target, lambda *done: None).read_bytes() == ONE
    target.unlink()
    web.files[PATH] = Served(TWO, '"2"')
    with pytest.raises(OperationFailed, match="SHA-256"):
        download(url, target, lambda *done: None)
    assert left(target) == []


def test_a_redirect_that_never_ends(web: Files, target: Path) -> None:
    """It is told, not followed for ever."""
    web.files[PATH] = Served(location=PATH)
    with pytest.raises(UpstreamFailed, match="302"):
        fetch(web, target)


def test_a_redirect_to_less_safety_is_refused() -> None:
    """From https to http nobody is led."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request("https://host/a")
    with pytest.raises(urllib.error.URLError, match="https"):
        model_download._Redirects().redirect_request(request, None, 302, "", {}, "http://host/b")


def test_two_do_not_fetch_one_file(web: Files, target: Path) -> None:
    """While one process downloads, a second is refused at once; then the file is there."""
    inside, go = threading.Event(), threading.Event()
    web.files[PATH].wait = holding(inside, go)
    code = (
        "import os, sys; from pathlib import Path;"
        "from backend.services.model_download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), lambda *done: None)"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, web.url + PATH, str(target)],
        env={**inherited_environment(), "PYTHONPATH": str(ROOT)},
    )
    try:
        assert inside.wait(120)
        with pytest.raises(Conflict, match="already downloading"):
            fetch(web, target)
    finally:
        go.set()
        assert process.wait(120) == 0
    assert target.read_bytes() == ONE
    assert left(target) == ["a.safetensors"]


def test_a_killed_download_leaves_no_lock(web: Files, target: Path) -> None:
    """The lock goes with its holder; what it had fetched is gone on with."""
    inside, go = threading.Event(), threading.Event()
    web.files[PATH].wait = holding(inside, go)
    code = (
        "import os, sys; from pathlib import Path;"
        "from backend.services.model_download import download;"
        "download(sys.argv[1], Path(sys.argv[2]), lambda d, t: d > 0 and os._exit(9))"
    )
    ended = subprocess.Popen(
        [sys.executable, "-P", "-c", code, web.url + PATH, str(target)],
        env={**inherited_environment(), "PYTHONPATH": str(ROOT)},
    )
    assert inside.wait(120)
    go.set()
    assert ended.wait(120) == 9
    assert fetch(web, target, SHA).read_bytes() == ONE
    assert left(target) == ["a.safetensors"]


def test_an_address_may_hold_any_letters(web: Files, target: Path) -> None:
    """What is no ASCII, and spaces, are sent as HTTP wants them."""
    web.files["/%C3%A4%20b.safetensors"] = Served(ONE)
    download(f"{web.url}/ä b.safetensors", target, lambda *done: None)
    assert target.read_bytes() == ONE


def test_a_file_that_is_there_needs_no_folder_to_write_to(web: Files, target: Path) -> None:
    """It may lie in an installation that is only read: no lock, no note, nothing is made there."""
    target.parent.mkdir(parents=True)
    target.write_bytes(ONE)
    before = target.parent.stat().st_mtime_ns
    assert fetch(web, target, SHA) == target
    assert target.parent.stat().st_mtime_ns == before


def test_a_disk_that_is_too_small(web: Files, target: Path) -> None:
    """It is refused before a byte is fetched."""
    web.files[PATH].headers = {"Content-Length": str(1 << 60)}
    with pytest.raises(StorageFull, match="are free on the disk"):
        fetch(web, target)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_source_that_refuses_is_told(web: Files, target: Path, status: int) -> None:
    """With the status and the address; a gated file says what to do."""
    web.files[PATH].status = status
    with pytest.raises(UpstreamFailed, match=re.escape(web.url)) as caught:
        fetch(web, target)
    assert str(status) in caught.value.detail
    assert ("licence" in str(caught.value.remedy)) == (status in (401, 403))


def test_nobody_answers(target: Path) -> None:
    """A closed port becomes a sentence with the address."""
    with pytest.raises(UpstreamFailed, match=re.escape("http://127.0.0.1:9/x")):
        download("http://127.0.0.1:9/x", target, lambda *done: None)


def test_only_web_addresses_are_fetched(target: Path) -> None:
    """A file address is no download."""
    with pytest.raises(OperationFailed, match="web address"):
        download("file:///etc/passwd", target, lambda *done: None)
