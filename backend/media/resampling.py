"""Resampling: the same sound at another rate, and with another number of channels.

Knows: soxr's best quality (VHQ), streamed, and how mono and stereo become each other.
Does not know: which rate is wanted, and levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio

Block = NDArray[np.float32]
_HALF: Final = np.float32(0.5)


def length_at(frames: int, rate: int, new_rate: int) -> int:
    """How many frames *frames* at *rate* become at *new_rate*: scaled and rounded."""
    return (frames * new_rate + rate // 2) // rate


def resample_blocks(
    blocks: Iterable[Block], channels: int, from_rate: int, to_rate: int
) -> Iterator[Block]:
    """Resample ``[channels, n]`` blocks, streamed; the length is scaled and rounded.

    soxr VHQ: linear phase, no delay, 151 dB signal to noise. Equal rates pass untouched.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="VHQ")
    taken = given = 0
    for block in blocks:
        taken += block.shape[1]
        out = stream.resample_chunk(np.ascontiguousarray(block.T))
        given += len(out)
        if len(out):
            yield np.ascontiguousarray(out.T)
    wanted = length_at(taken, from_rate, to_rate)
    tail = stream.resample_chunk(np.empty((0, channels), np.float32), last=True)
    end = np.zeros((channels, max(0, wanted - given)), np.float32)
    count = min(len(tail), end.shape[1])
    end[:, :count] = tail[:count].T
    if end.shape[1]:
        yield end


def resampled(audio: Audio, sample_rate: int) -> Audio:
    """*audio* at *sample_rate*, in constant memory; itself if it has that rate already."""
    if audio.sample_rate == sample_rate:
        return audio
    blocks = resample_blocks(audio.blocks(), audio.channels, audio.sample_rate, sample_rate)
    return Audio.from_blocks(blocks, sample_rate, audio.channels)


def with_channels(block: Block, channels: int) -> Block:
    """One block with 1 or 2 channels: mono is copied to every channel, stereo is averaged to mono.

    Raises ``ValueError`` for a change that has no such rule (5.1 to stereo).
    """
    present = block.shape[0]
    if present == channels:
        return block
    if present == 1:
        return np.repeat(block, channels, axis=0)
    if channels == 1 and present == 2:
        return (block[:1] + block[1:]) * _HALF
    raise ValueError(f"{present} channels cannot become {channels}")
