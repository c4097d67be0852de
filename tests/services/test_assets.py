"""Assets: uploads and results are kept under their content, found, protected and collected."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.config import Limits, Settings
from backend.errors import (
    AssetRejected,
    AssetTooLarge,
    Conflict,
    InvalidParameters,
    OperationFailed,
    UnknownName,
)
from backend.media import codecs
from backend.media.audio import Audio
from backend.media.image import Image
from backend.services.assets import Assets
from backend.services.ingest import Ingest
from backend.services.ledger import Ledger


@pytest.fixture
async def assets(tmp_path: Path) -> AsyncIterator[Assets]:
    settings = Settings(
        data_dir=tmp_path / "data", limits=Limits(disk_floor_bytes=0, upload_bytes=2**20)
    )
    settings.data_dir.mkdir()
    ledger = Ledger(settings.data_dir / "kino.db")
    await ledger.start()
    ingest = Ingest(settings, size=1)
    await ingest.start()
    made = Assets(ledger, settings, ingest)
    await made.start()
    yield made
    await made.stop()
    await ingest.stop()
    await ledger.close()


async def body(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 1000):
        yield raw[start : start + 1000]


def wav(tmp_path: Path, seed: int = 0) -> bytes:
    path = tmp_path / "made.wav"
    path.unlink(missing_ok=True)
    Audio.from_samples(np.random.default_rng(seed).normal(size=(2, 500)), 48_000).save(path)
    return path.read_bytes()


def leaf_of(assets: Assets, value: Audio | Image, stem: str = "out") -> tuple[dict, Path]:
    folder = assets._incoming.parent / "scratch"
    folder.mkdir(exist_ok=True)
    return codecs.store(value, folder, stem).as_leaf(), folder


async def insert_job(assets: Assets, state: str, reference: str, job_id: str = "job_1") -> None:
    await assets._ledger.write(
        (
            "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
            " priority, state, max_attempts, timeout_s, created)"
            " VALUES (?, 'x.y', 1, '{}', ?, '{}', 'cpu', 0, ?, 2, 60, 0)",
            (job_id, json.dumps([reference]), state),
        )
    )


def blobs(assets: Assets) -> list[str]:
    folder = assets._incoming.parent / "blobs"
    return sorted(path.name for path in folder.glob("??/*"))


async def test_an_upload_is_kept_under_its_content(assets: Assets, tmp_path: Path):
    """A canonical WAV comes back byte for byte, under the blake3 of those bytes."""
    raw = wav(tmp_path)
    asset = await assets.receive(body(raw), file_name="take 1.wav", declared_length=len(raw))
    assert assets.file(asset, tmp_path).read_bytes() == raw
    assert asset.reference == f"blake3:{codecs.hash_file(assets.file(asset, tmp_path))}"
    assert assets.require(asset.id) == asset
    assert assets.lookup(asset.reference) == asset
    shown = asset.as_json()
    assert (shown["kind"], shown["media_type"], shown["file_name"]) == (
        "audio",
        "audio/wav",
        "take 1.wav",
    )
    assert shown["details"]["frames"] == 500
    assert shown["created"].endswith("Z")
    assert list(assets._incoming.iterdir()) == []


async def test_equal_uploads_share_one_blob(assets: Assets, tmp_path: Path):
    """Two uploads of one content are two assets with their own names and one file."""
    first = await assets.receive(body(wav(tmp_path)), file_name="a.wav")
    second = await assets.receive(body(wav(tmp_path)), file_name="b.mp3")
    assert first.id != second.id
    assert first.reference == second.reference
    assert (first.file_name, second.file_name) == ("a.wav", "b.wav")
    assert blobs(assets) == [first.digest]


async def test_a_refused_upload_leaves_nothing(assets: Assets, tmp_path: Path):
    """Cut, foreign, too large and badly named files leave no row, no blob and no temporary file."""
    raw = wav(tmp_path)
    for sent, name, error in (
        (raw[:-10], "cut.wav", AssetRejected),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x.svg", AssetRejected),
        (bytes(2**20 + 1), "big.wav", AssetTooLarge),
        (raw, "../x.wav", InvalidParameters),
    ):
        with pytest.raises(error):
            await assets.receive(body(sent), file_name=name)
    assert blobs(assets) == []
    assert assets.list().items == ()
    assert list(assets._incoming.iterdir()) == []


async def test_a_client_that_goes_away_leaves_nothing(assets: Assets):
    """An upload that breaks off in the middle is cleared away."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"RIFF"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await assets.receive(broken(), file_name="x.wav")
    assert list(assets._incoming.iterdir()) == []


