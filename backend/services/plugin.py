"""One plugin: how it is shown, and what it registered, checked.

Knows: what a well-formed set of operations, nodes, models and settings is.
Does not know: other plugins, and how its hooks are called (``services.plugin_host``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from backend.errors import said_by
from backend.hookspecs import ModelFile, NodeShape, Role
from backend.operations import Operation, Unavailable

T = TypeVar("T")
LONGEST: Final = 300
_FOLDERS: Final = re.compile(r"(?<![\w.:/])(/|[A-Za-z]:\\)([^\s'\":,()]+[/\\])+")
Ask = Callable[[str], Any]
"""Calls one hook of the plugin; raises `PluginRefused` if that goes wrong."""


class PluginRefused(Exception):
    """A plugin cannot be used; ``why`` says it. Never leaves the plugin host."""

    def __init__(self, reason: str, remedy: str = "Mend or remove the plugin.") -> None:
        super().__init__(reason)
        self.why = Unavailable(reason, remedy)


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A plugin as everybody sees it. ``source`` is ``built-in``, ``package`` or ``file``."""

    name: str
    summary: str
    version: str
    source: str
    unavailable: Unavailable | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "summary": self.summary,
            "version": self.version,
            "source": self.source,
            "available": self.unavailable is None,
            "unavailable": self.unavailable.as_json() if self.unavailable else None,
        }


@dataclass(frozen=True, slots=True)
class Home:
    """What ``startup`` and ``shutdown`` are given; see ``hookspecs.Host``."""

    role: Role
    plugin_data: Path
    settings: Any


@dataclass(slots=True)
class Loaded:
    """A plugin that could be loaded, what it registered, and how far it came."""

    module: object
    operations: tuple[Operation[..., Any], ...] = ()
    shapes: tuple[NodeShape, ...] = ()
    models: tuple[ModelFile, ...] = ()
    settings: BaseModel | None = None
    web_folder: Path | None = None
    unmet: dict[str, Unavailable] = field(default_factory=dict)
    missing: dict[str, Unavailable] = field(default_factory=dict)
    state: Literal["loaded", "started", "failed", "stopped"] = "loaded"

    @property
    def node_ids(self) -> list[str]:
        """Every name that this plugin adds to ComfyUI's nodes."""
        derived = [operation.node_id for operation in self.operations]
        return derived + [shape.node_id for shape in self.shapes]


def read(name: str, module: object, ask: Ask, values: Mapping[str, Any]) -> Loaded:
    """Ask the plugin what it registers, and check it. Raises `PluginRefused`.

    *values* are those of ``KINO_<PLUGIN>__*``, for the model that ``register_settings`` gives.
    """
    loaded = Loaded(
        module,
        _items(ask, "register_operations", Operation),
        _items(ask, "register_nodes", NodeShape),
        _items(ask, "register_models", ModelFile),
        _settings(name, ask("register_settings"), values),
        _folder(ask("register_web_assets")),
    )
    for operation in loaded.operations:
        try:  # here, for whoever describes all operations must not meet the error
            operation.json_schema()
            _ = operation.outputs
        except Exception as error:
            raise PluginRefused(f"{operation.name} cannot be read: {words(error)}") from error
    return loaded


def refuse_taken(what: str, names: list[str], taken: dict[str, str]) -> None:
    """An earlier plugin keeps its names; nothing is ever renamed. Raises `PluginRefused`.

    *taken* maps each name to the plugin that has it.
    """
    for name in names:
        if name in taken:
            raise PluginRefused(f"the {what} {name!r} belongs to the plugin {taken[name]!r}")
        if names.count(name) > 1:
            raise PluginRefused(f"the {what} {name!r} is given twice")


def summary_of(module: object) -> str:
    """The module's ``summary``, else the first line of its docstring."""
    said = getattr(module, "summary", None)
    if isinstance(said, str):
        return said
    return (getattr(module, "__doc__", None) or "").strip().partition("\n")[0]


def words(error: BaseException) -> str:
    """An exception in one line that callers may see: no folders of this machine, not too long."""
    said = " ".join(_FOLDERS.sub("", said_by(error)).split())
    return f"{type(error).__name__}: {said}".rstrip(": ")[:LONGEST]


def _items(ask: Ask, hook: str, kind: type[T]) -> tuple[T, ...]:
    """What a hook that gives many things gave: one answer for each implementation."""
    items: list[T] = []
    for answer in ask(hook) or ():
        if not isinstance(answer, list | tuple):
            raise PluginRefused(f"{hook} gave {type(answer).__name__}, not a list")
        for item in answer:
            if not isinstance(item, kind):
                raise PluginRefused(f"{hook} gave {type(item).__name__}, not {kind.__name__}")
            items.append(item)
    return tuple(items)


def _folder(given: Any) -> Path | None:
    if given is None:
        return None
    if not isinstance(given, Path):
        raise PluginRefused(f"register_web_assets gave {type(given).__name__}, not a Path")
    if not given.is_dir():
        raise PluginRefused(f"register_web_assets gave {given.name!r}, which is no folder")
    return given.resolve()


def _settings(name: str, model: Any, values: Mapping[str, Any]) -> BaseModel | None:
    if model is None:
        return None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginRefused("register_settings gave no pydantic model class for its settings")
    try:
        # not strict, whatever the model says: in the environment everything is a string
        return model.model_validate(dict(values), strict=False)
    except ValidationError as error:
        rules = error.errors(include_input=False, include_url=False, include_context=False)
        told = ", ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in rules)
        raise PluginRefused(
            f"its settings cannot be read: {told}",  # not the values: one may be a secret
            f"Correct the settings KINO_{name.upper()}__… and start again.",
        ) from error
