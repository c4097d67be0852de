"""Sessions of browsers: what a cookie opens, for whom, and when it ends."""

from __future__ import annotations

import asyncio
import hashlib
import time as clock
from typing import Any

import aiohttp
import pytest

from backend import app as kino
from backend.handlers.keys import EVENTS, SESSIONS
from backend.services import sessions
from backend.testing.signing_in import (
    BROWSER,
    DIGEST,
    KEY,
    KEYS,
    cookie,
    own,
    signed_in,
    submit,
)

PARTS = (kino._ledger, kino._sessions)
EVIL = "https://evil.example"


@pytest.fixture
async def locked(open_door: Any) -> Any:
    """A door that wants a key."""
    return await open_door(PARTS, api_keys=KEYS)


# --- what the cookie opens, and for whom ---------------------------------------------------


async def test_the_cookie_opens_what_the_key_does(locked: Any) -> None:
    """Pages, calls of pages, and programs that kept the cookie."""
    mine = await signed_in(locked)
    for headers in (
        BROWSER,
        {**BROWSER, "Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": locked.url},
        {},
    ):
        assert (await locked.ask("GET", "/", headers={**mine, **headers})).status == 200
    # another scheme than Bearer is for a proxy before us
    basic = {**mine, "Authorization": "Basic dTpw"}
    assert (await locked.ask("GET", "/", headers=basic)).status == 200