async def test_a_result_becomes_an_asset(assets: Assets, tmp_path: Path):
    """A worker's file is moved among the blobs; its row is the caller's to write."""
    leaf, folder = leaf_of(assets, Audio.from_samples([0.5, 0.25], 8_000))
    asset, statements = await assets.adopt(leaf, "master\n.wav")
    assert assets.lookup(asset.id) is None
    await assets._ledger.write(*statements)
    assert assets.require(asset.id) == asset
    assert asset.file_name == "master_.wav"
    assert list(folder.iterdir()) == []
    assert Audio.open(assets.file(asset, tmp_path)).samples.tolist() == [[0.5, 0.25]]


@pytest.mark.parametrize("lie", ["elsewhere", "link", "folder", "gone"])
async def test_a_worker_cannot_name_what_is_not_its_own(assets: Assets, tmp_path: Path, lie: str):
    """A path outside the scratch folder, a link, a folder and nothing are all refused."""
    leaf, folder = leaf_of(assets, Audio.from_samples([0.5], 8_000))
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    (folder / "link").symlink_to(secret)
    leaf["$media"]["path"] = {
        "elsewhere": str(secret),
        "link": str(folder / "link"),
        "folder": str(folder),
        "gone": str(folder / "gone"),
    }[lie]
    with pytest.raises(OperationFailed, match="not its own"):
        await assets.place(leaf, folder)
    assert secret.exists()


async def test_a_false_hash_is_found_when_it_is_asked_for(assets: Assets):
    """What the ingest child says is hashed again before it becomes a name."""
    leaf, folder = leaf_of(assets, Audio.from_samples([0.5], 8_000))
    leaf["$media"]["blake3"] = "ab" * 32
    with pytest.raises(OperationFailed):
        await assets.place(leaf, folder, verify=True)


async def test_references_are_resolved_to_the_canonical_one(assets: Assets, tmp_path: Path):
    """Id and content reference both give the content reference, for the kind, ``any`` and files."""
    asset = await assets.receive(body(wav(tmp_path)), file_name="a.wav")
    resolve = assets.resolver()
    for reference in (asset.id, asset.reference):
        for kind in ("audio", "any", "file"):
            assert resolve(reference, kind) == asset.reference


async def test_an_asset_that_was_named_keeps_its_own_name(assets: Assets, tmp_path: Path):
    """Where names count, an older asset's id stays: the run is given its label and not the one
    under which the same content was uploaded later; and it cannot be deleted meanwhile."""
    older = await assets.receive(body(wav(tmp_path)), file_name="a.wav")
    newer = await assets.receive(body(wav(tmp_path)), file_name="b.wav")
    resolve = assets.resolver()
    assert [resolve(older.id, kind) for kind in ("any", "file")] == [older.id] * 2
    assert assets.require(older.id).file_name == "a.wav"
    assert resolve(older.id, "audio") == resolve(newer.id, "file") == newer.reference
    assert resolve(older.reference, "file") == older.reference
    await insert_job(assets, "queued", older.id)
    with pytest.raises(Conflict, match="waits or runs"):
        await assets.delete(older.id)
    await assets.delete(newer.id)


async def test_a_misfit_is_explained(assets: Assets, tmp_path: Path):
    """An image is no audio, but may serve as a mask; unknown and vanished assets say so."""
    leaf, _ = leaf_of(assets, Image.from_array(np.zeros((2, 2, 3))))
    asset, statements = await assets.adopt(leaf, "x.png")
    await assets._ledger.write(*statements)
    resolve = assets.resolver()
    assert resolve(asset.id, "mask") == asset.reference
    with pytest.raises(ValueError, match=r"^the asset is an image, audio is needed$"):
        resolve(asset.id, "audio")
    with pytest.raises(ValueError, match="there is no asset 'ast_0"):
        resolve("ast_" + "0" * 26, "any")
    assets.file(asset, tmp_path).unlink()
    with pytest.raises(ValueError, match="is gone"):
        resolve(asset.id, "image")


