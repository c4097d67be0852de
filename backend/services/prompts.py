"""Prompts: what stock clients post to ComfyUI's own API, as jobs of this service.

Knows: how a prompt becomes a job, ComfyUI's order among prompts, and when one has ended.
Does not know: HTTP, ComfyUI's server (it asks by host calls), how lists look (`prompt_lists`).

A prompt is accepted when it is in the ledger, so it outlives the process that read it, and the
one that runs it. Secrets in its ``extra_data`` are held in memory only.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from backend.errors import Conflict, UnknownName, refused
from backend.services import identifiers, results
from backend.services.event import Event
from backend.services.job import Job
from backend.services.prompt_assets import resolved
from backend.services.prompt_lists import FRAME_BYTES, PromptLists
from backend.services.transitions import Transitions
from backend.services.workflow_operation import RUN

if TYPE_CHECKING:
    from collections.abc import Set

    from backend.config import Settings
    from backend.services.assets import Assets
    from backend.services.events import Events
    from backend.services.host_calls import HostCalls
    from backend.services.jobs import Jobs
    from backend.services.ledger import Ledger
    from backend.services.registry import Registry
    from backend.services.runner import Runner

OPERATION: Final = "comfyui.prompt"
"""What the jobs of prompts are called. No plugin declares it: its door is ComfyUI's own."""

LONGEST_S: Final = 86_400.0
Told = Callable[[str | None, str, dict[str, Any]], None]
"""Gets a client's id, and a message's type and data, as ComfyUI's server would send it."""


