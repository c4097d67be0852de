"""Passing requests on to ComfyUI's own server in its worker, streamed both ways.

Knows: the private address, which headers travel, limits of what is sent, and what a worker that is
not there means to a client.
Does not know: what the paths mean.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from backend.errors import AssetTooLarge, KinoError, OperationUnavailable, StorageFull
from backend.handlers.body import CHUNK, go_on, refuse_encoding
from backend.handlers.problems import problem_answer, refusal
from backend.handlers.sending import leaving

if TYPE_CHECKING:
    from backend.config import Limits, Settings
    from backend.services.worker_pool import WorkerPool

CONNECT_S: Final = 30.0
ANSWER_S: Final = 300.0
"""As long may ComfyUI be silent: a running node can hold its process for a while."""

TOKEN_HEADER: Final = "Kino-Token"
_AGAIN_S: Final = 3
_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
_OURS: Final = _HOP | {
    *("host", "origin", "referer", "authorization", "cookie", "expect", "sec-fetch-site"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", TOKEN_HEADER.lower()),
}
"""What is between the client and us: who may ask was decided here, secrets stay here."""

_THEIRS: Final = _HOP | {"server", "date", "set-cookie", "content-length"}
_HASHED: Final = re.compile(r"/assets/[\w.-]+-(?=[\w-]*[0-9A-Z])[\w-]{8}\.(?:js|css|json|woff2?)")
"""Files of the editor whose names hold a hash of their content: another content, another name.
ComfyUI has every visit fetch its scripts anew."""

_FILES: Final = ("/view", "/userdata", "/api/view", "/api/userdata")
_LOCAL: Final = "; ".join(
    (
        "default-src 'self'",
        # the editor is foreign code: it has scripts in its page, and compiles some while it runs
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        *("img-src 'self' data: blob:", "media-src 'self' data: blob:", "font-src 'self' data:"),
        *("connect-src 'self' data: blob:", "worker-src 'self' blob:", "frame-src 'self'"),
        *("object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'"),
    )
)
"""What ComfyUI's pages may load: nothing from elsewhere, and they cannot send anything there."""

