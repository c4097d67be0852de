"""The import itself: flags, the order of the modules, the nodes, the model folders.

Knows: what ComfyUI reads and writes while it is imported.
Does not know: whether the tree is the right one, and what happens when this fails (`bricks.boot`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from backend.bricks import _comfy, _compat
from backend.bricks._comfy import module

log = logging.getLogger(__name__)

FOLDERS: Final = ("models", "input", "output", "temp", "user", "custom_nodes")
ORDER: Final = ("utils.extra_config", "folder_paths", "comfy.utils", "nodes", "execution", "server")
NOT_FOR_MODELS: Final = ("custom_nodes", "configs", "datasets")


def bytecode(base: Path) -> Path:
    """Where compiled modules of the tree are kept."""
    return base / "bytecode"


def wants_cpu(cpu: bool | None) -> bool:
    """*cpu* itself, or whether there is no GPU: without ``--cpu`` the import fails there."""
    if cpu is not None:
        return cpu
    import torch

    return not (
        torch.cuda.is_available()
        or torch.backends.mps.is_available()
        or (hasattr(torch, "xpu") and torch.xpu.is_available())
    )


def our_flags(base: Path, *, cpu: bool) -> list[str]:
    """The flags that Kino needs; those that a release does not know are left out later."""
    flags = ["--base-directory", str(base)]
    # its default lies in the tree, whatever the base directory
    flags += ["--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"]
    flags += ["--disable-all-custom-nodes", "--disable-api-nodes", "--disable-dynamic-vram"]
    if cpu:
        flags.append("--cpu")
    if find_spec("comfyui_frontend_package") is None:
        # without a front end ComfyUI would end the process
        (base / "no_frontend").mkdir(exist_ok=True)
        flags += ["--front-end-root", str(base / "no_frontend")]
    return flags


def import_modules(root: Path, ours: list[str], theirs: list[str]) -> list[str]:
    """Import ComfyUI's modules under these flags; returns the operator's flags it does not know."""
    known = _compat.known_flags(root)
    kept, _ = _compat.keep_known(ours, known)
    more, dropped = _compat.keep_known(theirs, known)
    for name in dropped:
        log.warning("this ComfyUI does not know the flag %s", name)
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    options = module("comfy.options")
    before, sys.argv = sys.argv, ["kino", *kept, *more]
    try:
        options.enable_args_parsing()
        module("comfy.cli_args")
    finally:
        sys.argv = before
        options.enable_args_parsing(False)
    for name in ORDER:
        module(name)
    mime = _compat.optional("utils.mime_types")
    if mime is not None:
        mime.init_mime_types()
    logger = _compat.optional("app.logger")
    if logger is not None and logger.logs is None:
        # the route /internal/logs reads it; ComfyUI itself fills it by taking over stdout
        logger.logs = deque([{"t": "0", "m": "\n"}], maxlen=300)
    return dropped


def load_nodes(base: Path) -> tuple[Any, asyncio.AbstractEventLoop, list[str]]:
    """Build the server object that nodes ask for, and load all built-in nodes.

    Returns the server, its event loop (not running), and the node files that failed.
    """
    loop = asyncio.new_event_loop()
    nodes = module("nodes")

    async def load() -> tuple[Any, list[str]]:
        server = module("server").PromptServer(loop)
        wanted = {"init_custom_nodes": False, "init_api_nodes": False}
        pending = nodes.init_extra_nodes(**_compat.accepted(nodes.init_extra_nodes, wanted))
        failed = await pending if inspect.isawaitable(pending) else pending
        return server, sorted(failed or [])

    # node files are loaded by path, past the finder, hence the prefix for the whole time
    with _comfy.bytecode_in(bytecode(base)), guarded():
        server, failed = loop.run_until_complete(load())
    return server, loop, failed


@contextmanager
def guarded() -> Iterator[None]:
    """Around the loading of nodes: ComfyUI's guards (their names end in a hash) put back what
    nodes must not replace."""
    here = Path(module("nodes").__file__).parent
    guards = [module(file.stem) for file in sorted(here.glob("hook_breaker_*.py"))]
    for guard in guards:
        guard.save_functions()
    try:
        yield
    finally:
        for guard in guards:
            guard.restore_functions()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # models may lie where nobody can write
        log.info("the folder of %s cannot be made: %s", folder.name, error.strerror)


def add_models(roots: Sequence[Path], entries: Sequence[tuple[str, Path, bool]] = ()) -> None:
    """Look for model files in *roots* too, and first, in the same folders below each as ComfyUI
    has below its own; then in *entries*: kind, folder, and whether it comes before all others.

    The first root gets a folder for each kind. The others are not written to.
    """
    folder_paths = module("folder_paths")
    for kind, (folders, _) in list(folder_paths.folder_names_and_paths.items()):
        if kind in NOT_FOR_MODELS:
            continue
        if roots:
            _make(roots[0] / kind)
        names = [Path(folder).name for folder in folders]
        ours = [str(root / name) for root in roots for name in names]
        for folder in reversed(ours):
            folder_paths.add_model_folder_path(kind, folder, is_default=True)
    for kind, place, is_default in entries:
        folder_paths.add_model_folder_path(kind, str(place), is_default)
