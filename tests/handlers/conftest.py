"""The doors without the services behind them: an application that listens on a free port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from backend import app as kino
from backend.config import Settings
from backend.handlers import listening
from backend.handlers.keys import EVENTS, JOBS
from backend.services.identifiers import job_id

DEADLINE_S = 300.0


@dataclass
class Raw:
    """What came back on a plain socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Door:
    """An application that really listens, and a client for it."""

    app: web.Application
    url: str
    client: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> Raw:
        async with self.client.request(method, self.url + path, **more) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Raw(answer.status, headers, await answer.read())

    async def raw(self, request: bytes) -> Raw:
        """Send bytes as they are; read the first answer (an interim one counts)."""
        port = int(self.url.rpartition(":")[2])
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                pairs = (line.partition(":") for line in lines if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
            finally:
                writer.close()
        return Raw(int(first.split()[1]), headers, body)


Opener = Callable[..., Coroutine[Any, Any, Door]]


@pytest.fixture
async def open_door(tmp_path: Path) -> AsyncIterator[Opener]:
    """``await open_door(**settings)``: no services unless *parts* are given; closed at the end."""
    closing: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def open_one(parts: Sequence[kino.Part] = (), **settings: Any) -> Door:
        settings = {"port": 0, "data_dir": tmp_path, **settings}
        app = kino.create(Settings(_env_file=None, **settings), parts)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        sockets = listening.bind(Settings(_env_file=None, port=0))
        servers = await listening.listen(runner, sockets)
        client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S))

        async def close() -> None:
            await client.close()
            for server in servers:
                server.close()
            await runner.cleanup()
            for each in sockets:
                each.close()

        closing.append(close)
        return Door(app, listening.address(sockets[0]), client)

    yield open_one
    for close in closing:
        await close()


@pytest.fixture
async def door(open_door: Opener) -> Door:
    return await open_door()


@dataclass
class OneJob:
    """Stands in for the jobs: there is one, and it runs."""

    id: str
    has_ended: bool = False

    def get(self, _id: str) -> OneJob:
        return self


@pytest.fixture
async def open_stream(open_door: Opener):
    """``await open_stream(parts, **settings)``: a door with real events, further *parts* and one
    running job: (door, the job, its path)."""

    async def open_one(parts: Sequence[kino.Part] = (), **settings: Any):
        job = OneJob(job_id())

        async def jobs(app: web.Application) -> AsyncIterator[None]:
            stand_in: Any = job
            app[JOBS] = stand_in
            await app[EVENTS]._ledger.write(
                (
                    "INSERT INTO job (id, operation, version, params, inputs, metadata, capability,"
                    " priority, state, max_attempts, timeout_s, created)"
                    " VALUES (?, 'a.b', 1, '{}', '[]', '{}', 'cpu', 0, 'running', 2, 60, 0)",
                    (job.id,),
                )
            )
            yield

        door = await open_door(parts=(kino._ledger, kino._events, jobs, *parts), **settings)
        return door, job, f"/v1/jobs/{job.id}/events"

    return open_one


@pytest.fixture
async def stream(open_stream: Opener):
    """A door with real events and one running job: (door, the job, its path)."""
    return await open_stream()
