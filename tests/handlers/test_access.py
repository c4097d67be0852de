"""Who may speak to the service."""

import hashlib

import pytest

from backend.config import Settings
from backend.handlers.access import Access, is_loopback

KEY = "a-long-and-secret-key"
KEYS = [f"ci:{hashlib.sha256(KEY.encode()).hexdigest()}"]
PAGE = "https://studio.example"


def head(*lines: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "localhost:8190", "[::1]:80", "LOCALHOST"]
)
async def test_loopback_names_are_answered(door, host):
    """The names of the loopback are answered, with any port: it may be forwarded."""
    assert (await door.raw(head(f"Host: {host}"))).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "a b", "[::1"],
)
async def test_other_names_are_misdirected(door, host):
    """A name that DNS could point here (rebinding) is answered 421, before anything else."""
    answer = await door.raw(head(f"Host: {host}"))
    assert answer.status == 421
    assert answer.json()["remedy"] == "add the name to KINO_ALLOWED_HOSTS"


async def test_one_host_header_is_needed(door):
    """No Host, or two of them, cannot be read."""
    assert (await door.raw(head("X: y"))).status == 400
    assert (await door.raw(head("Host: localhost", "Host: localhost"))).status == 400


async def test_further_names_can_be_allowed(open_door):
    """A configured name is answered; with a port it is exact."""
    door = await open_door(allowed_hosts=["kino.example", "other.example:444"])
    assert (await door.raw(head("Host: kino.example:443"))).status == 200
    assert (await door.raw(head("Host: other.example:444"))).status == 200
    assert (await door.raw(head("Host: other.example"))).status == 421


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://127.0.0.1:1",
        "http://localhost",
        "file://",
        "",
        "https://",
        "http://[",
    ],
)
async def test_pages_of_other_origins_are_refused(door, origin):
    """A browser page of any other origin may not even read; ``null`` is nobody's origin."""
    answer = await door.ask("GET", "/", headers={"Origin": origin})
    assert answer.status == 403
    assert answer.json()["type"] == "/v1/problems/forbidden"
    assert "access-control-allow-origin" not in answer.headers


async def test_own_pages_may_call(door):
    """A page that came from this service may call it."""
    assert (await door.ask("GET", "/", headers={"Origin": door.url})).status == 200


async def test_null_cannot_be_allowed(open_door):
    """Even when it is configured, ``Origin: null`` is refused: every sandboxed page has it."""
    door = await open_door(cors_origins=["null"])
    assert (await door.ask("GET", "/", headers={"Origin": "null"})).status == 403


async def test_cors_names_the_exact_origin(open_door):
    """An allowed origin, and no other, is named in the answer, also in a problem."""
    door = await open_door(cors_origins=[PAGE])
    for path, status in (("/", 200), ("/nothing", 404)):
        answer = await door.ask("GET", path, headers={"Origin": PAGE})
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "Origin"
    assert (await door.ask("GET", "/", headers={"Origin": PAGE + ".evil"})).status == 403


async def test_preflight(open_door):
    """The preflight of an allowed origin is answered without a key; browsers send none with it."""
    door = await open_door(cors_origins=[PAGE], api_keys=KEYS)
    asked = {"Access-Control-Request-Method": "POST"}
    answer = await door.ask("OPTIONS", "/v1/assets", headers={"Origin": PAGE, **asked})
    assert answer.status == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    evil = await door.ask("OPTIONS", "/v1/assets", headers={"Origin": "https://evil", **asked})
    assert evil.status == 403
    assert (await door.ask("GET", "/", headers={"Origin": PAGE})).status == 401


@pytest.mark.parametrize(
    "given",
    [None, "", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer", "Bearer ", f"Bearer {KEYS[0]}"],
)
async def test_a_key_is_demanded(open_door, given):
    """With keys configured, only the right one as a Bearer token opens the door."""
    door = await open_door(api_keys=KEYS)
    answer = await door.ask("GET", "/", headers={} if given is None else {"Authorization": given})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "/v1/problems/unauthorised"


async def test_the_right_key_opens(open_door):
    """Any of the configured keys is accepted; the health of the process needs none."""
    other = "other:" + hashlib.sha256(b"second").hexdigest().upper()
    door = await open_door(api_keys=[*KEYS, other])
    for key in (KEY, "second"):
        assert (
            await door.ask("GET", "/", headers={"Authorization": f"bearer {key}"})
        ).status == 200
    assert (await door.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize("key", ["plain-key", "name:abc", ":" + "0" * 64, "a:b:" + "0" * 64])
def test_keys_must_be_hashes(key):
    """A key that is not ``name:sha256`` stops the start, and is not repeated in the message."""
    with pytest.raises(ValueError, match="KINO_API_KEYS") as caught:
        Access(Settings(api_keys=[key]))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_loopback_addresses(host, expected):
    """What can be reached from this machine only."""
    assert is_loopback(host) is expected


async def test_every_answer_carries_the_fixed_headers(door):
    """Success, problem and unreadable request alike."""
    for answer in (
        await door.ask("GET", "/healthz"),
        await door.ask("GET", "/nothing"),
        await door.raw(b"nonsense\r\n\r\n"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["server"] == "kino"
