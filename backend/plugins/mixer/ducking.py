"""Music that steps back for a voice: the console's compressor with a key.

Knows: the music's length, rate and channels, which stay, and the voice beside it.
Does not know: how gain follows a level (``dsp.compressor``), nor ranges of parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.plugins import Context

from .dsp.compressor import Compressor
from .inserts import Compressor as Controls
from .settings import Settings
from .signals import FRAMES, Keyed, Signal, Source, Through


def duck(music: Audio, voice: Audio, controls: Controls, ctx: Context) -> Audio:
    """*music*, lowered while *voice* is over the threshold.

    Length, rate and channels are the music's. A voice at another rate is resampled, a longer one
    is not read to its end, a shorter one is followed by silence.
    """
    rate = music.sample_rate
    section = Compressor(Settings(rate).compressor(controls), rate, music.channels)
    key = Source(voice, rate)
    ducked = Through(Source(music, rate), Keyed(section, key))
    return Audio.from_blocks(_blocks(ducked, music.frames, ctx), rate, channels=music.channels)


def _blocks(signal: Signal, frames: int, ctx: Context) -> Iterator[npt.NDArray[np.float32]]:
    ctx.checkpoint()
    for start in range(0, frames, FRAMES):
        block = signal.take(min(FRAMES, frames - start))
        yield block.astype(np.float32)
        ctx.progress(start + block.shape[1], frames)
