"""Starting the engine of the ``comfy`` worker: ComfyUI, or the fake one of the tests.

Knows: the settings that the boot takes, and how its outcome is reported.
Does not know: ComfyUI (``bricks.boot`` does). A boot that fails is a report, not an end: what
needs torch without ComfyUI is served all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backend.config import Settings
from backend.errors import KinoError
from backend.operations import Needs, Unavailable
from backend.services.model_folders import ModelFolders
from backend.wire import Message

if TYPE_CHECKING:
    from backend.services.plugin_host import PluginHost

_LOCK: Final = Path(__file__).resolve().parent.parent / "comfyui.lock"
_log = logging.getLogger("kino.engine")


def start(settings: Settings, host: PluginHost, on_stage: Callable[[str], None]) -> Message:
    """Boot and register every operation as a node; return what ``ready`` says of ComfyUI."""
    try:
        return _boot(settings, host, on_stage)
    except KinoError as error:
        _log.warning("ComfyUI is not available: %s", error.detail)
        why = Unavailable(error.detail, error.remedy or "See `kino doctor`.")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; logged and reported
        _log.error("ComfyUI did not start", exc_info=error)
        why = Unavailable(
            f"importing ComfyUI failed with {type(error).__name__}",
            "The log holds the traceback. Run `scripts/comfyui.py verify`, then `kino doctor`.",
        )
    return {"unavailable": why.as_json()}


def unmet(needs: Needs, comfyui: Message | None) -> Unavailable | None:
    """Why an operation with these needs cannot run in this process, which says *comfyui*."""
    started = comfyui is not None and "unavailable" not in comfyui
    if needs.comfyui and comfyui is None:
        return Unavailable("this worker has no ComfyUI", "Declare runs_on='comfy'.")
    if needs.comfyui and comfyui is not None and not started:
        return Unavailable(**comfyui["unavailable"])
    if needs.device == "gpu" and not (started and comfyui is not None and not comfyui["cpu"]):
        return Unavailable("no GPU is used here", "Run Kino on a machine with a GPU.")
    return None


def node_classes(comfyui: Message | None) -> list[str]:
    """The names of all node classes that this process, which says *comfyui*, can run."""
    if comfyui is None or "unavailable" in comfyui:
        return []
    from backend.bricks import engine

    return sorted(engine.current().classes())


def model_table() -> Message:
    """The folders of models as ComfyUI, which was started here, has them now."""
    from backend.bricks import folders

    return dict(folders.model_table())


def _boot(settings: Settings, host: PluginHost, on_stage: Callable[[str], None]) -> Message:
    operations = {name: entry[0] for name, entry in host.operations.items()}
    unavailable = {name: entry[2] for name, entry in host.operations.items() if entry[2]}
    if settings.engine == "fake":
        from backend.testing import engine as fake

        return _as_json(fake.install())
    if not settings.comfyui.enabled:
        return {
            "unavailable": Unavailable(
                "ComfyUI is switched off", "Set KINO_COMFYUI__ENABLED=true."
            ).as_json()
        }
    from backend.bricks import boot, nodes, packs, sampling
    from backend.bricks import folders as model_folders

    folders = ModelFolders(settings)
    for trouble in folders.troubles():
        _log.warning("%s: %s", trouble.setting, trouble.sentence)
    info = boot.boot(
        settings.comfyui_path,
        settings.comfyui_base,
        models=[root for _, root in folders.roots if root.parent != settings.comfyui_base],
        more_models=[(each.kind, each.path, each.is_default) for each in folders.entries],
        cpu=settings.comfyui.cpu,
        # what is asked for last counts
        flags=[
            "--max-upload-size",
            str(settings.limits.upload_bytes / 2**20),
            *settings.comfyui.flags,
        ],
        lock=_LOCK,
        accept_modified=settings.comfyui.accept_modified,
        on_stage=on_stage,
    )
    on_stage("nodes")
    nodes.register_operations(operations, host.shapes, unavailable)
    reports = packs.load(
        settings.custom_nodes_dir,
        settings.comfyui.custom_nodes,
        settings.comfyui_base,
        seconds=settings.comfyui.custom_nodes_s,
        on_stage=on_stage,
    )
    return {
        **_as_json(info),
        # packs may have added some since
        "samplers": sampling.samplers(),
        "schedulers": sampling.schedulers(),
        "packs": [report.as_json() for report in reports],
        "model_table": model_folders.model_table(),
    }


def _as_json(info: Any) -> Message:
    described: Message = info.as_json()
    return described
