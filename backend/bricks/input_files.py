"""Files in ComfyUI's input folder, by name, as media values.

Knows: the folder, that a name never leads out of it, and how a file is decoded.
Does not know: nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.bricks._comfy import module
from backend.context import scratch_folder
from backend.media import codecs, decoding
from backend.media.reference import MediaValue

NOTHING: Final = ("", "none")
"""What the widget of a loader holds before a file is chosen."""


def load(name: str, kind: str) -> MediaValue:
    """The file *name*, decoded, as a value of *kind*.

    Raises ``ValueError`` with a sentence if there is no such file, if it is of another kind, and
    for a name that leads out of the folder; ``AssetRejected`` and its like for what is damaged.
    """
    path = find(name)
    stored = decoding.decode_upload(path, scratch_folder(), decoding.Limits())
    if stored.kind != kind:
        raise ValueError(f"the file {name!r} is of kind {stored.kind}, not {kind}")
    return codecs.opener(kind, stored.path, media_type=stored.media_type, name=path.name)


def find(name: str) -> Path:
    """Where the file *name* lies. Raises ``ValueError`` as `load` does."""
    if name.strip() in NOTHING:
        raise ValueError(
            "no file is chosen: give an asset's reference, or a file's name in the input folder"
        )
    folder = Path(module("folder_paths").get_input_directory()).resolve()
    try:
        path = (folder / name).resolve()
        # a name may hold folders; "..", an absolute part or a link could lead anywhere
        inside = path.is_relative_to(folder)
        if inside and path.is_file():
            return path
    except (OSError, ValueError):  # too long, or a null character
        inside = False
    if not inside:
        raise ValueError(f"{name!r} is no file's name in the input folder")
    raise ValueError(f"there is no file {name!r} in the input folder")


def stamp(name: str) -> str:
    """What changes when the file does; empty if there is none."""
    try:
        status = find(name).stat()
    except (OSError, ValueError):  # the node itself says so when it runs
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"
