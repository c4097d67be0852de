"""Sessions: browsers that have shown a key once, and show a token since.

Knows: tokens, how long they are good for, and what is to be cut off when one ends.
Does not know: cookies and pages (``handlers.session``).

A token is 256 random bits. The ledger holds its HMAC under the SHA-256 of the key that it was given
for: what lies there opens nothing and tells nothing of the key, and when a key is removed from the
settings, no token that was given for it is found any more.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time
from typing import Final

from backend.services.api_keys import ApiKeys
from backend.services.ledger import Ledger

LIFE_S: Final = 30 * 24 * 3600
"""A session ends so long after it began."""

MOST: Final = 100
"""Sessions of one key; of more, the oldest ends."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(slots=True, eq=False)
class Session:
    """One browser that is signed in."""

    mark: str
    key_name: str
    created: float
    lasting: set[Callable[[], None]] = field(default_factory=set)

    @property
    def expires(self) -> float:
        """Unix seconds."""
        return self.created + LIFE_S


class Sessions:
    """All sessions of one service; they survive its restart."""

    def __init__(self, ledger: Ledger, keys: ApiKeys) -> None:
        self.ledger = ledger
        self._keys = keys
        self._known: dict[str, Session] = {}

    async def start(self) -> None:
        """Take up the sessions of the time before, in the order in which they began."""
        await self._forget_old()
        rows = self.ledger.read("SELECT mark, key_name, created FROM session ORDER BY created")
        self._known = {row["mark"]: Session(**row) for row in rows}

    async def begin(self, key: str) -> tuple[str, Session] | None:
        """A new session's token, and the session; None if *key* is not one of ours."""
        found = self._keys.find(key)
        if found is None:
            return None
        name, digest = found
        await self._forget_old()
        token = secrets.token_urlsafe(32)
        made = Session(_mark(token, digest), name, time())
        same = [each for each in self._known.values() if each.key_name == name]
        for former in same[: max(0, len(same) + 1 - MOST)]:
            await self.end(former)
        await self.ledger.write(
            (
                "INSERT INTO session (mark, key_name, created) VALUES (?, ?, ?)",
                (made.mark, made.key_name, made.created),
            )
        )
        self._known[made.mark] = made
        return token, made

    def find(self, token: str) -> Session | None:
        """The session of a token, if it has not ended and its key is still accepted."""
        if not _TOKEN.fullmatch(token):
            return None
        for name, digest in self._keys:
            found = self._known.get(_mark(token, digest))
            if found is not None:
                found.key_name = name  # it may be called otherwise since
                return found if time() < found.expires else None
        return None

    async def end(self, session: Session) -> None:
        """End it for good, and cut off what is open in its name."""
        self._known.pop(session.mark, None)
        for cut in list(session.lasting):
            cut()
        await self.ledger.write(("DELETE FROM session WHERE mark = ?", (session.mark,)))

    @contextmanager
    def lasting(self, session: Session, cut: Callable[[], None]) -> Iterator[None]:
        """While something is open that would outlive the session; *cut* ends it."""
        session.lasting.add(cut)
        ends = asyncio.get_running_loop().call_later(session.expires - time(), cut)
        try:
            yield
        finally:
            ends.cancel()
            session.lasting.discard(cut)

    async def _forget_old(self) -> None:
        end = time() - LIFE_S
        self._known = {mark: each for mark, each in self._known.items() if each.created > end}
        await self.ledger.write(("DELETE FROM session WHERE created <= ?", (end,)), durable=False)


def _mark(token: str, key_digest: bytes) -> str:
    return hmac.digest(key_digest, token.encode(), "sha256").hex()
