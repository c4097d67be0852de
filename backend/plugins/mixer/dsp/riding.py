"""Gain that rides on the level of a key: the part that gate and compressor share.

Knows: levels of 16 samples each, look-ahead, and how gain moves from one control value to the next.
Does not know: which gain a level asks for (the laws in ``gate`` and ``compressor``).

docs/dsp.md, section 2.1.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from backend.media.finite import Unfit

from .parameters import Curve, Parameter, Values, largest, lookahead_frames
from .sections import Block, Meter

CONTROL: Final = 16
"""Samples between two control values."""
_FLOOR: Final = 1e-10
"""Levels below -200 dBFS are not told apart."""
_WAY: Final = np.arange(1, CONTROL + 1) / CONTROL
_RAMP: Final = np.stack([1.0 - _WAY, _WAY])
"""Parts [2, CONTROL] of the gain before and the gain after."""
DB: Final = np.log(10.0) / 20.0
"""exp(DB x) is the gain of x decibels."""


class Law(Protocol):
    """Which reduction in dB, and which gain, a row of levels asks for."""

    @property
    def rest_gain(self) -> float:
        """The gain before the programme."""
        ...

    def gains(self, levels_db: Values, first: int, meter: Meter) -> Values:
        """Linear gains [k] for levels [k], the first of which is control value *first*."""
        ...


class DelayLine:
    """A stream, later by some samples."""

    def __init__(self, frames: int, channels: int) -> None:
        self.frames = frames
        self._rest = np.zeros((channels, frames))

    def process(self, block: Block) -> Block:
        """As many samples as *block* has, *frames* samples older; *block* is not written to."""
        if not self.frames:
            return block
        joined = np.concatenate((self._rest, block), axis=1)
        self._rest = joined[:, block.shape[1] :].copy()
        return joined[:, : block.shape[1]]


class _MovingAhead:
    """Gains that reach the sound later than they could, by a look-ahead that moves."""

    def __init__(self, lookahead_ms: Curve, latency: int, rest_gain: float) -> None:
        self._lookahead_ms, self._latency = lookahead_ms, latency
        self._largest_ms = largest(lookahead_ms)
        self._past = np.full(latency + 1, rest_gain)

    def process(self, gains: Values, start: int) -> Values:
        """The gains [n] that belong to the samples that come out."""
        line = np.concatenate((self._past, gains))
        self._past = line[gains.size :].copy()
        out = np.arange(start, start + gains.size, dtype=np.float64) - self._latency
        late = self._latency * (1.0 - self._lookahead_ms.at(out) / self._largest_ms)
        late = np.clip(late, 0.0, self._latency)  # the last bit of a curve may lie outside
        back = np.floor(late)
        newer = np.arange(self._past.size, line.size) - back.astype(np.int64)
        between: Values = line[newer] + (line[newer - 1] - line[newer]) * (late - back)
        return between


class Rider:
    """A section whose gain follows a key."""

    tail_frames = 0

    def __init__(self, law: Law, lookahead_ms: Parameter, rate: int, channels: int) -> None:
        self.meter = Meter()
        self.latency = lookahead_frames(largest(lookahead_ms), rate)
        self._law = law
        self._line = DelayLine(self.latency, channels)
        self._ahead = (
            _MovingAhead(lookahead_ms, self.latency, law.rest_gain)
            if isinstance(lookahead_ms, Curve) and self.latency
            else None
        )
        self._peak = 0.0
        self._points = np.full(2, law.rest_gain)

    def process(self, block: Block, start: int, key: Block | None = None) -> Block:
        """The next samples, which follow *key* [any, n], or themselves where there is none.

        Raises `Unfit` for a key that holds NaN or infinity.
        """
        if not block.shape[1]:
            return block
        gain = self._gain(block if key is None else key, start)
        if self._ahead is not None:
            gain = self._ahead.process(np.ones(block.shape[1]) if gain is None else gain, start)
        late = self._line.process(block)
        if gain is not None:
            late *= gain
        return late

    def _gain(self, key: Block, start: int) -> Values | None:
        """Linear gain [n] for the samples from *start* on; None where it is 1 for all of them."""
        frames = key.shape[1]
        levels = self._levels_db(key, start)
        gains = self._law.gains(levels, start // CONTROL, self.meter)
        points = np.concatenate((self._points, gains))
        self._points = points[-2:]
        if points.min() == 1.0 == points.max():
            return None
        first, last = start // CONTROL, (start + frames - 1) // CONTROL
        rows = last - first + 1
        ramps: Values = np.stack((points[:rows], points[1 : rows + 1]), axis=1) @ _RAMP
        inside = start % CONTROL
        return ramps.reshape(-1)[inside : inside + frames]

    def _levels_db(self, key: Block, start: int) -> Values:
        """Levels of the control values that end in this block."""
        top = np.abs(key[0])
        for channel in key[1:]:
            np.maximum(top, np.abs(channel), out=top)
        before = start % CONTROL
        if before or top.size % CONTROL or self._peak:
            peaks = self._uneven_peaks(top, before)
        else:
            # in pairs: faster than in rows; and numbers without a sign compare as their bits do
            bits = top.view(np.int64)
            for _ in range(CONTROL.bit_length() - 1):
                bits = np.maximum(bits[0::2], bits[1::2])
            peaks = bits.view(np.float64)
        if not np.all(np.isfinite(peaks)):
            raise Unfit("the sound that a gain follows holds NaN or infinity", "audio")
        levels: Values = 20.0 * np.log10(np.maximum(peaks, _FLOOR))
        return levels

    def _uneven_peaks(self, top: Values, before: int) -> Values:
        """Peaks where a control step began *before* samples ago, or goes on after the block."""
        ends = np.arange(CONTROL - before, top.size, CONTROL)
        peaks = np.maximum.reduceat(top, np.concatenate(([0], ends)))
        peaks[0] = np.maximum(peaks[0], self._peak)
        complete = (before + top.size) // CONTROL
        self._peak = float(peaks[-1]) if peaks.size > complete else 0.0
        return peaks[:complete]


def control_steps(time_ms: Curve, at: Values, rate: int) -> npt.NDArray[np.int64]:
    """A time at each of the samples *at* [k], in whole control steps."""
    return np.floor(time_ms.at(at) * rate / (1000 * CONTROL) + 0.5).astype(np.int64)


def control_samples(first: int, count: int) -> Values:
    """The samples at which the parameters of *count* control values are read."""
    return np.arange(CONTROL * first, CONTROL * (first + count), CONTROL, dtype=np.float64)
