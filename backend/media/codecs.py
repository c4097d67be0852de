"""Codecs: how each kind of value becomes its canonical file and comes back.

Knows: one codec a kind, and how a value is stored so that a crash loses nothing. What is small is
given as bytes instead, for whoever can keep them at less cost than a file.
Does not know: where assets lie (``services.assets`` moves stored files there).
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import blake3

from backend.media import wav
from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import UNKNOWN_TYPE, File
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.media.reference import MediaValue
from backend.media.video import Video

_CHUNK: Final = 1 << 20
_ANY_WRITE: Final = 0o222
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind is kept: file suffix, media type, and the functions that read and write it.

    ``describe`` gives the facts that results and assets show: ``duration_s``, ``width`` …
    """

    kind: str
    suffix: str
    media_type: str
    open: Callable[[Path], Any]
    save: Callable[[Any, Path], None]
    describe: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A canonical file, with the blake3 (64 hex digits) of its bytes: durable on the disk at
    ``path``, or, if it is small and that was asked for, its bytes in ``content``."""

    kind: str
    path: Path
    blake3: str
    size: int
    media_type: str
    file_name: str
    details: dict[str, Any]
    content: bytes | None = None

    def as_leaf(self) -> dict[str, Any]:
        """The JSON by which a worker names it in a result."""
        leaf = {
            "kind": self.kind,
            "blake3": self.blake3,
            "size": self.size,
            "media_type": self.media_type,
            "file_name": self.file_name,
            "details": self.details,
        }
        if self.content is None:
            leaf["path"] = str(self.path)
        else:
            leaf["content"] = base64.b64encode(self.content).decode()
        return {"$media": leaf}


def _describe_audio(value: Audio) -> dict[str, Any]:
    return {
        "duration_s": value.duration_s,
        "sample_rate": value.sample_rate,
        "channels": value.channels,
        "frames": value.frames,
    }


def _describe_image(value: Image) -> dict[str, Any]:
    return {
        "width": value.width,
        "height": value.height,
        "channels": value.channels,
        "bit_depth": value.bit_depth,
    }


def _describe_automation(value: Automation) -> dict[str, Any]:
    return {
        "duration_s": value.duration_s,
        "frames": value.frames,
        "frame_rate": str(value.frame_rate),
    }


def _describe_midi(value: Midi) -> dict[str, Any]:
    return {"duration_s": value.duration_s, "notes": len(value.notes)}


def _describe_mask(value: Mask) -> dict[str, Any]:
    return {"width": value.width, "height": value.height}


def _describe_video(value: Video) -> dict[str, Any]:
    return {
        "duration_s": value.duration_s,
        "frame_rate": str(value.frame_rate),
        "frames": value.frame_count,
        "width": value.width,
        "height": value.height,
        "has_audio": value.has_audio,
    }


def _copy_file(value: File | Video, path: Path) -> None:
    _copy(value.path, path)


CODECS: Final[dict[str, Codec]] = {
    codec.kind: codec
    for codec in (
        Codec("audio", ".wav", "audio/wav", Audio.open, Audio.save, _describe_audio),
        Codec("image", ".png", "image/png", Image.open, Image.save, _describe_image),
        Codec("mask", ".png", "image/png", Mask.open, Mask.save, _describe_mask),
        Codec("midi", ".mid", "audio/midi", Midi.open, Midi.save, _describe_midi),
        Codec(
            "automation",
            ".json",
            "application/json",
            Automation.open,
            Automation.save,
            _describe_automation,
        ),
        Codec("video", ".mp4", "video/mp4", Video.open, _copy_file, _describe_video),
        Codec("file", "", UNKNOWN_TYPE, File.open, _copy_file, lambda value: {}),
    )
}


def opener(
    kind: str, path: Path, *, media_type: str | None = None, name: str | None = None
) -> MediaValue:
    """Open a canonical file as a value of *kind*; *media_type* and *name* matter to files only.

    Raises ``KeyError`` for an unknown kind and ``ValueError`` if the file is of another kind.
    """
    if kind == "file":
        return File.open(path, media_type, name)
    value: MediaValue = CODECS[kind].open(path)
    return value


def store(value: MediaValue, folder: Path, stem: str, *, small: int = -1) -> StoredFile:
    """Write the canonical file of *value* into *folder*, durable, and hash it.

    A value that lies in a canonical file already is linked (or copied), not rewritten. One of at
    most *small* bytes is not kept on the disk but given in ``content``. Equal values give equal
    bytes. Raises ``OSError``, and `Unfit` for values that are not finite.
    """
    codec = CODECS[value.kind]
    name = value.name if isinstance(value, File) else None
    suffix = _suffix(name) if name is not None else codec.suffix
    media_type = codec.media_type
    if isinstance(value, Video):
        suffix, media_type = value.suffix, value.media_type
    elif isinstance(value, File):
        media_type = value.media_type
    path = _free(folder, stem, suffix)
    own = _own_file(value)
    if own is None:
        codec.save(value, path)
    content = _read_small(own or path, small)
    if content is not None:
        path = own or path
        digest, size = blake3.blake3(content).hexdigest(), len(content)
    else:
        if own is not None and not _link(own, path, folder):
            _copy(own, path)
        digest, size = _hash_and_sync(path)
    return StoredFile(
        kind=value.kind,
        path=path,
        blake3=digest,
        size=size,
        media_type=media_type,
        file_name=name or f"{stem}{suffix}",
        details=codec.describe(value),
        content=content,
    )


def _read_small(path: Path, most: int) -> bytes | None:
    """The bytes of a file of at most *most* bytes."""
    if most < 0:
        return None
    with path.open("rb", buffering=0) as file:
        content = file.read(most + 1)
    return content if len(content) <= most else None


def _suffix(name: str) -> str:
    """The suffix of a label, if it is a harmless one."""
    suffix = Path(name).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def _own_file(value: MediaValue) -> Path | None:
    """The value's canonical file, if it has one."""
    if isinstance(value, Audio) and value.path is not None:
        return value.path if wav.read_info(value.path).is_canonical else None
    if isinstance(value, Image | Mask | Video | File):
        return value.path
    return None


def _link(source: Path, target: Path, folder: Path) -> bool:
    """Give the same bytes a second name; False where that is not possible or not safe.

    Safe is what nobody will write to again: files of this run, and read-only ones (assets).
    """
    ours = source.resolve().is_relative_to(folder.resolve())
    if not ours and source.stat().st_mode & _ANY_WRITE:
        return False
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        if target.exists():
            raise
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _CHUNK)


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """A path in *folder* that does not exist yet."""
    path, count = folder / f"{stem}{suffix}", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}{suffix}"
    return path


def hash_file(path: Path) -> str:
    """The blake3 of a file as 64 hex digits, in constant memory."""
    digest = blake3.blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _hash_and_sync(path: Path) -> tuple[str, int]:
    digest = hash_file(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return digest, os.fstat(file.fileno()).st_size
