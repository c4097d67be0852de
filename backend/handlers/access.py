"""Who may speak to the service: Host and Origin allow-lists, API keys, CORS.

Knows: the names that this service answers to, the accepted keys (as sha256), the CORS origins.
Does not know: what a caller wants; every request passes here before its handler.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

from backend.errors import Forbidden, MalformedRequest, RequestRefused, Unauthorised
from backend.handlers.keys import ACCESS, CORS_ORIGIN, KEY_NAME, REQUEST_ID
from backend.handlers.problems import Handler

if TYPE_CHECKING:
    from backend.config import Settings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN_PATHS: Final = frozenset({"/healthz"})
"""What a supervisor may ask without a key: whether the process lives, and nothing else."""

MISDIRECTED: Final = 421
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::(\d{1,5}))?")
_KEY: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*):([0-9a-fA-F]{64})")
_ALLOW_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOW_HEADERS: Final = (
    "Authorization, Content-Type, Content-Digest, Idempotency-Key, Kino-Cache, Kino-Metadata, "
    "Kino-Priority, Kino-Timeout, Last-Event-ID, If-None-Match, Mcp-Protocol-Version, "
    "Mcp-Session-Id, Range"
)
_EXPOSE_HEADERS: Final = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Request-Id, Retry-After"
)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """The allow-lists of one service. Raises ``ValueError`` for a setting that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._keys = [_parse_key(key.get_secret_value()) for key in settings.api_keys]
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)
        names = {_bracketed(settings.host), *settings.allowed_hosts}
        self._hosts = LOOPBACK_NAMES | {name.lower() for name in names}

    @property
    def needs_key(self) -> bool:
        return bool(self._keys)

    def check_host(self, request: web.Request) -> str:
        """The ``Host`` of the request. Raises 400 if it has none or two, 421 if it is not ours."""
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) != 1:
            raise MalformedRequest("one Host header is needed")
        host = given[0].strip().lower()
        match = _HOST.fullmatch(host)
        if match and (host in self._hosts or match[1] in self._hosts or match[1] == _own(request)):
            return host
        raise RequestRefused(
            MISDIRECTED,
            "this service does not answer to that Host name",
            remedy="add the name to KINO_ALLOWED_HOSTS",
        )

    def check_origin(self, request: web.Request, host: str) -> str | None:
        """The allowed cross origin, or None. Raises 403 for any other."""
        given = request.headers.getall(hdrs.ORIGIN, [])
        if not given:
            return None
        origin = given[0].lower()
        if len(given) == 1 and origin in self._origins and origin != "null":
            return given[0]
        if len(given) == 1 and origin in (f"http://{host}", f"https://{host}"):
            return None
        raise Forbidden(
            "pages of this origin may not call the service",
            remedy="add the exact origin to KINO_CORS_ORIGINS",
        )

    def check_key(self, request: web.Request) -> str:
        """The name of the key. Raises 401 without a valid one; every key is compared each time."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = ""
        for name, expected in self._keys:
            if hmac.compare_digest(digest, expected):
                found = name
        if scheme.lower() != "bearer" or not found:
            raise Unauthorised("send 'Authorization: Bearer' with a valid API key")
        return found


def _parse_key(text: str) -> tuple[str, bytes]:
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError("KINO_API_KEYS: each key is written 'name:sha256', 64 hex digits")
    return match[1], bytes.fromhex(match[2])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _own(request: web.Request) -> str | None:
    """The address that this very connection came in on: never a name that DNS could rebind."""
    if request.transport is None:
        return None
    name = request.transport.get_extra_info("sockname")
    return _bracketed(str(name[0])) if isinstance(name, tuple) else None


@web.middleware
async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Host, then Origin (and the preflight), then the key; only then the handler."""
    rules = request.app[ACCESS]
    host = rules.check_host(request)
    origin = rules.check_origin(request, host)
    if origin is not None:
        request[CORS_ORIGIN] = origin
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in (
            request.headers
        ):
            return web.Response(status=204)
    if rules.needs_key and request.path not in OPEN_PATHS:
        request[KEY_NAME] = rules.check_key(request)
    return await handler(request)


def add_fixed_headers(response: web.StreamResponse) -> None:
    """The headers that every answer carries, unless its handler chose its own."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-store")
    headers["Server"] = "kino"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp's signal before a response goes out: fixed headers, the request's id, CORS."""
    add_fixed_headers(response)
    headers = response.headers
    if (number := request.get(REQUEST_ID)) is not None:
        headers["Request-Id"] = number
    if (origin := request.get(CORS_ORIGIN)) is None:
        return
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers["Access-Control-Allow-Origin"] = origin
    headers.add("Vary", "Origin")
    if request.method == hdrs.METH_OPTIONS:
        headers["Access-Control-Allow-Methods"] = _ALLOW_METHODS
        headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
        headers["Access-Control-Max-Age"] = "600"
    else:
        headers["Access-Control-Expose-Headers"] = _EXPOSE_HEADERS
