"""Signing in with a key, signing out, and who is signed in: for browsers.

Knows: the cookie, the form's fields, and that only our own pages may send them.
Does not know: how a session is kept (``services.sessions``), what a page looks like
(``sign_in_page``).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from aiohttp import hdrs, web
from pydantic import ValidationError

from backend.errors import (
    Conflict,
    Forbidden,
    KinoError,
    MalformedRequest,
    RequestRefused,
    Unauthorised,
    refused,
)
from backend.handlers import sign_in_page as page
from backend.handlers.access import COOKIE, asked_by, session_of
from backend.handlers.body import FORM, JSON, read_small
from backend.handlers.keys import ACCESS, KEY_NAME, SESSIONS, WRONG_KEYS
from backend.handlers.query import Nothing, Wanted, read_query
from backend.handlers.shapes import SignIn
from backend.operations import invalid, read_json
from backend.services.job import rfc3339
from backend.services.sessions import LIFE_S, Session

DOORS: Final = (("/editor/", "Graph editor"), ("/docs", "Operations"))
_MOST_BYTES: Final = 8192
_MOST_FIELDS: Final = 8
_log = structlog.get_logger("kino.access")


async def sign_in(request: web.Request) -> web.Response:
    """``POST /v1/session``: 201 and the session as JSON; a browser's form leads on with 303."""
    read_query(request, Nothing)
    _refuse_other_pages(request)
    to = ""
    try:
        asked = await _read(request)
        to = asked.next
        token, session = await _begin(request, asked.key)
    except KinoError as error:
        if not page.takes_html(request):
            raise
        return _said_on_the_page(error, to)
    if request.content_type == FORM:
        location = {hdrs.LOCATION: page.local_path(to)}
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers=location)
    else:
        response = web.json_response(_as_json(request, session), status=HTTPStatus.CREATED)
    response.set_cookie(COOKIE, token, max_age=LIFE_S, **_attributes(request))
    return response


def _refuse_other_pages(request: web.Request) -> None:
    """Raises 403: another site's form would sign a person in, or out, behind their back."""
    if asked_by(request) == "another page":
        raise Forbidden("only pages of this service may sign in and out")


async def _read(request: web.Request) -> SignIn:
    if request.content_type not in (FORM, JSON):
        raise RequestRefused(415, f"the body must be sent as {JSON} or {FORM}")
    raw = await read_small(request, _MOST_BYTES)
    value = read_json(raw) if request.content_type == JSON else _fields(raw)
    try:
        asked = SignIn.model_validate(value)
    except ValidationError as error:
        raise invalid(error, "The body breaks a rule") from error
    if "\0" in asked.key:
        raise refused("/key", "null_character", "a null character is not accepted")
    return asked


def _fields(raw: bytes) -> dict[str, str]:
    """A form's fields. Raises 400 or 422."""
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise MalformedRequest("the form cannot be read") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise refused("", "duplicate", "a field of the form stands twice")
    return found


async def _begin(request: web.Request, key: str) -> tuple[str, Session]:
    """A new session instead of the one that the browser may have. Raises 401, 409 or 429."""
    app = request.app
    if not app[ACCESS].needs_key:
        raise Conflict("this service asks for no key, so there is nothing to sign in to")
    begun = await app[SESSIONS].begin(key)
    if begun is None:
        _log.warning("a wrong key", client=request.remote)
        await app[WRONG_KEYS].wait(request.remote)
        raise Unauthorised("this is not a valid API key")
    former = session_of(request)
    if former is not None:
        await app[SESSIONS].end(former)
    _log.info("signed in", key_name=begun[1].key_name, client=request.remote)
    return begun


def _said_on_the_page(error: KinoError, to: str) -> web.Response:
    """Why a person is not signed in, beside the field."""
    told = {
        "string_too_short": "Type a key.",
        "missing": "Type a key.",
        "string_too_long": "That is too long for a key.",
    }
    rule = error.errors[0].rule if error.errors else ""
    status = error.http_status
    words = told.get(rule) or f"{error.detail[:1].upper()}{error.detail[1:]}."
    if status == HTTPStatus.UNAUTHORIZED:
        words = "This key is not valid. Look for missing or extra characters and try again."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        words += f" {error.remedy}"
    response = page.form(to, status, words)
    if "retry_after_s" in error.extra:
        response.headers[hdrs.RETRY_AFTER] = str(error.extra["retry_after_s"])
    return response


async def show_session(request: web.Request) -> web.Response:
    """``GET /v1/session``: which key the caller has shown, and until when a session lasts."""
    read_query(request, Nothing)
    return web.json_response(_as_json(request, session_of(request)))


async def end_session(request: web.Request) -> web.Response:
    """``DELETE /v1/session``."""
    await _end(request)
    return _without_cookie(request, web.Response(status=HTTPStatus.NO_CONTENT))


async def sign_out(request: web.Request) -> web.Response:
    """``POST /signout``: as forms have it."""
    await _end(request)
    headers = {hdrs.LOCATION: page.HOME}
    return _without_cookie(request, web.Response(status=HTTPStatus.SEE_OTHER, headers=headers))


async def _end(request: web.Request) -> None:
    read_query(request, Nothing)
    _refuse_other_pages(request)
    session = session_of(request)
    if session is not None:
        await request.app[SESSIONS].end(session)
        _log.info("signed out", key_name=session.key_name, client=request.remote)


def _without_cookie(request: web.Request, response: web.Response) -> web.Response:
    if COOKIE in request.cookies:
        response.set_cookie(COOKIE, "", max_age=0, **_attributes(request))
    return response


def _attributes(request: web.Request) -> dict[str, Any]:
    """A page that came over TLS says so, also where a proxy ends TLS before us."""
    by_tls = request.secure or request.headers.get(hdrs.ORIGIN, "").lower().startswith("https:")
    return {"path": "/", "httponly": True, "samesite": "Strict", "secure": by_tls}


def _as_json(request: web.Request, session: Session | None) -> dict[str, Any]:
    return {
        "needs_key": request.app[ACCESS].needs_key,
        "key_name": request.get(KEY_NAME) if session is None else session.key_name,
        "expires": None if session is None else rfc3339(session.expires),
    }


def routes(doors: page.Doors = DOORS) -> list[web.RouteDef]:
    """All routes; *doors* are what the page leads to."""

    async def show_page(request: web.Request) -> web.Response:
        to = read_query(request, Wanted).next
        if not request.app[ACCESS].needs_key:
            return page.not_needed(doors)
        session = session_of(request)
        if session is None:
            return page.form(to, HTTPStatus.OK)
        return page.signed_in(session.key_name, doors)

    return [
        web.get("/signin", show_page),
        web.post("/signout", sign_out),
        web.get("/v1/session", show_session),
        web.post("/v1/session", sign_in),
        web.delete("/v1/session", end_session),
    ]
