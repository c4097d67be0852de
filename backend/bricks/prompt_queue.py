"""What ComfyUI's server takes for its queue; the truth of it is the service's ledger.

Knows: the methods of ComfyUI's ``PromptQueue`` that its server and node packs call.
Does not know: how the service keeps prompts (it is asked by host calls), how one is run.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Protocol

Item = tuple[Any, ...]
"""``(number, prompt_id, prompt, extra_data, outputs[, sensitive])``"""


class Call(Protocol):
    """A host call; see ``worker.calls``."""

    def __call__(
        self,
        name: str,
        data: dict[str, Any],
        deadline_s: float = ...,
        seen: Callable[[Any], None] = ...,
    ) -> Any: ...


class LedgerQueue:
    """Replaces ``PromptServer.prompt_queue``. Methods are called on any thread."""

    def __init__(self, server: Any, call: Call, on_flags: Callable[[], None]) -> None:
        self._server = server
        self._call = call
        self._on_flags = on_flags
        self._lock = threading.Lock()
        self._flags: dict[str, Any] = {}
        begin = call("prompt.begin", {})
        self._remaining = int(begin["remaining"])
        server.number = int(begin["number"])

    # --- what the service says --------------------------------------------------------------

    def counted(self, remaining: int) -> None:
        """So many prompts wait or run; every client is told."""
        self._remaining = remaining
        self._server.queue_updated()

    # --- what ComfyUI's server calls --------------------------------------------------------

    def put(self, item: Item) -> None:
        """Returns when the prompt is safe. Raises the service's refusal."""
        number, prompt_id, prompt, extra_data, outputs, *sensitive = item
        self._call(
            "prompt.put",
            {
                "number": number,
                "prompt_id": prompt_id,
                "prompt": prompt,
                "extra_data": extra_data,
                "outputs": list(outputs),
                "sensitive": sensitive[0] if sensitive else {},
            },
            # on the thread that reads, so that clients hear of it before it can begin
            seen=lambda answer: self.counted(answer["remaining"]),
        )

    def get_tasks_remaining(self) -> int:
        return self._remaining

    def get_current_queue(self) -> tuple[list[Item], list[Item]]:
        lists = self._call("prompt.queue", {})
        return [tuple(item) for item in lists["running"]], [tuple(i) for i in lists["waiting"]]

    def get_current_queue_volatile(self) -> tuple[list[Item], list[Item]]:
        return self.get_current_queue()

    def get_history(
        self,
        prompt_id: str | None = None,
        max_items: int | None = None,
        offset: int = -1,
        map_function: Callable[[Any], Any] | None = None,
    ) -> dict[str, Any]:
        asked = {"prompt_id": prompt_id, "max_items": max_items, "offset": offset}
        told: dict[str, str] = self._call("prompt.history", asked)
        found = {key: json.loads(entry) for key, entry in told.items()}
        if map_function is None:
            return found
        return {key: map_function(entry) for key, entry in found.items()}

    def interrupt_if_running(self, prompt_id: str) -> bool:
        return bool(self._call("prompt.interrupt", {"prompt_id": prompt_id}))

    def wipe_queue(self) -> None:
        self._call("prompt.delete", {"prompt_ids": None})

    def delete_queue_item(self, function: Callable[[Item], bool]) -> bool:
        """Take out the first prompt that *function* wants."""
        for item in self.get_current_queue()[1]:
            if function(item):
                return bool(self._call("prompt.delete", {"prompt_ids": [item[1]]}))
        return False

    def wipe_history(self) -> None:
        self._call("prompt.forget", {"prompt_ids": None})

    def delete_history_item(self, id_to_delete: str) -> None:
        self._call("prompt.forget", {"prompt_ids": [id_to_delete]})

    def set_flag(self, name: str, data: Any) -> None:
        """``unload_models`` and ``free_memory``: done as soon as nothing runs."""
        with self._lock:
            self._flags[name] = data
        self._on_flags()

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        with self._lock:
            flags = dict(self._flags)
            if reset:
                self._flags.clear()
            return flags
