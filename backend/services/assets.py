"""Assets: files that callers upload and that jobs make, each with an id, facts and a label.

Knows: the ledger's rows about assets, and the order that keeps them true: blob first, then row.
Does not know: HTTP, formats (``services.ingest``), and jobs but for which blobs live ones need.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import shutil
import stat
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import blake3
import structlog

from backend.config import Settings
from backend.errors import (
    Conflict,
    KinoError,
    OperationFailed,
    UnknownName,
    refused,
)
from backend.media import codecs
from backend.media.reference import Resolver
from backend.services import asset_rows, identifiers, reception
from backend.services.asset_rows import Asset, AssetPage
from backend.services.blobs import READ_ONLY, Blobs
from backend.services.ingest import Ingest
from backend.services.invocation import SMALL
from backend.services.ledger import Ledger, Statement

__all__ = ["Asset", "AssetPage", "Assets"]

INCOMING: Final = "incoming"
BLOBS: Final = "blobs"
_BATCH: Final = 500
_SWEEP_EVERY_S: Final = 600.0

_log = structlog.get_logger("kino.assets")


class Assets:
    """All assets of one data folder."""

    def __init__(self, ledger: Ledger, settings: Settings, ingest: Ingest) -> None:
        self._ledger = ledger
        self._limits = settings.limits
        self._ingest = ingest
        self._incoming = settings.data_dir / INCOMING
        self._blobs = Blobs(settings.data_dir / BLOBS)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Clear what a crash left of unfinished uploads, then collect garbage now and again."""
        await asyncio.to_thread(shutil.rmtree, self._incoming, True)
        await asyncio.to_thread(self._incoming.mkdir, parents=True)
        await asyncio.to_thread(self._blobs.prepare)
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    # --- in ---------------------------------------------------------------------------------

    async def receive(
        self,
        chunks: AsyncIterator[bytes],
        *,
        file_name: str,
        declared_length: int | None = None,
        content_digest: str | None = None,
        expected_hash: str | None = None,
    ) -> Asset:
        """Take an upload: stream it to the disk, decode it in a child, keep the canonical file.

        *expected_hash* is what the caller's bytes are said to be, ``blake3:…``. Returns when blob
        and row are durable. Raises what `reception` and ``media.decoding`` raise, and
        `InvalidParameters` (rule ``expected_hash``) for other bytes.
        """
        reception.check_name(file_name)
        reception.check_size(declared_length, self._incoming, self._limits)
        folder = self._incoming / uuid.uuid4().hex
        folder.mkdir()
        try:
            raw = folder / "raw"
            hasher = blake3.blake3()
            size = await reception.to_disk(
                *(chunks, raw, self._limits),
                declared=declared_length,
                content_digest=content_digest,
                hasher=hasher,
            )
            digest = hasher.hexdigest()
            if expected_hash not in (None, f"blake3:{digest}"):
                raise refused("/expected_hash", "expected_hash", "the file has another BLAKE3")
            leaf = await self._ingest.decode(raw, folder, size)
            label = asset_rows.canonical_label(file_name, leaf)
            asset = await self.place(leaf, folder, file_name=label, verify=True)
            await self._ledger.write(
                self.insert_statement(asset), asset_rows.received(digest, asset)
            )
            return asset
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, True))

    async def place(
        self,
        leaf: dict[str, Any],
        scratch: Path,
        *,
        file_name: str | None = None,
        verify: bool = False,
    ) -> Asset:
        """Make the file of a *leaf* (``{"$media": …}``) a blob; the row is the caller's to write.

        The file must lie below *scratch*; it is moved. When this returns the blob is durable and
        waits `Limits.asset_grace_s` for a row that names it: put `insert_statement` into the
        transaction that finishes the job. *verify* hashes the file again. Raises `StorageFull`,
        and `OperationFailed` for a leaf that does not tell the truth.
        """
        media = leaf["$media"]
        source, digest = Path(media["path"]), str(media["blake3"])

        def settle() -> int:  # one hop to a thread: it is on the way of every result
            size = _look(source, scratch, digest if verify else None)
            self._blobs.place(source, digest)
            return size

        size = await asyncio.to_thread(settle)
        return _asset(media, size, file_name)

    def keep(self, leaf: dict[str, Any]) -> tuple[Asset, Statement]:
        """The asset of a *leaf* that brings its bytes, and the SQL that keeps them in the ledger;
        it belongs into one transaction with `insert_statement`. Raises `OperationFailed` for a
        leaf that does not tell the truth.
        """
        media = leaf["$media"]
        try:
            content = base64.b64decode(str(media["content"]), validate=True)
        except ValueError as error:
            raise OperationFailed("a worker sent bytes that are none") from error
        if len(content) > SMALL or blake3.blake3(content).hexdigest() != media["blake3"]:
            raise OperationFailed("a worker sent bytes that are not what it says")
        asset = _asset(media, len(content))
        return asset, asset_rows.keep(asset, content)

    async def adopt(self, leaf: dict[str, Any], file_name: str) -> tuple[Asset, list[Statement]]:
        """`place` for a leaf whose path was checked; with the statements that record the asset."""
        asset = await self.place(leaf, Path(leaf["$media"]["path"]).parent, file_name=file_name)
        return asset, [self.insert_statement(asset)]

    def insert_statement(self, asset: Asset) -> Statement:
        """The SQL that records *asset*, for `Ledger.write`."""
        return asset_rows.insert(asset)

    # --- out --------------------------------------------------------------------------------

    def lookup(self, reference: str) -> Asset | None:
        """The asset of an id, or the newest of a content reference."""
        rows = asset_rows.find(self._ledger, reference, 1)
        return rows[0] if rows else None

    def require(self, reference: str) -> Asset:
        """The same, but raises `UnknownName`."""
        asset = self.lookup(reference)
        if asset is None:
            raise UnknownName(f"there is no asset {reference[:80]!r}")
        return asset

    def received(self, reference: str) -> Asset | None:
        """The newest asset with this content, or that was uploaded with these bytes."""
        for asset in asset_rows.find_received(self._ledger, reference):
            with contextlib.suppress(UnknownName):
                self.open(asset).close()
                return asset
        return None

    async def mint(self, asset: Asset, file_name: str) -> tuple[Asset, bool]:
        """An asset with the content of *asset* under a name of its own, and whether it is new."""
        name = asset_rows.label(file_name)
        for known in asset_rows.find(self._ledger, asset.reference):
            if known.file_name == name:
                return known, False
        made = replace(asset, id=identifiers.asset_id(), file_name=name, created=time.time())
        await self._ledger.write(self.insert_statement(made))
        return made, True

    def is_first(self, asset: Asset) -> bool:
        """Whether no other asset has this one's content."""
        return len(asset_rows.find(self._ledger, asset.reference, 2)) == 1

    def is_there(self, asset_id: str) -> bool:
        """Whether this asset and its content are still there."""
        asset = self.lookup(asset_id)
        return asset is not None and (
            self._blobs.path(asset.digest).exists() or asset_rows.is_small(self._ledger, asset)
        )

    def open(self, asset: Asset) -> BinaryIO:
        """The content, to be read and closed. Raises `UnknownName` if it is gone."""
        if asset.size <= SMALL:  # most of them are results, which the ledger keeps
            content = asset_rows.small_content(self._ledger, asset)
            if content is not None:
                return io.BytesIO(content)
        try:
            return self._blobs.path(asset.digest).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise UnknownName("the content of this asset is gone") from error

    def file(self, asset: Asset, folder: Path) -> Path:
        """A canonical file with the content, not to be written to: the blob, or a copy in *folder*
        of what the ledger keeps. Raises `UnknownName` if the content is gone."""
        path = self._blobs.path(asset.digest)
        if path.exists():
            return path
        content = asset_rows.small_content(self._ledger, asset)
        if content is None:
            raise UnknownName("the content of this asset is gone")
        copy = folder / asset.digest
        if not copy.exists():
            copy.write_bytes(content)
            copy.chmod(READ_ONLY)
        return copy

    def resolver(self) -> Resolver:
        """Checks references at a door: the canonical one, or a ``ValueError`` that says why."""

        def resolve(reference: str, kind: str) -> str:
            found = asset_rows.find(self._ledger, reference, 1)
            if not found:
                raise ValueError(f"there is no asset {reference!r}")
            if not asset_rows.fits(found[0].kind, kind) and not any(
                asset_rows.fits(asset.kind, kind)
                for asset in asset_rows.find(self._ledger, reference)
            ):
                raise ValueError(asset_rows.misfit(found[0].kind, kind))
            if not self._blobs.path(found[0].digest).exists() and not asset_rows.is_small(
                self._ledger, found[0]
            ):
                raise ValueError("the content of this asset is gone")
            return self._canonical(found[0], reference, kind)

        return resolve

    def _canonical(self, asset: Asset, reference: str, kind: str) -> str:
        """The content, or the asset's own id where that was named and the content alone would bring
        another label or kind: a file's name is part of its value."""
        if reference != asset.id or kind not in ("any", "file"):
            return asset.reference
        newest = asset_rows.find(self._ledger, asset.reference, 1)[0]
        alike = (newest.kind, newest.media_type, newest.file_name)
        own = (asset.kind, asset.media_type, asset.file_name)
        return asset.reference if alike == own else asset.id

    def list(
        self, *, kind: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> AssetPage:
        """Assets, newest first; *cursor* is the ``next_cursor`` of the page before.

        Raises `InvalidParameters` for a cursor that no page gave.
        """
        if cursor is not None and not identifiers.ASSET_ID.fullmatch(cursor):
            raise refused("/query/cursor", "cursor", "a cursor is the next_cursor of a page")
        return asset_rows.page(self._ledger, kind, cursor, limit)

    # --- away -------------------------------------------------------------------------------

    async def delete(self, asset_id: str) -> None:
        """Delete an asset; its blob goes with the garbage when nobody else names it.

        Raises `UnknownName`, and `Conflict` while a live job needs the content.
        """
        asset = self.require(asset_id)
        deleted = await self._ledger.write(
            asset_rows.delete_unless_needed(asset), asset_rows.let_go(asset), fenced=True
        )
        if not deleted[0] and self.lookup(asset.id) is not None:
            raise Conflict(
                "a job that waits or runs needs this asset",
                remedy="Cancel the job or wait for its end, then delete the asset.",
            )

    async def collect_garbage(self) -> int:
        """Delete blobs that no row and no live job names, and what crashes left; says how many."""
        grace = self._limits.asset_grace_s
        count = await asyncio.to_thread(self._blobs.clear_temporary, grace)
        old = await asyncio.to_thread(lambda: list(self._blobs.older_than(grace)))
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            named = asset_rows.named(self._ledger, batch)
            for digest in itertools.filterfalse(named.__contains__, batch):
                removed = await asyncio.to_thread(self._blobs.remove, digest, older_than=grace)
                count += removed
        return count

    async def _sweep(self) -> None:
        while True:
            try:
                count = await self.collect_garbage()
                if count:
                    _log.info("garbage collected", files=count)
            except (OSError, KinoError) as error:
                # a full or vanished disk must not end the sweeping for good
                _log.error("garbage collection failed", error=type(error).__name__)
            await asyncio.sleep(_SWEEP_EVERY_S)


def _asset(media: dict[str, Any], size: int, file_name: str | None = None) -> Asset:
    """A new asset of what a worker says, its label and type made harmless."""
    return Asset(
        id=identifiers.asset_id(),
        reference=f"blake3:{media['blake3']}",
        kind=str(media["kind"]),
        media_type=asset_rows.media_type(str(media["media_type"])),
        file_name=asset_rows.label(file_name or str(media["file_name"])),
        size=size,
        details=dict(media["details"]),
        created=time.time(),
    )


def _look(source: Path, scratch: Path, digest: str | None) -> int:
    """The size of a file that a worker names, if it is a plain file below *scratch*."""
    with contextlib.suppress(OSError):
        facts = source.lstat()
        plain = stat.S_ISREG(facts.st_mode) and _is_below(source, scratch)
        if plain and (digest is None or codecs.hash_file(source) == digest):
            return facts.st_size
    raise OperationFailed("a worker named a file that is not its own")


def _is_below(source: Path, scratch: Path) -> bool:
    """Whether the file lies in the folder; links are followed only where a name leads further."""
    if source.parent == scratch:
        return True
    return source.parent.resolve().is_relative_to(scratch.resolve())
