"""The context of a run: all that an operation may ask of whoever runs it.

Knows: progress, previews, checkpoints, a log, where scratch files go and model files lie.
Does not know: what happens to them (a job's events, ComfyUI's progress bar, or nothing).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.media.image import Image


class Cancelled(BaseException):
    """Raised by `Context.checkpoint` when the run shall end. No error, hence no ``Exception``."""


def _no_progress(done: float, total: float, node: str | None) -> None: ...


def _no_preview(image: Image) -> None: ...


def _not_cancelled() -> bool:
    return False


def _no_log(message: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a run may ask of its host. The default, `LOCAL`, ignores everything."""

    on_progress: Callable[[float, float, str | None], None] = _no_progress
    on_preview: Callable[[Image], None] = _no_preview
    on_log: Callable[[str], None] = _no_log
    is_cancelled: Callable[[], bool] = _not_cancelled

    def progress(self, done: float, total: float, node: str | None = None) -> None:
        """Report that *done* of *total* is done, in any unit. Also a checkpoint.

        *node* is the id of the graph's node that reports.
        """
        self.checkpoint()
        self.on_progress(done, total, node)

    def preview(self, image: Image) -> None:
        """Show what the result looks like so far."""
        self.on_preview(image)

    def log(self, message: str) -> None:
        """Say one line to the person who waits."""
        self.on_log(message)

    def checkpoint(self) -> None:
        """Raise `Cancelled` if the run shall end. Call it at least every 100 ms of work."""
        if self.is_cancelled():
            raise Cancelled


LOCAL: Final = Context()

_scratch: ContextVar[Path | None] = ContextVar("kino_scratch", default=None)
_process_scratch: Path | None = None
_models: tuple[Path, ...] = ()


def scratch_folder() -> Path:
    """Where a file-backed value of this run is written: the job's, else the process's."""
    return _scratch.get() or _process_scratch or Path(tempfile.gettempdir())


def set_scratch_folder(folder: Path) -> None:
    """Write file-backed values of runs that have no folder of their own into *folder*."""
    global _process_scratch  # noqa: PLW0603 - ComfyUI runs nodes in threads that know no context
    _process_scratch = folder


def in_run() -> bool:
    """Whether a run has a scratch folder of its own, which its host clears."""
    return _scratch.get() is not None


def scratch_in(folder: Path) -> AbstractContextManager[None]:
    """Within this block, file-backed values are written into *folder*."""

    @contextmanager
    def block() -> Iterator[None]:
        token = _scratch.set(folder)
        try:
            yield
        finally:
            _scratch.reset(token)

    return block()


def models_folder(holding: str = "") -> Path:
    """Where model files lie: of the settings' folders, the first in which there is *holding* (a
    folder, say ``stems/htdemucs``), else the first; without settings, ``models`` where we are."""
    folders = _models or (Path("models"),)
    return next((folder for folder in folders if (folder / holding).is_dir()), folders[0])


def set_models_folders(folders: Iterable[Path]) -> None:
    """Say it, once for each process that runs operations."""
    global _models  # noqa: PLW0603 - as above
    _models = tuple(folders)