async def test_assets_are_listed_newest_first_in_pages(assets: Assets):
    """Pages join to the whole list, by kind too, and a made-up cursor is refused."""
    ids = []
    for number in range(5):
        value = (
            Audio.from_samples([number / 10], 8_000) if number % 2 else Image.from_array([[0.0]])
        )
        asset, statements = await assets.adopt(leaf_of(assets, value)[0], f"{number}")
        await assets._ledger.write(*statements)
        ids.append(asset.id)
    first = assets.list(limit=2)
    second = assets.list(limit=3, cursor=first.next_cursor)
    assert [a.id for a in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None
    assert [a.id for a in assets.list(kind="audio").items] == [ids[3], ids[1]]
    with pytest.raises(InvalidParameters):
        assets.list(cursor="1 OR 1")


def small_leaf(tmp_path: Path, value: Audio | Image) -> dict:
    return codecs.store(value, tmp_path, "small", small=1000).as_leaf()


async def test_small_content_lives_and_goes_with_its_rows(assets: Assets, tmp_path: Path):
    """Two assets share their bytes in the ledger; the last one takes them along."""
    leaf = small_leaf(tmp_path, Audio.from_samples([0.5, 0.25], 8_000))
    (one, keep_one), (two, keep_two) = assets.keep(leaf), assets.keep(leaf)
    await assets._ledger.write(keep_one, assets.insert_statement(one))
    await assets._ledger.write(keep_two, assets.insert_statement(two))
    assert assets.resolver()(one.id, "audio") == one.reference
    await assets.delete(one.id)
    assert Audio.open(assets.file(two, tmp_path)).samples.tolist() == [[0.5, 0.25]]
    await assets.delete(two.id)
    with pytest.raises(UnknownName, match="content"):
        assets.open(two)
    with pytest.raises(UnknownName, match="content"):
        assets.file(two, tmp_path / "elsewhere")
    assert assets._ledger.read("SELECT * FROM small_blob") == []


async def test_a_content_that_thousands_share_is_found_as_fast(assets: Assets, tmp_path: Path):
    """Silence is the result of many jobs: to look it up takes SQLite no more steps for that."""
    leaf = small_leaf(tmp_path, Audio.from_samples([0.0, 0.0], 8_000))
    asset, keeping = assets.keep(leaf)
    await assets._ledger.write(keeping, assets.insert_statement(asset))

    def steps() -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        assert assets._ledger._reader is not None
        assets._ledger._reader.set_progress_handler(count, 1)
        assert assets.require(asset.reference).reference == asset.reference
        assert assets.resolver()(asset.reference, "audio") == asset.reference
        assets._ledger._reader.set_progress_handler(None, 0)
        return counted

    few = steps()
    await assets._ledger.write(
        *(assets.insert_statement(replace(asset, id=f"ast_{n:026d}")) for n in range(3000))
    )
    assert 10 < few < 500
    assert steps() < 1.2 * few


async def test_small_content_that_is_not_what_it_says_is_refused(assets: Assets, tmp_path: Path):
    """A worker cannot put other bytes under a name."""
    leaf = small_leaf(tmp_path, Audio.from_samples([0.5, 0.25], 8_000))
    leaf["$media"]["content"] = small_leaf(tmp_path, Image.from_array([[0.0]]))["$media"]["content"]
    with pytest.raises(OperationFailed, match="not what it says"):
        assets.keep(leaf)
    leaf["$media"]["content"] = "no base64!"
    with pytest.raises(OperationFailed, match="none"):
        assets.keep(leaf)
    big = codecs.store(Audio.from_samples(np.zeros(50_000), 8_000), tmp_path, "big", small=10**6)
    with pytest.raises(OperationFailed, match="not what it says"):
        assets.keep(big.as_leaf())


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_what_a_live_job_needs_stays(assets: Assets, tmp_path: Path, state: str):
    """Deleting an input of a waiting or running job conflicts; afterwards it goes."""
    asset = await assets.receive(body(wav(tmp_path)), file_name="a.wav")
    await insert_job(assets, state, asset.reference)
    with pytest.raises(Conflict, match="waits or runs"):
        await assets.delete(asset.id)
    await assets._ledger.write(("UPDATE job SET state = 'succeeded'", ()))
    await assets.delete(asset.id)
    with pytest.raises(UnknownName):
        await assets.delete(asset.id)


async def test_only_what_nobody_names_is_collected(assets: Assets, tmp_path: Path):
    """Old blobs without a row or a live job go; named, needed and young ones stay."""
    await assets.stop()  # the sweeper, which would do the same at a moment of its own
    settings = {"named": 1, "needed": 2, "orphan": 3, "young": 4}
    kept = {}
    for name, seed in settings.items():
        value = Audio.from_samples([seed / 10], 8_000)
        kept[name], statements = await assets.adopt(leaf_of(assets, value)[0], name)
        if name == "named":
            await assets._ledger.write(*statements)
        if name != "young":
            os.utime(assets.file(kept[name], tmp_path), (1, 1))
    await insert_job(assets, "queued", kept["needed"].reference)
    await insert_job(assets, "failed", kept["orphan"].reference, "job_2")
    assert await assets.collect_garbage() == 1
    assert blobs(assets) == sorted(kept[name].digest for name in ("named", "needed", "young"))


async def test_unfinished_uploads_of_a_crash_are_cleared_at_the_start(assets: Assets):
    """Whatever lies among the incoming files when the service starts belongs to nobody."""
    left = assets._incoming / "left"
    left.mkdir()
    (left / "raw").write_bytes(b"half")
    await assets.stop()
    await assets.start()
    assert list(assets._incoming.iterdir()) == []
