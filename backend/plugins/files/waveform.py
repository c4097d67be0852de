"""Waveforms: the extremes of a sound in steps that grow fourfold, for drawing at every zoom.

Knows: the pyramid, and the binary layout of BBC audiowaveform (.dat, version 2).
Does not know: how a waveform is drawn (``media.sound_pictures`` and whoever shows it).

A file is a header of six little-endian 32-bit numbers (version 2, flags 0 for 16 bits, sample rate,
samples per pixel, length, channels) and then, for each pixel and channel, minimum and maximum as
16-bit integers.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.file import File
from backend.media.sound_pictures import waveform_picture
from backend.plugins import Context, scratch_folder

from . import sound
from .formats import Waveform, WaveformLevel
from .rules import not_empty

FINEST: Final = 256
STEP: Final = 4
MOST: Final = 1024
"""The coarsest level has at most so many pairs."""

HEADER: Final = struct.Struct("<iIiiIi")
_FULL_SCALE: Final = 32767.0
_CHUNK: Final = 65536
"""Pairs read at once; a multiple of `STEP`."""

Extremes = NDArray[np.int16]
"""Pixels ``[n, channels, 2]``: minimum and maximum."""


def measure(audio: Audio, ctx: Context, *, picture: bool) -> Waveform:
    """All levels of *audio*, in constant memory. Raises `InvalidParameters` without samples."""
    not_empty(audio)
    made = [_write(audio, FINEST, _finest(audio, ctx))]
    while made[-1][1].length > MOST:
        path, level = made[-1]
        coarser = level.samples_per_pixel * STEP
        made.append(_write(audio, coarser, _coarser(path, audio.channels)))
    files = [
        File(path, "application/octet-stream", f"waveform_{level.samples_per_pixel}.dat")
        for path, level in made
    ]
    last = np.concatenate(list(_read(made[-1][0], audio.channels)))
    overview = (last / _FULL_SCALE).round(5).transpose(1, 0, 2)
    return Waveform(
        files,
        [level for _, level in made],
        overview.tolist(),
        waveform_picture(audio, Context(is_cancelled=ctx.is_cancelled)) if picture else None,
    )


def _finest(audio: Audio, ctx: Context) -> Iterator[Extremes]:
    for block in sound.watched(audio.blocks(), audio.frames, ctx):
        scaled = np.rint(np.clip(block, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
        yield _reduced(scaled.T, scaled.T, FINEST)


def _coarser(path: Path, channels: int) -> Iterator[Extremes]:
    for pixels in _read(path, channels):
        yield _reduced(pixels[:, :, 0], pixels[:, :, 1], STEP)


def _reduced(low: NDArray[np.int16], high: NDArray[np.int16], step: int) -> Extremes:
    """The extremes of every *step* rows of ``[n, channels]``; blocks are multiples of it but for
    the last one."""
    starts = np.arange(0, len(low), step)
    pair = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    return np.stack(pair, axis=2)


def _write(
    audio: Audio, samples_per_pixel: int, pixels: Iterable[Extremes]
) -> tuple[Path, WaveformLevel]:
    length = -(-audio.frames // samples_per_pixel)
    path = scratch_folder() / f"waveform-{uuid.uuid4().hex}.dat"
    with path.open("xb") as file:
        file.write(HEADER.pack(2, 0, audio.sample_rate, samples_per_pixel, length, audio.channels))
        for part in pixels:
            file.write(part.astype("<i2").tobytes())
    return path, WaveformLevel(samples_per_pixel, length)


def _read(path: Path, channels: int) -> Iterator[Extremes]:
    with path.open("rb") as file:
        file.seek(HEADER.size)
        while part := file.read(_CHUNK * channels * 4):
            yield np.frombuffer(part, "<i2").reshape(-1, channels, 2)
