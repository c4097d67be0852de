"""Reception: an upload's bytes on their way to the disk, before anyone looks inside.

Knows: the cap, the disk's floor, patience, the digest that a client may declare, and names.
Does not know: HTTP, formats, and what becomes of the file.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import hashlib
import hmac
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

from backend.config import Limits
from backend.errors import (
    AssetRejected,
    AssetTooLarge,
    MalformedRequest,
    RequestRefused,
    StorageFull,
    refused,
)

MAX_NAME_BYTES: Final = 255
_GATHER: Final = 1 << 20
_FLOOR_EVERY: Final = 64 * 2**20
_SHA256: Final = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):")


class Hasher(Protocol):
    """What is shown the bytes as they pass: hashlib's objects, BLAKE3."""

    def update(self, data: bytes, /) -> Any: ...


def check_name(name: str) -> str:
    """A file name that is a label and nothing more. Raises `InvalidParameters`."""
    if not name.strip() or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise refused("/file_name", "length", f"a file name has 1 to {MAX_NAME_BYTES} bytes")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise refused("/file_name", "no_path", "a file name holds no path: no '/', '\\' or '..'")
    if not name.isprintable():
        raise refused("/file_name", "printable", "a file name holds no control characters")
    return name


def check_size(declared: int | None, folder: Path, limits: Limits) -> None:
    """Before the first byte. Raises `AssetTooLarge` and `StorageFull`."""
    if declared is not None and declared > limits.upload_bytes:
        raise _too_large(limits)
    _check_floor(folder, limits, declared or 0)


async def to_disk(
    chunks: AsyncIterator[bytes],
    path: Path,
    limits: Limits,
    *,
    declared: int | None = None,
    content_digest: str | None = None,
    hasher: Hasher | None = None,
) -> int:
    """Write all *chunks* to the new file *path*, in constant memory; returns the number of bytes.

    *content_digest* is the value of RFC 9530's header; its sha-256, if any, must be right.
    *hasher* is shown every byte.
    Raises `AssetTooLarge` at the cap, `StorageFull`, ``RequestRefused`` (408) when nothing comes
    for too long, `MalformedRequest` for fewer bytes than *declared*, `InvalidParameters` for the
    digest and `AssetRejected` for an empty body.
    """
    wanted = _wanted_digest(content_digest)
    digest, size, checked = hashlib.sha256(), 0, 0
    hashers = [digest] if hasher is None else [digest, hasher]
    with await asyncio.to_thread(path.open, "xb") as file:
        pending = bytearray()
        while chunk := await _next(chunks, limits.body_inactivity_s):
            size += len(chunk)
            if size > limits.upload_bytes:
                raise _too_large(limits)
            pending += chunk
            if len(pending) >= _GATHER:
                await asyncio.to_thread(_write, file, hashers, bytes(pending))
                pending.clear()
            if size - checked >= _FLOOR_EVERY:
                _check_floor(path.parent, limits, 0)
                checked = size
        await asyncio.to_thread(_write, file, hashers, bytes(pending))
    if declared is not None and size != declared:
        raise MalformedRequest(f"the body has {size} bytes, {declared} were declared")
    if size == 0:
        raise AssetRejected("the file is empty", rule="empty")
    if wanted is not None and not hmac.compare_digest(wanted, digest.digest()):
        raise refused("/content_digest", "content_digest", "the body has another sha-256")
    return size


async def _next(chunks: AsyncIterator[bytes], patience_s: float) -> bytes:
    """The next chunk that holds something; empty at the end."""
    while True:
        try:
            async with asyncio.timeout(patience_s):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise RequestRefused(408, f"the upload sent nothing for {patience_s:g} s") from error
        if chunk is None:
            return b""
        if chunk:
            return chunk


def _write(file: IO[bytes], hashers: Sequence[Hasher], part: bytes) -> None:
    for hasher in hashers:
        hasher.update(part)
    try:
        file.write(part)
        file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("the disk is full", remedy="Free some space.") from error
        raise


def _check_floor(folder: Path, limits: Limits, more: int) -> None:
    free = shutil.disk_usage(folder).free
    if free - more < limits.disk_floor_bytes:
        raise StorageFull(
            f"less than {limits.disk_floor_bytes} bytes of disk would be left "
            "(limit disk_floor_bytes)",
            remedy="Free some space, or delete assets that are not needed.",
        )


def _wanted_digest(header: str | None) -> bytes | None:
    """The sha-256 of a Content-Digest; other algorithms are passed over, as RFC 9530 says."""
    if header is None or "sha-256" not in header:
        return None
    found = _SHA256.search(header)
    try:
        wanted = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        wanted = b""
    if len(wanted) != hashlib.sha256().digest_size:
        raise refused("/content_digest", "content_digest", "it reads 'sha-256=:<base64>:'")
    return wanted


def _too_large(limits: Limits) -> AssetTooLarge:
    return AssetTooLarge(
        f"an upload may have {limits.upload_bytes} bytes (limit upload_bytes)",
        rule="upload_bytes",
        extra={"limit": limits.upload_bytes},
    )
