"""Gain that follows a key: the ducker, and what a compressor will be made of.

Knows: the static curve, the ballistics, and how gain is carried from block to block.
Does not know: ranges and defaults of parameters (``operations``).

The design is the feed-forward one of Giannoulis, Massberg and Reiss, "Digital dynamic range
compressor design" (JAES 60, 2012): level in dB, gain computer with a soft knee, then ballistics in
the dB domain by the decoupled peak detector, all channels linked. Everything runs at a control
rate of 16 samples on a grid that starts with the stream:

1. the key's largest absolute sample, over all channels, of each 16 samples, in dBFS;
2. the reduction that the curve asks for, x[k] ≥ 0 dB;
3. release:  y[k] = max(x[k], r · y[k-1]),  r = exp(-16 / (release · rate));
4. attack:   z[k] = a · z[k-1] + (1 - a) · y[k],  a = exp(-16 / (attack · rate));
5. the gain 10^(-z/20), interpolated linearly over the 16 samples *after* the ones it was measured
   on: no sample depends on a later one, and the gain answers 1 to 32 samples late.

This is a complete definition: a twin in another language that follows it sample by sample gives
the same gain. Here step 3 is a running maximum in the log domain, in spans of 4096 values that
lie on the same grid whatever the blocks of the caller are, so they cannot change the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.plugins import Context, OperationFailed

from .feeds import Block, Feed, feed_at

Values = npt.NDArray[np.float64]

CONTROL: Final = 16
"""Samples between two control values."""
SPAN: Final = 4096 * CONTROL
"""Samples that are worked on at a time."""
_RAMP: Final = np.arange(1, CONTROL + 1) / CONTROL
_FLOOR: Final = 1e-10
"""Levels below -200 dBFS are not told apart."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How gain answers to level: the static curve and the two time constants."""

    threshold_db: float
    ratio: float
    knee_db: float
    attack_ms: float
    release_ms: float

    def reduction_db(self, level_db: Values) -> Values:
        """Decibels (≥ 0) by which the curve lowers at each of *level_db*."""
        slope = 1.0 - 1.0 / self.ratio
        over = level_db - self.threshold_db
        half = self.knee_db / 2.0
        reduction: Values = slope * np.maximum(over - half, 0.0)
        if half > 0.0:
            into = np.clip(over + half, 0.0, self.knee_db)  # how far into the knee
            reduction += slope * 0.5 * into * (into / self.knee_db)
        return reduction


class GainFollower:
    """The gain that a key asks for, span by span, with its state carried on."""

    def __init__(self, shape: Shape, rate: int) -> None:
        self._shape = shape
        self._decay = CONTROL / (shape.release_ms * 1e-3 * rate)  # -log r, per control value
        attack = shape.attack_ms * 1e-3 * rate
        self._attack = math.exp(-CONTROL / attack) if attack > 0.0 else 0.0
        self._held = 0.0
        self._smoothed = np.zeros(1)
        self._before = np.ones(2)

    def gain(self, key: Block) -> Values:
        """Linear gain [SPAN] for the next span, of which *key* [channels, up to SPAN] is the key.

        A key that is shorter is followed by silence. Raises `OperationFailed` for a key that
        holds NaN or infinity.
        """
        target = self._shape.reduction_db(_levels_db(key))
        points = np.power(10.0, self._smooth(self._hold(target)) / -20.0)
        points = np.concatenate((self._before, points))
        self._before = points[-2:]
        start, end = points[:-2, None], points[1:-1, None]
        ramps: Values = start + (end - start) * _RAMP
        return ramps.reshape(SPAN)

    def _hold(self, target: Values) -> Values:
        """y[k] = max(x[k], r y[k-1]): y = r^k e^m, m the running maximum of log(x / r^k)."""
        target[0] = max(target[0], self._held * math.exp(-self._decay))
        fall = np.arange(target.size) * self._decay
        with np.errstate(divide="ignore"):  # no reduction is log 0, and stays 0
            held: Values = np.exp(np.maximum.accumulate(np.log(target) + fall) - fall)
        self._held = float(held[-1])
        return held

    def _smooth(self, held: Values) -> Values:
        """z[k] = a z[k-1] + (1 - a) y[k]."""
        from scipy.signal import lfilter

        smooth: Values
        smooth, self._smoothed = lfilter(
            [1.0 - self._attack], [1.0, -self._attack], held, zi=self._smoothed
        )
        return smooth


def duck(music: Audio, voice: Audio, shape: Shape, makeup_db: float, ctx: Context) -> Audio:
    """*music*, lowered while *voice* is over the threshold, and raised by *makeup_db*.

    Length, rate and channels are the music's. A voice at another rate is resampled, a longer one
    is not read to its end, a shorter one is followed by silence.
    """
    rate = music.sample_rate
    blocks = ducked(
        feed_at(music, rate), feed_at(voice, rate), GainFollower(shape, rate), makeup_db
    )
    return Audio.from_blocks(_watched(blocks, music.frames, ctx), rate, channels=music.channels)


def ducked(music: Feed, key: Feed, follower: GainFollower, makeup_db: float) -> Iterator[Block]:
    """The music's blocks [channels, up to SPAN] with the gain applied, at one rate with the key."""
    makeup = 10.0 ** (makeup_db / 20.0)
    while (block := music.take(SPAN)).shape[1]:
        gain = follower.gain(key.take(SPAN)) * makeup
        yield (block * gain[: block.shape[1]]).astype(np.float32)


def _watched(blocks: Iterator[Block], frames: int, ctx: Context) -> Iterator[Block]:
    ctx.checkpoint()
    done = 0
    for block in blocks:
        yield block
        done += block.shape[1]
        ctx.progress(done, frames)


def _levels_db(key: Block) -> Values:
    """Peak level, in dBFS, of each `CONTROL` samples of a span over all channels."""
    padded = np.zeros(SPAN, np.float64)
    padded[: key.shape[1]] = np.max(np.abs(key), axis=0)
    peaks = padded.reshape(-1, CONTROL).max(axis=1)
    if not np.all(np.isfinite(peaks)):
        raise OperationFailed("the voice holds samples that are not numbers (NaN or infinity)")
    levels: Values = 20.0 * np.log10(np.maximum(peaks, _FLOOR))
    return levels
