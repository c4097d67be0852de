"""What is told of one model file that is here.

Knows: formats, what is refused and why, and that a header is read once until the file changes.
Does not know: who asks.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

from backend.media import weights
from backend.services.job import rfc3339
from backend.services.model_architecture import architecture_of
from backend.services.model_folders import Found

CONVERT: Final = "Get the .safetensors file, or convert it on a machine where that code may run."


def details(found: Found) -> dict[str, Any]:
    """Name, size, time, format, type and architecture; ``refused`` says why it is not loaded.

    Raises ``OSError`` if the file has gone.
    """
    facts = found.path.stat()
    return {
        "kind": found.kind,
        "name": found.name,
        "installed": True,
        "root": found.root,
        "size": facts.st_size,
        "modified": rfc3339(facts.st_mtime),
        **_content(found.kind, str(found.path), facts.st_size, facts.st_mtime_ns),
    }


def may_run_code(kind: str, name: str) -> bool:
    """Whether loading the file might run code: Kino loads, and fetches, none that might."""
    suffix = PurePosixPath(name).suffix.lower()
    harmless = kind == "upscale_models" and suffix in weights.UPSCALERS
    return suffix in weights.PICKLES and not harmless


@lru_cache(maxsize=4096)
def _content(kind: str, path: str, size: int, changed: int) -> dict[str, Any]:
    del size, changed  # parts of the key only
    suffix = Path(path).suffix.lower()
    told: dict[str, Any] = {
        "format": suffix.removeprefix(".") or None,
        "type": None,
        "architecture": None,
        "refused": None,
    }
    if may_run_code(kind, path):
        why = f"a {suffix} file may hold code that runs while it is loaded"
        return {**told, "format": "pickle", "refused": _refused("pickle", why, CONVERT)}
    if suffix not in weights.SUFFIXES:
        return {**told, "format": "pickle"} if suffix in weights.PICKLES else told
    try:
        header = weights.read_header(Path(path))
    except weights.BadHeader as error:
        remedy = "Download it again; `kino models download` checks what it gets."
        refused = _refused("unreadable_model", str(error), remedy)
        return {**told, "format": "safetensors", "refused": refused}
    what = architecture_of(header)
    return {
        **told,
        "format": "safetensors",
        "type": what.type,
        "architecture": what.architecture,
        "variant": what.variant,
        "parts": list(what.parts),
        "naming": what.naming,
        "tensors": len(header.tensors),
        "parameters": header.parameters,
        "dtype": header.dtype,
    }


def _refused(rule: str, reason: str, remedy: str) -> dict[str, str]:
    return {"rule": rule, "reason": reason, "remedy": remedy}
