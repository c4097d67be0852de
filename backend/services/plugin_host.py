"""The plugin host: loads every plugin alone, and survives whatever one of them does.

Knows: the order of loading, name conflicts, deadlines, and who is unavailable and why.
Does not know: HTTP, workers, ComfyUI. One host serves one process; nothing is global.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pluggy
import structlog

from backend import hookspecs
from backend.config import Settings
from backend.hookspecs import PROJECT, ModelFile, NodeShape, Role
from backend.operations import Operation, Unavailable
from backend.plugins import BUILT_IN
from backend.services import needs
from backend.services.hook_thread import HookThread
from backend.services.model_folders import ModelFolders, plugin_kinds
from backend.services.plugin import (
    Home,
    Loaded,
    PluginRecord,
    PluginRefused,
    read,
    refuse_taken,
    summary_of,
    words,
)
from backend.services.plugin_discovery import Candidate, candidates

STARTUP_S: Final = 10.0
"""Time that a hook has while a plugin is loaded or started."""

SHUTDOWN_S: Final = 5.0
HEALTH_S: Final = 5.0

__all__ = ["STARTUP_S", "PluginHost", "PluginRecord"]

Offered = tuple[Operation[..., Any], str, Unavailable | None]

log = structlog.get_logger("kino.plugins")


class PluginHost:
    """All plugins of one process: `load` first, then `start`; `stop` before the process ends.

    These may take seconds, and never raise for what a plugin does. They may run in another thread
    than those who read.
    """

    def __init__(
        self,
        role: Role,
        settings: Settings,
        data_dir: Path,
        *,
        startup_s: float = STARTUP_S,
        builtins: Sequence[str] = BUILT_IN,
    ) -> None:
        self.role: Final = role
        self._settings = settings
        self._data_dir = data_dir
        self._startup_s = startup_s
        self._built_in = tuple(builtins)
        self._hooks = pluggy.PluginManager(PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}
        self._loaded: dict[str, Loaded] = {}
        self._offered: dict[str, Offered] = {}

    # --- what is there ----------------------------------------------------------------------

    @property
    def plugins(self) -> list[PluginRecord]:
        """Every plugin that was found, in the order of loading, broken ones too."""
        return list(self._records.values())

    @property
    def operations(self) -> dict[str, Offered]:
        """``{name: (operation, plugin, why it cannot be used in this process)}``."""
        return self._offered

    @property
    def shapes(self) -> list[NodeShape]:
        """The nodes under names of their own."""
        return [shape for loaded in self._loaded.values() for shape in loaded.shapes]

    @property
    def models(self) -> dict[str, ModelFile]:
        """The model files that plugins want, by id."""
        return {model.id: model for loaded in self._loaded.values() for model in loaded.models}

    @property
    def web_folders(self) -> dict[str, Path]:
        """What plugins show in the graph editor, by the plugin's name."""
        return {
            name: loaded.web_folder
            for name, loaded in self._loaded.items()
            if loaded.web_folder is not None
        }

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of each plugin that has some, by the plugin's name."""
        return {
            name: loaded.settings
            for name, loaded in self._loaded.items()
            if loaded.settings is not None
        }

    # --- loading ----------------------------------------------------------------------------

    def load(self) -> None:
        """Find and import every plugin, ask what it registers, and check what that needs."""
        for candidate in candidates(self._built_in, self._settings.plugins_dir):
            self._load_alone(candidate)
        for loaded in self._loaded.values():
            for operation in loaded.operations:
                why = needs.unmet(operation.needs, self.role, self._settings)
                if why is not None:
                    loaded.unmet[operation.name] = why
        self.look_for_models()

    def look_for_models(self) -> None:
        """Find out anew which operations lack model files. They may come and go while we live,
        so only the API process, which is asked first, says so: elsewhere a run finds out."""
        if self.role == "api":
            models, folders = self.models, self._model_folders
            for loaded in self._loaded.values():
                looked = {
                    each.name: needs.missing(each.needs, models, folders)
                    for each in loaded.operations
                }
                loaded.missing = {name: why for name, why in looked.items() if why is not None}
        self._offer()

    def missing_models(self, named: Sequence[tuple[str, str]]) -> Unavailable | None:
        """Why one of these models (kind and name) of plugins cannot be used now, or ``None``."""
        models, folders = self.models, self._model_folders
        found = (needs.missing_model(*each, models, folders) for each in named)
        return next((why for why in found if why is not None), None)

    @cached_property
    def _model_folders(self) -> ModelFolders:
        """When all plugins are loaded: they have kinds of their own."""
        return ModelFolders(self._settings, plugin_kinds(self.models.values()))

    def _load_alone(self, candidate: Candidate) -> None:
        name, number = candidate.name, 2
        while name in self._records:
            name, number = f"{candidate.name} ({number})", number + 1
        record = PluginRecord(name, "", candidate.version, candidate.source)
        try:
            if name != candidate.name:
                raise PluginRefused(f"another plugin is already called {candidate.name!r}")
            if name in Settings.model_fields:  # else KINO_<NAME>__… would mean two things
                raise PluginRefused(f"{name!r} is the name of a setting of Kino itself")
            module = self._import(candidate)
            record = replace(record, summary=summary_of(module))
            self._loaded[name] = self._read(name, module)
        except PluginRefused as refused:
            log.warning("plugin refused", plugin=name, reason=refused.why.reason)
            record = replace(record, unavailable=refused.why)
        except Exception as error:  # foreign objects may raise wherever they are looked at
            log.warning("plugin refused", plugin=name, exc_info=error)
            remedy = "Mend or remove the plugin; the log holds the traceback."
            why = Unavailable(f"reading it raised {words(error)}", remedy)
            record = replace(record, unavailable=why)
        self._records[name] = record
        self._offer()

    def _import(self, candidate: Candidate) -> object:
        try:
            return candidate.load()
        except ModuleNotFoundError as error:
            log.warning("plugin not imported", plugin=candidate.name, exc_info=error)
            missing = (error.name or "").partition(".")[0]
            remedy = f"Install it beside Kino: uv pip install {missing}"
            raise PluginRefused(f"importing it raised {words(error)}", remedy) from error
        except (Exception, SystemExit) as error:
            log.warning("plugin not imported", plugin=candidate.name, exc_info=error)
            remedy = "Mend or remove the plugin; the log holds the traceback."
            raise PluginRefused(f"importing it raised {words(error)}", remedy) from error

    def _read(self, name: str, module: object) -> Loaded:
        """Register the hooks of one plugin and ask it what it gives. Raises `PluginRefused`."""
        try:
            self._hooks.register(module, name)
            self._hooks.check_pending()
            values = self._settings.plugin_settings.get(name, {})
            loaded = read(name, module, lambda hook: self._ask(module, hook), values)
            self._refuse_conflicts(loaded)
        except BaseException as error:
            if self._hooks.is_registered(module):
                self._hooks.unregister(module)
            if isinstance(error, pluggy.PluginValidationError | ValueError):
                raise PluginRefused(f"a hook does not fit: {error}") from error
            raise
        return loaded

    def _refuse_conflicts(self, loaded: Loaded) -> None:
        operations = {name: plugin for name, (_, plugin, _) in self.operations.items()}
        nodes = {
            node_id: name for name, other in self._loaded.items() for node_id in other.node_ids
        }
        refuse_taken("operation", [each.name for each in loaded.operations], operations)
        refuse_taken("node", loaded.node_ids, nodes)

    # --- hooks ------------------------------------------------------------------------------

    def start(self) -> None:
        """Call every ``startup`` at once, then ask for health. Who raises or is late is out."""
        waiting = {
            name: self._call(loaded.module, "startup", host=self._home(name))
            for name, loaded in self._loaded.items()
            if loaded.state == "loaded"
        }
        for name, call in waiting.items():
            why = None if call is None else call.wait(self._startup_s)
            self._loaded[name].state = "started" if why is None else "failed"
            if why is not None:
                self._mark(name, why)
        self.check_health()

    def check_health(self) -> dict[str, Unavailable]:
        """Ask every plugin that is not out; ``{plugin: why it cannot work now}``.

        A plugin that was ill and is well is available again.
        """
        asked = {
            name: self._call(loaded.module, "check_health")
            for name, loaded in self._loaded.items()
            if loaded.state in ("loaded", "started")
        }
        ill: dict[str, Unavailable] = {}
        for name, call in asked.items():
            why = None if call is None else call.wait(HEALTH_S) or call.result
            if why is not None and not isinstance(why, Unavailable):
                gave = type(why).__name__
                why = Unavailable(f"check_health gave {gave}", "Mend or remove the plugin.")
            if why is not None:
                ill[name] = why
            self._mark(name, why)
        return ill

    def stop(self) -> None:
        """Call every ``shutdown`` of a started plugin at once; who is late is left behind."""
        calls = []
        for name, loaded in self._loaded.items():
            if loaded.state == "started":
                loaded.state = "stopped"
                calls.append(self._call(loaded.module, "shutdown", host=self._home(name)))
        for call in calls:
            why = None if call is None else call.wait(SHUTDOWN_S)
            if why is not None:
                log.warning("plugin did not stop", reason=why.reason)

    def _ask(self, module: object, hook: str) -> Any:
        """The answer of one plugin's hook while it is loaded. Raises `PluginRefused`."""
        call = self._call(module, hook)
        if call is None:
            return None
        why = call.wait(self._startup_s)
        if why is not None:
            raise PluginRefused(why.reason, why.remedy)
        return call.result

    def _call(self, module: object, hook: str, **arguments: Any) -> HookThread | None:
        """Begin to call a hook of one plugin alone: in a common call, one that raises loses all
        answers. ``None`` if the plugin does not implement it."""
        others = [each for each in self._hooks.get_plugins() if each is not module]
        caller = self._hooks.subset_hook_caller(hook, others)
        if not caller.get_hookimpls():
            return None
        return HookThread(hook, lambda: caller(**arguments))

    def _home(self, name: str) -> Home:
        folder = self._data_dir / "plugins" / name
        folder.mkdir(parents=True, exist_ok=True)
        return Home(self.role, folder, self._loaded[name].settings)

    def _mark(self, name: str, why: Unavailable | None) -> None:
        self._records[name] = replace(self._records[name], unavailable=why)
        self._offer()

    def _offer(self) -> None:
        """Make the answer that every request reads; a new one, as another thread may hold it."""
        self._offered = {
            operation.name: (
                operation,
                name,
                self._records[name].unavailable
                or loaded.unmet.get(operation.name)
                or loaded.missing.get(operation.name),
            )
            for name, loaded in self._loaded.items()
            for operation in loaded.operations
        }
