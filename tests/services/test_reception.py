"""Reception: an upload is streamed, capped, checked, and its name is only a label."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from backend.config import Limits
from backend.errors import (
    AssetRejected,
    AssetTooLarge,
    InvalidParameters,
    MalformedRequest,
    RequestRefused,
    StorageFull,
)
from backend.services import reception

LIMITS = Limits(upload_bytes=2**20, disk_floor_bytes=0)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def sha256(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


async def test_the_bytes_arrive_as_they_were_sent(tmp_path: Path):
    """Chunks of any size, empty ones among them, become one file."""
    parts = [b"a" * 700_000, b"", b"b" * 300_000, b"c"]
    size = await reception.to_disk(chunks(*parts), tmp_path / "raw", LIMITS)
    assert size == 1_000_001
    assert (tmp_path / "raw").read_bytes() == b"".join(parts)


def test_a_declared_length_over_the_cap_is_refused_before_the_first_byte(tmp_path: Path):
    """Two gigabytes are refused by their announcement, and the limit is named."""
    with pytest.raises(AssetTooLarge, match=r"1048576 bytes \(limit upload_bytes\)"):
        reception.check_size(2 * 2**30, tmp_path, LIMITS)
    reception.check_size(2**20, tmp_path, LIMITS)
    reception.check_size(None, tmp_path, LIMITS)


async def test_an_undeclared_length_is_cut_off_at_the_cap(tmp_path: Path):
    """A chunked body is read up to the cap and not a chunk further."""
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 2**16
            yield bytes(2**16)

    with pytest.raises(AssetTooLarge):
        await reception.to_disk(endless(), tmp_path / "raw", LIMITS)
    assert given == 2**20 + 2**16


async def test_a_large_upload_takes_little_memory(tmp_path: Path):
    """200 MB in chunks of 64 KiB add under 32 MiB."""
    process, most = psutil.Process(), 0
    before = process.memory_full_info().uss

    async def many() -> AsyncIterator[bytes]:
        nonlocal most
        for number in range(3200):
            if number % 100 == 0:
                most = max(most, process.memory_full_info().uss - before)
            yield bytes(2**16)

    await reception.to_disk(many(), tmp_path / "raw", Limits(disk_floor_bytes=0))
    assert most < 32 * 2**20


async def test_silence_ends_an_upload(tmp_path: Path):
    """A body that sends nothing for too long is answered 408."""

    async def stuck() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    limits = LIMITS.model_copy(update={"body_inactivity_s": 0.05})
    with pytest.raises(RequestRefused) as caught:
        await reception.to_disk(stuck(), tmp_path / "raw", limits)
    assert caught.value.http_status == 408


async def test_fewer_bytes_than_declared_are_refused(tmp_path: Path):
    """A body that ends early is not taken for a shorter file; an empty one is no file."""
    with pytest.raises(MalformedRequest, match="3 bytes, 4 were declared"):
        await reception.to_disk(chunks(b"abc"), tmp_path / "a", LIMITS, declared=4)
    with pytest.raises(AssetRejected, match="empty"):
        await reception.to_disk(chunks(), tmp_path / "b", LIMITS)


def test_the_disk_keeps_its_floor(tmp_path: Path):
    """An upload that would take the disk below its floor is refused before it starts."""
    with pytest.raises(StorageFull, match="disk_floor_bytes"):
        reception.check_size(1, tmp_path, Limits(disk_floor_bytes=2**62))


async def test_a_right_digest_passes_and_a_wrong_one_does_not(tmp_path: Path):
    """The sha-256 of Content-Digest is compared; other algorithms are passed over."""
    right = "md5=:AAAA:, " + sha256(b"body")
    await reception.to_disk(chunks(b"body"), tmp_path / "a", LIMITS, content_digest=right)
    await reception.to_disk(chunks(b"x"), tmp_path / "b", LIMITS, content_digest="md5=:AAAA:")
    for wrong in (sha256(b"other"), "sha-256=:AAAA:", "sha-256=no", "sha-256=:####:"):
        with pytest.raises(InvalidParameters) as caught:
            await reception.to_disk(
                chunks(b"body"), tmp_path / f"c{len(wrong)}", LIMITS, content_digest=wrong
            )
        assert caught.value.errors[0].pointer == "/content_digest"
        (tmp_path / f"c{len(wrong)}").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../../etc/passwd", "no_path"),
        ("..", "no_path"),
        ("a\\b.wav", "no_path"),
        ("a\nb.wav", "printable"),
        ("a\x00b", "printable"),
        ("exe\u202egnp.wav", "printable"),
        ("", "length"),
        ("  ", "length"),
        ("ä" * 200, "length"),
    ],
)
def test_a_name_that_could_be_more_than_a_label_is_refused(name: str, rule: str):
    """Paths, control characters, text direction tricks and over-long names break a named rule."""
    with pytest.raises(InvalidParameters) as caught:
        reception.check_name(name)
    assert (caught.value.errors[0].pointer, caught.value.errors[0].rule) == ("/file_name", rule)


def test_ordinary_names_pass():
    """Spaces, dots and letters of any script are fine."""
    for name in ("take 1.final.wav", "песня.flac", "曲.mid", ".hidden"):
        assert reception.check_name(name) == name
