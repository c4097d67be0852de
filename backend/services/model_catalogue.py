"""The offline catalogue: every model file that ComfyUI's official templates name.

Knows: the package ``comfyui-workflow-templates-json`` (MIT), which comes with ComfyUI's
requirements, and where it keeps its templates. Nothing is copied out of it; it is read when it is
first asked for, in about 0.2 s, and no network is needed.
Does not know: the licences of the files. Each has the page where its publisher tells it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog

from backend.services.model_wants import Wanted, published

PACKAGE: Final = "comfyui_workflow_templates_json"
SOURCE: Final = "catalogue"
_log = structlog.get_logger("kino.models")


@cache
def catalogue() -> tuple[Wanted, ...]:
    """Every file once, by kind and name; ``by`` are the templates that want it. Empty without the
    package."""
    found: dict[tuple[str | None, str], Wanted] = {}
    for path in _templates():
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("template not read", file=path.name, reason=str(error))
            continue
        if not isinstance(document, dict):
            continue
        for each in published(document, SOURCE, f"template:{path.stem}"):
            key = (each.kind, each.name)
            known = found.get(key)
            if known is None:
                found[key] = each
            elif each.by[0] not in known.by:
                digest = known.sha256 or (each.sha256 if each.url == known.url else None)
                found[key] = replace(known, by=(*known.by, *each.by), sha256=digest)
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0] or "", key[1])))


def _templates() -> list[Path]:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return []
    return sorted((Path(spec.origin).parent / "templates").glob("*.json"))