class Prompts:
    """All prompts of the service."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        events: Events,
        registry: Registry,
        assets: Assets,
        jobs: Jobs,
        runner: Runner,
    ) -> None:
        self._attempts = settings.limits.job_attempts
        self._ledger = ledger
        self._registry = registry
        self._assets = assets
        self._jobs = jobs
        self._runner = runner
        self._transitions = Transitions(ledger, events)
        self._secrets: dict[str, dict[str, Any]] = {}
        self._recording: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lists = PromptLists(ledger, runner)
        self._live = self.lists.live()
        self.on_change: list[Callable[[int], None]] = []
        """Called with how many prompts wait or run, when that changed here and not in a worker."""
        self.listens: Callable[[str], bool] = lambda client_id: False
        """Says whether a client of this id is there."""
        self.on_end: list[Told] = []
        """Called when a prompt has ended without the worker that would have said so."""
        events.listen(self._heard)
        registry.adopt(OPERATION, RUN)

    def offer(self, calls: HostCalls) -> None:
        """Let workers ask what ComfyUI's server asks of its queue."""
        offered: dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]] = {
            "prompt.begin": self._begin,
            "prompt.put": self.put,
            "prompt.queue": self._queue,
            "prompt.history": self._history,
            "prompt.interrupt": lambda data: self.interrupt(data["prompt_id"]),
            "prompt.delete": lambda data: self.delete_waiting(data["prompt_ids"]),
            "prompt.forget": lambda data: self.forget(data["prompt_ids"]),
        }
        for name, answer in offered.items():
            calls.offer(name, partial(_unnamed, answer))
        calls.offer("prompt.done", self._done)

    # --- one prompt -------------------------------------------------------------------------

    async def put(self, data: Mapping[str, Any]) -> dict[str, int]:
        """Keep a prompt that ComfyUI has validated; returns how many remain, after the commit.

        Raises `QueueFull`, `StorageFull`, and `InvalidParameters` for an asset that is not there.
        """
        prompt, inputs = resolved(data["prompt"], self._registry, self._assets.resolver())
        extra = data["extra_data"] or {}
        params = {key: data[key] for key in ("number", "prompt_id", "extra_data", "outputs")}
        job = Job(
            id=identifiers.job_id(),
            operation=OPERATION,
            version=1,
            params={**params, "prompt": prompt},
            inputs=inputs,
            metadata={},
            capability="comfy",
            priority=0,
            max_attempts=self._attempts,
            timeout_s=LONGEST_S,
            created=time.time(),
        )
        client = extra.get("client_id")
        insert = "INSERT INTO prompt (job_id, prompt_id, number, client_id) VALUES (?, ?, ?, ?)"
        values = (
            job.id,
            data["prompt_id"],
            data["number"],
            None if client is None else str(client),
        )
        await self._jobs.admit(job, [(insert, values)])
        if data.get("sensitive"):
            self._secrets[job.id] = dict(data["sensitive"])
        # after the answer, so that the worker hears of the prompt before it is given it
        self._soon(self._jobs.enqueue(job))
        return {"remaining": self.lists.remaining()}

    def prepare(self, job: Job) -> Job:
        """As what a prompt's job is given to its worker."""
        if job.operation != OPERATION:
            return job
        client_id = str((job.params["extra_data"] or {}).get("client_id", ""))
        more = {
            "sensitive": self._secrets.get(job.id, {}),
            # after a restart of the worker its clients come back at the same time as its prompts
            "awaits_client": self.listens(client_id),
        }
        return replace(job, params={**job.params, **more})

    def choose(self, job_id: str) -> str:
        """The prompt that goes first where it is the turn of any; another job is as it is."""
        return self.lists.first_instead_of(job_id) if job_id in self._live else job_id

    async def interrupt(self, prompt_id: str | None) -> bool:
        """End the prompt that runs, if it is this one (``None``: whichever); whether one was."""
        found = [each for each in self.lists.running() if prompt_id in (None, each.prompt_id)]
        await self._each(self._jobs.cancel, (each.job_id for each in found))
        return bool(found)

    # --- many -------------------------------------------------------------------------------

    async def delete_waiting(self, prompt_ids: Iterable[str] | None) -> bool:
        """Take prompts that wait out of the queue (``None``: all); whether there was one."""
        wanted = None if prompt_ids is None else _ids(prompt_ids)
        found = [
            each.job_id
            for each in self.lists.waiting()
            if wanted is None or each.prompt_id in wanted
        ]
        await self._each(self._jobs.cancel, found)
        return bool(found)

    async def forget(self, prompt_ids: Iterable[str] | None) -> None:
        """Delete prompts that have ended (``None``: all), and with them their jobs."""
        wanted = None if prompt_ids is None else _ids(prompt_ids)
        await self._each(self._jobs.delete, self.lists.ended(wanted))

    async def _each(self, change: Callable[[str], Awaitable[Any]], job_ids: Iterable[str]) -> None:
        """Change jobs at once, as their commits then go together. One that has ended meanwhile, or
        is gone, is as it was wanted."""
        answers = await asyncio.gather(*map(change, job_ids), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Conflict | UnknownName):
                raise answer

    # --- what workers ask -------------------------------------------------------------------

    async def _begin(self, _data: Mapping[str, Any]) -> dict[str, int]:
        return {"number": self.lists.next_number(), "remaining": self.lists.remaining()}

    async def _queue(self, _data: Mapping[str, Any]) -> dict[str, list[Any]]:
        return self.lists.queue()

    async def _history(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Each entry as JSON of its own: to write them all at once would hold everybody up."""
        found: list[tuple[str, str]] = []
        size = 0
        about = (data.get("prompt_id"), data.get("max_items"), int(data.get("offset", -1)))
        async for prompt_id, entry in self.lists.history(*about, newest_first=True):
            size += len(entry)
            if size > FRAME_BYTES:
                break
            found.append((prompt_id, entry))
        return dict(reversed(found))

    async def _done(self, worker: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Record how a prompt ended, before its client hears of it. Not recorded here is an attempt
        that was ended for a reason of the service: that is the runner's to judge."""
        execution = self._runner.running(data["job"])
        if (
            execution is None
            or execution.worker.name != worker
            or execution.attempt != data["attempt"]
            or execution.reason in ("drain", "deadline")
        ):
            return {"recorded": False, "remaining": self.lists.remaining()}
        state = data["state"]
        if execution.reason == "cancel" and state != "succeeded":
            state = "cancelled"
        job = self._jobs.get(data["job"])
        adopted, rows = await results.adopt(data["saved"], job.id, execution.folder, self._assets)
        history = (
            "UPDATE prompt SET history = ? WHERE job_id = ?",
            (_json(data["history"]), job.id),
        )
        self._secrets.pop(job.id, None)
        self._recording.add(job.id)
        try:
            execution.recorded = await self._transitions.finish(
                job.id,
                execution.token,
                state,
                result={"outputs": data["history"]["outputs"], **adopted},
                error=data["problem"] if state == "failed" else None,
                execution_s=round(time.time() - execution.started, 4),
                more=[*rows, history],
            )
        finally:
            self._recording.discard(job.id)
        return {"recorded": execution.recorded, "remaining": self.lists.remaining()}

    # --- inside -----------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        """An event of any job. A prompt that ended in its worker was told of by that."""
        if event.type == "queued" and self._is_prompt(event):
            self._live.add(event.job_id)
        if not event.is_terminal or event.job_id not in self._live:
            return
        self._live.discard(event.job_id)
        prompt = None if event.job_id in self._recording else self.lists.find(event.job_id)
        if prompt is None:
            return
        self._secrets.pop(event.job_id, None)
        end = self.lists.end_of(event.job_id)
        for tell in self.on_end if end is not None else ():
            assert end is not None
            tell(prompt.client_id, *end)
        for changed in self.on_change:
            changed(self.lists.remaining())
        if end is not None:
            done = {"node": None, "prompt_id": prompt.prompt_id}
            for tell in self.on_end:
                tell(prompt.client_id, "executing", done)

    def _is_prompt(self, event: Event) -> bool:
        """Whether the job that begins to wait is a prompt; of one that waits again, it is asked."""
        if event.data.get("again"):
            return self.lists.find(event.job_id) is not None
        return event.data.get("operation") == OPERATION

    def _soon(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _unnamed(
    answer: Callable[[Mapping[str, Any]], Awaitable[Any]], _worker: str, data: Mapping[str, Any]
) -> Any:
    """Answer whichever worker asks."""
    return await answer(data)


def _ids(prompt_ids: Iterable[str]) -> Set[str]:
    found = list(prompt_ids) if isinstance(prompt_ids, list | tuple) else None
    if found is None or not all(isinstance(each, str) for each in found):
        raise refused("/delete", "list", "a list of prompt ids is needed")
    return frozenset(found)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
