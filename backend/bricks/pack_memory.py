"""What is remembered of custom-node packs from one worker process to the next.

Knows: a small JSON file in ComfyUI's base folder: which pack had which node, and which pack ended a
worker while it was loaded.
Does not know: how packs are loaded (`bricks.packs`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil

FILE: Final = "custom_nodes.json"
_log = logging.getLogger(__name__)


class PackMemory:
    """The memory of one data folder. A pack that ended a worker is passed over for the life of the
    service (the parent process); after a restart it gets another chance."""

    def __init__(self, base: Path) -> None:
        self._file = base / FILE
        said = self._read()
        nodes = said.get("nodes")
        self.nodes: dict[str, str] = dict(nodes) if isinstance(nodes, dict) else {}
        self.deadly: list[str] = []
        if said.get("service") == _service():
            self.deadly = [str(name) for name in said.get("deadly") or ()]
            if said.get("loading"):
                self.deadly.append(str(said["loading"]))

    def loading(self, name: str | None) -> None:
        """Write down that *name* is about to be loaded, or that no pack is."""
        self._write(name)

    def learn(self, name: str, nodes: Iterable[str]) -> None:
        """The pack *name* has these nodes; those it had before stay known."""
        self.nodes.update(dict.fromkeys(nodes, name))

    def _read(self) -> dict[str, Any]:
        try:
            said = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("what was known of custom nodes cannot be read: %s", error)
            return {}
        return said if isinstance(said, dict) else {}

    def _write(self, loading: str | None) -> None:
        said = {
            "service": _service(),
            "loading": loading,
            "deadly": self.deadly,
            "nodes": self.nodes,
        }
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(said, indent=1), "utf-8")
        new.replace(self._file)


def _service() -> str:
    """The parent process, told apart from an earlier one of the same number: in a container every
    service has the same."""
    parent = os.getppid()
    return f"{parent} {psutil.Process(parent).create_time()}"
