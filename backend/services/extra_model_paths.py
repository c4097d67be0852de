"""ComfyUI's ``extra_model_paths.yaml``, read as ComfyUI reads it, but with sentences for mistakes.

Knows: sections, ``base_path``, ``is_default`` and folders on several lines.
Does not know: what the folders are for (``services.model_folders``).

The rules are those of ComfyUI's ``utils/extra_config.py``: ``~`` and variables are expanded in
``base_path`` only; what is relative starts at ``base_path``, else beside the YAML file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.config import expanded

FILE_BYTES: Final = 1 << 20
NOT_READ: Final = ("custom_nodes", "datasets")
"""What may stand in such a file and is no folder of models; node packs have settings of their
own."""

_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder: its kind as it is written, where it is, and whether it comes first."""

    section: str
    kind: str
    path: Path
    is_default: bool


def read_extra_model_paths(path: Path) -> tuple[tuple[Entry, ...], list[str]]:
    """The folders in the file's order, and a sentence for everything that cannot be used.

    A mistake costs its own line, or section; a file that is no YAML costs all of them.
    """
    document, wrong = _load(path)
    entries: list[Entry] = []
    for section, content in document.items():
        if content is None:
            continue
        if not isinstance(content, dict):
            wrong.append(f"section {str(section)!r} holds no folders")
            continue
        found, more = _section(str(section), content, path.absolute().parent)
        entries += found
        wrong += more
    return tuple(entries), wrong


def variables(path: Path | None) -> set[str]:
    """Names of the variables that the file uses; none if there is none, or it cannot be read."""
    if path is None:
        return set()
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES).decode(errors="replace")
    except OSError:  # `read_extra_model_paths` says so
        return set()
    return {plain or braced for plain, braced in _VARIABLE.findall(text)}


def _load(path: Path) -> tuple[dict[Any, Any], list[str]]:
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
    except OSError as error:
        return {}, [f"the file cannot be read: {error.strerror}"]
    if len(text) > FILE_BYTES:
        return {}, [f"the file has more than {FILE_BYTES} bytes"]
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        said = getattr(error, "problem", None)
        return {}, [f"the file is no YAML{where}" + (f": {said}" if said else "")]
    if document is None:
        return {}, []
    if not isinstance(document, dict):
        return {}, ["the file is no table of sections"]
    return document, []


def _section(name: str, content: dict[Any, Any], here: Path) -> tuple[list[Entry], list[str]]:
    base = content.get("base_path")
    if base is not None and not isinstance(base, str):
        return [], [f"section {name!r}: base_path is no text"]
    start = here / expanded(base) if base else here
    entries: list[Entry] = []
    wrong: list[str] = []
    for kind, folders in content.items():
        if kind in ("base_path", "is_default", *NOT_READ):
            continue
        if not isinstance(kind, str) or not isinstance(folders, str):
            wrong.append(f"section {name!r}: {str(kind)!r} names no folder")
            continue
        entries += [
            Entry(
                section=name,
                kind=kind,
                path=Path(os.path.normpath(start / line)),
                is_default=bool(content.get("is_default", False)),
            )
            for line in folders.split("\n")
            if line
        ]
    return entries, wrong
