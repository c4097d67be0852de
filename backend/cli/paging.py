"""Lists that come in pages.

Knows: cursors.
Does not know: what is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from backend.cli.client import Client

PAGE: Final = 200
"""Most items that the service gives at once."""


def pages(client: Client, path: str, limit: int, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first *limit* items of the list at *path*."""
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = client.get(path, limit=min(limit - len(found), PAGE), cursor=cursor, **asked)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return found
