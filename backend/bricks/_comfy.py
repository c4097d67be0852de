"""How ComfyUI's modules are found: a finder on ``sys.meta_path``, never an entry on ``sys.path``.

Knows: which top-level names belong to a ComfyUI tree, and how to load them without writing into it.
Does not know: what the modules do, and when they are imported (``bricks.boot``).

With ``sys.path`` a package called ``comfy`` anywhere else could win, and our own ``tests`` or
somebody's ``utils`` could turn into ComfyUI's. The finder answers for the tree's own names only,
and stands first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

NOT_OURS: Final = frozenset(
    {
        *("tests", "tests-unit", "script_examples", "custom_nodes", "alembic_db", "main", "models"),
        *("input", "output", "temp", "user", "venv"),
    }
)
"""Folders and files of a tree that nobody imports by name."""


def module(name: str) -> Any:
    """A module of ComfyUI by its name. Raises ``ImportError`` if ComfyUI was not booted."""
    return importlib.import_module(name)


def top_level_names(root: Path) -> frozenset[str]:
    """The importable top-level names of a ComfyUI tree. Raises ``OSError`` if it cannot be read."""
    names = set()
    for entry in root.iterdir():
        if entry.name.startswith((".", "_")) or entry.stem in NOT_OURS:
            continue
        if entry.suffix == ".py":
            names.add(entry.stem)
        elif entry.is_dir() and entry.name.isidentifier() and any(entry.glob("*.py")):
            names.add(entry.name)
    return frozenset(names)


@contextmanager
def bytecode_in(folder: Path) -> Iterator[None]:
    """Within this block compiled modules are read from and written to *folder*."""
    before = sys.pycache_prefix
    sys.pycache_prefix = str(folder)
    try:
        yield
    finally:
        sys.pycache_prefix = before


class _Loader(SourceFileLoader):
    """Loads one module of the tree; its byte code goes to a folder outside of the tree."""

    def __init__(self, name: str, path: str, bytecode: Path) -> None:
        super().__init__(name, path)
        self._bytecode = bytecode

    def get_code(self, fullname: str) -> CodeType | None:
        # only this module is compiled here; what it imports is executed later, outside the block
        with bytecode_in(self._bytecode):
            return super().get_code(fullname)


class TreeFinder(MetaPathFinder):
    """Finds the tree's own names, and nothing else, in the tree, and nowhere else."""

    def __init__(self, root: Path, bytecode: Path) -> None:
        self.root = root.resolve()
        self.names = top_level_names(self.root)
        self._bytecode = bytecode

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, below = fullname.partition(".")
        if top not in self.names or bool(below) != (path is not None):
            return None
        where = [str(self.root)] if path is None else list(path)
        spec = PathFinder.find_spec(fullname, where)
        if spec is None:
            return None
        if spec.loader is None and spec.submodule_search_locations is not None:
            # a namespace package: a plain list, or its __path__ is computed again from sys.path
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        elif type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self._bytecode)
        return spec

    def strangers(self) -> list[str]:
        """Loaded modules that bear a name of the tree but were loaded from elsewhere."""
        found = []
        for name, loaded in list(sys.modules.items()):
            if name.partition(".")[0] not in self.names or loaded is None:
                continue
            file = getattr(loaded, "__file__", None)
            places = [file] if file else list(getattr(loaded, "__path__", []))
            if not all(Path(place).resolve().is_relative_to(self.root) for place in places):
                found.append(name)
        return sorted(found)

    def install(self) -> None:
        """Stand first among the finders."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Go, and forget every module that was loaded."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name in list(sys.modules):
            if name.partition(".")[0] in self.names:
                del sys.modules[name]


class PackFinder(MetaPathFinder):
    """Finds what custom-node packs import of themselves, and keeps byte code out of their folders.

    Two of them stand among the finders. The first answers for submodules, which stand below a
    pack's folder. The last answers for the folders that packs have put on ``sys.path``: these are
    taken off it again, so that they win over nobody, and a node that imports late still finds its
    own modules.
    """

    def __init__(self, folder: Path, bytecode: Path, *, is_last: bool) -> None:
        self.top_level: list[str] = []
        self._folder = folder
        self._bytecode = bytecode
        self._is_last = is_last

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._is_last:
            where = self.top_level if path is None else []
        else:
            where = [place for place in path or () if Path(place).is_relative_to(self._folder)]
        spec = PathFinder.find_spec(fullname, where) if where else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self._bytecode)
        return spec
