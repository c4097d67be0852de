"""Custom-node packs: each loaded alone by ComfyUI's own loader, and what became of it.

Knows: ComfyUI's loader, what a pack may leave changed in this process, and how a failure is told.
Does not know: where a workflow uses a node; which pack is wanted (the operator says so).

A pack is code with the rights of the worker process. What is kept off here is accident: one that
raises, ends the program, hangs, or takes a name that is taken.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backend.bricks import _comfy, _imports, pack_folders, session
from backend.bricks._comfy import PackFinder, module
from backend.bricks.pack_folders import Pack, packs_in
from backend.bricks.pack_memory import PackMemory
from backend.bricks.pack_registry import Registry
from backend.bricks.pack_report import PackReport, Packs
from backend.bricks.time_limit import Overdue, limited
from backend.bricks.wording import without_paths
from backend.errors import said_by

MEND: Final = "Mend or remove the pack; the log holds the traceback."
_log = logging.getLogger(__name__)


class NotLoaded(Exception):
    """The loader gave a pack up without an exception; the text is what it logged."""


def load(
    folder: Path,
    enabled: Sequence[str],
    base: Path,
    *,
    seconds: float,
    on_stage: Callable[[str], None] = _log.info,
) -> tuple[PackReport, ...]:
    """Load the *enabled* packs of *folder* into the booted ComfyUI; what became of every pack.

    Call it once, on the lane's thread, when all other nodes are registered: who comes later has
    to give way. *base* is the boot's; *seconds* is the limit for one pack. Raises nothing for what
    a pack does, but one that cannot be stopped ends the process, and is passed over by the next.
    """
    current, memory, folder = session.booted(), PackMemory(base), folder.absolute()
    paths = module("folder_paths").folder_names_and_paths
    paths["custom_nodes"] = ([str(folder)], set())
    loader = _Loader(folder, _imports.bytecode(base), seconds)
    reports: list[PackReport] = []
    owners: dict[str, str] = {}
    for pack in packs_in(folder, enabled):
        if pack.enabled and pack.is_there and pack.name not in memory.deadly:
            on_stage(f"custom nodes: {pack.name}")
            memory.loading(pack.name)
            report = loader.load(pack, owners)
            memory.learn(pack.name, report.nodes)
            owners.update(dict.fromkeys(report.nodes, pack.name))
        else:
            report = _passed_over(pack)
        _tell(report)
        reports.append(report)
    if enabled:
        memory.loading(None)
    current.packs = Packs(tuple(reports), memory.nodes)
    return current.packs.reports


def _passed_over(pack: Pack) -> PackReport:
    if not pack.enabled:
        why = "it is not named in KINO_COMFYUI__CUSTOM_NODES"
        return PackReport(pack.name, "not enabled", why, "Name it there to load it.")
    if not pack.is_there:
        return PackReport(pack.name, "absent", *pack_folders.absence(pack))
    return PackReport(
        pack.name,
        "failed",
        "it ended the worker process, or could not be stopped, while it was loaded",
        "Mend or remove the pack, then start the service again.",
    )


def _tell(report: PackReport) -> None:
    if report.state == "loaded":
        count = len(report.nodes)
        _log.info("custom nodes %s: %d nodes in %.2f s", report.name, count, report.seconds)
    elif report.state != "not enabled":
        _log.warning("custom nodes %s are not loaded: %s", report.name, report.reason)
    for each in report.refused:
        _log.warning("custom nodes %s: %s is refused: %s", report.name, each.what, each.reason)
    for want in report.missing:
        found = f"{want.found} is installed" if want.found else "it is not installed"
        _log.warning("custom nodes %s want %s: %s", report.name, want.requirement, found)


class _Loader:
    """Loads one pack after the other."""

    def __init__(self, folder: Path, bytecode: Path, seconds: float) -> None:
        self._bytecode = bytecode
        self._seconds = seconds
        self._submodules = PackFinder(folder, bytecode, is_last=False)
        self._late = PackFinder(folder, bytecode, is_last=True)
        sys.meta_path.insert(0, self._submodules)
        sys.meta_path.append(self._late)

    def load(self, pack: Pack, owners: Mapping[str, str]) -> PackReport:
        """What became of *pack*; nothing that it raises gets further."""
        started = time.monotonic()
        registry = Registry(pack, owners)
        found: list[PackReport] = []

        def work() -> None:
            _call_loader(pack)
            registry.check_modules()
            nodes, refused = registry.settle()
            report = PackReport(
                pack.name,
                "loaded",
                nodes=nodes,
                refused=refused,
                missing=pack.missing(),
                skipped=pack.skipped(),
                web=registry.has_web,
                seconds=round(time.monotonic() - started, 3),
            )
            found.append(report)

        with (
            _comfy.bytecode_in(self._bytecode),
            _imports.guarded(),
            _as_before() as added,
        ):
            try:
                limited(work, self._seconds)
            except BaseException as error:  # noqa: BLE001 - foreign code; told in the report
                registry.undo()
                return self._failed(pack, error)
        home = pack.path.resolve()
        self._late.top_level += [
            each for each in added if Path(each).resolve().is_relative_to(home)
        ]
        return found[0]

    def _failed(self, pack: Pack, error: BaseException) -> PackReport:
        missing, remedy = pack.missing(), MEND
        said = without_paths(said_by(error))
        reason = f"loading it raised {type(error).__name__}{said and f': {said}'}"
        if isinstance(error, Overdue):
            reason = f"it was not loaded within {self._seconds:g} s"
            remedy = "Mend or remove the pack, or raise KINO_COMFYUI__CUSTOM_NODES_S."
        elif isinstance(error, NotLoaded):
            reason = said
        elif missing:
            remedy = f"Install what it asks for: {pack_folders.command(missing)}"
        elif isinstance(error, ModuleNotFoundError) and error.name:
            remedy = f"Install it beside Kino: uv pip install {error.name.partition('.')[0]}"
        if not isinstance(error, Exception):
            _log.warning("loading custom nodes", exc_info=error)  # the loader logs the others
        return PackReport(
            pack.name,
            "failed",
            reason,
            remedy,
            None if isinstance(error, NotLoaded | Overdue) else type(error).__name__,
            missing=missing,
            skipped=pack.skipped(),
        )


def _call_loader(pack: Pack) -> None:
    """Let ComfyUI load *pack*. Raises what the pack raised, and `NotLoaded`."""
    if pack.path.is_dir() and not (pack.path / "__init__.py").is_file():
        raise NotLoaded("its folder has no __init__.py")
    with _Listener() as listener:
        loaded = session.settle(
            module("nodes").load_custom_node(str(pack.path), module_parent="custom_nodes")
        )
    if loaded:
        return
    if listener.error is not None:
        raise listener.error
    raise NotLoaded(listener.said or "ComfyUI's loader gave no reason")


class _Listener(logging.Handler):
    """Hears why ComfyUI's loader gives a pack up: it logs the reason, and returns False."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.error: BaseException | None = None
        self.said = ""
        self._loader = module("nodes").__file__

    def emit(self, record: logging.LogRecord) -> None:
        if record.pathname == self._loader:
            self.error, self.said = sys.exc_info()[1], record.getMessage()

    def __enter__(self) -> _Listener:
        root = logging.getLogger()
        root.addHandler(self)
        if not root.isEnabledFor(logging.WARNING):
            root.setLevel(logging.WARNING)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


@contextmanager
def _as_before() -> Iterator[list[str]]:
    """Afterwards arguments, search path, folder, streams and logging are as they were; the list
    then holds what was new on ``sys.path``."""
    root, place, added = logging.getLogger(), Path.cwd(), list[str]()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    words, path, streams = sys.argv, list(sys.path), (sys.stdout, sys.stderr)
    sys.argv = ["kino"]
    try:
        yield added
    finally:
        added += [entry for entry in sys.path if entry not in path]
        sys.argv, sys.path[:] = words, path
        sys.stdout, sys.stderr = streams
        root.handlers[:], root.manager.disable = handlers, disabled
        root.setLevel(level)
        os.chdir(place)
