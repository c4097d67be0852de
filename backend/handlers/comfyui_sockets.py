"""WebSockets of stock clients: each stays open while the worker behind it comes and goes.

Knows: clients by their ``clientId``, their bounded buffers, and the connection to ComfyUI's server
that each id has.
Does not know: what the messages say, but for those that the service itself sends.

Of several clients with one id the newest is heard and spoken to, as with ComfyUI; when it leaves,
the one before it is again. A client that does not read is dropped when its buffer is full; one
that reads may be behind for a while, as after a batch of large pictures. One whose network is gone
is found out by pings.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import WSMsgType, web

from backend.errors import KinoError, refused
from backend.handlers.comfyui_upstream import Upstream

BUFFER_BYTES: Final = 8 * 2**20
"""So much may wait for a client that takes nothing for `SLOW_S`."""

MOST_BYTES: Final = 128 * 2**20
SLOW_S: Final = 10.0
BUFFER_MESSAGES: Final = 10_000
PING_S: Final = 120.0
"""After such silence a client is asked whether it is there, and has half as long to answer, which
a library does while it reads: a program may be busy with something else for a while."""

_LONGEST_ID: Final = 200
_LARGEST_SAID: Final = 2**20
_MOST_SAID: Final = 64
_PAUSE_S: Final = 0.1
_PLACE_S: Final = 30.0
_CLOSE_S: Final = 2.0
_LEFT_S: Final = 60.0
"""So long ComfyUI's server may take to say that a connection is over. With it it forgets the id,
whose next connection would never hear a word, had it been made before."""

_log = structlog.get_logger("kino.comfyui")


class Client:
    """One connection of a client."""

    def __init__(self, abort: Callable[[], None]) -> None:
        self.first: str | None = None
        self.spoke = asyncio.Event()
        self.placed = asyncio.Event()
        self.said: asyncio.Queue[str] = asyncio.Queue(_MOST_SAID)
        self._abort = abort
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._bell = asyncio.Event()
        self._taken = 0
        self._watch: asyncio.TimerHandle | None = None

    def hear(self, text: str) -> None:
        """Something that the client said; the first is said again to each new worker."""
        if self.first is None:
            self.first = text
            self.spoke.set()
        elif not self.said.full():
            self.said.put_nowait(text)

    def give(self, message: str | bytes) -> None:
        """Put a message into the buffer; drop the client if that is full and not read."""
        if self._size + len(message) > MOST_BYTES or len(self._waiting) >= BUFFER_MESSAGES:
            self._abort()
            return
        self._size += len(message)
        self._waiting.append(message)
        self._bell.set()
        if self._watch is None:
            self._look_later()

    def _look_later(self) -> None:
        self._watch = None
        if self._size > BUFFER_BYTES:
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(SLOW_S, self._look, self._taken)

    def _look(self, taken: int) -> None:
        if self._size > BUFFER_BYTES and self._taken == taken:
            self._abort()
        else:
            self._look_later()

    async def write_to(self, ws: web.WebSocketResponse) -> None:
        """Send what is given, for ever."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._waiting:
                message = self._waiting.popleft()
                if isinstance(message, str):
                    await ws.send_str(message)
                else:
                    await ws.send_bytes(message)
                self._size -= len(message)
                self._taken += 1


