"""What the ``cpu`` and ``comfy`` workers do: run the operations that plugins declare.

Knows: the plugin host of this process, the lane, and which jobs were asked to end.
Does not know: how an operation works, or how ComfyUI is booted (``worker.engine``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

from backend.bricks import lane
from backend.config import Settings
from backend.context import set_models_folders
from backend.operations import Operation
from backend.services.model_folders import ModelFolders
from backend.services.plugin_host import PluginHost
from backend.wire import Message
from backend.worker import engine, prompts
from backend.worker.calls import Calls
from backend.worker.outbox import Outbox
from backend.worker.prompts import Prompts
from backend.worker.run import run

_log = logging.getLogger("kino.engine")


class OperationHandler:
    """Loads plugins, and ComfyUI if this worker is of that kind; runs one job after another."""

    def __init__(
        self,
        kind: Literal["cpu", "comfy"],
        settings: Settings,
        outbox: Outbox,
        calls: Calls,
        between: Callable[[Callable[[], None]], None],
    ) -> None:
        """*calls* asks the API process; *between* does work on the lane, between two jobs."""
        self._kind = kind
        self._settings = settings
        self._outbox = outbox
        self._calls = calls
        self._between = between
        self._prompts: Prompts | None = None
        self._host = PluginHost(kind, settings, settings.data_dir)
        self._operations: dict[str, Operation[..., Any]] = {}
        self._asked_to_end: set[tuple[str, int]] = set()
        self._current: tuple[str, int] | None = None
        self._ended: tuple[str, int] | None = None
        self._lock = threading.Lock()
        self._table: Message | None = None

    def start(self) -> Message:
        """Load plugins, then ComfyUI. A plugin or a ComfyUI that fails is reported, not fatal."""
        self._stage("plugins")
        set_models_folders(root for _, root in ModelFolders(self._settings).roots)
        self._host.load()
        comfyui: Message | None = None
        if self._kind == "comfy":
            comfyui = engine.start(self._settings, self._host, self._stage)
            self._table = comfyui.get("model_table")
        self._host.start()
        unavailable: dict[str, dict[str, str]] = {}
        for name, (operation, _, why) in self._host.operations.items():
            if operation.needs.runs_on != self._kind:
                continue
            why = why or engine.unmet(operation.needs, comfyui)
            if why is None:
                self._operations[name] = operation
            else:
                unavailable[name] = why.as_json()
        return {
            "unavailable": unavailable,
            "plugins": [record.as_json() for record in self._host.plugins],
            "comfyui": comfyui,
            "node_classes": engine.node_classes(comfyui),
            "server": self._serve_stock_clients(comfyui),
        }

    def handle(self, message: Message) -> Message:
        attempt = (message["job"], message["attempt"])
        with self._lock:
            self._current, self._ended = attempt, None

        def is_cancelled() -> bool:
            return attempt in self._asked_to_end

        try:
            if message["operation"] == prompts.OPERATION and self._prompts is not None:
                done = self._prompts.run(message, self._outbox, is_cancelled)
            else:
                run_there = lane.current().run
                done = run(message, self._operations, self._outbox, is_cancelled, run_there)
            return {**done, **self._news()}
        finally:
            with self._lock:
                self._current, self._ended = None, attempt
                self._asked_to_end.discard(attempt)

    def _news(self) -> Message:
        """The folders of models, if a node of a pack has changed them while it ran: results of
        equal work depend on which file a name stands for."""
        if self._table is None or not self._settings.comfyui.custom_nodes:
            return {}
        now = engine.model_table()
        if now == self._table:
            return {}
        self._table = now
        return {"model_table": now}

    def interrupt(self, job_id: str, attempt: int) -> None:
        with self._lock:
            if self._ended == (job_id, attempt):
                return  # too late; it must not meet a later attempt of the same number
            self._asked_to_end.add((job_id, attempt))
            if self._current != (job_id, attempt):
                return
        lane.current().interrupt(job_id)

    def told(self, name: str, data: Message) -> None:
        if name == "prompts" and self._prompts is not None:
            self._prompts.counted(data["remaining"])

    def stop(self) -> None:
        if self._prompts is not None:
            self._prompts.stop()
        self._host.stop()

    def _serve_stock_clients(self, comfyui: Message | None) -> Message | None:
        """The private address of ComfyUI's own server, where ComfyUI was started."""
        if comfyui is None or "unavailable" in comfyui or self._settings.engine == "fake":
            return None
        self._stage("server")
        try:
            self._prompts, address = Prompts.start(
                self._settings, self._calls, self._between, self._host.web_folders
            )
        except Exception:  # noqa: BLE001 - foreign code; logged, and everything else works
            _log.exception("ComfyUI's own server does not start")
            return None
        return address

    def _stage(self, stage: str) -> None:
        self._outbox.send({"t": "loading", "stage": stage})
