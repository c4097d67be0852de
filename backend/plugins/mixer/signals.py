"""Signals: sound that is asked for frame by frame, through one section after another.

Knows: sources at the bus rate, pieces of exactly the length asked for, and how the latency of a
section is taken out again.
Does not know: which sections follow one another (``channels``), nor how long a mix is.

A signal never ends: after its last sample come zeros, so what a section still holds back is had by
asking on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.media.resampling import resample_blocks

from .dsp.sections import Block, Section

FRAMES: Final = 65536
"""Frames that are worked on at a time."""

Samples = npt.NDArray[np.floating[Any]]
"""Samples [channels, frames] of either precision."""


class Signal(Protocol):
    """Samples from the start of the programme, on demand."""

    def take(self, frames: int) -> Block:
        """The next samples, float64 [channels, frames]; the caller may write into them."""
        ...


class Stream:
    """Blocks of any size, read once, as a signal."""

    def __init__(self, blocks: Iterable[Samples], channels: int) -> None:
        self._blocks = iter(blocks)
        self._rest: Samples = np.zeros((channels, 0), np.float32)
        self._channels = channels

    def take(self, frames: int) -> Block:
        """See `Signal`."""
        made = np.empty((self._channels, frames))
        done = 0
        while done < frames:
            if not self._rest.shape[1]:
                following = next(self._blocks, None)
                if following is None:
                    made[:, done:] = 0.0
                    break
                self._rest = following
            count = min(frames - done, self._rest.shape[1])
            made[:, done : done + count] = self._rest[:, :count]
            self._rest = self._rest[:, count:]
            done += count
        return made


class Source:
    """The sound of an `Audio` at the rate of the bus."""

    def __init__(self, audio: Audio, rate: int) -> None:
        blocks = audio.blocks(FRAMES)
        at_rate = resample_blocks(blocks, audio.channels, audio.sample_rate, rate)
        self._stream = Stream(at_rate, audio.channels)

    def take(self, frames: int) -> Block:
        """See `Signal`. Raises `Unfit` for samples that are NaN or infinite."""
        return self._stream.take(frames)


class Through:
    """A signal after a section, with the section's latency taken out."""

    def __init__(self, signal: Signal, section: Section) -> None:
        self._signal, self._section = signal, section
        self._late = section.latency
        self._position = 0

    def take(self, frames: int) -> Block:
        """See `Signal`."""
        late, self._late = self._late, 0
        made = self._section.process(self._signal.take(frames + late), self._position)
        self._position += frames + late
        return made[:, late:]


class Follower(Protocol):
    """A section that can take a key beside its signal."""

    @property
    def latency(self) -> int: ...

    @property
    def tail_frames(self) -> int: ...

    def process(self, block: Block, start: int, key: Block | None = None) -> Block: ...


class Keyed:
    """A section that follows *key*, sample beside sample."""

    def __init__(self, section: Follower, key: Signal) -> None:
        self._section, self._key = section, key
        self.latency, self.tail_frames = section.latency, section.tail_frames

    def process(self, block: Block, start: int) -> Block:
        """See `Section`."""
        return self._section.process(block, start, self._key.take(block.shape[1]))
