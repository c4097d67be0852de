"""Sounds, block by block: levels, and changes of rate, channels and level.

Knows: how to do it in constant memory, with progress.
Does not know: file formats (``encoding``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.levels import decibels
from backend.media.resampling import resample_blocks, with_channels
from backend.plugins import Context, FieldError, InvalidParameters, OperationFailed

from .formats import AudioChannels, AudioFacts

Block = NDArray[np.float32]

_COUNT: Final[dict[AudioChannels, int]] = {"mono": 1, "stereo": 2}


def probe(audio: Audio, ctx: Context) -> AudioFacts:
    """All facts of *audio*; reads every sample once."""
    peak, energy = 0.0, 0.0
    for block in watched(audio.blocks(), audio.frames, ctx):
        peak = max(peak, _peak(block))
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
    audio: Audio,
    sample_rate: int | None,
    channels: AudioChannels,
    normalize_db: float | None,
    ctx: Context,
) -> Audio:
    """*audio* with another rate, number of channels or peak level; itself if nothing changes.

    Raises `InvalidParameters` for a number of channels that cannot become the one asked for.
    """
    rate, count = sample_rate or audio.sample_rate, _COUNT.get(channels, audio.channels)
    if count != audio.channels and audio.channels > 2:
        sentence = f"{audio.channels} channels cannot become {channels}"
        raise InvalidParameters(sentence, errors=[FieldError("/channels", "channels", sentence)])
    if (rate, count) != (audio.sample_rate, audio.channels):
        blocks = watched(audio.blocks(), audio.frames, ctx)
        mixed = (with_channels(block, count) for block in blocks)
        resampled = resample_blocks(mixed, count, audio.sample_rate, rate)
        audio = Audio.from_blocks(resampled, rate, count)
    if normalize_db is not None:
        gain = gain_to(normalize_db, peak_of(audio, ctx))
        audio = Audio.from_blocks(scaled(audio.blocks(), gain), rate, count)
    return audio


def peak_of(audio: Audio, ctx: Context) -> float:
    """The largest absolute sample; 0 for silence."""
    blocks = watched(audio.blocks(), audio.frames, ctx)
    return max((_peak(block) for block in blocks), default=0.0)


def gain_to(target_db: float, peak: float) -> float:
    """The factor that brings *peak* to *target_db*; 1 for silence."""
    return float(10.0 ** (target_db / 20.0) / peak) if peak > 0 else 1.0


def scaled(blocks: Iterable[Block], gain: float) -> Iterator[Block]:
    """The blocks times *gain*, in double precision, rounded once."""
    for block in blocks:
        yield block if gain == 1.0 else (block.astype(np.float64) * gain).astype(np.float32)


def watched(blocks: Iterable[Block], frames: int, ctx: Context) -> Iterator[Block]:
    """The blocks, with progress and a checkpoint at each."""
    done = 0
    for block in blocks:
        yield block
        done += block.shape[1]
        ctx.progress(done, frames)


def _peak(block: Block) -> float:
    peak = float(np.abs(block).max(initial=0.0))
    if not math.isfinite(peak):
        raise OperationFailed("the audio holds samples that are NaN or infinite")
    return peak
