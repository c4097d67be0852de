"""Bad uploads: each is refused with its reason, and leaves nothing behind.

Knows: broken, lying and foreign files, names that are paths, and bodies over the cap.
Does not know: how a file is decoded, and where.
"""

from __future__ import annotations

import io
import socket
import sqlite3
import struct
import time
import wave
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import av
import numpy as np
import pytest

from backend.config import ROOT
from backend.media.audio import Audio
from backend.media.image import Image
from backend.testing.service import Service, until

pytestmark = pytest.mark.xdist_group("bad uploads")

CAP = 128 * 1024
DEADLINE_S = 300.0
REJECTED = (415, "asset-rejected")
TOO_LARGE = (413, "asset-too-large")
INVALID = (422, "invalid-parameters")
MALFORMED = (400, "malformed-request")


# --- files -----------------------------------------------------------------------------------


def wav(frames: int = 2000, channels: int = 2, rate: int = 8000) -> bytes:
    """A good 16-bit WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.random.default_rng(1).bytes(frames * channels * 2))
    return out.getvalue()


def wav_that_claims(size: int) -> bytes:
    """A WAV file whose headers declare *size* bytes of samples."""
    good = wav()
    riff, data = struct.pack("<I", size + 36), struct.pack("<I", size)
    return good[:4] + riff + good[8:40] + data + good[44:]


def wav_ending_with(folder: Path, last: float) -> bytes:
    """A float WAV file with this last sample."""
    path = folder / "made.wav"
    Audio.from_samples(np.zeros((1, 100), np.float32), 8000).save(path)
    return path.read_bytes()[:-4] + struct.pack("<f", last)


def rf64_that_claims(size: int) -> bytes:
    """An RF64 file (EBU Tech 3306) whose long header declares *size* bytes of samples."""
    sizes = struct.pack("<QQQI", size + 72, size, size // 4, 0)
    form = struct.pack("<HHIIHH", 1, 2, 8000, 32_000, 4, 16)
    chunks = b"ds64" + struct.pack("<I", 28) + sizes + b"fmt " + struct.pack("<I", 16) + form
    whole = b"RF64" + b"\xff" * 4 + b"WAVE" + chunks + b"data" + b"\xff" * 4
    return whole + bytes(4000)


def ten_hours(folder: Path) -> bytes:
    """A FLAC file of 10 hours of silence, which is a few kilobytes."""
    path = folder / "made.flac"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        stream.codec_context.options = {"frame_size": "65535"}
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 65_535), np.int16), "s16", "mono")
        for number in range(10 * 3600 * 8000 // 65_535 + 1):
            frame.sample_rate, frame.pts = 8000, 65_535 * number
            frame.time_base = Fraction(1, 8000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def png(folder: Path) -> bytes:
    path = folder / "made.png"
    Image.from_array(np.random.default_rng(3).random((40, 60, 3), np.float32)).save(path)
    return path.read_bytes()


def mp4(folder: Path, rate: int = 25) -> bytes:
    """A good video of eight small frames."""
    path = folder / "made.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(8):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8))
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path.read_bytes()


def wrong_png(folder: Path) -> bytes:
    """A PNG file with a byte that its checksum does not know."""
    good = png(folder)
    return good[:200] + bytes([good[200] ^ 0xFF]) + good[201:]


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that would unpack to a huge picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + packed + chunk(b"IEND", b"")


class Upload(NamedTuple):
    """One bad upload and its answer."""

    name: str
    content: Callable[[Path], bytes]
    expected: tuple[int, str] = REJECTED
    says: str = ""
    rule: tuple[str, str] | None = None
    file_name: str = "file.bin"
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def broken(
    name: str,
    content: Callable[[Path], bytes],
    rule: str,
    says: str = "",
    expected: tuple[int, str] = REJECTED,
) -> Upload:
    """A file that breaks a rule of files."""
    return Upload(name, content, expected, says, ("/file", rule))


def form(*names: str) -> bytes:
    """A multipart body with one file for each name."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode()
        + wav()
        + b"\r\n"
        for name in names
    ]
    return b"".join(parts) + b"--edge--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=edge"}
