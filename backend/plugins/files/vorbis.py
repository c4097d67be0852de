"""Ogg Vorbis files, written by libsndfile: PyAV's FFmpeg has no encoder worth the name.

Knows: quality, tags, the order of channels, and how pages of Ogg are numbered.
Does not know: levels; samples come ready.

libsndfile draws the serial number of the stream by the clock. So that equal sounds give equal
bytes, the pages are given a fixed one afterwards, and new checksums.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.decoding_audio import vorbis_order

_TAGS: Final = {"track": "tracknumber"}
_SERIAL: Final = 1
_CHUNK: Final = 4096
"""libsndfile lays a whole write on the stack."""

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write(
    path: Path,
    blocks: Iterable[NDArray[np.float32]],
    sample_rate: int,
    channels: int,
    *,
    quality: float,
    tags: Mapping[str, str],
) -> None:
    """Write float *blocks* ``[channels, n]`` to *path*; *quality* is 0 to 1 (Vorbis' 0 to 10)."""
    import soundfile

    # theirs for each of ours; the way back is the other way round
    order = np.argsort(vorbis_order(channels))
    with soundfile.SoundFile(
        path,
        "w",
        sample_rate,
        channels,
        subtype="VORBIS",
        format="OGG",
        compression_level=1.0 - quality,
    ) as file:
        for name, text in tags.items():
            setattr(file, _TAGS.get(name, name), text)
        for block in blocks:
            for start in range(0, block.shape[1], _CHUNK):
                file.write(block[order, start : start + _CHUNK].T)
    renumber(path, _SERIAL)


def renumber(path: Path, serial: int) -> None:
    """Give every page of an Ogg file the stream number *serial*, in place (RFC 3533)."""
    with path.open("r+b") as file:
        while head := file.read(27):
            table = file.read(head[26])
            body = file.read(sum(table))
            start = head[:14] + struct.pack("<I", serial) + head[18:22]
            checksum = _crc(start + bytes(4) + head[26:] + table + body)
            file.seek(-len(head) - len(table) - len(body), 1)
            file.write(start + struct.pack("<I", checksum) + head[26:] + table + body)


def _crc(page: bytes) -> int:
    """The checksum of a page: polynomial 0x04c11db7, from 0, most significant bit first.

    zlib's is the same the other way round, begun and ended with ones.
    """
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
