"""Model files that were replaced under their names, while what they gave is still held.

Knows: that the executor remembers a loader's output by the name of its file, and for how long a
file is the same.
Does not know: which nodes load; a value that is the name of a model file is taken for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backend.bricks._comfy import module

Edition = tuple[int, int, int]


class ModelChanges:
    """The model files that graphs have named so far, as they were then."""

    def __init__(self) -> None:
        self._seen: dict[Path, Edition] = {}

    def found(self, prompt: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether a file that *prompt* names is not the one that it was when it was last named.

        A file that was never named is no change: nothing of it is held.
        """
        changed = False
        for path in _files(prompt):
            facts = path.stat()
            edition = facts.st_size, facts.st_mtime_ns, facts.st_ino
            changed |= self._seen.get(path, edition) != edition
            self._seen[path] = edition
        return changed


def _files(prompt: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
    folder_paths = module("folder_paths")
    suffixes = tuple(folder_paths.supported_pt_extensions)
    for node in prompt.values():
        for value in node.get("inputs", {}).values():
            if isinstance(value, str) and value.lower().endswith(suffixes):
                for kind in folder_paths.folder_names_and_paths:
                    path = folder_paths.get_full_path(kind, value)
                    if path is not None:
                        yield Path(path)