FILES = [
    broken("truncated WAV", lambda _: wav()[:-999], "cut", "cut"),
    broken("truncated WAV header", lambda _: wav()[:30], "damaged", "WAV"),
    broken("WAV that claims more", lambda _: wav_that_claims(80_000), "cut", "declares 80000"),
    broken("WAV that claims 4 GiB", lambda _: wav_that_claims(2**32 - 64), "cut", "declares"),
    broken("WAV without samples", lambda _: wav(0), "empty"),
    broken("WAV with NaN", lambda f: wav_ending_with(f, float("nan")), "finite", "NaN"),
    broken("WAV with infinity", lambda f: wav_ending_with(f, float("-inf")), "finite", "NaN"),
    broken("FLAC of ten hours", ten_hours, "audio_seconds", "14400", TOO_LARGE),
    broken("RF64 of 5 GiB that is cut", lambda _: rf64_that_claims(5 * 2**30), "cut", "5368709120"),
    broken("64 channels", lambda _: wav(100, channels=64), "channels", "64", INVALID),
    broken("9 channels", lambda _: wav(channels=9), "channels", "9", INVALID),
    broken("rate of 1 Hz", lambda _: wav(rate=1), "sample_rate", "Hz", INVALID),
    broken("rate of 7999 Hz", lambda _: wav(rate=7999), "sample_rate", "7999", INVALID),
    broken("rate of 768 kHz", lambda _: wav(rate=768_000), "sample_rate", "768000", INVALID),
    broken("truncated PNG", lambda f: png(f)[:-200], "damaged"),
    broken("truncated PNG header", lambda f: png(f)[:20], "damaged"),
    broken("PNG with a wrong byte", wrong_png, "damaged"),
    broken("PNG bomb", lambda _: png_that_claims(60_000, 60_000), "image_pixels",
           "image_pixels", TOO_LARGE),
    broken("truncated MP4", lambda f: mp4(f)[:-99], "cut", "cut"),
    broken("truncated MP4 header", lambda f: mp4(f)[:40], "damaged"),
    broken("damaged MP4", lambda f: mp4(f).replace(b"stsz", b"zzzz"), "damaged", "video"),
    broken("HEIF image", lambda _: b"\0\0\0\x18ftypheic" + bytes(99), "format", "HEIF"),
    broken("Matroska in name", lambda _: b"\x1a\x45\xdf\xa3" + bytes(999), "damaged", "video"),
    broken("10 000 frames a second", lambda f: mp4(f, 10_000), "frame_rate", "10000", INVALID),
    broken("text", lambda _: b"just words\n", "format", "not accepted"),
    broken("a page", lambda _: b"<html><script>1</script>", "format", "HTML"),
    broken("a program", lambda _: b"\x7fELF" + bytes(200), "format"),
    broken("nothing", lambda _: b"", "empty", "empty"),
    broken("other JSON", lambda _: b'{"kind": "graph"}', "format", "automation"),
]  # fmt: skip
NAMES = [
    Upload("a path", lambda _: wav(), INVALID, "path", ("/file_name", "no_path"), "../up.wav"),
    Upload("two dots", lambda _: wav(), INVALID, "path", ("/file_name", "no_path"), ".."),
    Upload("a drive", lambda _: wav(), INVALID, "path", ("/file_name", "no_path"), "C:\\a.wav"),
    Upload("newline", lambda _: wav(), INVALID, "", ("/file_name", "printable"), "a\nb.wav"),
    Upload(
        "header", lambda _: wav(), INVALID, "", ("/file_name", "printable"), "a\r\nSet-Cookie: b=1"
    ),
    Upload("no end", lambda _: wav(), INVALID, "255", ("/file_name", "length"), "x" * 300),
    Upload(
        "a path in a form", lambda _: form("../up.wav"), INVALID, "", ("/file_name", "no_path"),
        "", FORM,
    ),
    Upload("two files", lambda _: form("a.wav", "b.wav"), MALFORMED, "one file", None, "", FORM),
    Upload("half a form", lambda _: form("a.wav")[:500], MALFORMED, "", None, "", FORM),
    Upload(
        "other content", lambda _: wav(), INVALID, "sha-256", ("/content_digest", "content_digest"),
        headers={"Content-Digest": f"sha-256=:{'A' * 43}=:"},
    ),
]  # fmt: skip


# --- the service -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of these tests alone, so that what it keeps can be counted; the cap is small."""
    service = Service.start(
        tmp_path_factory.mktemp("uploads"), workers=["cpu"], limits__upload_bytes=CAP
    )
    service.wait_ready()
    service.upload(wav(), "good.wav")
    yield service
    service.stop()


