"""Cancelling many jobs: those of a batch, or all that fit a filter.

Knows: in which order, and how each went.
Does not know: how one job is cancelled (``services.jobs``), HTTP.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from backend.errors import Conflict, UnknownName

if TYPE_CHECKING:
    from backend.services.jobs import Jobs

_AT_ONCE: Final = 16
"""Their changes are committed together."""


async def cancel_all(jobs: Jobs, ids: Sequence[str]) -> dict[str, int]:
    """End these jobs, the newest first: followers go before those whom they follow, so that none
    takes over what is cancelled next.

    Returns how many have been ``cancelled``, are ``stopping`` (they run, and will end within the
    grace) and had ``ended`` by themselves before it was their turn.
    """
    told: Counter[str] = Counter(cancelled=0, stopping=0, ended=0)

    async def cancel(job_id: str) -> None:
        try:
            job = await jobs.cancel(job_id)
        except (Conflict, UnknownName):
            told["ended"] += 1
        else:
            told["cancelled" if job.has_ended else "stopping"] += 1

    newest_first = sorted(ids, reverse=True)
    for start in range(0, len(newest_first), _AT_ONCE):
        await asyncio.gather(*map(cancel, newest_first[start : start + _AT_ONCE]))
    return dict(told)
