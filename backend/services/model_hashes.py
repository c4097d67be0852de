"""SHA-256 of model files: worked out when asked for, one at a time, and remembered.

Knows: the table ``model_hash``, progress, and how a hash is cancelled.
Does not know: names and kinds; a file is its path, size and time of its last change.

A file of 7 GB takes 10 to 60 s. It is read in a thread, so nobody else waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backend.errors import KinoError, QueueFull

if TYPE_CHECKING:
    from backend.services.ledger import Ledger

WAITING: Final = 64
"""Files that may be asked for at a time."""

_BLOCK: Final = 4 << 20
Key = tuple[str, int, int]


@dataclass(slots=True)
class _Work:
    """One file that is asked for."""

    total: int
    done: int = 0
    state: str = "waiting"
    reason: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None


class _Stopped(Exception):
    """The hash was cancelled."""


class ModelHashes:
    """All hashes, known and under way."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._work: dict[Key, _Work] = {}
        self._turn = asyncio.Semaphore(1)

    def state(self, path: Path) -> dict[str, Any]:
        """``absent``, ``waiting``, ``running``, ``done`` or ``failed``. Raises ``OSError``."""
        key = _key(path)
        digest = self._known(key)
        if digest is not None:
            return {"state": "done", "sha256": digest}
        work = self._work.get(key)
        if work is None:
            return {"state": "absent"}
        told = {"state": work.state, "done_bytes": work.done, "total_bytes": work.total}
        return {**told, "reason": work.reason} if work.reason else told

    async def start(self, path: Path, wait: float = 0.0) -> dict[str, Any]:
        """Work it out unless that is known or under way; the state after *wait* seconds at most.

        Raises `QueueFull` when too many wait, ``OSError`` if the file is gone.
        """
        key = _key(path)
        work = self._work.get(key)
        if self._known(key) is None and (work is None or work.state == "failed"):
            waiting = [each for each in self._work.values() if each.state != "failed"]
            if len(waiting) >= WAITING:
                raise QueueFull(f"{WAITING} files wait for their hash", remedy="Ask again later.")
            work = self._work[key] = _Work(key[1])
            work.task = asyncio.create_task(self._run(path, key, work), name="model hash")
        if work is not None and work.task is not None and wait:
            await asyncio.wait({work.task}, timeout=wait)
        return self.state(path)

    async def cancel(self, path: Path) -> None:
        """Stop working on this file; what is known stays. Raises ``OSError``."""
        work = self._work.pop(_key(path), None)
        if work is not None:
            await _end(work)

    async def stop(self) -> None:
        """End everything."""
        works = list(self._work.values())
        self._work.clear()
        for work in works:
            await _end(work)

    def _known(self, key: Key) -> str | None:
        sql = "SELECT sha256 FROM model_hash WHERE path = ? AND size = ? AND mtime_ns = ?"
        rows = self._ledger.read(sql, *key)
        return str(rows[0]["sha256"]) if rows else None

    async def _run(self, path: Path, key: Key, work: _Work) -> None:
        async with self._turn:
            work.state = "running"
            try:
                digest = await asyncio.to_thread(_read, path, work)
                if _key(path) != key:
                    raise OSError(0, "it was changed while it was read")
                await self._remember(key, digest)
            except _Stopped:
                return
            except OSError as error:
                work.state, work.reason = "failed", error.strerror or "it cannot be read"
                return
            except KinoError as error:  # a full disk: nobody can be told, so the state tells
                work.state, work.reason = "failed", error.detail
                return
            self._work.pop(key, None)

    async def _remember(self, key: Key, digest: str) -> None:
        await self._ledger.write(
            (
                "INSERT INTO model_hash (path, size, mtime_ns, sha256, created)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET size ="
                " excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256,"
                " created = excluded.created",
                (*key, digest, time.time()),
            ),
            durable=False,
        )


def _key(path: Path) -> Key:
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns


def _read(path: Path, work: _Work) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            if work.stop.is_set():
                raise _Stopped
            digest.update(block)
            work.done += len(block)
    return digest.hexdigest()


async def _end(work: _Work) -> None:
    work.stop.set()
    if work.task is not None:
        if work.state == "waiting":
            work.task.cancel()
        await asyncio.wait({work.task})
