"""Ingest: decoding happens in limited children that may die without harm."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from backend.config import Settings
from backend.errors import AssetRejected, AssetTooLarge, InvalidParameters, OperationFailed
from backend.services import ingest as ingest_module
from backend.services.ingest import Ingest, error_of


def wav(channels: int = 1, rate: int = 8_000) -> bytes:
    data = bytes(2 * channels * 100)
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    rest = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(rest)) + rest


@pytest.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    made = Ingest(Settings(data_dir=tmp_path), size=1)
    await made.start()
    yield made
    await made.stop()


def put(tmp_path: Path, raw: bytes) -> tuple[Path, Path, int]:
    """The raw file, a fresh scratch folder, and the size."""
    scratch = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
    scratch.mkdir()
    (scratch / "raw").write_bytes(raw)
    return scratch / "raw", scratch, len(raw)


def child(ingest: Ingest) -> psutil.Process:
    pid = ingest._all[0].pid
    assert pid is not None
    return psutil.Process(pid)


async def test_the_child_gives_up_what_decoding_does_not_need(ingest: Ingest, tmp_path: Path):
    """It has caps on memory, file size, open files and processor time, and leaves no core."""
    await ingest.decode(*put(tmp_path, wav()))
    process = child(ingest)
    for limit in (psutil.RLIMIT_AS, psutil.RLIMIT_FSIZE, psutil.RLIMIT_NOFILE, psutil.RLIMIT_CPU):
        assert process.rlimit(limit)[0] != psutil.RLIM_INFINITY
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert "KINO" not in " ".join(process.environ())


async def test_good_files_share_a_child_and_an_error_ends_it(ingest: Ingest, tmp_path: Path):
    """After anything that was refused the next file meets a new process."""
    await ingest.decode(*put(tmp_path, wav()))
    first = child(ingest).pid
    await ingest.decode(*put(tmp_path, wav()))
    assert child(ingest).pid == first
    with pytest.raises(AssetRejected, match="cut"):
        await ingest.decode(*put(tmp_path, wav()[:-2]))
    await ingest.decode(*put(tmp_path, wav()))
    assert child(ingest).pid != first


async def test_a_child_is_replaced_after_its_share(ingest: Ingest, tmp_path: Path, monkeypatch):
    """No child decodes more than so many files."""
    monkeypatch.setattr(ingest_module, "RECYCLE_AFTER", 2)
    await ingest.decode(*put(tmp_path, wav()))
    first = child(ingest).pid
    await ingest.decode(*put(tmp_path, wav()))
    await ingest.decode(*put(tmp_path, wav()))
    assert child(ingest).pid != first


async def test_a_child_that_dies_once_costs_nothing(ingest: Ingest, tmp_path: Path):
    """A file whose decoder was killed is decoded by the next one."""
    await ingest.decode(*put(tmp_path, wav()))
    process = child(ingest)
    process.suspend()
    waiting = asyncio.create_task(ingest.decode(*put(tmp_path, wav())))
    await asyncio.sleep(0)
    process.kill()
    assert (await waiting)["$media"]["kind"] == "audio"


async def test_a_file_that_kills_twice_is_refused(ingest: Ingest, tmp_path: Path):
    """The second death is the file's fault; the one after it is decoded as ever."""
    raw, scratch, _ = put(tmp_path, wav())
    raw.unlink()
    os.mkfifo(raw)  # nobody writes: it is still being read when we kill, however late that is
    waiting = asyncio.create_task(ingest.decode(raw, scratch, 1000))
    worker = ingest._all[0]
    async with asyncio.timeout(120):
        for _ in range(2):
            while not (worker.is_ready and worker.is_busy):
                await asyncio.sleep(0.01)
            child(ingest).kill()
            while worker.is_ready:
                await asyncio.sleep(0.01)
    with pytest.raises(AssetRejected, match="broke the decoder"):
        await waiting
    assert (await ingest.decode(*put(tmp_path, wav())))["$media"]["kind"] == "audio"


async def test_a_child_that_hangs_is_ended_at_the_deadline(tmp_path: Path):
    """Decoding takes only so long; then the file is refused and the child is gone."""
    ingest = Ingest(Settings(data_dir=tmp_path), size=1, deadline_s=0.5)
    await ingest.start()
    try:
        await ingest._all[0].wait_ready()
        process = child(ingest)
        process.suspend()
        with pytest.raises(AssetRejected, match="longer than"):
            await ingest.decode(*put(tmp_path, wav()))
        await asyncio.to_thread(psutil.wait_procs, [process], 120)
        assert not process.is_running()
    finally:
        await ingest.stop()


async def test_errors_keep_their_class_on_the_way(ingest: Ingest, tmp_path: Path):
    """What the child refuses is the same error here, with its fields."""
    with pytest.raises(InvalidParameters) as caught:
        await ingest.decode(*put(tmp_path, wav(rate=100)))
    assert caught.value.errors[0].rule == "sample_rate"
    made = error_of(AssetTooLarge("too long", remedy="cut it").as_problem())
    assert (type(made), made.detail, made.remedy) == (AssetTooLarge, "too long", "cut it")
    unknown = error_of({"type": "/v1/problems/other", "detail": "x"})
    assert type(unknown) is OperationFailed
