"""WAV files: our own writer and reader, so that equal samples give equal bytes.

Knows: RIFF, and RF64 (EBU Tech 3306) beyond 4 GiB; 32-bit float and 16 and 24-bit integer samples.
Does not know: other formats, and what decoding an untrusted file needs (``media.decoding``).

The canonical file of Kino's audio is the 32-bit float one: interleaved, data at byte 92, no chunk
after the data, no time stamp (libsndfile's PEAK chunk carries one).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from backend.media.finite import check_finite

SampleFormat = Literal["int16", "int24", "float32"]
Block = NDArray[np.float32]
"""Samples ``[channels, frames]``."""

DATA_OFFSET: Final = 92
RIFF_LIMIT: Final = 2**32 - 1
"""Largest size that a RIFF field can hold; a larger file is written as RF64."""

_UNKNOWN: Final = 0xFFFFFFFF
_WIDTH: Final[dict[SampleFormat, int]] = {"int16": 2, "int24": 3, "float32": 4}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


class NotWav(ValueError):
    """The file is not a WAV file that this module reads; the text says why."""


@dataclass(frozen=True, slots=True)
class WavInfo:
    """What the header says. ``data_size`` is what is declared, ``present`` what is there."""

    tag: int
    bits: int
    channels: int
    sample_rate: int
    data_offset: int
    data_size: int
    present: int
    trailing: int

    @property
    def frames(self) -> int:
        return self.data_size // max(1, self.channels * self.bits // 8)

    @property
    def is_float32(self) -> bool:
        return self.tag == _FLOAT and self.bits == 32

    @property
    def is_canonical(self) -> bool:
        """Whether the file is laid out as `WavWriter` lays out 32-bit float samples."""
        whole = self.present == self.data_size and self.trailing == 0
        return self.is_float32 and self.data_offset == DATA_OFFSET and whole


def read_info(path: Path) -> WavInfo:
    """Read the chunks of a WAV file. Raises `NotWav` if it is none or has no samples' chunk."""
    size = path.stat().st_size
    with path.open("rb") as file:
        form = file.read(12)
        if len(form) < 12 or form[:4] not in (b"RIFF", b"RF64") or form[8:] != b"WAVE":
            raise NotWav("there is no RIFF or RF64 header")
        long_size: int | None = None
        fmt: bytes | None = None
        position = 12
        while position + 8 <= size:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(8))
            start = position + 8
            if name == b"ds64" and length >= 28:
                long_size = struct.unpack("<8xQ", file.read(16))[0]
            elif name == b"fmt ":
                fmt = file.read(min(length, 64))
            elif name == b"data":
                if fmt is None:
                    raise NotWav("the samples come before their format")
                if length == _UNKNOWN and form[:4] == b"RF64" and long_size is not None:
                    length = long_size
                return _info(fmt, start, length, size)
            position = start + length + length % 2
    raise NotWav("there is no data chunk")


def _info(fmt: bytes, offset: int, length: int, size: int) -> WavInfo:
    if len(fmt) < 16:
        raise NotWav("the format chunk is cut")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack("<H", fmt[24:26])[0]
    if channels == 0 or rate == 0 or bits == 0:
        raise NotWav("the header says that there are no channels, no rate or no bits")
    present = min(length, size - offset)
    return WavInfo(tag, bits, channels, rate, offset, length, present, size - offset - present)


def read_blocks(
    path: Path, frames: int = 65536, start: int = 0, end: int | None = None
) -> Iterator[Block]:
    """Stream a 32-bit float WAV file, from frame *start* to *end*, as ``[channels, n]`` blocks, in
    constant memory.

    Raises `NotWav` if it holds other samples or fewer than it declares.
    """
    info = _whole_float(path)
    left = (info.frames if end is None else min(end, info.frames)) - start
    with path.open("rb", buffering=0) as file:
        file.seek(info.data_offset + start * info.channels * 4)
        while left > 0:
            count = min(frames, left)
            yield np.ascontiguousarray(_read(file, count, info.channels).T)
            left -= count


