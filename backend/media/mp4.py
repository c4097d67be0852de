"""MP4: how finely a file counts its own length.

Knows: the movie header (ISO/IEC 14496-12, 8.2.2).
Does not know: everything else in the file, which FFmpeg reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO


def movie_timescale(path: Path) -> int | None:
    """Units a second in which the edit lists of an MP4 file count; None if it does not say.

    An edit list tells where the sound ends. FFmpeg and others count it in milliseconds.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        movie = _box(file, b"moov", 0, size)
        header = movie and _box(file, b"mvhd", *movie)
        if not header:
            return None
        file.seek(header[0])
        version = file.read(1)
        file.seek(header[0] + (20 if version == b"\1" else 12))
        return int.from_bytes(file.read(4), "big") or None


def _box(file: BinaryIO, name: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Where the content of the first box *name* between *start* and *end* lies."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        length, content = int.from_bytes(head[:4], "big"), start + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16], "big"), start + 16
        elif length == 0:
            length = end - start
        if length < content - start:
            return None
        if head[4:8] == name:
            return content, min(start + length, end)
        start += length
    return None
