"""Host calls: what workers may ask of the API process.

Knows: the messages ``call`` and ``answer``, deadlines, and who offers which name.
Does not know: what a name means, and how a worker waits (``worker.calls``).

A worker may run foreign code, so each name is offered on purpose, and takes and gives plain JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from backend import wire
from backend.errors import DeadlineExceeded, UnknownName
from backend.services import invocation

Offered = Callable[[str, wire.Message], Awaitable[Any]]
"""Gets the worker's name and the data, gives a JSON value."""

LONGEST_S: Final = 600.0


class HostCalls:
    """Answers the calls of all workers."""

    def __init__(self) -> None:
        self._offered: dict[str, Offered] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, name: str, offered: Offered) -> None:
        """From now on calls of *name* are answered by *offered*."""
        self._offered[name] = offered

    def take(self, worker: str, message: wire.Message, say: Callable[[wire.Message], None]) -> None:
        """Answer a ``call`` of *worker* by *say*, which raises ``ValueError`` for what no frame
        holds and nothing else."""
        task = asyncio.create_task(self._answer(worker, message, say))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is still being answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(
        self, worker: str, message: wire.Message, say: Callable[[wire.Message], None]
    ) -> None:
        about = {"t": "answer", "id": message["id"]}
        name, deadline_s = str(message["name"]), min(float(message["deadline_s"]), LONGEST_S)
        try:
            offered = self._offered.get(name)
            if offered is None:
                raise UnknownName(f"there is no host call {name[:80]!r}")
            try:
                async with asyncio.timeout(deadline_s):
                    value = await offered(worker, message["data"])
            except TimeoutError as error:
                raise DeadlineExceeded(f"{name} took longer than {deadline_s:g} s") from error
            say({**about, "value": value})
        except Exception as error:  # noqa: BLE001 - becomes the answer; `problem_of` logs what is not ours
            say({**about, "problem": invocation.problem_of(error)})
