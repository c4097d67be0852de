"""What a process keeps after ComfyUI was booted in it.

Knows: the finder, the server object that nodes talk to, the progress hook, and the facts.
Does not know: how a boot goes (`bricks.boot`), and what is run (`bricks.graph`).
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

from backend.bricks._comfy import TreeFinder
from backend.bricks.progress import Hook
from backend.errors import ComfyUIIncompatible

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
        info: Info,
    ) -> None:
        self.finder = finder
        self.server = server
        self.hook = hook
        self.info = info
        self._loop = loop

    def drain(self) -> None:
        """Drop what nodes sent to ComfyUI's own web clients: this process has none."""
        self._loop.run_until_complete(asyncio.sleep(0))
        while not self.server.messages.empty():
            self.server.messages.get_nowait()


_session: Session | None = None


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
