"""PNG files: 8 and 16 bits a sample, exact in both directions, equal pixels giving equal bytes.

Knows: the header, our own writer (row filter Up, fastest compression), and reading any PNG.
Does not know: what decoding an untrusted file needs (``media.decoding``).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.finite import check_finite

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
LEVEL: Final = 1
"""zlib's fastest: after the Up filter, more effort costs more time than it saves bytes."""

_COLOUR_TYPE: Final = {1: 0, 2: 4, 3: 2, 4: 6}
_CHANNELS: Final = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}
_UP: Final = 2
NOTE: Final = b"Kino"
"""Keyword of the one text chunk that is read and written."""
MOST_NOTE: Final = 4096

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


class NotPng(ValueError):
    """The file is not a PNG file, or a damaged one; the text says why."""


@dataclass(frozen=True, slots=True)
class PngInfo:
    """What the header says; ``bit_depth`` 8 or 16, ``channels`` 1, 3 or 4, as `read` gives them."""

    width: int
    height: int
    channels: int
    bit_depth: int
    animated: bool
    note: str | None = None
    """The text (ASCII) under our keyword, if there is one of sensible length."""


def read_info(path: Path) -> PngInfo:
    """Read the chunks before the pixels. Raises `NotPng`."""
    with path.open("rb") as file:
        head = file.read(33)
        if len(head) < 33 or head[:8] != SIGNATURE or head[12:16] != b"IHDR":
            raise NotPng("there is no PNG header")
        width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
        transparent = animated = False
        note = None
        while len(chunk := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", chunk)
            if name in (b"IDAT", b"IEND"):
                break
            transparent |= name == b"tRNS"
            animated |= name == b"acTL"
            if name == b"tEXt" and length <= len(NOTE) + 1 + MOST_NOTE:
                note = _note(file.read(length)) or note
                length = 0
            file.seek(length + 4, 1)
    if colour not in _CHANNELS or not width or not height:
        raise NotPng("the PNG header is damaged")
    channels = 4 if transparent and colour == 3 else _CHANNELS[colour]
    return PngInfo(width, height, channels, 16 if depth == 16 else 8, animated, note)


def _note(body: bytes) -> str | None:
    """What a text chunk says, if it is ours."""
    keyword, _, text = body.partition(b"\0")
    return text.decode("ascii") if keyword == NOTE and text.isascii() else None


def write(
    path: Path, pixels: Pixels, note: str | None = None, texts: Mapping[str, str] | None = None
) -> None:
    """Write uint8 or uint16 ``[H, W, C]`` with 1 to 4 channels to a new file.

    *note* is a text in ASCII, at most `MOST_NOTE` long, that goes with the pixels; *texts* are
    others' by their keyword, in ASCII too.
    """
    height, width, channels = pixels.shape
    depth = pixels.dtype.itemsize * 8
    big = np.ascontiguousarray(pixels, dtype=">u2" if depth == 16 else np.uint8)
    rows = big.view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[channels], 0, 0, 0)
    with path.open("xb") as file:
        file.write(SIGNATURE + _chunk(b"IHDR", header))
        if note is not None:
            file.write(_chunk(b"tEXt", NOTE + b"\0" + note.encode("ascii")))
        for keyword, text in (texts or {}).items():
            body = keyword.encode("ascii") + b"\0" + text.encode("ascii")
            file.write(_chunk(b"tEXt", body))
        file.write(_chunk(b"IDAT", zlib.compress(filtered.data, LEVEL)) + _chunk(b"IEND", b""))


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(name))
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def read(path: Path) -> Pixels:
    """All pixels, uint8 or uint16 ``[H, W, C]`` with 1, 3 or 4 channels. Raises `NotPng`.

    Palettes become RGB (with transparency RGBA), grey with alpha becomes RGBA, and fewer bits than
    8 are scaled up to 8.
    """
    info = read_info(path)
    if info.bit_depth == 8:
        return _read_pillow(path, info)
    ours = _read_ours(path, info)
    return _read_av(path, info) if ours is None else ours


def _read_pillow(path: Path, info: PngInfo) -> NDArray[np.uint8]:
    from PIL import Image

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[info.channels]
    try:
        with Image.open(path, formats=["PNG"]) as image:
            array = np.asarray(image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise NotPng("the PNG file is damaged") from error
    return array.reshape(info.height, info.width, info.channels)


def _read_ours(path: Path, info: PngInfo) -> NDArray[np.uint16] | None:
    """16-bit pixels if every row is filtered as our writer does it, else None."""
    with path.open("rb") as file:
        colour, interlaced = file.read(29)[25:29:3]
    if _COLOUR_TYPE[info.channels] != colour or interlaced:
        return None
    length = info.width * info.channels * 2 + 1
    raw = _inflated(path, length * info.height)
    rows = np.frombuffer(raw, np.uint8).reshape(info.height, length)
    if (rows[:, 0] != _UP).any():
        return None
    plain = np.add.accumulate(rows[:, 1:], axis=0, dtype=np.uint8)
    pixels = np.ascontiguousarray(plain).view(">u2").astype(np.uint16)
    return pixels.reshape(info.height, info.width, info.channels)


def _inflated(path: Path, size: int) -> bytes:
    """The *size* bytes that the pixels are. A small file may hold far more, to fill the memory:
    what goes beyond is never unpacked. Raises `NotPng`."""
    inflate, raw = zlib.decompressobj(), bytearray()
    try:
        for part in _pixel_chunks(path):
            raw += inflate.decompress(part, size + 1 - len(raw))
            if len(raw) > size:
                raise NotPng("there are more pixels than the header declares")
    except zlib.error as error:
        raise NotPng("the pixels are damaged") from error
    if len(raw) != size:
        raise NotPng("there are fewer pixels than the header declares")
    return bytes(raw)


def _pixel_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            body = file.read(length)
            if name == b"IDAT":
                yield body
            file.seek(4, 1)


def _read_av(path: Path, info: PngInfo) -> NDArray[np.uint16]:
    """16-bit pixels of any PNG; Pillow would reduce them to 8 bits."""
    import av
    from av.error import FFmpegError

    form = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}[info.channels]
    try:
        with av.open(str(path), format="png_pipe", mode="r") as container:
            frame = next(container.decode(video=0))
            array = frame.reformat(format=form).to_ndarray().astype(np.uint16)
    except (FFmpegError, StopIteration) as error:
        raise NotPng("the PNG file is damaged") from error
    return array.reshape(info.height, info.width, info.channels)


def to_grid(values: NDArray[np.float32], bit_depth: int) -> Pixels:
    """Values 0..1 to the nearest integers of 8 or 16 bits; what lies outside is clipped.

    Raises `Unfit` for values that are not finite.
    """
    check_finite(values, "image")
    top, kind = (65535, np.uint16) if bit_depth == 16 else (255, np.uint8)
    pixels: Pixels = np.rint(np.clip(values, 0.0, 1.0) * np.float32(top)).astype(kind)
    return pixels


def from_grid(pixels: Pixels) -> NDArray[np.float32]:
    """Integers of 8 or 16 bits to float32 values 0..1; `to_grid` gives them back exactly."""
    top = 65535 if pixels.dtype == np.uint16 else 255
    values: NDArray[np.float32] = pixels.astype(np.float32) / np.float32(top)
    return values
