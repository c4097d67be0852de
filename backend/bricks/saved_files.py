"""What a saver of Kino's keeps, told as ComfyUI's own savers tell of their files.

Knows: the keys of ``ui`` (as of ``SaveImage``, ``SaveAudio``, ``SaveVideo``), and ComfyUI's output
folder.
Does not know: the assets that the same values become.

Only a prompt of a stock client is told of files: it looks for them in the history and in the
message ``executed``, and fetches them from ``/view``. The file is a copy: whoever changes or
removes it there does not touch the asset.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from backend.bricks._comfy import module
from backend.bricks.engine import Produced
from backend.bricks.graph_run import GraphRun
from backend.context import scratch_folder
from backend.media import codecs

FOLDER: Final = "kino"
"""Below ComfyUI's output folder."""

_KEYS: Final = {
    "audio": "audio", "image": "images", "mask": "images", "midi": "files", "video": "images",
}  # fmt: skip
_UNSAFE: Final = re.compile(r"[^\w.-]+")
_LONGEST: Final = 80
"""Bytes of a file's name that come from the asset's."""
Shown = dict[str, Any]


def keep(run: GraphRun, produced: Iterable[Produced]) -> Shown:
    """Make *produced* results of the graph; what the node's ``ui`` says of them: nothing in a graph
    of Kino's own, whose results are in the job.

    Raises ``OSError`` if a file cannot be written.
    """
    shown: Shown = {}
    for each in produced:
        if not run.told or isinstance(each.value, str):
            run.saved.append(each)
            continue
        # written once, here: what is recorded at the end is this very file
        stored = codecs.store(each.value, scratch_folder(), "shown")
        value = codecs.opener(
            each.kind, stored.path, media_type=stored.media_type, name=stored.file_name
        )
        run.saved.append(Produced(each.node_id, each.kind, value, each.name))
        key = _KEYS.get(each.kind) or _KEYS.get(stored.media_type.partition("/")[0], "files")
        shown.setdefault(key, []).append(_copied(stored.path, each.name))
        if each.kind == "video" or stored.media_type.startswith("video/"):
            shown["animated"] = (True,)
    return shown


def _copied(source: Path, name: str | None) -> dict[str, str]:
    """A copy of *source* in the output folder: after *name*, with the next free number."""
    plain = _UNSAFE.sub("_", Path(name or "").name.removesuffix(source.suffix)).strip("._")
    folder_paths = module("folder_paths")
    folder, stem, number, subfolder, _ = folder_paths.get_save_image_path(
        f"{FOLDER}/{_cut(plain) or 'result'}", folder_paths.get_output_directory()
    )
    target = Path(folder) / f"{stem}_{number:05}_{source.suffix}"
    shutil.copyfile(source, target)
    return {"filename": target.name, "subfolder": subfolder, "type": "output"}


def _cut(name: str) -> str:
    """What of *name* file systems take with a number and a suffix behind it."""
    return name.encode()[:_LONGEST].decode(errors="ignore")
