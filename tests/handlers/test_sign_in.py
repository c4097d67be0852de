"""Signing in with a browser: the form, its answers, and patience with who guesses."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from backend import app as kino
from backend.services import sessions, wrong_keys
from backend.testing.signing_in import (
    BROWSER,
    DIGEST,
    FORM,
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


# --- the form ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/editor/", "/comfy/", "/v1/jobs?limit=3", "/no"])
async def test_a_page_without_a_key_is_a_form(locked: Any, path: str) -> None:
    """Whoever opens any address in a browser gets a form that leads back there, not a problem."""
    answer = await locked.ask("GET", path, headers=BROWSER)
    assert answer.status == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.body.decode()
    assert '<form method="post" action="/v1/session">' in page
    assert f'name="next" value="{path}"' in page
    assert "<script" not in page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    # with "no-referrer", browsers would send the form with "Origin: null"
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Accept": "*/*"}),
        ("GET", {"Accept": "application/json"}),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "empty"}),
        ("GET", {**BROWSER, "Sec-Fetch-Dest": "iframe"}),
        ("POST", BROWSER),
        ("GET", {**BROWSER, "Authorization": "Bearer wrong"}),
    ],
)
async def test_programs_get_the_problem(locked: Any, method: str, headers: Any) -> None:
    """Whatever is no person opening a page is answered as ever."""
    answer = await locked.ask(method, "/v1/jobs", headers=headers)
    assert answer.status == 401
    assert answer.json()["type"] == "/v1/problems/unauthorised"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_browsers_that_say_less_get_the_form_too(locked: Any) -> None:
    """Without TLS, browsers send no ``Sec-Fetch-…`` to other machines."""
    answer = await locked.ask("GET", "/editor/", headers={"Accept": "text/html"})
    assert (answer.status, b"<form" in answer.body) == (401, True)


@pytest.mark.parametrize(
    "path", ["/%73ignin", "/heal%74hz", "/signin/", "/v1/session", "/v1/session/", "//signin"]
)
async def test_only_the_open_paths_are_open(locked: Any, path: str) -> None:
    """What is needed to sign in is open by its exact path; nothing that is like it."""
    answer = await locked.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.status == 401


async def test_nothing_of_it_without_keys(open_door: Any) -> None:
    """Without keys no page is in the way, no cookie is given, and none is read."""
    door = await open_door(PARTS)
    assert (await door.ask("GET", "/", headers=BROWSER)).status == 200
    answer = await submit(door, KEY)
    assert (answer.status, b"asks for no key" in answer.body) == (409, True)
    assert "set-cookie" not in answer.headers
    assert (await door.ask("GET", "/", headers={"Cookie": "kino_session=x"})).status == 200
    told = (await door.ask("GET", "/v1/session")).json()
    assert told == {"needs_key": False, "key_name": None, "expires": None}
    page = await door.ask("GET", "/signin")
    assert (page.status, b"asks for no key" in page.body) == (200, True)


# --- signing in ----------------------------------------------------------------------------


async def test_the_right_key_leads_back(locked: Any) -> None:
    """The form gives a cookie and leads to where the person wanted to go."""
    answer = await submit(locked, f"  {KEY}\r\n", "/v1/session?")
    assert (answer.status, answer.headers["location"]) == (303, "/v1/session?")
    made = cookie(answer)
    assert made.key == "kino_session"
    assert (made["httponly"], made["samesite"], made["path"]) == (True, "Strict", "/")
    assert (made["secure"], made["domain"]) == ("", "")
    assert int(made["max-age"]) == sessions.LIFE_S
    assert KEY not in answer.headers["set-cookie"]
    assert DIGEST not in answer.headers["set-cookie"]
    locked.client.cookie_jar.clear()
    told = await locked.ask(
        "GET", "/v1/session", headers={"Cookie": f"kino_session={made.value}", **BROWSER}
    )
    assert told.status == 200
    assert told.json()["key_name"] == "ci"
    assert told.json()["needs_key"] is True


async def test_a_program_may_sign_in_with_json(locked: Any) -> None:
    """The same by JSON: 201, the state, the cookie; a wrong key is the usual problem."""
    answer = await locked.ask("POST", "/v1/session", json={"key": KEY})
    assert answer.status == 201
    assert answer.json().keys() == {"needs_key", "key_name", "expires"}
    assert cookie(answer)["httponly"] is True
    wrong = await locked.ask("POST", "/v1/session", json={"key": KEY + "x"})
    assert (wrong.status, wrong.json()["type"]) == (401, "/v1/problems/unauthorised")
    assert "set-cookie" not in wrong.headers


async def test_a_cookie_from_tls_is_kept_to_tls(locked: Any) -> None:
    """Where the page came over TLS (a proxy ends it), the cookie is ``Secure``."""
    https = locked.url.replace("http:", "https:")
    answer = await submit(locked, KEY, Origin=https)
    assert cookie(answer)["secure"] is True


async def test_a_wrong_key_is_said_in_words(locked: Any) -> None:
    """The form comes again, with the reason beside the field, and without what was typed."""
    answer = await submit(locked, "not-the-key", "/editor/?a=1&b=2")
    page = answer.body.decode()
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert "not-the-key" not in page
    assert 'role="alert"' in page
    assert 'aria-invalid="true"' in page
    assert 'value="/editor/?a=1&amp;b=2"' in page


@pytest.mark.parametrize(
    "to",
    [
        *("//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "evil"),
        *("javascript:alert(1)", "/\t/evil.example", "/a\r\nSet-Cookie: x=y", " //evil.example"),
        *("/é", "/a b", "", "/\x00", "/" + "a" * 3000, '/"><script>'),
    ],
)
async def test_it_leads_to_paths_of_its_own_only(locked: Any, to: str) -> None:
    """Wherever a link made the form lead, the person ends on this service."""
    right = await submit(locked, KEY, to)
    assert right.status == 303
    assert right.headers["location"] == "/signin"
    assert "x=y" not in right.headers["set-cookie"]
    wrong = await submit(locked, "wrong", to)
    assert b'name="next" value="/signin"' in wrong.body
    if "\0" not in to:
        shown = await locked.ask("GET", "/signin?next=" + quote(to), headers=BROWSER)
        assert b'name="next" value="/signin"' in shown.body


async def test_a_path_that_is_another_host_is_no_way_back(locked: Any) -> None:
    """A page asked for as ``//evil.example/`` does not become the place to go to."""
    head = "GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"
    answer = await locked.raw(head.encode())
    assert answer.status == 401
    assert b'value="/signin"' in answer.body


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (urlencode({"key": "k" * 2000}), FORM, 422),
        (urlencode({"key": "k" * 100_000}), FORM, 413),
        (urlencode({"key": ""}), FORM, 422),
        (urlencode({"next": "/"}), FORM, 422),
        ("key=a&key=b", FORM, 422),
        ("key=a&other=b", FORM, 422),
        ("key=%00", FORM, 422),
        (b"key=\xff", FORM, 400),
        ("&".join(["a=b"] * 1000), FORM, 400),
        ('{"key": 1}', {"Content-Type": "application/json"}, 422),
        ('{"key": "a", "key": "b"}', {"Content-Type": "application/json"}, 400),
        ("key", {"Content-Type": "text/plain"}, 415),
        ("", {}, 415),
    ],
)
async def test_bad_bodies_are_problems(
    locked: Any, body: str | bytes, headers: Any, status: int
) -> None:
    """Too long, empty, doubled, broken: each is refused with its rule, at once."""
    answer = await locked.ask("POST", "/v1/session", data=body, headers=own(locked, **headers))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers


