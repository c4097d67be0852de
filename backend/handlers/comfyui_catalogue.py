"""ComfyUI's catalogue of nodes (``/object_info``), kept in the API process.

Knows: when it is out of date: another worker, or another file in a folder that it lists.
Does not know: nodes. ComfyUI builds its 1.4 MB anew each time; here it is asked for once.
"""

from __future__ import annotations

import asyncio
import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import blake3
from aiohttp import hdrs, web

from backend.errors import UpstreamFailed
from backend.handlers.comfyui_upstream import Upstream

_TRUSTED_S: Final = 1.0
"""So long the folders are not looked at again."""


@dataclass(frozen=True, slots=True)
class _Kept:
    address: dict[str, Any]
    folders: int
    plain: bytes
    packed: bytes
    etag: str


class NodeCatalogue:
    """Answers ``GET /object_info``."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._kept: _Kept | None = None
        self._seen = (float("-inf"), 0)
        self._lock = asyncio.Lock()

    async def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """The catalogue, or 304 to whoever has it. Raises `OperationUnavailable`."""
        async with self._lock:  # one asks ComfyUI, the others wait for that
            kept = await self._current(path)
        headers = {
            hdrs.ETAG: kept.etag,
            hdrs.VARY: "Accept-Encoding",
            hdrs.CACHE_CONTROL: "no-cache",
        }
        if kept.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
            return web.Response(status=304, headers=headers)
        body = kept.plain
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            body, headers[hdrs.CONTENT_ENCODING] = kept.packed, "gzip"
        return web.Response(
            body=body, content_type="application/json", charset="utf-8", headers=headers
        )

    async def _current(self, path: str) -> _Kept:
        session = await self._upstream.session()
        address = self._upstream.address
        assert address is not None
        folders = await self._folders(address)
        kept = self._kept
        if kept is not None and kept.address is address and kept.folders == folders:
            return kept
        try:
            async with session.get(self._upstream.url(path)) as answer:
                plain = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._upstream.gone() from error
        if answer.status != 200:
            raise UpstreamFailed("ComfyUI cannot list its nodes; its log says why")
        packed = await asyncio.to_thread(gzip.compress, plain, 6)
        etag = f'"{blake3.blake3(plain).hexdigest()[:32]}"'
        self._kept = _Kept(address, folders, plain, packed, etag)
        return self._kept

    async def _folders(self, address: dict[str, Any]) -> int:
        """A number that is another one when a file came or went."""
        now = asyncio.get_running_loop().time()
        if now - self._seen[0] > _TRUSTED_S:
            self._seen = now, await asyncio.to_thread(_stamp, address["listed"])
        return self._seen[1]


def _stamp(folders: list[str]) -> int:
    """A folder's time changes with every file that is made, renamed or removed in it."""
    return hash(
        tuple((path, _changed(path)) for folder in folders for path, _, _ in os.walk(folder))
    )


def _changed(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:  # it was removed just now, as its parent's time says the next time
        return 0
