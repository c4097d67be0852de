"""Levels over time: gain, moving or not, and fades.

Knows: decibels, curves, and where a fade begins.
Does not know: measuring (``sound``, ``media.loudness``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.curves import as_points
from backend.plugins import Context, refused
from backend.plugins.files.rules import frames_of, not_empty
from backend.plugins.files.sound import Block, scaled, watched

Values = NDArray[np.float64]

SILENT_DB: Final = -120.0
"""A gain of so little is none, as at the bottom of a fader."""
_EXPONENTIAL_DB: Final = 60.0


def gain(audio: Audio, gain_db: float | Breakpoints | Automation, ctx: Context) -> Audio:
    """*audio* times a gain that may move."""
    not_empty(audio)
    blocks = watched(audio.blocks(), audio.frames, ctx)
    if isinstance(gain_db, int | float):
        blocks = scaled(blocks, float(_factor(np.array(gain_db))))
    else:
        blocks = _ridden(blocks, *as_points(gain_db, audio.sample_rate))
    return Audio.from_blocks(blocks, audio.sample_rate, audio.channels)


def _factor(decibels: Values) -> Values:
    return np.where(decibels > SILENT_DB, 10.0 ** (decibels / 20.0), 0.0)


def _ridden(blocks: Iterator[Block], positions: Values, values: Values) -> Iterator[Block]:
    start = 0
    for block in blocks:
        place = np.arange(start, start + block.shape[1])
        yield (block * _factor(np.interp(place, positions, values))).astype(np.float32)
        start += block.shape[1]


def fade(audio: Audio, fade_in_s: float, fade_out_s: float, curve: str, ctx: Context) -> Audio:
    """*audio* with a fade at either end. Raises `InvalidParameters` for one longer than it."""
    not_empty(audio)
    rising, falling = frames_of(fade_in_s, audio), frames_of(fade_out_s, audio)
    for pointer, frames in (("/fade_in_s", rising), ("/fade_out_s", falling)):
        if frames > audio.frames:
            told = f"the fade is longer than the sound, which lasts {audio.duration_s:.6g} s"
            raise refused(pointer, "longer_than_sound", told)

    def blocks() -> Iterator[Block]:
        start = 0
        for block in watched(audio.blocks(), audio.frames, ctx):
            end = start + block.shape[1]
            if start < rising or end > audio.frames - falling:
                place = np.arange(start, end)
                gains = shape(place, rising, curve) * shape(
                    audio.frames - 1 - place, falling, curve
                )
                block = (block * gains).astype(np.float32)
            yield block
            start = end

    return Audio.from_blocks(blocks(), audio.sample_rate, audio.channels)


def shape(place: NDArray[np.int64], frames: int, curve: str) -> Values:
    """The gain at each *place*, counted from the start of a fade of so many frames; 1 after it.

    A sample stands for the middle of its step, so that a fade and its mirror add up.
    """
    t: Values = np.clip((place + 0.5) / frames, 0.0, 1.0) if frames else np.ones(len(place))
    if curve == "constant_power":
        return np.sin(0.5 * np.pi * t)
    if curve == "smooth":
        return 0.5 - 0.5 * np.cos(np.pi * t)
    if curve == "exponential":
        floor = 10.0 ** (-_EXPONENTIAL_DB / 20.0)
        shaped: Values = (10.0 ** (_EXPONENTIAL_DB * (t - 1.0) / 20.0) - floor) / (1.0 - floor)
        return shaped
    return t
