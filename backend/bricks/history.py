"""What a graph left behind: the files and texts that ComfyUI's history names.

Knows: the history's keys, and which file becomes which value.
Does not know: the graph. File names are read from the history only; a folder is never listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backend.bricks.engine import Produced
from backend.media.audio import Audio
from backend.media.file import File
from backend.media.image import Image
from backend.media.reference import MediaValue
from backend.media.video import MEDIA_TYPES, Video


class Collector:
    """Turns the history of one run into values; files outside of its folders are not its own."""

    def __init__(self, output: Path, temporary: Path) -> None:
        self._folders = {"output": output, "temp": temporary}
        self.warnings: list[str] = []

    def collect(self, history: Mapping[str, Any]) -> list[Produced]:
        """All values of ``{"outputs": {node: {key: [...]}}, "meta": {node: …}}``."""
        found: list[Produced] = []
        meta = history.get("meta") or {}
        for node_id, shown in (history.get("outputs") or {}).items():
            # a node that another one unfolded into is shown under the one in the graph
            owner = str((meta.get(node_id) or {}).get("display_node") or node_id)
            found.extend(self._of_node(owner, shown or {}))
        return found

    def _of_node(self, node_id: str, shown: Mapping[str, Any]) -> Iterator[Produced]:
        animated = any(shown.get("animated") or ())
        for key, items in shown.items():
            for item in items if isinstance(items, list | tuple) else [items]:
                if isinstance(item, Mapping) and "filename" in item:
                    path = self._path(node_id, item)
                    if path is not None:
                        value = _value(path, key, animated=animated)
                        yield Produced(node_id, value.kind, value)
                elif key == "text":
                    yield Produced(node_id, "text", str(item))

    def _path(self, node_id: str, item: Mapping[str, Any]) -> Path | None:
        folder = self._folders.get(str(item.get("type")))
        if folder is None:
            return None
        path = folder / str(item.get("subfolder") or "") / str(item["filename"])
        # an absolute part starts anew; a link could lead anywhere
        inside = path.is_relative_to(folder) and ".." not in path.parts
        if not inside or path.is_symlink() or not path.is_file():
            self.warnings.append(f"node {node_id} names a file that it did not write")
            return None
        return path


def _value(path: Path, key: str, *, animated: bool) -> MediaValue:
    if key == "images" and not animated and path.suffix.lower() == ".png":
        try:
            return Image.open(path)
        except ValueError:
            return File.open(path)
    if key == "audio":
        return _audio(path) or File.open(path)
    if path.suffix.lower() in MEDIA_TYPES:
        try:
            return Video.open(path)
        except ValueError:
            return File.open(path)
    return File.open(path)


def _audio(path: Path) -> Audio | None:
    """The decoded sound of a FLAC, MP3, Opus or WAV file; None for what libsndfile cannot read."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as sound:
            blocks: Iterable[Any] = sound.blocks(65536, dtype="float32", always_2d=True)
            return Audio.from_blocks(
                (block.T for block in blocks), sound.samplerate, sound.channels
            )
    except soundfile.LibsndfileError:
        return None
