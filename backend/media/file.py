"""Any other file that a graph or an operation makes: an encoded sound, an animation, a 3D model.

Knows: where it lies, what type it is, and the name that people see.
Does not know: what is in it.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from backend.media.reference import MediaValue

UNKNOWN_TYPE: Final = "application/octet-stream"

# the system's tables differ from machine to machine; what Kino writes must not
_TYPES: Final = {
    ".aif": "audio/aiff", ".aiff": "audio/aiff", ".flac": "audio/flac", ".gif": "image/gif",
    ".glb": "model/gltf-binary", ".jpeg": "image/jpeg", ".jpg": "image/jpeg",
    ".json": "application/json", ".m4a": "audio/mp4", ".mid": "audio/midi",
    ".mkv": "video/x-matroska", ".mov": "video/quicktime", ".mp3": "audio/mpeg",
    ".mp4": "video/mp4", ".oga": "audio/ogg", ".ogg": "audio/ogg", ".opus": "audio/ogg",
    ".png": "image/png", ".txt": "text/plain", ".wav": "audio/wav", ".webm": "video/webm",
    ".webp": "image/webp",
}  # fmt: skip


def media_type_of(name: str) -> str:
    """The media type that a file name suggests."""
    suffix = Path(name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE


@dataclass(frozen=True, slots=True)
class File(MediaValue):
    """A file as it is. ``name`` is a label for people, never a path."""

    kind: ClassVar[str] = "file"
    path: Path
    media_type: str = UNKNOWN_TYPE
    name: str = "file"

    @classmethod
    def open(cls, path: Path, media_type: str | None = None, name: str | None = None) -> Self:
        """Without *media_type* and *name* both come from the path. Raises ``FileNotFoundError``."""
        if not path.is_file():
            raise FileNotFoundError("the file is gone")
        label = name or path.name
        return cls(path, media_type or media_type_of(label), label)
