"""MP4: how finely a file counts its own length."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from backend.media.mp4 import movie_timescale


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def header(version: int, timescale: int) -> bytes:
    before = bytes(16 if version else 8)
    return box(b"mvhd", bytes([version, 0, 0, 0]) + before + struct.pack(">I", timescale) + b"rest")


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("wide", [False, True])
def test_the_movie_header_is_found(tmp_path: Path, version: int, wide: bool):
    """In both versions, behind other boxes, and in boxes with 64-bit sizes."""
    inside = box(b"free", b"abc") + header(version, 44_100)
    movie = box(b"moov", inside)
    if wide:
        movie = struct.pack(">I4sQ", 1, b"moov", len(inside) + 16) + inside
    path = tmp_path / "x.m4a"
    path.write_bytes(box(b"ftyp", b"M4A ") + box(b"mdat", b"moov" * 9) + movie)
    assert movie_timescale(path) == 44_100


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", box(b"ftyp", b"M4A "), box(b"moov", b""), box(b"moov", header(0, 0)),
     struct.pack(">I4s", 3, b"moov"), struct.pack(">I4s", 900, b"moov")],
)  # fmt: skip
def test_where_nothing_is_said_nothing_is_known(tmp_path: Path, content: bytes):
    """Empty, cut and lying files have no timescale, and end the search."""
    path = tmp_path / "x.m4a"
    path.write_bytes(content)
    assert movie_timescale(path) is None
