"""Limiter: no true peak above the ceiling.

Knows: true peaks at four times the rate, and gain that is down before the peak comes.
Does not know: loudness; it is no maximiser.

docs/dsp.md, section 7. True peak as in ITU-R BS.1770-5, Annex 2, with longer taps.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

from .fir import Fir, Values, windowed_sinc
from .parameters import GRID, Curve, LimiterSettings, whole
from .riding import DB, DelayLine
from .sections import Block, Meter
from .sliding import DecayingPeak, sliding_maximum, sliding_sum

_HALF: Final = 12
"""Samples on either side of a point between samples that its value is made of."""
_BETA: Final = 8.0
_MARGIN_DB: Final = 0.35
"""Room for what four times the rate does not show."""
_GUARD: Final = 5
"""Samples before and after a peak that are lowered as far as the peak."""
_FLOOR: Final = 1e-10
_IDLE_DB: Final = 1e-16
"""A reduction that no longer changes a float64."""


def true_peak_taps() -> Values:
    """Taps [3, 24] for the values at 1/4, 1/2 and 3/4 between two samples."""
    between = np.arange(1, 4)[:, None] / 4
    times = np.arange(2 * _HALF)[None] - _HALF + between
    return np.stack([windowed_sinc(row, _HALF, _BETA) for row in times])


class Limiter:
    """Lowers the stream so far, and so early, that its true peak stays below the ceiling."""

    tail_frames = 0

    def __init__(self, settings: LimiterSettings, rate: int, channels: int) -> None:
        self.latency = GRID * max(2, whole(settings.lookahead_ms * rate / (1000 * GRID)))
        self.meter = Meter()
        self._ceiling_db = settings.ceiling_db
        self._box = self.latency - (_HALF - 1) - _GUARD
        self._window = self._box + 1 + 2 * _GUARD
        self._detector = _TruePeaks(channels)
        self._release = DecayingPeak(1.0 / (settings.release_ms * 1e-3 * rate))
        self._asked = np.zeros(self._window - 1)
        self._held = np.zeros(self._box - 1)
        self._line = DelayLine(self.latency, channels)

    def process(self, block: Block, start: int) -> Block:
        """The next samples, `latency` late; *block* is not written to."""
        late = self._line.process(block)
        reduction = self._reduction_db(block, start)
        self.meter.add(reduction)
        if reduction.any():
            late *= np.exp(-DB * reduction)
        return late

    def _reduction_db(self, block: Block, start: int) -> Values:
        asked = np.concatenate((self._asked, self._over_db(block, start)))
        self._asked = asked[asked.size - self._window + 1 :].copy()
        held = self._release.process(sliding_maximum(asked, self._window))
        held = np.concatenate((self._held, held))
        self._held = held[held.size - self._box + 1 :].copy()
        if held.max(initial=0.0) < _IDLE_DB:
            return np.zeros(block.shape[1])
        return sliding_sum(held, self._box) / self._box

    def _over_db(self, block: Block, start: int) -> Values:
        """Decibels by which the true peaks exceed the ceiling, 0 or more."""
        peaks = self._detector.process(block)
        over = 20.0 * np.log10(np.maximum(peaks, _FLOOR))
        over -= self._ceiling_at(start, block.shape[1])
        over += _MARGIN_DB
        return np.maximum(over, 0.0, out=over)

    def _ceiling_at(self, start: int, frames: int) -> float | Values:
        if not isinstance(self._ceiling_db, Curve):
            return self._ceiling_db
        first = start - _HALF
        return self._ceiling_db.at(np.arange(first, first + frames, dtype=np.float64))


class _TruePeaks:
    """The largest value of all channels at and after each sample, 12 samples late."""

    def __init__(self, channels: int) -> None:
        self._line = DelayLine(_HALF, channels)
        self._between = Fir(true_peak_taps(), channels)

    def process(self, block: Block) -> Values:
        """Linear peaks [n]."""
        peaks: Values = np.abs(self._line.process(block)).max(axis=0)
        between = self._between.process(block)
        np.abs(between, out=between)
        for values in itertools.chain.from_iterable(between):
            np.maximum(peaks, values, out=peaks)
        return peaks
