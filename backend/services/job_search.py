"""Finding jobs in the ledger: pages with filters, and a job's place in the queue.

Knows: the SQL of filters and cursors.
Does not know: what a caller may see or do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backend.errors import refused
from backend.services import identifiers
from backend.services.ledger import Ledger, Row


def newest(
    ledger: Ledger,
    equal: Mapping[str, Any],
    metadata: Mapping[str, Any],
    cursor: str | None,
    limit: int,
) -> list[Row]:
    """Rows of jobs that fit all filters, newest first, from behind *cursor*.

    *equal* maps columns (the caller's own words, never a client's) to values, ``None`` for any;
    *metadata* maps keys to JSON values. Raises `InvalidParameters` for a cursor of no page.
    """
    where, args = _fitting(equal, metadata)
    if cursor is not None:
        if not identifiers.JOB_ID.fullmatch(cursor):
            raise refused("/query/cursor", "cursor", "a cursor is the next_cursor of a page")
        where.append("id < ?")
        args.append(cursor)
    sql = f"SELECT * FROM job WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?"
    return ledger.read(sql, *args, limit)


def live(ledger: Ledger, equal: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """Ids of jobs that have not ended and fit all filters of `newest`."""
    where, args = _fitting(equal, metadata)
    where.append("state IN ('queued', 'running')")
    rows = ledger.read(f"SELECT id FROM job WHERE {' AND '.join(where)}", *args)
    return [row["id"] for row in rows]


def _fitting(equal: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """The conditions of filters, and what is bound to them."""
    where, args = ["1"], list[Any]()
    for column, value in equal.items():
        if value is not None:
            where.append(f"{column} = ?")
            args.append(value)
    for key, value in metadata.items():
        # not by a path: no quoting of it takes every key
        where.append(
            "EXISTS (SELECT 1 FROM json_each(metadata) AS pair"
            " WHERE pair.key = ? AND pair.value IS json_extract(?, '$'))"
        )
        args += [key, json.dumps(value)]
    return where, args


def ahead(ledger: Ledger, row: Row, ageing_s: float) -> int:
    """How many queued jobs of the same capability come before this one, when a point of priority
    is worth *ageing_s* of waiting."""
    rank = "coalesce(queued, created) - priority * ?"
    since = row["created"] if row["queued"] is None else row["queued"]
    own = since - row["priority"] * ageing_s
    return int(
        ledger.read(
            "SELECT count(*) AS n FROM job WHERE state = 'queued' AND capability = ?"
            f" AND leader IS NULL AND id != ? AND ({rank} < ? OR ({rank} = ? AND id < ?))",
            *(row["capability"], row["id"], ageing_s, own, ageing_s, own, row["id"]),
        )[0]["n"]
    )
