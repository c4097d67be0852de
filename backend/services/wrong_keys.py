"""Patience with wrong keys: the more of them a client has shown, the later the next is answered.

Knows: how many each client has shown of late, and how many of its answers wait.
Does not know: keys. The right one is never late, whoever guesses beside it from the same address.
"""

from __future__ import annotations

import time
from asyncio import sleep
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final

from backend.errors import RequestRefused

FREE: Final = 3
"""Wrong keys that are answered at once: people mistype."""

LONGEST_S: Final = 8.0
MOST_WAITING: Final = 8
"""Answers to one client that may wait at the same time."""

FORGOTTEN_S: Final = 900.0
_CLIENTS: Final = 4096
_DOUBLINGS: Final = 16


@dataclass(slots=True)
class _Client:
    wrong: int = 0
    waiting: int = 0
    last: float = 0.0


class WrongKeys:
    """What is known of clients by their addresses; the one that was seen longest ago is forgotten
    when there are too many."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    async def wait(self, address: str | None) -> None:
        """Return when a wrong key from *address* may be answered.

        Raises `RequestRefused` 429 if too many of its answers wait already.
        """
        client = self._seen(_network(address or ""))
        if client.waiting >= MOST_WAITING:
            raise RequestRefused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too many wrong keys came from this address",
                remedy="Wait a moment, then try again.",
                extra={"retry_after_s": int(LONGEST_S)},
            )
        client.wrong += 1
        if client.wrong <= FREE:
            return
        client.waiting += 1
        try:
            await sleep(_wait_s(client.wrong - FREE))
        finally:
            client.waiting -= 1

    def _seen(self, network: str) -> _Client:
        now = time.monotonic()
        client = self._clients.pop(network, None)
        if client is None or (now - client.last > FORGOTTEN_S and not client.waiting):
            client = _Client()
        client.last = now
        self._clients[network] = client
        if len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)
        return client


def _wait_s(late: int) -> float:
    """1, 2, 4 … seconds; the power alone would be no number any more after a thousand."""
    return min(2.0 ** min(late - 1, _DOUBLINGS), LONGEST_S)


def _network(address: str) -> str:
    """One client: an address, or of IPv6 the /64 that a household or a machine is given."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(int(found) >> 64) if isinstance(found, IPv6Address) else str(found)
