"""Boot: import an unmodified ComfyUI into this process, or say in one sentence why not.

Knows: what is checked before, in which order things happen, and how a failure is put.
Does not know: how the tree came to its place (``scripts/comfyui.py``), and what is run on it.

Nothing is written inside the tree, ``sys.path`` and ``sys.argv`` are as before, and every module
that bears one of the tree's names came from the tree.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backend.bricks import (
    _compat,
    _imports,
    admission,
    bridge,
    devices,
    engine,
    graph,
    nodes,
    sampling,
    session,
)
from backend.bricks._comfy import TreeFinder, module
from backend.bricks.audience import Audience
from backend.bricks.interruption import ComfySignals
from backend.bricks.lane import Lane, current
from backend.bricks.progress import Hook
from backend.bricks.session import Info, Session
from backend.bricks.wording import without_paths
from backend.errors import ComfyUIIncompatible

__all__ = ["Info", "boot", "capabilities", "info"]

_log = logging.getLogger(__name__)
_booting = threading.Lock()


def info() -> Info:
    """Which ComfyUI runs here. Raises `ComfyUIIncompatible` if none does."""
    return session.booted().info


def capabilities() -> dict[str, Any]:
    """What the probes found: cache kinds, and which parameters the executor takes."""
    session.booted()
    executor = module("execution").PromptExecutor.__init__
    wanted = {"cache_args": 0, "cache_size": 0, "asset_manager": 0}
    return {
        "cache_types": _compat.cache_types(),
        "executor": sorted(_compat.accepted(executor, wanted)),
        "schema_nodes": _compat.optional("comfy_api.latest") is not None,
        "executing_context": _compat.optional("comfy_execution.utils") is not None,
    }


def boot(
    tree: Path,
    base: Path,
    *,
    cpu: bool | None = None,
    flags: Sequence[str] = (),
    lock: Path | None = None,
    accept_modified: bool = False,
    models: Sequence[Path] = (),
    more_models: Sequence[tuple[str, Path, bool]] = (),
    overlay: Path | None = None,
    on_stage: Callable[[str], None] = _log.info,
    lane: Lane | None = None,
) -> Info:
    """Import the ComfyUI in *tree*; everything it writes goes below *base*.

    *cpu* None looks for a GPU; *lock* is the pin to hold the tree against; *models* are
    folders of model files before ``base/models``, and *more_models* single folders with their kind
    and whether they come first (`_imports.add_models`); *overlay* is a folder of packages that win
    over those of the environment (an accepted tree brings its own). The calling thread becomes the
    lane's. Raises `ComfyUIIncompatible` with a remedy if the tree is absent, is not the pinned one,
    or cannot be imported; the process can go on without it.
    """
    with _booting:
        present = session.find()
        if present is not None:
            if present.finder.root != tree.resolve():
                raise ComfyUIIncompatible("Another ComfyUI is already loaded in this process")
            return present.info
        started = time.monotonic()
        on_stage("checking ComfyUI")
        with admission.admitted(tree, lock, accept_modified=accept_modified) as known:
            pin = known.pin
            wanted = overlay or (pin.overlay if pin is not None else None)
            if wanted is not None:
                admission.put_first(wanted)
            loaded = _load(tree, base, cpu, flags, on_stage)
            _imports.add_models(models, more_models)
        facts = Info(
            version=str(module("comfyui_version").__version__),
            commit=(pin.lock.commit or None) if pin is not None else None,
            tree_sha1=known.digest,
            pinned=pin is not None,
            cpu=loaded.cpu,
            devices=devices.devices(),
            samplers=sampling.samplers(),
            schedulers=sampling.schedulers(),
            nodes=len(nodes.names()),
            failed_nodes=tuple(loaded.failed),
            dropped_flags=tuple(loaded.dropped),
            boot_s=round(time.monotonic() - started, 2),
        )
        _install(loaded, facts, lane or current())
        return facts


class _Loaded(NamedTuple):
    finder: TreeFinder
    server: Any
    loop: asyncio.AbstractEventLoop
    cpu: bool
    failed: list[str]
    dropped: list[str]


def _load(
    tree: Path,
    base: Path,
    cpu: bool | None,
    flags: Sequence[str],
    on_stage: Callable[[str], None],
) -> _Loaded:
    for name in _imports.FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    finder = TreeFinder(tree, _imports.bytecode(base))
    _refuse_strangers(finder)
    search_path = list(sys.path)
    finder.install()
    try:
        on_stage("importing torch")
        on_cpu = _imports.wants_cpu(cpu)
        on_stage("importing ComfyUI")
        ours = _imports.our_flags(base, cpu=on_cpu)
        dropped = _imports.import_modules(finder.root, ours, list(flags))
        on_stage("loading nodes")
        server, loop, failed = _imports.load_nodes(base)
        _refuse_strangers(finder)
    except ComfyUIIncompatible:
        finder.remove()
        raise
    except (Exception, SystemExit) as error:
        finder.remove()
        raise _not_importable(error) from error
    finally:
        # the loader of node packs puts folders of the tree there
        sys.path[:] = search_path
    return _Loaded(finder, server, loop, on_cpu, failed, dropped)


def _install(loaded: _Loaded, facts: Info, lane: Lane) -> None:
    """Give the lane its signals, ComfyUI its hook, the process its engine."""
    lane.claim()
    lane.signals = ComfySignals()
    hook = Hook(lane)
    hook.install()
    bridge.register()
    audience = Audience(loaded.server, lane)
    session.open_session(Session(loaded.finder, loaded.server, loaded.loop, hook, audience, facts))
    engine.install(graph.ComfyEngine(lane))


def _refuse_strangers(finder: TreeFinder) -> None:
    strangers = finder.strangers()
    if strangers:
        raise ComfyUIIncompatible(
            f"A package that is not ComfyUI's is loaded under its name {strangers[0]!r}",
            remedy="Rename that package, or do not import it in the worker process",
        )


def _not_importable(error: BaseException) -> ComfyUIIncompatible:
    _log.error("ComfyUI could not be imported", exc_info=error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        why = f"the module {error.name} is missing"
    else:
        why = f"{type(error).__name__}: {without_paths(str(error))}"
    return ComfyUIIncompatible(
        f"ComfyUI could not be imported: {why}",
        remedy="Run 'uv sync --locked', then 'python3 scripts/comfyui.py verify'",
    )