@pytest.mark.parametrize(
    ("method", "said", "status"),
    [
        ("POST", {"Origin": EVIL}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST", {}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "none"}, 403),
        ("DELETE", {}, 403),
        ("GET", {"Origin": EVIL}, 403),
        ("GET", {"Origin": "null"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "script"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate",
                 "Sec-Fetch-Dest": "iframe"}, 403),
        ("GET", {"Upgrade": "websocket", "Connection": "Upgrade"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate",
                 "Sec-Fetch-Dest": "document"}, 404),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, 404),
    ],
)  # fmt: skip
async def test_the_cookie_is_for_our_pages(
    locked: Any, method: str, said: Any, status: int
) -> None:
    """A browser adds the cookie to what foreign pages ask for, too: they get, and change, nothing.
    Following a link is all that they can do."""
    headers = {**await signed_in(locked), **said}
    answer = await locked.ask(method, "/v1/nothing", headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_events_open_by_cookie_from_our_own_pages_only(open_stream: Any) -> None:
    """A WebSocket of our own page is let in by its cookie, one of a foreign page is not; signing
    out ends it, and event streams, while other sessions go on."""
    door, _, path = await open_stream((kino._sessions,), api_keys=KEYS)
    mine, other = await signed_in(door), await signed_in(door)
    url, origin = door.url + path, {"Origin": door.url}
    for said in ({}, {"Origin": EVIL}, {"Origin": "null"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await door.client.ws_connect(url, headers={**mine, **said})
        assert caught.value.status == 403
    ended, kept = [
        await door.client.ws_connect(url, headers={**each, **origin}) for each in (mine, other)
    ]
    listening = {"Accept": "text/event-stream", "Sec-Fetch-Site": "same-origin"}
    events = await door.client.get(url, headers={**mine, **listening})
    assert events.status == 200
    answer = await door.ask("DELETE", "/v1/session", headers={**mine, **origin})
    assert answer.status == 204
    async with asyncio.timeout(120):
        closed = await ended.receive()
        assert closed.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        with pytest.raises(aiohttp.ClientError):
            await events.read()
        door.app[EVENTS].publish(path.split("/")[3], "log", {"message": "still there"})
        assert (await kept.receive_json())["message"] == "still there"
        await kept.close()


async def test_a_bearer_key_decides_alone(locked: Any) -> None:
    """Beside a wrong key in the header, a right cookie does not help."""
    headers = {**await signed_in(locked), "Authorization": "Bearer wrong"}
    assert (await locked.ask("GET", "/", headers=headers)).status == 401


# --- the end of a session ------------------------------------------------------------------


async def test_signing_out(locked: Any) -> None:
    """Both ways of signing out take the cookie back and end the session itself."""
    for method, path, status in (("DELETE", "/v1/session", 204), ("POST", "/signout", 303)):
        mine, other = await signed_in(locked), await signed_in(locked)
        answer = await locked.ask(
            method, path, headers={**mine, **own(locked)}, allow_redirects=False
        )
        assert answer.status == status
        assert cookie(answer)["max-age"] == "0"
        assert (await locked.ask("GET", "/", headers=mine)).status == 401
        assert (await locked.ask("GET", "/", headers=other)).status == 200
    # a second time, or without having been in, is no error
    again = await locked.ask("POST", "/signout", headers=own(locked), allow_redirects=False)
    assert (again.status, again.headers["location"]) == (303, "/signin")


async def test_signing_in_again_ends_the_former_session(locked: Any) -> None:
    """A browser has one session: the one before is worth nothing any more."""
    mine = await signed_in(locked)
    assert (await submit(locked, KEY, **mine)).status == 303
    locked.client.cookie_jar.clear()
    assert (await locked.ask("GET", "/", headers=mine)).status == 401


async def test_the_page_shows_who_is_in(locked: Any) -> None:
    """/signin names the key and offers to sign out; for others it is the form."""
    mine = await signed_in(locked)
    shown = await locked.ask("GET", "/signin", headers={**mine, **BROWSER})
    assert shown.status == 200
    assert b"<b>ci</b>" in shown.body
    assert b'action="/signout"' in shown.body
    form = await locked.ask("GET", "/signin", headers=BROWSER)
    assert form.status == 200
    assert b'action="/v1/session"' in form.body
    docs = await locked.ask("GET", "/signin?next=/docs", headers=BROWSER)
    assert b'name="next" value="/docs"' in docs.body


@pytest.mark.parametrize(
    "token",
    ["", "x", "a" * 43, "a" * 7000, '"', "é", "..%2f", "a" * 42 + "\t", "ci:" + DIGEST, KEY],
)
async def test_other_cookies_open_nothing(locked: Any, token: str) -> None:
    """What is no token of ours is as good as none."""
    headers = {"Cookie": f"kino_session={token}", **BROWSER}
    head = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
    answer = await locked.raw(f"GET / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
    assert answer.status == 401


async def test_a_changed_cookie_opens_nothing(locked: Any) -> None:
    """Of a right token, each single character counts."""
    mine = (await signed_in(locked))["Cookie"]
    for place in (len("kino_session="), -1):
        letters = list(mine)
        letters[place] = "B" if letters[place] == "A" else "A"
        if "".join(letters) != mine:
            changed = {"Cookie": "".join(letters)}
            assert (await locked.ask("GET", "/", headers=changed)).status == 401


async def test_a_session_ends_by_itself(locked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its life, a session is over, whatever the browser sends."""
    mine = await signed_in(locked)
    now = clock.time()
    monkeypatch.setattr(sessions, "time", lambda: now + sessions.LIFE_S - 60)
    assert (await locked.ask("GET", "/", headers=mine)).status == 200
    monkeypatch.setattr(sessions, "time", lambda: now + sessions.LIFE_S + 60)
    assert (await locked.ask("GET", "/", headers=mine)).status == 401


async def test_what_is_open_ends_with_its_session(
    open_stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebSocket that was opened a moment before its session's end is cut off then."""
    door, _, path = await open_stream((kino._sessions,), api_keys=KEYS)
    headers = {**await signed_in(door), "Origin": door.url}
    now = clock.time()
    monkeypatch.setattr(sessions, "time", lambda: now + sessions.LIFE_S - 1)
    ws = await door.client.ws_connect(door.url + path, headers=headers)
    async with asyncio.timeout(120):
        ended = await ws.receive()
    assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_session_survives_a_restart_and_ends_with_its_key(open_door: Any) -> None:
    """After a restart the same cookie opens, if its key is still one, under whatever name."""
    first = await open_door(PARTS, api_keys=KEYS)
    mine = await signed_in(first)
    await first.app.cleanup()
    other = hashlib.sha256(b"other").hexdigest()
    for keys, name in (
        ([f"renamed:{DIGEST}"], "renamed"),
        ([f"ci:{other}"], None),
        ([f"ci:{other}", *KEYS], "ci"),
    ):
        door = await open_door(PARTS, api_keys=keys)
        answer = await door.ask("GET", "/v1/session", headers=mine)
        assert answer.status == (200 if name else 401)
        assert answer.json().get("key_name") == name
        await door.app.cleanup()


async def test_the_ledger_holds_nothing_to_steal(locked: Any, tmp_path: Any) -> None:
    """Neither token nor key, nor the key's hash, is written down."""
    token = (await signed_in(locked))["Cookie"].partition("=")[2]
    held = b"".join(path.read_bytes() for path in tmp_path.glob("kino.db*"))
    assert b"ci" in held
    assert b"INTO session" in held or b"session" in held
    for secret in (token, KEY, DIGEST, bytes.fromhex(DIGEST)):
        assert (secret if isinstance(secret, bytes) else secret.encode()) not in held


async def test_sessions_are_few(locked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many sessions of one key the oldest ends: nobody fills the ledger with them."""
    monkeypatch.setattr(sessions, "MOST", 2)
    first, second, third = [await signed_in(locked) for _ in range(3)]
    for mine, status in ((first, 401), (second, 200), (third, 200)):
        assert (await locked.ask("GET", "/", headers=mine)).status == status
    rows = locked.app[SESSIONS].ledger.read("SELECT COUNT(*) AS many FROM session")
    assert rows[0]["many"] == 2
