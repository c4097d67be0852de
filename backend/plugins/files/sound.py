"""Sounds, block by block: facts, and changes of rate, channels and level.

Knows: how to do it in constant memory, with progress.
Does not know: file formats (``saving``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio, check_length
from backend.media.levels import SILENCE_DB, decibels
from backend.media.resampling import length_at, resample_blocks, with_channels
from backend.plugins import Context, refused

from .formats import AudioChannels, AudioFacts
from .rules import not_empty, not_lost

Block = NDArray[np.float32]
"""Samples ``[channels, n]``."""

_COUNT: Final[dict[AudioChannels, int]] = {"mono": 1, "stereo": 2}


@dataclass(frozen=True, slots=True)
class Level:
    """The level asked for: a peak in dBFS (true or of the samples) or a loudness in LUFS."""

    peak_db: float | None = None
    true_peak: bool = False
    lufs: float | None = None


def probe(audio: Audio, ctx: Context) -> AudioFacts:
    """All facts of *audio*; reads every sample once."""
    peak, energy = 0.0, 0.0
    for block in watched(audio.blocks(), audio.frames, ctx):
        peak = max(peak, largest(block))
        energy += float(np.square(block, dtype=np.float64).sum())
    mean = energy / max(1, audio.frames * audio.channels)
    return AudioFacts(
        audio.duration_s,
        audio.sample_rate,
        audio.channels,
        audio.frames,
        decibels(peak),
        decibels(math.sqrt(mean)),
    )


def convert(
    audio: Audio, sample_rate: int | None, channels: AudioChannels, level: Level, ctx: Context
) -> Audio:
    """*audio* with another rate, number of channels or level; itself if nothing changes.

    Raises `InvalidParameters` for a sound without samples, for a number of channels that cannot
    become the one asked for, and for a level that the sound has no measure of.
    """
    not_empty(audio)
    if level.peak_db is not None and level.lufs is not None:
        raise refused("/normalize_lufs", "exclusive", "give normalize_db or normalize_lufs")
    rate, count = sample_rate or audio.sample_rate, _channels(audio, channels)
    check_length(length_at(audio.frames, audio.sample_rate, rate), rate)
    not_lost(audio, rate, "/sample_rate")
    if (rate, count) != (audio.sample_rate, audio.channels):
        blocks = watched(audio.blocks(), audio.frames, ctx)
        mixed = (with_channels(block, count) for block in blocks)
        resampled = resample_blocks(mixed, count, audio.sample_rate, rate)
        audio = Audio.from_blocks(resampled, rate, count)
    gain = gain_for(audio, level, ctx)
    return audio if gain == 1.0 else Audio.from_blocks(scaled(audio.blocks(), gain), rate, count)


def _channels(audio: Audio, channels: AudioChannels) -> int:
    if channels == "mono_to_stereo":
        return max(2, audio.channels)
    count = _COUNT.get(channels, audio.channels)
    if count != audio.channels and audio.channels > 2:
        sentence = f"{audio.channels} channels cannot become {channels}"
        raise refused("/channels", "channels", sentence)
    return count


def gain_for(audio: Audio, level: Level, ctx: Context, peak: float | None = None) -> float:
    """The factor that brings *audio* to *level*; 1 if none is asked for, and for silence.

    *peak* is its largest sample, where that is known. Raises `InvalidParameters` for a loudness
    target where the sound has no loudness.
    """
    if level.peak_db is None and level.lufs is None:
        return 1.0
    if level.lufs is None and not level.true_peak:
        known = peak_of(audio, ctx) if peak is None else peak
        return gain_to(level.peak_db or 0.0, decibels(known))
    from backend.media import loudness

    try:
        measured = loudness.measure(audio, ctx)
    except ValueError as error:
        pointer = "/true_peak" if level.lufs is None else "/normalize_lufs"
        raise refused(pointer, "loudness", str(error)) from error
    if level.lufs is None:
        return gain_to(level.peak_db or 0.0, measured.true_peak_db)
    if measured.integrated_lufs <= SILENCE_DB < measured.peak_db:
        sentence = (
            "the sound has no loudness: it is shorter than 0.4 s, or nowhere louder than -70 LUFS; "
            "give normalize_db instead"
        )
        raise refused("/normalize_lufs", "loudness", sentence)
    return gain_to(level.lufs, measured.integrated_lufs)


def peak_of(audio: Audio, ctx: Context) -> float:
    """The largest absolute sample; 0 for silence."""
    blocks = watched(audio.blocks(), audio.frames, ctx)
    return max((largest(block) for block in blocks), default=0.0)


def gain_to(target_db: float, present_db: float) -> float:
    """The factor from one level to another; 1 from silence."""
    return float(10.0 ** ((target_db - present_db) / 20.0)) if present_db > SILENCE_DB else 1.0


def scaled(blocks: Iterable[Block], gain: float) -> Iterator[Block]:
    """The blocks times *gain*, in double precision, rounded once."""
    for block in blocks:
        yield block if gain == 1.0 else (block.astype(np.float64) * gain).astype(np.float32)


def watched(
    blocks: Iterable[Block], frames: int, ctx: Context, part: int = 0, parts: int = 1
) -> Iterator[Block]:
    """The blocks, with progress and a checkpoint at each; *part* of *parts* equal ones."""
    done = part * frames
    for block in blocks:
        yield block
        done += block.shape[1]
        ctx.progress(done, parts * frames)


def largest(block: Block) -> float:
    """The largest absolute sample of a block."""
    return float(max(block.max(initial=0.0), -block.min(initial=0.0)))
