"""Events over a WebSocket: the same events as server-sent ones, each as one JSON text.

Knows: the handshake, pings, and that a client may leave, talk, or never read.
Does not know: how events are numbered and kept, and which there are (``handlers.events``).

Who may connect is decided before (``handlers.access``): Host, Origin and key as for any request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.services.event import Event

PING_S: Final = 15.0
STALLED_S: Final = 20.0
"""A client that takes nothing for so long is cut off; it may come back with its last number."""

CLOSE_S: Final = 5.0
MESSAGE_BYTES: Final = 4096
"""Nothing is expected of a client; a larger message ends the connection."""


def is_asked_for(request: web.Request) -> bool:
    """Whether the request wants to become a WebSocket."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


async def forward(
    request: web.Request,
    events: AsyncGenerator[Event | None],
    shape: Callable[[Event], dict[str, Any]],
) -> web.WebSocketResponse:
    """Send *events* until they end, then close. What the client says is not listened to; when it
    closes, or does not take what it is sent, that is the end."""
    socket = web.WebSocketResponse(
        heartbeat=PING_S, timeout=CLOSE_S, max_msg_size=MESSAGE_BYTES, compress=False
    )
    await socket.prepare(request)
    sending = asyncio.create_task(_send(socket, events, shape))
    listening = asyncio.create_task(_listen(socket))
    try:
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and sending.exception() is not None:
            if request.transport is not None:
                request.transport.abort()  # whoever did not read would not read a farewell
            if not isinstance(sending.exception(), ConnectionError | TimeoutError):
                sending.result()
        elif sending.done():
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await socket.close(code=WSCloseCode.OK, message=b"the end")
    finally:
        for task in (sending, listening):
            task.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)
    return socket


async def _send(
    socket: web.WebSocketResponse,
    events: AsyncGenerator[Event | None],
    shape: Callable[[Event], dict[str, Any]],
) -> None:
    async with aclosing(events):
        async for event in events:
            if event is None:  # the socket pings by itself
                continue
            async with asyncio.timeout(STALLED_S):
                await socket.send_str(json.dumps(shape(event), allow_nan=False))


async def _listen(socket: web.WebSocketResponse) -> None:
    """Return when the client has closed, or is gone."""
    with suppress(ConnectionError):
        while True:
            message = await socket.receive()
            if message.type in (
                *(WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR),
            ):
                return
