"""Where plugins are found: built-in modules, installed packages, files in a folder.

Knows: the three sources, their order, and how one plugin's module is imported.
Does not know: what a plugin holds, or what to do with one that cannot be imported.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import structlog

from backend import __version__

GROUP: Final = "kino"
"""The entry-point group of installed plugins."""

FILE_MODULES: Final = "kino_plugin_"
"""Prefix of the module names of plugin files, so that none shadows an installed package."""

log = structlog.get_logger("kino.plugins")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that was found and is not imported yet. ``load`` may raise anything."""

    name: str
    source: Literal["built-in", "package", "file"]
    version: str
    load: Callable[[], object]


def candidates(built_in: Iterable[str], folder: Path | None) -> Iterator[Candidate]:
    """All plugins, in the order in which they are loaded: an earlier one keeps its names."""
    for module in built_in:
        load = partial(importlib.import_module, module)
        yield Candidate(module.rpartition(".")[2], "built-in", __version__, load)
    yield from _installed()
    if folder is not None:
        yield from _files(folder)


def _installed() -> Iterator[Candidate]:
    """Entry points, by name: the order on the path is an accident of the installation."""
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda each: (each.name, each.value)):
        version = point.dist.version if point.dist is not None else ""
        yield Candidate(point.name, "package", version, point.load)


def _files(folder: Path) -> Iterator[Candidate]:
    if not folder.is_dir():
        log.warning("the plugins folder does not exist", folder=str(folder))
        return
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            yield Candidate(path.stem, "file", "", partial(_import_file, path))


def _import_file(path: Path) -> object:
    """Import one file under a name of its own. A failed one leaves no half module behind."""
    name = FILE_MODULES + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
