"""Events: the numbered log of each job.

Knows: numbering, coalescing of progress, replay from any number, then live. A batch's events are
kept in the same way, under its id.
Does not know: why a job changes state, or how an event reaches a browser.

The numbers of a job's events rise by one. Milestones are written in the very transaction that
changes the job (`milestone`, then `announce` after the commit). What happens in between
(progress, preview, log) is held in memory and written in batches without fsync; after a crash
the numbers leave a gap, so that no number ever means two things.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from backend.errors import KinoError
from backend.services.event import TERMINAL, Event, EventType
from backend.services.followers import Followers
from backend.services.ledger import Ledger, Statement

_COALESCED: Final = ("progress", "preview")
_COALESCE_S: Final = 0.1
_FLUSH_S: Final = 1.0
_LOG_LINES: Final = 1000
_CRASH_GAP: Final = 10 * _LOG_LINES  # more than can be seen before it is written


_log = structlog.get_logger("kino.events")


@dataclass(slots=True)
class _Live:
    """What is kept in memory of a job that is not finished."""

    last: int
    unwritten: list[Event] = field(default_factory=list)
    held: dict[EventType, dict[str, Any]] = field(default_factory=dict)  # not yet numbered
    published: dict[EventType, float] = field(default_factory=dict)  # loop time
    timer: asyncio.TimerHandle | None = None
    progress: dict[str, Any] | None = None
    preview: bytes | None = None
    log_lines: int = 0


class Events:
    """The event log of all jobs. Every method is called on the event loop's thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._live: dict[str, _Live] = {}
        self._followers = Followers()
        self._flusher: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[Event], None]] = []

    async def start(self) -> None:
        """Start to write what is held in memory, once a second."""
        self._flusher = asyncio.create_task(self._flush_forever(), name="events")

    async def stop(self) -> None:
        """Write what is held, end every stream."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
            self._flusher = None
        for live in self._live.values():
            if live.timer is not None:
                live.timer.cancel()
        await self._flush()
        self.release()

    def release(self) -> None:
        """End every stream and every wait, as the service is about to stop."""
        self._followers.drop_all()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call *listener* with every event of every job, as it is published."""
        self._listeners.append(listener)

    # --- milestones -------------------------------------------------------------------------

    def milestone(
        self, job_id: str, type_: EventType, data: dict[str, Any], *, first: bool = False
    ) -> tuple[Event, list[Statement]]:
        """Number an event that changes the job's state (*first*: that makes the job).

        The statements (it, and whatever was held before it) belong into the transaction that
        makes the change; `announce` it after the commit, or `forget` it if there was none.
        """
        live = _Live(0) if first else self._of(job_id)
        self._live[job_id] = live
        self._release(job_id, live)
        event = self._number(job_id, live, type_, data)
        statements = [kept.insert(unless_written=True) for kept in live.unwritten]
        return event, [*statements, event.insert()]

    def announce(self, event: Event) -> None:
        """Tell everybody of a milestone that is committed."""
        live = self._live.get(event.job_id)
        if live is not None:
            live.unwritten = [kept for kept in live.unwritten if kept.seq > event.seq]
            live.progress = live.preview = None
            if event.is_terminal:
                self.drop(event.job_id)
        self._give(event)
        if event.is_terminal:
            self._followers.end(event.job_id)

    def forget(self, event: Event) -> None:
        """Take back the number of a milestone whose transaction did not happen."""
        live = self._live.get(event.job_id)
        if live is not None and live.last == event.seq:
            live.last -= 1
            if not live.last:
                del self._live[event.job_id]

    def resume(self, job_id: str) -> None:
        """After a restart: leave a gap, as numbers may have been seen that were never written."""
        self._of(job_id).last += _CRASH_GAP

    def drop(self, job_id: str) -> None:
        """Keep nothing more of the job in memory."""
        live = self._live.pop(job_id, None)
        if live is not None and live.timer is not None:
            live.timer.cancel()

    # --- in between -------------------------------------------------------------------------

    def publish(self, job_id: str, type_: EventType, data: dict[str, Any]) -> None:
        """Publish progress, a preview or a log line of a running job. Progress and previews are
        coalesced: at most ten a second, and the latest always arrives."""
        live = self._of(job_id)
        if type_ not in _COALESCED:
            live.log_lines += 1
            if live.log_lines <= _LOG_LINES:
                self._release(job_id, live)
                self._keep(job_id, live, type_, data)
            return
        if type_ == "progress":
            live.progress = data
        loop = asyncio.get_running_loop()
        wait = live.published.get(type_, -1.0) + _COALESCE_S - loop.time()
        live.held[type_] = data
        if wait <= 0:
            self._release(job_id, live)
        elif live.timer is None:
            live.timer = loop.call_later(wait, self._release, job_id, live)

    def show(self, job_id: str, jpeg: bytes) -> None:
        """Keep the newest preview of a running job, and publish that there is one."""
        self._of(job_id).preview = jpeg
        data = {"media_type": "image/jpeg", "size": len(jpeg), "href": f"/v1/jobs/{job_id}/preview"}
        self.publish(job_id, "preview", data)

    def progress(self, job_id: str) -> float | None:
        """How much of a running job is done, 0 to 1; ``None`` if it did not say."""
        latest = self.latest_progress(job_id)
        return None if latest is None else latest.get("fraction")

    def latest_progress(self, job_id: str) -> dict[str, Any] | None:
        """The data of a running job's newest event ``progress``, published or held back."""
        live = self._live.get(job_id)
        return None if live is None else live.progress

    def preview(self, job_id: str) -> bytes | None:
        """The newest preview of a running job, a JPEG."""
        live = self._live.get(job_id)
        return None if live is None else live.preview

    def note(self, job_id: str, type_: EventType, data: dict[str, Any]) -> None:
        """Publish something that happened to a job and is written soon, with what comes next."""
        live = self._of(job_id)
        self._release(job_id, live)
        live.progress = live.preview = None
        self._keep(job_id, live, type_, data)

    def is_live(self, job_id: str) -> bool:
        """Whether the job is known not to have ended. A job that is not may live all the same."""
        return job_id in self._live

    # --- reading ----------------------------------------------------------------------------

    def replay(self, job_id: str, after: int = 0) -> list[Event]:
        """All events with a number over *after*, written or not, in order."""
        rows = self._ledger.read(
            "SELECT seq, time, type, data FROM job_event WHERE job_id = ? AND seq > ? ORDER BY seq",
            job_id,
            after,
        )
        found = {
            row["seq"]: Event(job_id, row["seq"], row["type"], row["time"], json.loads(row["data"]))
            for row in rows
        }
        live = self._live.get(job_id)
        for event in live.unwritten if live is not None else ():
            if event.seq > after:
                found.setdefault(event.seq, event)
        return [found[seq] for seq in sorted(found)]

    async def stream(self, job_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Replay, then follow, until the job has ended. Also ends, without a terminal event, for
        a reader that is too slow: it may come back with the last number that it saw."""
        with self._followers.following(job_id) as follower:
            last = after
            replayed = self.replay(job_id, after)
            ended = replayed[-1].is_terminal if replayed else self._is_over(job_id)
            for event in replayed:
                last = event.seq
                yield event
            if ended:
                return
            async for event in follower.events():
                # the end may have got its number before something that was told at once
                if event.seq > last or event.is_terminal:
                    last = max(last, event.seq)
                    yield event
                    if event.is_terminal:
                        return

    async def ended(self, job_id: str, seconds: float) -> None:
        """Return when the job's terminal event is announced, or after *seconds*."""
        await self._followers.ended(job_id, seconds)

    # --- inside -----------------------------------------------------------------------------

    def _is_over(self, job_id: str) -> bool:
        rows = self._ledger.read("SELECT state FROM job WHERE id = ?", job_id)
        if rows:
            return rows[0]["state"] in TERMINAL
        batches = self._ledger.read("SELECT finished FROM batch WHERE id = ?", job_id)
        return not batches or batches[0]["finished"] is not None

    def _of(self, job_id: str) -> _Live:
        live = self._live.get(job_id)
        if live is None:
            rows = self._ledger.read(
                "SELECT max(seq) AS last FROM job_event WHERE job_id = ?", job_id
            )
            live = self._live[job_id] = _Live(rows[0]["last"] or 0)
        return live

    def _number(self, job_id: str, live: _Live, type_: EventType, data: dict[str, Any]) -> Event:
        live.last += 1
        return Event(job_id, live.last, type_, time.time(), data)

    def _keep(self, job_id: str, live: _Live, type_: EventType, data: dict[str, Any]) -> None:
        event = self._number(job_id, live, type_, data)
        live.unwritten.append(event)
        self._give(event)

    def _release(self, job_id: str, live: _Live) -> None:
        """Publish what was held back."""
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        if not live.held:
            return
        now = asyncio.get_running_loop().time()
        for type_, data in live.held.items():
            live.published[type_] = now
            self._keep(job_id, live, type_, data)
        live.held.clear()

    def _give(self, event: Event) -> None:
        self._followers.give(event)
        for listener in self._listeners:
            listener(event)

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                await self._flush()
            except KinoError as error:  # what is held stays held
                _log.error("events cannot be written", error=error.detail)

    async def _flush(self) -> None:
        """Write what is held in memory."""
        events = [event for live in self._live.values() for event in live.unwritten]
        if not events:
            return
        written = {(event.job_id, event.seq) for event in events}
        await self._ledger.write(
            *(event.insert(unless_written=True) for event in events), durable=False
        )
        for live in self._live.values():
            live.unwritten = [e for e in live.unwritten if (e.job_id, e.seq) not in written]
