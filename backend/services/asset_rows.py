"""Rows about assets in the ledger, and which kind of asset fits which parameter.

Knows: the tables ``asset`` and ``small_blob`` and the SQL over them.
Does not know: blobs that are files, uploads.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final

from backend.media.codecs import CODECS
from backend.media.file import UNKNOWN_TYPE
from backend.services.ledger import Ledger, Row, Statement

_WORDS: Final = {
    "audio": "audio",
    "automation": "an automation",
    "file": "a file",
    "image": "an image",
    "mask": "a mask",
    "midi": "a MIDI file",
    "video": "a video",
}
_FITS: Final = {"mask": ("mask", "image")}
"""Kinds that a parameter takes besides its own; ``any`` and ``file`` take all."""

_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_LIVE: Final = "state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. Several may share one ``reference``, and then one blob."""

    id: str
    reference: str
    kind: str
    media_type: str
    file_name: str
    size: int
    details: dict[str, Any]
    created: float

    @property
    def digest(self) -> str:
        """The 64 hex digits of the reference."""
        return self.reference.removeprefix("blake3:")

    def as_json(self) -> dict[str, Any]:
        """As the HTTP API shows it."""
        created = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="milliseconds")
        return {
            "id": self.id,
            "reference": self.reference,
            "kind": self.kind,
            "media_type": self.media_type,
            "file_name": self.file_name,
            "size": self.size,
            "details": self.details,
            "created": created.replace("+00:00", "Z"),
        }


@dataclass(frozen=True, slots=True)
class AssetPage:
    """A part of a list; ``next_cursor`` is None on the last."""

    items: tuple[Asset, ...]
    next_cursor: str | None


def fits(kind: str, wanted: str) -> bool:
    """Whether an asset of *kind* may stand where *wanted* is asked for."""
    return wanted in ("any", "file") or kind in _FITS.get(wanted, (wanted,))


def misfit(kind: str, wanted: str) -> str:
    """The sentence for one that does not: "the asset is an image, audio is needed"."""
    return f"the asset is {_WORDS.get(kind, kind)}, {_WORDS.get(wanted, wanted)} is needed"


def canonical_label(file_name: str, leaf: dict[str, Any]) -> str:
    """The label of an upload with the suffix that its canonical file has: song.mp3, song.wav."""
    suffix = CODECS[leaf["$media"]["kind"]].suffix
    stem = PurePath(file_name).stem
    return f"{stem}{suffix}"


def label(name: str) -> str:
    """A name that a worker gave, as a harmless label."""
    kept = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name).strip()
    return kept[:120] if kept not in ("", ".", "..") else "file"


def media_type(text: str) -> str:
    """A media type that a worker gave, if it is one."""
    return text if _MEDIA_TYPE.fullmatch(text) else UNKNOWN_TYPE


def insert(asset: Asset) -> Statement:
    """The SQL that writes the row of a new asset."""
    return (
        "INSERT INTO asset (id, reference, kind, media_type, file_name, size, details, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            asset.id,
            asset.reference,
            asset.kind,
            asset.media_type,
            asset.file_name,
            asset.size,
            json.dumps(asset.details, allow_nan=False),
            asset.created,
        ),
    )


def keep(asset: Asset, content: bytes) -> Statement:
    """The SQL that keeps the bytes of a small asset."""
    sql = "INSERT OR IGNORE INTO small_blob (digest, content) VALUES (?, ?)"
    return sql, (asset.digest, content)


def small_content(ledger: Ledger, asset: Asset) -> bytes | None:
    """The bytes of a small asset, if the ledger keeps them."""
    rows = ledger.read("SELECT content FROM small_blob WHERE digest = ?", asset.digest)
    return bytes(rows[0]["content"]) if rows else None


def is_small(ledger: Ledger, asset: Asset) -> bool:
    """Whether the ledger keeps the bytes of the asset."""
    return bool(ledger.read("SELECT 1 FROM small_blob WHERE digest = ?", asset.digest))


def let_go(asset: Asset) -> Statement:
    """Forget the bytes of a deleted asset unless another one has the same."""
    unnamed = "NOT EXISTS (SELECT 1 FROM asset WHERE reference = ?)"
    return (
        f"DELETE FROM small_blob WHERE digest = ? AND {unnamed}",
        (asset.digest, asset.reference),
    )


def received(digest: str, asset: Asset) -> Statement:
    """The SQL that keeps which bytes an upload was, before it was made canonical."""
    sql = "INSERT OR REPLACE INTO received (digest, reference) VALUES (?, ?)"
    return sql, (digest, asset.reference)


def find_received(ledger: Ledger, reference: str) -> list[Asset]:
    """All assets of a content reference, or that came from an upload with these bytes."""
    rows = ledger.read(
        "SELECT reference FROM received WHERE digest = ?", reference.removeprefix("blake3:")
    )
    return find(ledger, reference) or (find(ledger, rows[0]["reference"]) if rows else [])


def find(ledger: Ledger, reference: str, most: int = -1) -> list[Asset]:
    """The asset of an id, or all of a content reference (at *most* so many), newest first.

    Plain files come last: a sound that was saved as 32-bit float WAV has the bytes of the sound
    itself, and is still one.
    """
    column = "reference" if reference.startswith("blake3:") else "id"
    sql = f"SELECT * FROM asset WHERE {column} = ? ORDER BY kind = 'file', id DESC LIMIT ?"
    rows = ledger.read(sql, reference, most)
    return [_asset(row) for row in rows]


def page(ledger: Ledger, kind: str | None, cursor: str | None, limit: int) -> AssetPage:
    """Assets by id, downwards from *cursor*."""
    where, args = ["1"], list[Any]()
    if kind is not None:
        where.append("kind = ?")
        args.append(kind)
    if cursor is not None:
        where.append("id < ?")
        args.append(cursor)
    sql = f"SELECT * FROM asset WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    items = [_asset(row) for row in ledger.read(sql, *args, limit + 1)]
    more = len(items) > limit
    return AssetPage(tuple(items[:limit]), items[limit - 1].id if more else None)


def delete_unless_needed(asset: Asset) -> Statement:
    """Delete the row unless a live job needs its content and no other row names that."""
    return (
        f"DELETE FROM asset WHERE id = ? AND (NOT EXISTS ("
        f"SELECT 1 FROM job, json_each(job.inputs) AS input WHERE {_LIVE} AND input.value = ?)"
        " OR EXISTS (SELECT 1 FROM asset AS other WHERE other.reference = ? AND other.id != ?))"
        f" AND NOT EXISTS (SELECT 1 FROM job, json_each(job.inputs) AS input WHERE {_LIVE}"
        " AND input.value = ?) RETURNING id",
        (asset.id, asset.reference, asset.reference, asset.id, asset.id),
    )


def named(ledger: Ledger, digests: list[str]) -> set[str]:
    """Those of *digests* that a row or a live job names."""
    references = json.dumps([f"blake3:{digest}" for digest in digests])
    rows = ledger.read(
        "SELECT reference FROM asset WHERE reference IN (SELECT value FROM json_each(?))"
        f" UNION SELECT input.value FROM job, json_each(job.inputs) AS input WHERE {_LIVE}",
        references,
    )
    return {str(row["reference"]).removeprefix("blake3:") for row in rows}


def _asset(row: Row) -> Asset:
    return Asset(**{**row, "details": json.loads(row["details"])})
