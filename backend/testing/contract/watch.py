"""Watches this process: what is written outside of the base folder, and what goes to the network.

Knows: Python's audit events.
Does not know: why anybody writes or connects. Cannot be taken off again, hence one per process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Final = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,),
}  # fmt: skip
_NETWORK: Final = frozenset({"socket.connect", "socket.getaddrinfo", "socket.sendto"})
_HARMLESS: Final = ("/dev/", "/proc/", "\\\\.\\")


class Watch:
    """The findings so far, in the order in which they came, each once."""

    def __init__(self, base: Path, tree: Path) -> None:
        self._base = base.resolve()
        self._tree = tree.resolve()
        self.written: list[str] = []
        self.connected: list[str] = []

    def start(self) -> None:
        """From now on, for the life of the process."""
        sys.addaudithook(self._seen)

    def _seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & _WRITES
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._wrote(path)
        elif event in _CHANGES:
            for place in _CHANGES[event]:
                self._wrote(arguments[place])
        elif event in _NETWORK:
            self._spoke(event, arguments)

    def _wrote(self, path: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor: its file was opened before
        name = os.fsdecode(path)
        if name.startswith(_HARMLESS):
            return
        # no Path.resolve for the file itself: it would follow links that are being made
        full = Path(os.path.abspath(name))  # noqa: PTH100
        inside = full.is_relative_to(self._base) or full.parent.resolve().is_relative_to(self._base)
        # the interpreter compiles packages when they are first imported; but not inside the tree
        compiled = "__pycache__" in full.parts and not full.is_relative_to(self._tree)
        if not inside and not compiled and str(full) not in self.written:
            self.written.append(str(full))

    def _spoke(self, event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        local = isinstance(address, str | bytes) and event != "socket.getaddrinfo"  # a Unix socket
        host = address[0] if isinstance(address, tuple) else address
        told = f"{event} {host}"
        if (
            not local
            and host not in ("127.0.0.1", "::1", "localhost")
            and (told not in self.connected)
        ):
            self.connected.append(told)
