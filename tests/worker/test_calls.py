"""Host calls, from the worker's side and the API process's, over a real pair of sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.errors import (
    DeadlineExceeded,
    InvalidParameters,
    OperationFailed,
    UnknownName,
    refused,
)
from backend.services.frames import Frames
from backend.services.host_calls import HostCalls
from backend.worker import calls
from backend.worker.calls import Calls
from backend.worker.outbox import Outbox


class Pair:
    """A worker's calls, and the API process that answers them."""

    def __init__(self, calls: Calls, host: HostCalls, frames: Frames) -> None:
        self.calls = calls
        self.host = host
        self.frames = frames

    async def ask(self, name: str, data: dict | None = None, **more: Any):
        return await asyncio.to_thread(lambda: self.calls.call(name, data or {}, **more))


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    outbox = Outbox(theirs)
    calls, host = Calls(outbox), HostCalls()
    ours.setblocking(False)
    frames = await Frames.over(ours, lambda message, _: host.take("comfy", message, frames.send))
    stopping = threading.Event()

    def read() -> None:
        while not stopping.is_set():
            message, _ = outbox.receive()
            if message["t"] == "answer":
                calls.answered(message)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield Pair(calls, host, frames)
    stopping.set()
    frames.send({"t": "end"})
    await asyncio.to_thread(reader.join, 5)
    await host.stop()
    frames.close()
    theirs.close()


async def test_a_call_is_answered(pair):
    """The value comes back, and the offering side knows which worker asked."""

    async def double(worker, data):
        return [worker, data["n"] * 2]

    pair.host.offer("double", double)
    assert await pair.ask("double", {"n": 21}) == ["comfy", 42]


async def test_an_error_travels(pair):
    """The worker raises the very class, with pointers; an unknown name is said."""

    async def refuse(worker, data):
        raise refused("/n", "range", "n is too large")

    pair.host.offer("refuse", refuse)
    with pytest.raises(InvalidParameters) as caught:
        await pair.ask("refuse")
    assert caught.value.errors[0].pointer == "/n"
    with pytest.raises(UnknownName):
        await pair.ask("nobody")


async def test_what_is_not_ours_is_an_incident(pair):
    """An unexpected exception, and an answer that JSON cannot hold, end the call, not the host."""

    async def fail(worker, data):
        raise RuntimeError("secret")

    async def infinite(worker, data):
        return float("inf")

    pair.host.offer("fail", fail)
    pair.host.offer("infinite", infinite)
    for name in ("fail", "infinite"):
        with pytest.raises(OperationFailed) as caught:
            await pair.ask(name)
        assert "secret" not in caught.value.detail


async def test_every_call_has_a_deadline(pair, monkeypatch):
    """The host gives up, and so does a worker whose host says nothing."""

    async def sleep(worker, data):
        await asyncio.Event().wait()

    pair.host.offer("sleep", sleep)
    with pytest.raises(DeadlineExceeded):
        await pair.ask("sleep", deadline_s=0.05)
    pair.host.take = lambda *told: None
    monkeypatch.setattr(calls, "_ON_THE_WAY_S", 0.05)
    with pytest.raises(DeadlineExceeded):
        await pair.ask("sleep", deadline_s=0.05)


async def test_the_answer_is_seen_before_what_was_sent_after_it(pair):
    """``seen`` runs on the thread that reads, so that a later message cannot overtake it."""
    order: list[str] = []

    async def give(worker, data):
        return 1

    pair.host.offer("give", give)
    here = threading.get_ident()
    threads: list[int] = []

    def seen(value: object) -> None:
        order.append("seen")
        threads.append(threading.get_ident())

    await pair.ask("give", seen=seen)
    order.append("returned")
    assert order == ["seen", "returned"]
    assert here not in threads