def kept(service: Service) -> dict[str, Any]:
    """Everything that the service keeps of uploads: rows, blobs, unfinished files."""
    with closing(sqlite3.connect(f"file:{service.data_dir / 'kino.db'}?mode=ro", uri=True)) as db:
        rows = sorted(db.execute("SELECT id, reference, file_name FROM asset"))
    found = {
        name: sorted(str(path) for path in (service.data_dir / name).rglob("*"))
        for name in ("blobs", "incoming", "scratch")
    }
    return {"rows": rows, **found}


@pytest.fixture
def unchanged(own: Service) -> Iterator[None]:
    """The test leaves nothing behind, loses nothing, and a good file is still taken and used."""
    before = kept(own)
    yield
    until("all is as before", lambda: kept(own) == before, seconds=300)
    asset = own.upload(wav(), "good.wav")
    job = own.run("files.probe_audio", {"audio": asset["reference"]})
    assert job["result"]["frames"] == 2000
    assert own.ask("DELETE", f"/v1/assets/{asset['id']}").status == 204


def silent(text: str, data_dir: Path) -> None:
    """No traceback, and no place on the server's disk."""
    for word in ("Traceback", ".py", "site-packages", "incoming", str(ROOT), str(data_dir)):
        assert word not in text, f"{word} in {text}"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("bad", [*FILES, *NAMES], ids=lambda bad: bad.name)
def test_a_bad_upload(own: Service, tmp_path: Path, bad: Upload) -> None:
    """A problem with the reason, the field and the rule where one is at fault; nothing is kept."""
    query = f"?file_name={quote(bad.file_name, safe='')}" if bad.file_name else ""
    answer = own.ask(
        "POST", f"/v1/assets{query}", bad.content(tmp_path), headers=bad.headers, seconds=DEADLINE_S
    )
    status, slug = bad.expected
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "set-cookie" not in answer.headers
    problem = answer.json()
    assert problem["type"] == f"/v1/problems/{slug}"
    assert bad.says in problem["detail"]
    found = [(error["pointer"], error["rule"]) for error in problem.get("errors", ())]
    assert found == ([bad.rule] if bad.rule else [])
    silent(answer.body.decode(), own.data_dir)


# --- bodies over the cap, spoken on a plain socket ---------------------------------------------


def connect(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=DEADLINE_S)


def answer_on(connection: socket.socket, whole: bytes) -> bytes:
    """What comes back, up to *whole*. The socket's timeout is the deadline."""
    got = b""
    while whole not in got and (more := connection.recv(65536)):
        got += more
    return got


HEAD = "POST /v1/assets?file_name=big.wav HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("extra", ["", "Expect: 100-continue\r\n"])
def test_two_gigabytes_are_refused_before_the_first_byte(own: Service, extra: str) -> None:
    """A declared length over the cap is answered although no byte of the body was sent."""
    with connect(own) as connection:
        connection.sendall(f"{HEAD}Content-Length: {2 * 2**30}\r\n{extra}\r\n".encode())
        got = answer_on(connection, b"upload_bytes")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"/v1/problems/asset-too-large" in got
    assert f'"limit": {CAP}'.encode() in got


@pytest.mark.usefixtures("unchanged")
def test_chunks_are_refused_at_the_cap(own: Service) -> None:
    """Chunks without a declared length: the byte over the cap is answered, while the body has not
    ended; not one more is waited for."""
    content = wav_that_claims(10 * CAP)[:44] + bytes(CAP - 44)
    with connect(own) as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, CAP, 4096):
            connection.sendall(b"1000\r\n" + content[start : start + 4096] + b"\r\n")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):  # at the cap itself nothing is said yet
            connection.recv(1)
        connection.settimeout(DEADLINE_S)
        connection.sendall(b"1\r\nx\r\n")
        got = answer_on(connection, b"upload_bytes")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"/v1/problems/asset-too-large" in got


@pytest.mark.usefixtures("unchanged")
def test_a_body_that_breaks_off(own: Service) -> None:
    """Fewer bytes than declared, and the connection is gone: nothing is kept."""
    with connect(own) as connection:
        connection.sendall(f"{HEAD}Content-Length: {len(wav())}\r\n\r\n".encode() + wav()[:3000])
        until(
            "the upload has begun",
            lambda: any((own.data_dir / "incoming").iterdir()),
            seconds=300,
            every=0.01,
        )


def test_a_file_of_exactly_the_cap(own: Service) -> None:
    """The cap itself is allowed."""
    content = wav(frames=(CAP - 44) // 4)
    assert len(content) == CAP
    began = time.monotonic()
    asset = own.upload(content, "just.wav")
    assert time.monotonic() - began < DEADLINE_S
    assert asset["details"]["channels"] == 2
