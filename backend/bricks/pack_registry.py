"""ComfyUI's registries around the loading of one custom-node pack: what it may add, and no more.

Knows: the tables of nodes, names, web folders and routes, and the loaded modules.
Does not know: how a pack is loaded (`bricks.packs`), and what it does to ComfyUI's functions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from backend.bricks import session
from backend.bricks._comfy import module
from backend.bricks.node_classes import node_info
from backend.bricks.pack_folders import Pack
from backend.bricks.pack_report import Refused
from backend.bricks.wording import without_paths
from backend.errors import said_by

_GONE: Final = object()


class ReplacedModule(Exception):
    """A pack put a module in the place of one that was there; its text names it."""


class Registry:
    """ComfyUI's registries as they were before a pack; *owners* names the packs of nodes.

    ComfyUI's own loader overwrites a node of the same name without a word.
    """

    def __init__(self, pack: Pack, owners: Mapping[str, str]) -> None:
        nodes = module("nodes")
        self._pack = pack
        self._owners = owners
        self._classes: dict[str, Any] = nodes.NODE_CLASS_MAPPINGS
        self._titles: dict[str, str] = nodes.NODE_DISPLAY_NAME_MAPPINGS
        self._web: dict[str, str] = nodes.EXTENSION_WEB_DIRS
        self._tables: tuple[dict[str, Any], ...] = (
            *(self._classes, self._titles, self._web),
            nodes.LOADED_MODULE_DIRS,
        )
        self._before = [dict(table) for table in self._tables]
        self._routes = session.booted().server.routes
        self._routes_before = len(self._routes)
        self._modules = dict(sys.modules)

    def undo(self) -> None:
        """Put everything back, and forget the modules of the pack."""
        for table, before in zip(self._tables, self._before, strict=True):
            table.clear()
            table.update(before)
        del self._routes._items[self._routes_before :]
        sys.modules.update(self._modules)
        place = self._pack.path.resolve()
        for name in sys.modules.keys() - self._modules.keys():
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(place):
                del sys.modules[name]

    def check_modules(self) -> None:
        """Raises `ReplacedModule` if a module of ComfyUI or Kino is another one than before."""
        finder = session.booted().finder
        for name, before in self._modules.items():
            top = name.partition(".")[0]
            if (top in finder.names or top == "backend") and sys.modules.get(name) is not before:
                raise ReplacedModule(f"it replaced the module {name}")
        for name in finder.strangers():
            raise ReplacedModule(f"it loaded a module of its own as {name}")

    def settle(self) -> tuple[tuple[str, ...], tuple[Refused, ...]]:
        """Keep what is the pack's to add, take back the rest; its nodes, and what was refused."""
        refused = (*self._clashes(), *self._broken(), *self._web_folders(), *self._route_clashes())
        added = self._classes.keys() - self._before[0].keys()
        titles = {name: title for name, title in self._titles.items() if name in added}
        self._titles.clear()
        self._titles.update({**self._before[1], **titles})
        return tuple(sorted(added)), refused

    @property
    def has_web(self) -> bool:
        """Whether the pack brings files for the graph editor."""
        return bool(self._web.keys() - self._before[2].keys())

    def _clashes(self) -> Iterator[Refused]:
        for name, before in self._before[0].items():
            if self._classes.get(name, _GONE) is not before:
                self._classes[name] = before
                yield Refused(
                    f"node {name}", f"{self._owner(name, before)} has a node of this name"
                )

    def _owner(self, name: str, found: Any) -> str:
        if getattr(found, "KINO", False):
            return "Kino"
        pack = self._owners.get(name)
        return f"the pack {pack!r}" if pack is not None else "ComfyUI"

    def _broken(self) -> Iterator[Refused]:
        """Nodes that cannot be described: one would take the descriptions of all others along."""
        for name in self._classes.keys() - self._before[0].keys():
            try:
                json.dumps(node_info(name))
                function = self._classes[name].FUNCTION
                if not callable(getattr(self._classes[name], function, None)):
                    raise TypeError(f"it has no method {function!r}")
            except Exception as error:  # noqa: BLE001 - foreign code; told in the report
                del self._classes[name]
                told = without_paths(f"{type(error).__name__}: {said_by(error)}".rstrip(": "))
                yield Refused(f"node {name}", f"it cannot be described: {told}")

    def _web_folders(self) -> Iterator[Refused]:
        before, place = self._before[2], self._pack.path.resolve()
        for name, folder in before.items():
            if self._web.get(name) != folder:
                self._web[name] = folder
                yield Refused(f"web folder {name}", "another pack has one of this name")
        for name in self._web.keys() - before.keys():
            folder = self._web.pop(name)
            home = place if place.is_dir() else place.parent
            if not Path(folder).resolve().is_relative_to(home):
                yield Refused(f"web folder {Path(name).name}", "it is outside of the pack")
            elif (short := Path(name).name) in self._web:
                yield Refused(f"web folder {short}", "another pack has one of this name")
            else:
                # for a single file the loader takes the whole path as its name
                self._web[short] = folder

    def _route_clashes(self) -> Iterator[Refused]:
        taken = {_route(each) for each in self._routes[: self._routes_before]}
        added = list(self._routes[self._routes_before :])
        del self._routes._items[self._routes_before :]
        for each in added:
            if _route(each) in taken:
                yield Refused(f"route {' '.join(_route(each))}", "there is such a route already")
            else:
                taken.add(_route(each))
                self._routes._items.append(each)


def _route(each: Any) -> tuple[str, str]:
    return str(getattr(each, "method", "")), str(getattr(each, "path", getattr(each, "prefix", "")))
