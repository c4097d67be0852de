"""Who may speak to the service: Host and Origin allow-lists, API keys, sessions, CORS.

Knows: the names that this service answers to, the CORS origins, and for whom a cookie stands.
Does not know: what a caller wants; every request passes here before its handler.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, Literal

from aiohttp import hdrs, web

from backend.errors import Forbidden, MalformedRequest, RequestRefused, Unauthorised
from backend.handlers import sign_in_page
from backend.handlers.keys import ACCESS, CORS_ORIGIN, KEY_NAME, REQUEST_ID, SESSIONS
from backend.handlers.problems import Handler
from backend.services.api_keys import ApiKeys

if TYPE_CHECKING:
    from backend.config import Settings
    from backend.services.sessions import Session

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN: Final = frozenset(
    {
        *(("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/signin"), ("HEAD", "/signin")),
        *(("POST", "/v1/session"), ("DELETE", "/v1/session"), ("POST", "/signout")),
    }
)
"""What may be asked without a key: whether the process lives, and to be let in or out."""

COOKIE: Final = "kino_session"

MISDIRECTED: Final = 421
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::(\d{1,5}))?")
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
        self.keys = ApiKeys(key.get_secret_value() for key in settings.api_keys)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)
        names = {_bracketed(settings.host), *settings.allowed_hosts}
        self._hosts = LOOPBACK_NAMES | {name.lower() for name in names}

    @property
    def needs_key(self) -> bool:
        return bool(self.keys)

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
        """The name of the key in the header. Raises 401 without a valid one."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        found = self.keys.find(token)
        if scheme.lower() != "bearer" or found is None:
            raise Unauthorised("send 'Authorization: Bearer' with a valid API key")
        return found[0]


def session_of(request: web.Request) -> Session | None:
    """The session that the request's cookie stands for. A Bearer key stands for itself alone."""
    scheme, _, _ = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    token = request.cookies.get(COOKIE)
    return (
        None if token is None or scheme.lower() == "bearer" else request.app[SESSIONS].find(token)
    )


def asked_by(request: web.Request) -> Literal["our page", "a person", "another page", "unknown"]:
    """Who made a browser send the request, as the browser says (W3C Fetch Metadata, RFC 6454).

    The request has passed `Access.check_origin`. A link that another page had and a person followed
    counts as the person's; programs say nothing.
    """
    site = request.headers.get(sign_in_page.FETCH_SITE)
    if site == "same-origin":
        return "our page"
    if site is not None:
        follows = (
            request.method == hdrs.METH_GET
            and request.headers.get("Sec-Fetch-Mode") == "navigate"
            and request.headers.get(sign_in_page.FETCH_DEST) == "document"
        )
        return "a person" if site == "none" or follows else "another page"
    if hdrs.ORIGIN in request.headers:
        return "another page" if CORS_ORIGIN in request else "our page"
    return "unknown"


def check_session_use(request: web.Request) -> None:
    """Raises 403 if the cookie came along with what a page that is not ours asks for.

    Browsers add a cookie whoever asks: by a ``SameSite`` one, pages of other ports of this host,
    too. What changes something, or opens a WebSocket, must be our own page's by the browser's word.
    """
    who = asked_by(request)
    reads = (
        request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and hdrs.UPGRADE not in request.headers
    )
    if who == "another page" or (who != "our page" and not reads):
        raise Forbidden(
            "a browser's session is for pages of this service",
            remedy="Send a key as 'Authorization: Bearer'.",
        )


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
    # as it was sent: what only decodes to an open path may lead elsewhere
    if not rules.needs_key or (request.method, request.rel_url.raw_path) in OPEN:
        return await handler(request)
    session = session_of(request)
    if session is not None:
        check_session_use(request)
        request[KEY_NAME] = session.key_name
        with request.app[SESSIONS].lasting(session, lambda: _cut(request)):
            return await handler(request)
    if sign_in_page.is_wanted(request):
        return sign_in_page.ask_first(request)
    request[KEY_NAME] = rules.check_key(request)
    return await handler(request)


def _cut(request: web.Request) -> None:
    """Whatever still goes out in the name of a session that has ended stops here."""
    if request.transport is not None:
        request.transport.abort()


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
