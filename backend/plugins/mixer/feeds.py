"""Sources as streams at the bus rate, in pieces of exactly the length asked for.

Knows: how blocks of any size become pieces of one size, in constant memory.
Does not know: how a rate is changed (``media.resampling``), nor what the pieces are used for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.media.resampling import resample_blocks

Block = npt.NDArray[np.float32]
"""Samples [channels, frames]."""

FRAMES: Final = 65536
"""Frames that are worked on at a time."""


class Feed:
    """A stream of blocks of any size, handed out in pieces of the size asked for."""

    def __init__(self, blocks: Iterable[Block], channels: int) -> None:
        self._blocks = iter(blocks)
        self._rest: Block = np.zeros((channels, 0), np.float32)

    def take(self, frames: int) -> Block:
        """The next *frames* frames [channels, frames]; fewer only where the source ends."""
        parts = [self._rest]
        have = self._rest.shape[1]
        while have < frames:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            have += block.shape[1]
        joined = parts[-1] if have == parts[-1].shape[1] else np.concatenate(parts, axis=1)
        self._rest = joined[:, frames:]
        return joined[:, :frames]


def feed_at(audio: Audio, new_rate: int) -> Feed:
    """*audio* from its start, at *new_rate*; at its own rate the samples are untouched."""
    blocks = audio.blocks(FRAMES)
    return Feed(
        resample_blocks(blocks, audio.channels, audio.sample_rate, new_rate), audio.channels
    )
