"""Tags: what people write into a sound file about it.

Knows: the fields and their rules, and how each format calls them.
Does not know: how a file is written.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

from pydantic import Field

from backend.plugins import Model

Words = Annotated[str, Field(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]{1,2000}$")]
"""Text; line breaks are allowed, other control characters are not."""


class Tags(Model):
    """Title, artist and the like. Every format that Kino writes has a place for all of them."""

    title: Words | None = None
    artist: Words | None = None
    album: Words | None = None
    date: (
        Annotated[
            str,
            Field(
                pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$",
                description="Year, year-month or year-month-day.",
            ),
        ]
        | None
    ) = None
    track: (
        Annotated[
            str,
            Field(
                pattern=r"^\d{1,4}(/\d{1,4})?$", description="Number, or number/count: 3 or 3/12."
            ),
        ]
        | None
    ) = None
    genre: Words | None = None
    comment: Words | None = None
    copyright: Words | None = None

    def given(self) -> dict[str, str]:
        """The tags that are there, by name, in the order above."""
        present: dict[str, str] = self.model_dump(exclude_none=True)
        return present


_INFO: Final = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "date": b"ICRD",
    "track": b"IPRT",
    "genre": b"IGNR",
    "comment": b"ICMT",
    "copyright": b"ICOP",
}
"""Chunks of a WAV file's LIST INFO (Multimedia Programming Interface 1.0, and as FFmpeg does)."""


def riff_info(tags: Tags) -> bytes:
    """The LIST chunk of a WAV file, in UTF-8; nothing if there are no tags."""
    body = b""
    for name, text in tags.given().items():
        value = text.encode() + b"\0"
        body += struct.pack("<4sI", _INFO[name], len(value)) + value + b"\0" * (len(value) % 2)
    return struct.pack("<4sI4s", b"LIST", len(body) + 4, b"INFO") + body if body else b""
