"""The event stream against clients that do not behave, over real events."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
import structlog

from backend.handlers import events
from backend.handlers.keys import EVENTS
from backend.services.event import Event


async def test_heartbeats(stream, monkeypatch):
    """Silence is filled with comments, so that proxies and clients know that the service lives."""
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    door, _, path = stream
    async with asyncio.timeout(120), door.client.get(door.url + path) as answer:
        assert (await answer.content.readline()).startswith(b": ")


async def test_a_client_that_does_not_read_is_closed(stream, monkeypatch):
    """Who takes nothing is cut off after its time; another reader misses nothing."""
    monkeypatch.setattr(events, "STALLED_S", 2.0)
    door, job, path = stream
    port = int(door.url.rpartition(":")[2])
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.closing(lazy), structlog.testing.capture_logs() as lines:
        await loop.sock_connect(lazy, ("127.0.0.1", port))
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        await loop.sock_sendall(lazy, request)
        async with asyncio.timeout(120), door.client.get(door.url + path) as diligent:
            for n in range(100):  # 9 MB, more than the system buffers for a socket
                door.app[EVENTS].publish(job.id, "log", {"message": f"{n} " + "x" * 90_000})
                line = await diligent.content.readuntil(b"\n\n")
                assert f'"message": "{n} x'.encode() in line
            while not lines:  # a request is logged when it has ended, and only one has
                await asyncio.sleep(0.01)
    assert [line["path"] for line in lines] == [path]
    assert (await door.ask("GET", "/healthz")).status == 200


async def test_streams_end_with_the_service(stream):
    """A stop ends the stream in good order; the client may resume later."""
    door, job, path = stream
    async with asyncio.timeout(120), door.client.get(door.url + path) as answer:
        door.app[EVENTS].publish(job.id, "log", {"message": "hello"})
        text = await answer.content.readuntil(b"\n\n")
        assert b"hello" in text
        await door.app.shutdown()
        assert await answer.content.read() == b""


async def test_an_error_in_the_middle_cuts_the_stream(stream, monkeypatch):
    """What breaks after the answer has begun is logged, and the answer is cut, not garbled."""
    door, job, path = stream

    async def breaking(_job_id, _after):
        yield Event(job.id, 1, "queued", 0.0, {})
        raise KeyError("a bug")

    monkeypatch.setattr(door.app[EVENTS], "stream", breaking)
    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(120), door.client.get(door.url + path) as answer:
            assert b"event: queued" in await answer.content.readuntil(b"\n\n")
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["unexpected error"]


def test_the_form_of_an_event():
    """id, event and data, one line each, whatever the data hold."""
    event = Event("job_x", 7, "log", 0.5, {"message": "two\nlines"})
    assert events.write_event(event) == (
        b'id: 7\nevent: log\ndata: {"seq": 7, "type": "log", '
        b'"time": "1970-01-01T00:00:00.500Z", "message": "two\\nlines"}\n\n'
    )
