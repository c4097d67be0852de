"""ComfyUI's queue and history, read from the ledger.

Knows: the shapes that ComfyUI gives them (``PromptQueue`` in its ``execution.py``), and its order:
the lowest number first.
Does not know: how prompts change (`services.prompts`).
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backend.services.job import ENDED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Set

    from backend.services.ledger import Ledger, Row
    from backend.services.runner import Runner

MOST_HISTORY: Final = 10_000
"""As many prompts as ComfyUI remembers (``MAXIMUM_HISTORY_SIZE``)."""

FRAME_BYTES: Final = 16 * 2**20
"""As much of a history goes to a worker at once; the newest prompts count."""

_TURN_S: Final = 0.002
"""So long a history is read in one go."""

_LIVE: Final = "job.state IN ('queued', 'running')"
_OVER: Final = (
    "job.state IN ('succeeded', 'failed', 'cancelled')"
    " AND (prompt.history IS NOT NULL OR job.started IS NOT NULL)"
)
"""One that was taken out of the queue before it began leaves no history."""

_JOINED: Final = "FROM prompt JOIN job ON job.id = prompt.job_id"
_PROMPTS_FIRST: Final = _JOINED.replace("JOIN", "CROSS JOIN")
"""The same, but SQLite does not begin with all jobs that have ended."""
_ROW: Final = "prompt.*, job.state, job.params, job.error, job.started, job.finished"
Message = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt: ComfyUI's id, the job's, and whose it is."""

    prompt_id: str
    job_id: str
    client_id: str | None


class PromptLists:
    """Reads; everything is as it is in the ledger now."""

    def __init__(self, ledger: Ledger, runner: Runner) -> None:
        self._ledger = ledger
        self._runner = runner

    # --- the queue --------------------------------------------------------------------------

    def queue(self) -> dict[str, list[Any]]:
        """``{"running": [item…], "waiting": [item…]}``, an item as in ComfyUI's ``/queue``."""
        lists: dict[str, list[Any]] = {"running": [], "waiting": []}
        for row in self._live(_ROW):
            lists["running" if self._is_running(row) else "waiting"].append(_item(row))
        return lists

    def running(self) -> list[Prompt]:
        """The prompts that run."""
        return [_prompt(row) for row in self._live() if self._is_running(row)]

    def waiting(self) -> list[Prompt]:
        """The prompts that wait, the next one first."""
        return [_prompt(row) for row in self._live() if not self._is_running(row)]

    def live(self) -> set[str]:
        """The jobs of the prompts that wait or run."""
        return {str(row["job_id"]) for row in self._live()}

    def remaining(self) -> int:
        """How many prompts wait or run."""
        return int(self._ledger.read(f"SELECT count(*) AS n {_JOINED} WHERE {_LIVE}")[0]["n"])

    def next_number(self) -> int:
        """A number that is higher than that of every prompt that ComfyUI has numbered so far."""
        rows = self._ledger.read("SELECT seq FROM sqlite_sequence WHERE name = 'prompt'")
        return int(rows[0]["seq"]) if rows else 0

    def first_instead_of(self, job_id: str) -> str:
        """The waiting prompt that goes first, if *job_id* is a prompt; else *job_id*."""
        if self.find(job_id) is None:
            return job_id
        waiting = self.waiting()
        return waiting[0].job_id if waiting else job_id

    def find(self, job_id: str) -> Prompt | None:
        """The prompt of a job, if it is that of one."""
        rows = self._ledger.read("SELECT * FROM prompt WHERE job_id = ?", job_id)
        return _prompt(rows[0]) if rows else None

    def _live(self, columns: str = "prompt.*, job.state") -> list[Row]:
        order = "ORDER BY prompt.number, prompt.place"
        return self._ledger.read(f"SELECT {columns} {_JOINED} WHERE {_LIVE} {order}")

    def _is_running(self, row: Row) -> bool:
        # the ledger may learn of a claim a moment later
        return row["state"] == "running" or self._runner.running(row["job_id"]) is not None

    # --- the history ------------------------------------------------------------------------

    async def history(
        self,
        prompt_id: str | None = None,
        max_items: int | None = None,
        offset: int = -1,
        *,
        newest_first: bool = False,
    ) -> AsyncIterator[tuple[str, str]]:
        """What ComfyUI's ``get_history`` gives: ids of prompts that have ended, the oldest first,
        each with the JSON of its entry. Others have their turn in between.

        *offset* counts from the oldest; below zero, the last *max_items* are given. What is deleted
        meanwhile is left out.
        """
        places = self._places(prompt_id)
        if offset < 0 and max_items is not None:
            offset = len(places) - max_items
        places = places[max(offset, 0) :]
        if max_items is not None:
            places = places[: max(max_items, 0)]
        turn = time.monotonic()
        for place in reversed(places) if newest_first else places:
            for row in self._ledger.read(f"SELECT {_ROW} {_JOINED} WHERE prompt.place = ?", place):
                yield row["prompt_id"], json.dumps(_entry(row))
            if time.monotonic() - turn > _TURN_S:
                await asyncio.sleep(0)
                turn = time.monotonic()

    def ended(self, prompt_ids: Set[str] | None) -> list[str]:
        """The jobs of prompts that have ended: of all, or of these."""
        rows = self._ledger.read(f"SELECT prompt.* {_JOINED} WHERE {_OVER}")
        return [
            row["job_id"] for row in rows if prompt_ids is None or row["prompt_id"] in prompt_ids
        ]

    def end_of(self, job_id: str) -> Message | None:
        """What a client is told of a prompt that ended without its worker; None if none began."""
        rows = self._ledger.read(f"SELECT {_ROW} {_JOINED} WHERE job_id = ? AND {_OVER}", job_id)
        return _told(rows[0]) if rows and rows[0]["state"] in ENDED else None

    def _places(self, prompt_id: str | None) -> list[int]:
        """Of an id that was used twice, the newer one counts."""
        only = "" if prompt_id is None else "AND prompt.prompt_id = ?"
        rows = self._ledger.read(
            f"SELECT prompt.place, max(job.finished) AS finished {_PROMPTS_FIRST}"
            f" WHERE {_OVER} {only}"
            f" GROUP BY prompt.prompt_id ORDER BY finished DESC LIMIT {MOST_HISTORY}",
            *(() if prompt_id is None else (prompt_id,)),
        )
        return [row["place"] for row in reversed(rows)]