_NO_SCRIPT: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Upstream:
    """The way to ComfyUI's server. Open from the first request to `close`."""

    def __init__(self, settings: Settings, pool: WorkerPool) -> None:
        self._limits: Limits = settings.limits
        self._folder = settings.data_dir
        self._local_only = settings.comfyui.local_only
        self._pool = pool
        self._address: dict[str, Any] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def address(self) -> dict[str, Any] | None:
        """Where the server of the present worker listens; a new one for each worker."""
        for worker in self._pool.processes:
            if worker.kind == "comfy" and worker.is_ready:
                found: dict[str, Any] | None = worker.info.get("server")
                return found
        return None

    async def session(self) -> aiohttp.ClientSession:
        """A client of the present worker's server. Raises `OperationUnavailable` without one."""
        address = self.address
        if address is None:
            raise self.absent()
        session = self._session
        if session is None or address is not self._address:
            # in one step: whoever asks meanwhile gets the new one
            former, self._address = session, address
            session = self._session = _connected(address)
            if former is not None:
                await former.close()
        return session

    def url(self, path: str) -> URL:
        """The URL of a path (percent-encoded, with query) for the present session."""
        port = (self._address or {}).get("port")
        base = "http://127.0.0.1" if port is None else f"http://127.0.0.1:{port}"
        return URL(base + path, encoded=True)

    def absent(self) -> OperationUnavailable:
        """Why there is no server to ask now."""
        if self._pool.engine("comfy") == "absent":
            return OperationUnavailable(
                "this service runs no ComfyUI", remedy="Add 'comfy' to KINO_WORKERS."
            )
        said = self._pool.comfyui
        if said is not None:
            why = said.get("unavailable") or {
                "reason": "ComfyUI's own server did not start",
                "remedy": "The log says why.",
            }
            return OperationUnavailable(why["reason"], remedy=why["remedy"])
        return OperationUnavailable(
            "ComfyUI is starting",
            remedy="Try again in a moment. The queue and the history can be asked for meanwhile.",
            extra={"retry_after_s": _AGAIN_S},
        )

    def gone(self) -> OperationUnavailable:
        """Why a server that was asked did not answer."""
        return OperationUnavailable(
            "ComfyUI's process ended before it answered; it is started again",
            remedy="Try again in a moment.",
            extra={"retry_after_s": _AGAIN_S},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def forward(self, request: web.Request, path: str) -> web.StreamResponse:
        """Answer *request* with what ComfyUI answers at *path* (percent-encoded, with query)."""
        session = await self.session()
        refused: list[KinoError] = []
        try:
            async with session.request(
                request.method,
                self.url(path),
                headers=self._headers(request),
                data=self._body(request, refused) if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                return await self._relay(request, answer, path)
        except (aiohttp.ClientError, TimeoutError) as error:
            if refused:
                raise refused[0] from error
            if request.writer.output_size > 0:
                raise ConnectionError(
                    "ComfyUI's server left in the middle of its answer"
                ) from error
            if isinstance(error, TimeoutError):
                raise refusal(
                    HTTPStatus.GATEWAY_TIMEOUT, "ComfyUI did not answer in time"
                ) from error
            raise self.gone() from error

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = CIMultiDict(
            (name, value) for name, value in request.headers.items() if name.lower() not in _OURS
        )
        if request.content_length is not None and request.can_read_body:
            headers[hdrs.CONTENT_LENGTH] = str(request.content_length)
        return headers

    async def _body(self, request: web.Request, refused: list[KinoError]) -> AsyncIterator[bytes]:
        """The body on its way. What is wrong with it is put into *refused*: the client of the
        other side would tell of it in words of its own."""
        try:
            async for chunk in self._limited(request):
                yield chunk
        except KinoError as error:
            refused.append(error)
            raise

    async def _limited(self, request: web.Request) -> AsyncIterator[bytes]:
        limit, size = self._limits.upload_bytes, 0
        too_large = AssetTooLarge(
            f"an upload may have {limit} bytes (limit upload_bytes)", extra={"limit": limit}
        )
        declared = request.content_length or 0
        if declared > limit:
            raise too_large
        if shutil.disk_usage(self._folder).free - declared < self._limits.disk_floor_bytes:
            raise StorageFull("the disk is nearly full", remedy="Free some space.")
        refuse_encoding(request)  # aiohttp has unpacked it: neither header nor length hold any more
        await go_on(request)
        while True:
            try:
                async with asyncio.timeout(self._limits.body_inactivity_s):
                    chunk = await request.content.readany()
            except TimeoutError as error:
                raise refusal(HTTPStatus.REQUEST_TIMEOUT) from error
            if not chunk:
                return
            size += len(chunk)
            if size > limit:
                raise too_large
            yield chunk

    async def _relay(
        self, request: web.Request, answer: aiohttp.ClientResponse, path: str
    ) -> web.StreamResponse:
        if answer.status >= HTTPStatus.BAD_REQUEST and "json" not in answer.content_type:
            # a bare status: stock clients see the same one, people get a sentence
            return problem_answer(_sentence(answer.status).as_problem())
        headers = CIMultiDict(
            (name, value) for name, value in answer.headers.items() if name.lower() not in _THEIRS
        )
        # as ComfyUI reads it: %76iew is /view there
        if self.url(path).path.startswith(_FILES):
            headers[hdrs.CONTENT_SECURITY_POLICY] = _NO_SCRIPT
        elif self._local_only:
            headers[hdrs.CONTENT_SECURITY_POLICY] = _LOCAL
        if answer.status == HTTPStatus.OK and _HASHED.fullmatch(path.partition("?")[0]):
            headers[hdrs.CACHE_CONTROL] = "private, max-age=31536000, immutable"
        headers.setdefault(hdrs.CACHE_CONTROL, "no-cache")
        response = web.StreamResponse(status=answer.status, headers=headers)
        if (length := answer.headers.get(hdrs.CONTENT_LENGTH)) is not None:
            response.headers[hdrs.CONTENT_LENGTH] = length
        await response.prepare(request)
        with leaving(request):
            if request.method != hdrs.METH_HEAD:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await response.write(chunk)
            await response.write_eof()
        return response


def _connected(address: dict[str, Any]) -> aiohttp.ClientSession:
    connector: aiohttp.BaseConnector
    if "unix" in address:
        connector = aiohttp.UnixConnector(address["unix"], limit=0)
    else:
        connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        headers={TOKEN_HEADER: address["token"]} if "token" in address else {},
        skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT, hdrs.CONTENT_TYPE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=ANSWER_S),
    )


def _sentence(status: int) -> KinoError:
    told = {
        400: "ComfyUI refused this: a name, a folder or a value cannot be used",
        403: "ComfyUI does not allow this",
        404: "ComfyUI has nothing at this path",
    }
    return refusal(status, told.get(status))
