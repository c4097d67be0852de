"""Progress for the eye: a bar on a terminal, nothing anywhere else.

Knows: uploads in bytes, and the events of a job.
Does not know: who sends the events.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from backend.cli.display import note, plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from backend.cli.client import Moved


class Bar:
    """One line at the bottom of the terminal (standard error). Use it in a ``with``."""

    def __init__(self, wanted: bool = True) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._shown: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        if self._wanted:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
            )
            self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
            self._shown.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    def event(self, operation: str, event: dict[str, Any]) -> None:
        """Show what an event of a job of *operation* says."""
        kind = event["type"]
        if kind == "progress":
            node = event.get("node")
            self._show(f"{operation}: {node}" if node else operation, event.get("fraction", 0.0))
        elif kind == "log" and self._shown is not None:
            self._shown.console.print(plain(event.get("message")), markup=False, highlight=False)
        elif kind == "log":
            note(str(event.get("message")))
        elif kind == "retry":
            self._show(f"{operation}: waits for another attempt", None)
        elif kind in ("queued", "started"):
            self._show(f"{operation}: {'waiting' if kind == 'queued' else 'running'}", None)

    @contextlib.contextmanager
    def file(self, title: str) -> Iterator[Moved]:
        """Show how far a file has travelled while the block runs."""
        yield lambda done, size: self._show(title, done / size if size else 1.0)

    def _show(self, title: str, fraction: float | None) -> None:
        """A fraction of None is work of unknown length."""
        if self._shown is None:
            return
        title = plain(title)
        if self._task is None:
            self._task = self._shown.add_task(title, total=None)
        if fraction is None:
            self._shown.update(self._task, description=title, total=None)
        else:
            self._shown.update(self._task, description=title, total=1.0, completed=fraction)
