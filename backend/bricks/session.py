"""What a process keeps after ComfyUI was booted in it.

Knows: the finder, the server object that nodes talk to, the progress hook, the facts, the packs.
Does not know: how a boot goes (`bricks.boot`), and what is run (`bricks.graph`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from backend.bricks._comfy import TreeFinder
from backend.bricks.audience import Audience
from backend.bricks.pack_report import Packs
from backend.bricks.progress import Hook
from backend.errors import ComfyUIIncompatible

R = TypeVar("R")
INSTALL: Final = "Run: python3 scripts/comfyui.py install"


@dataclass(frozen=True, slots=True)
class Info:
    """Which ComfyUI runs in this process, and on what."""

    version: str
    commit: str | None
    tree_sha1: str
    pinned: bool
    cpu: bool
    devices: tuple[str, ...]
    samplers: tuple[str, ...]
    schedulers: tuple[str, ...]
    nodes: int
    failed_nodes: tuple[str, ...]
    dropped_flags: tuple[str, ...]
    boot_s: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Session:
    """The booted ComfyUI of this process."""

    def __init__(
        self,
        finder: TreeFinder,
        server: Any,
        loop: asyncio.AbstractEventLoop,
        hook: Hook,
        audience: Audience,
        info: Info,
    ) -> None:
        self.finder = finder
        self.server = server
        self.hook = hook
        self.audience = audience
        self.info = info
        self.packs = Packs()
        self._loop = loop

    def wait(self, work: Awaitable[R]) -> R:
        """Run *work* to its end on ComfyUI's loop, which runs for nothing else; clear up after it.

        One loop for the life of the process: a new one for each graph costs as much as a node.
        """

        async def awaited() -> R:
            return await work

        try:
            return self._loop.run_until_complete(awaited())
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


_session: Session | None = None


def settle(value: Any) -> Any:
    """The value itself, or what it becomes when awaited: many verbs turned asynchronous."""
    return booted().wait(value) if inspect.isawaitable(value) else value


def open_session(session: Session) -> None:
    """Remember *session*; ComfyUI's modules are the process's, so there is one."""
    global _session  # noqa: PLW0603 (see above)
    _session = session


def find() -> Session | None:
    """The session of this process, if ComfyUI was booted."""
    return _session


def booted() -> Session:
    """The session of this process. Raises `ComfyUIIncompatible` if ComfyUI was not booted."""
    if _session is None:
        raise ComfyUIIncompatible("ComfyUI is not loaded in this process", remedy=INSTALL)
    return _session
