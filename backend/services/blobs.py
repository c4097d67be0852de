"""Blobs: immutable files named by the blake3 of their bytes.

Knows: ``blobs/ab/<64 hex digits>``, and how a file gets there so that a crash leaves either the
whole file or none. The 256 folders are made once, so that placing a blob makes none.
Does not know: who names a blob (``services.assets``). Every method blocks: call it in a thread.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from backend.errors import StorageFull

READ_ONLY: Final = 0o444
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TEMPORARY: Final = "incoming-"


class Blobs:
    """The blob folder below *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make the folders; each entry is durable when this returns."""
        self._root.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (self._root / f"{number:02x}").mkdir(exist_ok=True)
        _sync_folder(self._root)
        _sync_folder(self._root.parent)

    def path(self, digest: str) -> Path:
        """Where the blob of this digest lies, if it exists. Raises ``ValueError``."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError("a blob is named by 64 hex digits")
        return self._root / digest[:2] / digest

    def place(self, source: Path, digest: str) -> None:
        """Move a durable file to its place; afterwards the blob is durable and *source* is gone.

        A blob that is there already is kept, and counts as new for the garbage collection. Raises
        `StorageFull` if the disk is.
        """
        target = self.path(digest)
        try:
            with self._lock:
                if target.exists():
                    os.utime(target)
                    source.unlink()
                    return
                source.chmod(READ_ONLY)
                os.utime(source)
                _move(source, target)
                _sync_folder(target.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("the disk is full", remedy="Free some space.") from error
            raise

    def older_than(self, seconds: float) -> Iterator[str]:
        """The digests of all blobs that were placed longer ago than this."""
        limit = time.time() - seconds
        for path in self._root.glob("??/*"):
            if _DIGEST.fullmatch(path.name) and _age_limit(path, limit):
                yield path.name

    def remove(self, digest: str, *, older_than: float) -> bool:
        """Delete a blob unless it was placed again in between."""
        path = self.path(digest)
        with self._lock:
            if not _age_limit(path, time.time() - older_than):
                return False
            path.unlink(missing_ok=True)
            return True

    def clear_temporary(self, seconds: float) -> int:
        """Delete what a crash left half-copied longer ago than this; says how many."""
        limit, count = time.time() - seconds, 0
        for path in self._root.glob(f"??/{_TEMPORARY}*"):
            if _age_limit(path, limit):
                path.unlink(missing_ok=True)
                count += 1
        return count


def _age_limit(path: Path, limit: float) -> bool:
    """Whether the file exists and was placed at *limit* or before."""
    try:
        return path.stat().st_mtime <= limit
    except FileNotFoundError:
        return False


def _move(source: Path, target: Path) -> None:
    """Rename; across file systems copy beside the target, fsync, then rename."""
    try:
        source.rename(target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.chmod(READ_ONLY)
        temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    source.unlink()


def _sync_folder(folder: Path) -> None:
    """fsync a directory, so that its entries survive a power cut (not possible on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
