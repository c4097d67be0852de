"""A job from its submit to its end, as one command sees it.

Knows: Ctrl-C, lost connections, and the deadline of the wait.
Does not know: parameters, and what is done with the result.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from backend.cli.client import ANSWER_S
from backend.cli.display import note
from backend.cli.failure import Failure, Unreachable, from_problem

if TYPE_CHECKING:
    from backend.cli.client import Client
    from backend.cli.progress import Bar

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
RECONNECT_S: Final = 60.0
"""A service that is gone for so long, while a job is followed, is given up."""

CANCEL_S: Final = 45.0
"""Longest wait for a cancelled job's end; a worker that does not listen is killed before."""

PAUSE_S: Final = 0.25
NO_HEADERS: Final[Mapping[str, str]] = {}
Job = dict[str, Any]
"""A job, or a batch: both have ``id``, ``operation``, ``state`` and ``links``."""


def submit(
    client: Client, path: str, body: dict[str, Any], headers: Mapping[str, str] = NO_HEADERS
) -> Job:
    """Make a job, or a batch. If the connection breaks, it is asked for again, and still made only
    once."""
    headers = {"Idempotency-Key": f"kino-cli-{uuid.uuid4()}", **headers}
    try:
        job: Job = client.post(path, body, headers)
    except Unreachable:
        job = client.post(path, body, headers)
    return job


def submit_and_follow(
    client: Client,
    path: str,
    body: dict[str, Any],
    bar: Bar,
    seconds: float,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Job:
    """Make a job, or a batch; return it when it has ended.

    Ctrl-C cancels it, waits for its end, and then raises ``KeyboardInterrupt`` as usual.
    """
    job: Job | None = None
    try:
        with _interrupts_held():
            job = submit(client, path, body, headers)
        return follow(client, job, bar, seconds)
    except KeyboardInterrupt:
        if job is not None:
            _cancel(client, job)
        raise


def follow(client: Client, job: Job, bar: Bar, seconds: float) -> Job:
    """Show the events of a job, or a batch, until it has ended; return it as it is then.

    Raises `Failure` when *seconds* are over (the job goes on), `Unreachable` if the service stays
    away.
    """
    end = time.monotonic() + seconds
    path, after, lost = job["links"]["self"], 0, None
    kind = "batches" if job["id"].startswith("bat_") else "jobs"
    while True:
        try:
            after = _listen(client, path, after, end, lambda e: bar.event(job["operation"], e))
            now: Job = client.get(path)
            if now["state"] in ENDED:
                return now
            lost = None
        except Unreachable as failure:
            lost = lost or time.monotonic()
            if time.monotonic() > min(lost + RECONNECT_S, end):
                raise Unreachable(
                    failure.sentence, f"It is kept: see `kino {kind} wait {job['id']}`."
                ) from failure
        if time.monotonic() > end:
            raise Failure(
                f"{job['id']} has not ended within {seconds:g} s and goes on",
                f"See `kino {kind} wait {job['id']}`, or cancel it:"
                f" `kino {kind} cancel {job['id']}`.",
            )
        time.sleep(PAUSE_S)


def _listen(
    client: Client, path: str, after: int, end: float, show: Callable[[dict[str, Any]], None]
) -> int:
    """Show events until their stream ends or the time is over; the last number seen."""
    patience = max(min(end - time.monotonic(), ANSWER_S), 0.1)
    with contextlib.suppress(Unreachable) if patience < ANSWER_S else contextlib.nullcontext():
        for event in client.events(f"{path}/events", after, patience):
            if event is not None:
                after = event["seq"]
                show(event)
            if time.monotonic() > end:
                break
    return after


def require_success(job: Job, *, shown: bool) -> None:
    """Raises `Failure` with its problem if an ended job did not succeed; *shown* says that the job
    was printed as JSON."""
    if job["state"] == "succeeded":
        return
    again = f"Run it again: `kino jobs retry {job['id']}`."
    failure = Failure(f"{job['id']} was cancelled", again)
    if job["state"] == "failed":
        failure = from_problem(job["error"] or {"detail": "the job failed", "remedy": again})
        failure.sentence = f"{job['id']}: {failure.sentence}"
    failure.shown = shown
    raise failure


def _cancel(client: Client, job: Job) -> None:
    job_id, links = job["id"], job["links"]
    note(f"\nkino: cancelling {job_id} …")
    end = time.monotonic() + CANCEL_S
    job = client.ask("POST", links["cancel"])
    while job["state"] not in ENDED and time.monotonic() < end:
        time.sleep(PAUSE_S)
        job = client.get(links["self"])
    note(f"kino: {job_id} {'is being cancelled' if job['state'] not in ENDED else job['state']}")


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, so that a job that was made has a known id.

    A second one does not wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def press(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
