"""Reading bodies: JSON at the MCP door, which needs no service to say hello."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import structlog

from backend.handlers import body

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
JSON = {"Content-Type": "application/json"}


async def test_json_is_read(door):
    """A JSON body with its content type is taken; a charset of UTF-8 may be named."""
    for kind in ("application/json", "application/json; charset=UTF-8"):
        answer = await door.ask(
            "POST", "/mcp", data=json.dumps(HELLO), headers={"Content-Type": kind}
        )
        assert answer.status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1",
             "multipart/form-data; boundary=x", "", "application/jsonx"],
)  # fmt: skip
async def test_other_types_are_refused(door, kind):
    """What a plain HTML form can send without a preflight is never read as JSON."""
    answer = await door.ask("POST", "/mcp", data=b"{}", headers={"Content-Type": kind})
    assert answer.status == 415


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": "\\u0000"}', "null character"),
        (b'{"\\u0000": 1}', "null character"),
        (b"[" * 100_000, "deeply"),
        (b'{"a": 1} trailing', "not JSON"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "digits"),
        (b'{"a": "\\ud800"}', "surrogate"),
    ],
)
async def test_malformed_json(door, text, words):
    """Each kind of malformed JSON is a 400 that says what is wrong."""
    answer = await door.ask("POST", "/mcp", data=text, headers=JSON)
    assert answer.status == 400
    assert answer.json()["type"] == "/v1/problems/malformed-request"
    assert words in answer.json()["detail"]


async def test_too_large_json_is_refused_by_its_length(open_door):
    """A declared length over the limit is refused before a byte is asked for."""
    door = await open_door(limits={"json_bytes": 1024})
    head = (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 1025\r\n\r\n"
    )
    answer = await door.raw(head)
    assert answer.status == 413
    assert answer.json()["limit"] == 1024


async def test_too_large_json_is_refused_while_it_comes(open_door):
    """A chunked body is refused at the limit."""
    door = await open_door(limits={"json_bytes": 1024})

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 512

    answer = await door.ask("POST", "/mcp", data=endless(), headers=JSON)
    assert answer.status == 413


async def test_continue_is_said_when_the_body_is_wanted(door):
    """A body that is welcome is asked for with 100 Continue."""
    text = json.dumps(HELLO).encode()
    head = (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(text)
    )
    assert (await door.raw(head)).status == 100


async def test_a_packed_body_is_refused(door):
    """No Content-Encoding: a few bytes could unpack to gigabytes."""
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = await door.ask("POST", "/mcp", data=b"\x1f\x8b", headers=headers)
    assert answer.status == 415


async def test_a_silent_client_is_not_awaited(door, monkeypatch):
    """A body that does not come is a 408."""
    monkeypatch.setattr(body, "JSON_DEADLINE_S", 0.2)
    head = (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10\r\n\r\n{"
    )
    answer = await door.raw(head)
    assert answer.status == 408


async def test_a_body_that_breaks_off_harms_nobody(door):
    """A client that leaves in the middle of its body is no incident, and the service goes on."""
    port = int(door.url.rpartition(":")[2])
    head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with structlog.testing.capture_logs() as lines:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + b"Content-Length: 10\r\n\r\n{")
        await writer.drain()
        assert (await door.ask("GET", "/healthz")).status == 200  # the first has arrived as well
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(120):
            while not any(line.get("path") == "/mcp" for line in lines):
                await asyncio.sleep(0.01)
    (line,) = [line for line in lines if line.get("path") == "/mcp"]
    assert line["status"] == 400
    assert not [line for line in lines if line["log_level"] == "error"]
