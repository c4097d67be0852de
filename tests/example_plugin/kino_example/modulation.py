"""Gain that a slow sine moves.

Knows: the arithmetic, block by block, so that a sound of any length fits into memory.
Does not know: ranges and defaults (``operations``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.plugins import Context


def tremolo(sound: Audio, rate_hz: float, depth_db: float, ctx: Context) -> Audio:
    """*sound* with a gain between 0 dB and minus *depth_db*, *rate_hz* times a second."""

    def blocks() -> Iterator[npt.NDArray[np.float32]]:
        done = 0
        for block in sound.blocks():  # [channels, n]
            time_s = np.arange(done, done + block.shape[1]) / sound.sample_rate
            lowered_db = depth_db * 0.5 * (1.0 - np.cos(2.0 * np.pi * rate_hz * time_s))
            yield (block * 10.0 ** (-lowered_db / 20.0)).astype(np.float32)
            done += block.shape[1]
            ctx.progress(done, sound.frames)

    return Audio.from_blocks(blocks(), sound.sample_rate, sound.channels)
