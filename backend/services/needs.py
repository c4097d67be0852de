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


def unmet(
    needs: Needs,
    role: Role,
    models: Mapping[str, ModelFile],
    settings: Settings,
    folders: ModelFolders,
) -> Unavailable | None:
    """The first need that is not met, or ``None``.

    Modules are held against this process's environment, which the workers share, so that the API
    process can answer before they are ready.
    """
    for module in needs.modules:
        if not module_exists(module):
            return Unavailable(
                f"the Python module {module!r} is not installed",
                f"Install it beside Kino: uv pip install {module.partition('.')[0]}",
            )
    for model_id in needs.models:
        why = _model_missing(model_id, models, folders)
        if why is not None:
            return why
    kind = needs.runs_on
    if role == "api" and kind != "loop" and kind not in settings.workers:
        return Unavailable(
            f"no {kind!r} worker is configured", f"Add {kind!r} to KINO_WORKERS and start again."
        )
    return None


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
        f" {model.licence}), and start again.",
    )
