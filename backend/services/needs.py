"""Whether the needs of an operation are met here, and what would help if not.

Knows: modules (found, never imported), model files, and which workers are configured.
Does not know: ComfyUI and devices; the worker that has them reports on those.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from importlib.machinery import PathFinder

from backend.config import Settings
from backend.hookspecs import ModelFile, Role
from backend.operations import Needs, Unavailable
from backend.services.model_folders import ModelFolders, kind_and_name


def unmet(needs: Needs, role: Role, settings: Settings) -> Unavailable | None:
    """The first need that is not met and cannot come to be while the service runs, or ``None``.

    Modules are held against this process's environment, which the workers share, so that the API
    process can answer before they are ready.
    """
    for module in needs.modules:
        if not module_exists(module):
            return Unavailable(
                f"the Python module {module!r} is not installed",
                f"Install it beside Kino: uv pip install {module.partition('.')[0]}",
            )
    kind = needs.runs_on
    if role == "api" and kind != "loop" and kind not in settings.workers:
        return Unavailable(
            f"no {kind!r} worker is configured", f"Add {kind!r} to KINO_WORKERS and start again."
        )
    return None


def missing(
    needs: Needs, models: Mapping[str, ModelFile], folders: ModelFolders
) -> Unavailable | None:
    """The first model that is needed and not there now, or ``None``."""
    for model_id in needs.models:
        why = _model_missing(model_id, models, folders)
        if why is not None:
            return why
    return None if needs.model_kind is None else _none_of(needs.model_kind, models, folders)


def missing_model(
    kind: str, name: str, models: Mapping[str, ModelFile], folders: ModelFolders
) -> Unavailable | None:
    """Why the model *name* of a plugin's *kind* cannot be used; ``None`` for one that is there
    as a whole, and for one that no plugin knows: it is the operation that judges that."""
    files = _groups(kind, models).get(name, ())
    absent = [file for file in files if folders.find(*kind_and_name(file)) is None]
    if not absent:
        return None
    names = ", ".join(file.file_name for file in absent)
    return Unavailable(
        f"the model {name} is not installed: {names} not in models/{absent[0].folder}",
        f"Run: kino models download {name}",
    )


def _none_of(
    kind: str, models: Mapping[str, ModelFile], folders: ModelFolders
) -> Unavailable | None:
    known = _groups(kind, models)
    if any(missing_model(kind, name, models, folders) is None for name in known):
        return None
    if any(found.name.partition("/")[0] not in known for found in folders.files(kind)):
        return None  # one of the operator's own
    remedy = next((f"Run: kino models download {name}" for name in known), "")
    return Unavailable(f"there is no model in models/{kind}", remedy or "Put one there.")


def _groups(kind: str, models: Mapping[str, ModelFile]) -> dict[str, list[ModelFile]]:
    """The models of a kind, as plugins have registered them, and the files of each: those in one
    folder are one model, a file in no folder of its own is one."""
    found: dict[str, list[ModelFile]] = {}
    for file in models.values():
        its_kind, name = kind_and_name(file)
        if its_kind == kind:
            found.setdefault(name.partition("/")[0], []).append(file)
    return found


def module_exists(name: str) -> bool:
    """Whether *name* can be found. Nothing is imported, not even the parents of a submodule."""
    head, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(head)
    except ValueError:  # imported in some unusual way, and hence there
        return not rest
    path = head
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return False
        path = f"{path}.{part}"
        spec = PathFinder.find_spec(path, spec.submodule_search_locations)
    return spec is not None


def _model_missing(
    model_id: str, models: Mapping[str, ModelFile], folders: ModelFolders
) -> Unavailable | None:
    model = models.get(model_id)
    if model is None:
        return Unavailable(
            f"no plugin says what the model {model_id!r} is",
            "Tell the plugin's author: register_models must give it.",
        )
    if folders.find(*kind_and_name(model)) is not None:
        return None
    return Unavailable(
        f"the model file {model.file_name} is not in models/{model.folder}",
        f"Run `kino models download {model_id}`, or get it from {model.source} (licence:"
        f" {model.licence}).",
    )
