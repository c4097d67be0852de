"""Whether a container ends where it says: boxes of MP4, elements of Matroska.

Knows: sizes that a file declares of its own parts.
Does not know: what is in them. A decoder shows as much of a cut file as there is; this notices.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def mp4_is_whole(path: Path) -> bool:
    """Whether the boxes of an MP4 or MOV file, one after the other, end within the file."""
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return False
            length = int.from_bytes(head[:4], "big")
            if length == 0:  # the last box, up to the end of the file
                return True
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            if length < 8:
                return False
            position += length
    return position == size


def matroska_is_whole(path: Path) -> bool:
    """Whether the header and the segment of a Matroska file end within the file (RFC 9559).

    A live recording leaves the segment's size open, and then nothing can be said.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        for name in (_EBML, _SEGMENT):
            if file.read(4) != name:
                return False
            length = _length(file)
            if length is None:
                return name == _SEGMENT
            if file.tell() + length > size:
                return False
            file.seek(length, 1)
    return True


def _length(file: BinaryIO) -> int | None:
    """A variable-size integer (RFC 8794, 4); None if it says that the size is not known."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    more = 8 - first[0].bit_length()
    value = first[0] & ((1 << (7 - more)) - 1)
    value = value << (8 * more) | int.from_bytes(file.read(more), "big")
    return None if value == (1 << (7 * (more + 1))) - 1 else value
