"""The stereo bus: any number of tracks, summed block by block.

Knows: mute and solo, gain and pan, rates and lengths, and the peak of the sum.
Does not know: how panning or resampling is computed, nor where the result is kept.

The sum is made in float64, in the order of the tracks, one sample independent of the next, and
rounded to float32 once: so it is the same to the bit however it is cut into blocks, and a stereo
source alone at 0 dB and centre passes unchanged. Memory does not grow with the length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.media.levels import decibels
from backend.media.resampling import length_at
from backend.plugins import Context, FieldError, InvalidParameters, OperationFailed

from . import panning
from .feeds import FRAMES, Block, Feed, feed_at
from .tracks import MixResult, Track


def mix(tracks: Sequence[Track], sample_rate: int | None, ctx: Context) -> MixResult:
    """Sum *tracks* at *sample_rate* (by default the highest of theirs) to a stereo `Audio`.

    Raises `InvalidParameters` for a source of more than 8 channels, `OperationFailed` for a sum
    that is not a number.
    """
    rate = sample_rate or max(track.source.sample_rate for track in tracks)
    bus = Bus(tracks, rate, ctx)
    master = Audio.from_blocks(bus.blocks(), rate, channels=2)
    return MixResult(master=master, pre_master=master, peak_db=decibels(bus.peak))


def audible(tracks: Sequence[Track]) -> list[Track]:
    """The tracks that are heard: not muted, and soloed if any is."""
    soloed = any(track.solo for track in tracks)
    return [track for track in tracks if not track.mute and (track.solo or not soloed)]


class _Strip:
    """One heard track: its stream at the bus rate and its way to left and right."""

    def __init__(self, track: Track, rate: int) -> None:
        gain = 10.0 ** (track.gain_db / 20.0)
        self._feed: Feed = feed_at(track.source, rate)
        self._matrix = panning.matrix(track.source.channels, track.pan) * gain

    def add_to(self, bus: npt.NDArray[np.float64]) -> None:
        """Add the next frames to *bus* [2, frames]."""
        block = self._feed.take(bus.shape[1])
        frames = block.shape[1]
        for side, row in enumerate(self._matrix):
            for channel, coefficient in enumerate(row):
                if coefficient:
                    bus[side, :frames] += coefficient * block[channel].astype(np.float64)


class Bus:
    """The sum of the audible tracks at one rate; after `blocks` has run out, its peak."""

    def __init__(self, tracks: Sequence[Track], rate: int, ctx: Context) -> None:
        _check_channels(tracks)
        sources = [track.source for track in tracks]
        self.frames = max(length_at(s.frames, s.sample_rate, rate) for s in sources)
        self.rate = rate
        self.peak = 0.0
        self._strips = [_Strip(track, rate) for track in audible(tracks)]
        self._ctx = ctx

    def blocks(self) -> Iterator[Block]:
        """The sum, float32 [2, frames], from start to end, once."""
        for start in range(0, self.frames, FRAMES):
            bus = np.zeros((2, min(FRAMES, self.frames - start)))
            for strip in self._strips:
                self._ctx.checkpoint()
                strip.add_to(bus)
            yield self._rounded(bus, start)
            self._ctx.progress(start + bus.shape[1], self.frames)

    def _rounded(self, bus: npt.NDArray[np.float64], start: int) -> Block:
        with np.errstate(over="ignore"):
            block = bus.astype(np.float32)
        peak = float(np.max(np.abs(block)))
        if not math.isfinite(peak):
            raise OperationFailed(
                f"the mix is not a number within {start / self.rate:.1f} s and "
                f"{(start + FRAMES) / self.rate:.1f} s: a track holds NaN or infinity there, "
                "or the sum is larger than 32-bit float can hold"
            )
        self.peak = max(self.peak, peak)
        return block


def _check_channels(tracks: Sequence[Track]) -> None:
    errors = [
        FieldError(
            f"/tracks/{index}/source",
            "channels",
            f"{track.source.channels} channels; at most {panning.MOST_CHANNELS} can be mixed",
        )
        for index, track in enumerate(tracks)
        if track.source.channels > panning.MOST_CHANNELS
    ]
    if errors:
        raise InvalidParameters("A track has too many channels", errors=errors)