def read_samples(path: Path) -> Block:
    """All samples of a 32-bit float WAV file, ``[channels, frames]``. Raises `NotWav`."""
    info = _whole_float(path)
    samples = np.empty((info.channels, info.frames), np.float32)
    position = 0
    for block in read_blocks(path, 1 << 18):
        samples[:, position : position + block.shape[1]] = block
        position += block.shape[1]
    return samples


def _whole_float(path: Path) -> WavInfo:
    info = read_info(path)
    if not info.is_float32:
        raise NotWav("the samples are not 32-bit float")
    if info.present < info.data_size:
        raise NotWav("there are fewer samples than the header declares")
    return info


def _read(file: BinaryIO, frames: int, channels: int) -> NDArray[np.float32]:
    """*frames* interleaved frames ``[frames, channels]``."""
    buffer = np.empty((frames, channels), "<f4")
    view, done = buffer.data.cast("B"), 0
    while done < len(view):
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise NotWav("the file ended before its samples did")
        done += count
    return buffer.astype(np.float32, copy=False)


class WavWriter:
    """Writes a WAV file block by block; the header is completed on leaving the ``with`` block.

    ``write`` takes float ``[channels, n]`` for ``float32``, and integers in the format's own range
    (int32 ``[channels, n]``) for ``int16`` and ``int24``; nothing is clipped or scaled here.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int,
        sample_format: SampleFormat = "float32",
        *,
        trailer: bytes = b"",
        riff_limit: int = RIFF_LIMIT,
    ) -> None:
        """*trailer* is whole chunks, of an even length, to stand after the samples."""
        self.path = path
        self.frames = 0
        self._trailer = trailer
        self._rate, self._channels, self._format = sample_rate, channels, sample_format
        self._limit = riff_limit
        self._file = path.open("xb")
        self._file.write(self._header())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._file.close()

    def write(self, block: NDArray[np.float32] | NDArray[np.int32]) -> None:
        """Append one block. Raises `Unfit` for samples that are not finite."""
        if block.ndim != 2 or block.shape[0] != self._channels:
            raise ValueError(f"a block [{self._channels}, n] is needed, not {block.shape}")
        if self._format == "float32":
            check_finite(block, "audio")
        self._file.write(_pack(block, self._format))
        self.frames += block.shape[1]

    def close(self) -> None:
        """Pad the data to an even length, add what follows it, and complete the header."""
        if self.frames * self._channels * _WIDTH[self._format] % 2:
            self._file.write(b"\0")
        self._file.write(self._trailer)
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def _header(self) -> bytes:
        width = _WIDTH[self._format]
        data = self.frames * self._channels * width
        whole = DATA_OFFSET - 8 + data + data % 2 + len(self._trailer)
        long = whole > self._limit
        sizes = struct.pack("<QQQI", whole, data, self.frames, 0) if long else bytes(28)
        return b"".join(
            [
                struct.pack(
                    "<4sI4s", *((b"RF64", _UNKNOWN) if long else (b"RIFF", whole)), b"WAVE"
                ),
                struct.pack("<4sI", b"ds64" if long else b"JUNK", 28) + sizes,
                struct.pack(
                    "<4sIHHIIHH",
                    b"fmt ",
                    16,
                    _FLOAT if self._format == "float32" else _PCM,
                    self._channels,
                    self._rate,
                    self._rate * self._channels * width,
                    self._channels * width,
                    width * 8,
                ),
                struct.pack("<4sII", b"fact", 4, _UNKNOWN if long else self.frames),
                struct.pack("<4sI", b"data", _UNKNOWN if long else data),
            ]
        )


def _pack(
    block: NDArray[np.float32] | NDArray[np.int32], sample_format: SampleFormat
) -> bytes | memoryview:
    """Interleave ``[channels, n]`` into little-endian bytes."""
    frames = block.T
    if sample_format == "float32":
        woven = np.empty(frames.shape, "<f4")
        for channel, samples in enumerate(block):  # four times as fast as a transposed copy
            woven[:, channel] = samples
        return woven.data
    if sample_format == "int16":
        return np.ascontiguousarray(frames, "<i2").tobytes()
    wide = np.ascontiguousarray(frames, "<i4").view(np.uint8).reshape(-1, 4)
    return wide[:, :3].tobytes()