class Session:
    """All connections with one id, and theirs to ComfyUI's server."""

    def __init__(
        self,
        sid: str,
        upstream: Upstream,
        status: Callable[[], dict[str, Any]],
        on_end: Callable[[], None],
    ) -> None:
        self.sid = sid
        self.clients: list[Client] = []
        self._upstream = upstream
        self._status = status
        self._on_end = on_end
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name="stock client")

    def join(self, client: Client) -> None:
        self.clients.append(client)
        self._changed.set()

    def leave(self, client: Client) -> None:
        was_heard = client is self.clients[-1]
        self.clients.remove(client)
        if was_heard:  # the connection of the one that is heard is left alone
            self._changed.set()

    def tell(self, message: str) -> None:
        """Say something of our own to whoever is heard now."""
        if self.clients:
            self.clients[-1].give(message)

    async def _run(self) -> None:
        """Until nobody is left, and ComfyUI's server has let go of the id."""
        greeted: Client | None = None
        try:
            while self.clients:
                self._changed.clear()
                client = self.clients[-1]
                try:
                    async with await self._connect() as ws:
                        greeted = client
                        client.placed.set()
                        await self._carry(client, ws)
                except (KinoError, aiohttp.ClientError, ConnectionError, TimeoutError):
                    if greeted is not client:
                        client.give(message("status", {**self._status(), "sid": self.sid}))
                        client.placed.set()
                        greeted = client
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), _PAUSE_S)
        finally:
            # in one step with the last look at the clients: who comes now gets another session
            self._on_end()

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        session = await self._upstream.session()
        url = self._upstream.url("/ws").with_query(clientId=self.sid)
        patience = aiohttp.ClientWSTimeout(ws_close=_LEFT_S)
        return await session.ws_connect(url, max_msg_size=0, timeout=patience)

    async def _carry(self, client: Client, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Until the worker goes, or another client is the newest."""
        hearing = asyncio.create_task(_hear(ws, client))
        others = asyncio.create_task(_say(client, ws)), asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait((hearing, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in others:
                task.cancel()
            await ws.close()  # whose receiving is cancelled waits for no answer to its goodbye
            await asyncio.gather(hearing, *others, return_exceptions=True)


async def _hear(ws: aiohttp.ClientWebSocketResponse, client: Client) -> None:
    async for said in ws:
        if said.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            client.give(said.data)


async def _say(client: Client, ws: aiohttp.ClientWebSocketResponse) -> None:
    """ComfyUI reads the first message of a connection as the client's features."""
    await client.spoke.wait()
    await ws.send_str(client.first or "")
    while True:
        await ws.send_str(await client.said.get())


def message(kind: str, data: dict[str, Any]) -> str:
    """A message as ComfyUI's server writes it."""
    return json.dumps({"type": kind, "data": data})


class Sockets:
    """All stock clients of the service."""

    def __init__(self, upstream: Upstream, remaining: Callable[[], int]) -> None:
        self._upstream = upstream
        self._remaining = remaining
        self._sessions: dict[str, Session] = {}
        self._open: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """``GET /ws``: until the client leaves, or the service stops."""
        sid = _client_id(request)
        ws = web.WebSocketResponse(max_msg_size=_LARGEST_SAID, heartbeat=PING_S)
        if not ws.can_prepare(request).ok:
            raise refused("/upgrade", "websocket", "this path is a WebSocket")
        client = Client(lambda: _drop(request))
        session = self._sessions.get(sid)
        if session is None:
            end = partial(self._sessions.__delitem__, sid)
            session = self._sessions[sid] = Session(sid, self._upstream, self.status, end)
        session.join(client)
        try:
            # a client that is let in may count on hearing of whatever it posts next
            with suppress(TimeoutError):
                await asyncio.wait_for(client.placed.wait(), _PLACE_S)
            await ws.prepare(request)
            await self._converse(client, ws)
        finally:
            session.leave(client)
        return ws

    async def _converse(self, client: Client, ws: web.WebSocketResponse) -> None:
        self._open.add(ws)
        writing = asyncio.create_task(client.write_to(ws))
        try:
            async for said in ws:
                if said.type == WSMsgType.TEXT:
                    client.hear(said.data)
        finally:
            self._open.discard(ws)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """What ComfyUI's ``get_queue_info`` gives, in the message ``status``."""
        return {"status": {"exec_info": {"queue_remaining": self._remaining()}}}

    def tell(self, client_id: str | None, kind: str, data: dict[str, Any]) -> None:
        """Say something to one client, if it is there."""
        session = self._sessions.get(client_id or "")
        if session is not None:
            session.tell(message(kind, data))

    def has(self, client_id: str) -> bool:
        """Whether a client of this id is there."""
        session = self._sessions.get(client_id)
        return session is not None and bool(session.clients)

    def changed(self) -> None:
        """The queue changed while there is no worker that would say so."""
        told = message("status", self.status())
        for session in self._sessions.values():
            session.tell(told)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        for ws in list(self._open):
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await ws.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        tasks = [session.task for session in self._sessions.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _drop(request: web.Request) -> None:
    if request.transport is not None and not request.transport.is_closing():
        _log.warning("a client does not read its WebSocket", bytes=BUFFER_BYTES)
        request.transport.abort()


def _client_id(request: web.Request) -> str:
    given = request.query.get("clientId", "")
    if len(given) > _LONGEST_ID or not (given.isprintable() or not given):
        raise refused("/clientId", "length", f"clientId has at most {_LONGEST_ID} characters")
    return given or uuid.uuid4().hex