async def test_a_person_sees_no_json(locked: Any) -> None:
    """What the form refuses is said on the page where a browser asks."""
    for key, words in (("", "Type a key"), ("k" * 2000, "too long")):
        answer = await submit(locked, key)
        assert answer.status == 422
        assert words in answer.body.decode()


@pytest.mark.parametrize(
    "said",
    [
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_other_pages_may_not_sign_anybody_in(locked: Any, said: Any) -> None:
    """A form of a foreign page is refused, even with the right key; so is its signing out."""
    for path in ("/v1/session", "/signout"):
        answer = await locked.ask(
            "POST", path, data=urlencode({"key": KEY}), headers={**FORM, **said}
        )
        assert answer.status == 403
        assert "set-cookie" not in answer.headers


async def test_pages_of_allowed_origins_use_keys(open_door: Any) -> None:
    """An origin of ``KINO_CORS_ORIGINS`` calls with a key; it gets no session, and has none."""
    page = "https://studio.example"
    door = await open_door(PARTS, api_keys=KEYS, cors_origins=[page])
    mine = await signed_in(door)
    answer = await door.ask("POST", "/v1/session", json={"key": KEY}, headers={"Origin": page})
    assert answer.status == 403
    with_cookie = await door.ask("GET", "/", headers={"Origin": page, **mine})
    assert with_cookie.status == 403
    bearer = {"Origin": page, "Authorization": f"Bearer {KEY}", **mine}
    allowed = await door.ask("GET", "/", headers=bearer)
    assert allowed.status == 200
    assert "access-control-allow-credentials" not in allowed.headers


# --- guessing ------------------------------------------------------------------------------


async def test_wrong_keys_wait(locked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some wrong keys each further one is answered later; the right one is never late."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(wrong_keys, "sleep", sleep)
    for _ in range(8):
        assert (await submit(locked, "wrong")).status == 401
    assert slept == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert (await submit(locked, KEY)).status == 303
    assert len(slept) == 5


async def test_patience_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait stays at its longest however many wrong keys a client has shown."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(wrong_keys, "sleep", sleep)
    patience = wrong_keys.WrongKeys()
    for _ in range(2000):
        await patience.wait("192.0.2.1")
    assert set(slept[4:]) == {wrong_keys.LONGEST_S}


async def test_many_at_once_are_turned_away(locked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses that would wait beside too many others are answered 429; the right key gets in."""
    go = asyncio.Event()
    waiting = 0

    async def sleep(_seconds: float) -> None:
        nonlocal waiting
        waiting += 1
        await go.wait()

    monkeypatch.setattr(wrong_keys, "sleep", sleep)
    for _ in range(wrong_keys.FREE):
        await submit(locked, "wrong")
    tasks = [asyncio.create_task(submit(locked, "wrong")) for _ in range(wrong_keys.MOST_WAITING)]
    async with asyncio.timeout(120):
        while waiting < wrong_keys.MOST_WAITING:
            await asyncio.sleep(0.005)
    refused = await submit(locked, "wrong")
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Too many" in refused.body.decode()
    assert (await submit(locked, KEY)).status == 303
    go.set()
    assert {answer.status for answer in await asyncio.gather(*tasks)} == {401}


async def test_keys_are_never_logged(locked: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither wrong nor right keys, nor tokens, reach the log."""
    await submit(locked, "a-wrong-one")
    token = (await signed_in(locked))["Cookie"].partition("=")[2]
    told = "".join(capfd.readouterr())
    assert "a wrong key" in told
    assert "signed in" in told
    assert not re.search(rf"a-wrong-one|{KEY}|{token}|{DIGEST}", told)
