"""The API keys that the service accepts, each with a name.

Knows: the keys as SHA-256; the keys themselves are never kept.
Does not know: how a caller shows a key (``handlers.access``), or what a session is (``sessions``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Final

_KEY: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*):([0-9a-fA-F]{64})")


class ApiKeys:
    """Keys written ``name:sha256``. Raises ``ValueError`` for one that is not."""

    def __init__(self, written: Iterable[str]) -> None:
        self._keys = [_parsed(text) for text in written]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Each key's name and its SHA-256, 32 bytes."""
        return iter(self._keys)

    def find(self, key: str) -> tuple[str, bytes] | None:
        """The name and the SHA-256 of *key*, if it is one of them. Every one is compared each time,
        in constant time."""
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for each in self._keys:
            if hmac.compare_digest(digest, each[1]):
                found = each
        return found


def _parsed(text: str) -> tuple[str, bytes]:
    match = _KEY.fullmatch(text)
    if match is None:
        raise ValueError("KINO_API_KEYS: each key is written 'name:sha256', 64 hex digits")
    return match[1], bytes.fromhex(match[2])
