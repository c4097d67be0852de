"""Events over a WebSocket: what server-sent events say, against clients that do not behave."""

import asyncio
import base64
import contextlib
import json
import os
import socket

import aiohttp
import pytest

from backend.handlers import event_socket
from backend.handlers.keys import EVENTS

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)


async def end(door, job):
    """The job succeeds."""
    events = door.app[EVENTS]
    event, statements = events.milestone(job.id, "succeeded", {"execution_s": 1.0})
    update = ("UPDATE job SET state = 'succeeded' WHERE id = ?", (job.id,))
    await events._ledger.write(update, *statements)
    events.announce(event)


async def sse(door, path):
    """The events as the server sends them to everybody else."""
    text = (await door.ask("GET", path)).body.decode()
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def test_it_says_what_server_sent_events_say(stream):
    """The same events with the same numbers, replayed and live, then a normal close."""
    door, job, path = stream
    events = door.app[EVENTS]
    events.publish(job.id, "log", {"message": "before"})
    async with asyncio.timeout(120), door.client.ws_connect(door.url + path) as ws:
        first = await ws.receive_json()
        events.publish(job.id, "log", {"message": "live"})
        second = await ws.receive_json()
        await end(door, job)
        third = await ws.receive_json()
        assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert ws.close_code == 1000
    assert [each["type"] for each in (first, second, third)] == ["log", "log", "succeeded"]
    assert [first, second, third] == await sse(door, path)


async def test_it_goes_on_after_the_last_number(stream):
    """``after`` leaves out what was seen; for an ended job nothing is left but the close."""
    door, job, path = stream
    for message in ("one", "two"):
        door.app[EVENTS].publish(job.id, "log", {"message": message})
    await end(door, job)
    seen = await sse(door, path)
    async with asyncio.timeout(120):
        async with door.client.ws_connect(f"{door.url}{path}?after={seen[0]['seq']}") as ws:
            assert [await ws.receive_json(), await ws.receive_json()] == seen[1:]
        async with door.client.ws_connect(f"{door.url}{path}?after={seen[-1]['seq']}") as ws:
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
)
async def test_strangers_are_refused_before_the_handshake(stream, headers, status):
    """The rules of every request hold: foreign pages, opaque origins and rebound names get no
    connection; a page of our own does."""
    door, _, path = stream
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await door.client.ws_connect(door.url + path, headers=headers)
    assert refused.value.status == status
    async with door.client.ws_connect(door.url + path, headers={"Origin": door.url}):
        pass


async def test_bad_numbers_are_refused(stream):
    """A query that breaks a rule is a problem, not a connection."""
    door, _, path = stream
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await door.client.ws_connect(f"{door.url}{path}?after=-1")
    assert refused.value.status == 422


async def test_a_client_that_never_reads_is_cut_off(stream, monkeypatch):
    """Its connection is closed after its time; a diligent one misses nothing, and nothing of the
    lazy one is left."""
    monkeypatch.setattr(event_socket, "STALLED_S", 2.0)
    door, job, path = stream
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.setblocking(False)
    loop = asyncio.get_running_loop()
    key = base64.b64encode(os.urandom(16)).decode()
    with contextlib.closing(lazy):
        await loop.sock_connect(lazy, ("127.0.0.1", int(door.url.rpartition(":")[2])))
        await loop.sock_sendall(lazy, HANDSHAKE.format(path=path, key=key).encode())
        async with asyncio.timeout(120), door.client.ws_connect(door.url + path) as diligent:
            followers = door.app[EVENTS]._followers._followers
            while len(followers.get(job.id, ())) < 2:
                await asyncio.sleep(0.01)
            for n in range(100):  # 9 MB, more than the system buffers for a socket
                door.app[EVENTS].publish(job.id, "log", {"message": f"{n} " + "x" * 90_000})
                assert (await diligent.receive_json())["message"].startswith(f"{n} ")
            while len(followers[job.id]) > 1:
                await asyncio.sleep(0.01)
    assert (await door.ask("GET", "/healthz")).status == 200


async def test_a_client_may_talk_and_leave(stream):
    """What it says is not listened to; when it closes, it is forgotten; too much ends it."""
    door, job, path = stream
    followers = door.app[EVENTS]._followers._followers
    async with asyncio.timeout(120):
        async with door.client.ws_connect(door.url + path) as ws:
            await ws.send_str("hello")
            await ws.send_bytes(b"\x00" * 100)
            door.app[EVENTS].publish(job.id, "log", {"message": "still here"})
            assert (await ws.receive_json())["message"] == "still here"
        async with door.client.ws_connect(door.url + path) as ws:
            await ws.send_bytes(b"\x00" * (event_socket.MESSAGE_BYTES + 1))
            while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert ws.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        while job.id in followers:
            await asyncio.sleep(0.01)


async def test_a_socket_ends_with_the_service(stream):
    """A stop closes it in good order; the client may resume later."""
    door, job, path = stream
    async with asyncio.timeout(120), door.client.ws_connect(door.url + path) as ws:
        door.app[EVENTS].publish(job.id, "log", {"message": "hello"})
        await ws.receive_json()
        await door.app.shutdown()
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