def _prompt(row: Row) -> Prompt:
    return Prompt(row["prompt_id"], row["job_id"], row["client_id"])


def _item(row: Row) -> list[Any]:
    params = json.loads(row["params"])
    return [params[key] for key in ("number", "prompt_id", "prompt", "extra_data", "outputs")]


def _entry(row: Row) -> dict[str, Any]:
    """One prompt of the history. One that no worker could tell of gets the status that the
    executor would have given it."""
    if row["history"] is not None:
        kept = json.loads(row["history"])
    else:
        about = {"prompt_id": row["prompt_id"], "timestamp": int((row["started"] or 0.0) * 1000)}
        messages = [["execution_start", about], list(_told(row))]
        status = {"status_str": "error", "completed": False, "messages": messages}
        kept = {"outputs": {}, "status": status, "meta": {}}
    return {
        "prompt": _item(row),
        "outputs": kept["outputs"],
        "status": kept["status"],
        "meta": kept["meta"],
    }


def _told(row: Row) -> Message:
    """The message that ends a prompt, in ComfyUI's words (``handle_execution_error``)."""
    about: dict[str, Any] = {
        "prompt_id": row["prompt_id"],
        "node_id": None,
        "node_type": None,
        "executed": [],
        "timestamp": int((row["finished"] or 0.0) * 1000),
    }
    if row["error"] is None:
        return "execution_interrupted", about
    problem = json.loads(row["error"])
    more = {
        "exception_message": problem.get("detail", ""),
        "exception_type": str(problem.get("type", "")).rpartition("/")[2],
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
    }
    return "execution_error", {**about, **more}
