"""Limiter: no true peak above the ceiling.

Knows: how far true peaks exceed the ceiling, and gain that is down before the peak comes.
Does not know: how true peaks are found (``media.true_peak``); loudness: it is no maximiser.

docs/dsp.md, section 7.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from backend.media.true_peak import HALF, TruePeaks

from .parameters import (
    GRID,
    Curve,
    LimiterSettings,
    Parameter,
    Values,
    largest,
    smallest,
    values_at,
    whole,
)
from .riding import DB, DelayLine
from .sections import Block, Meter
from .sliding import DecayingPeak, sliding_maximum, sliding_sum

_MARGIN_DB: Final = 0.35
"""Room for what eight times the rate does not show."""
_GUARD: Final = 5
"""Samples before and after a peak that are lowered as far as the peak."""
_IDLE_DB: Final = 1e-16
"""A reduction that no longer changes a float64."""


class Limiter:
    """Lowers the stream so far, and so early, that its true peak stays below the ceiling."""

    tail_frames = 0

    def __init__(self, settings: LimiterSettings, rate: int, channels: int) -> None:
        self.latency = _latency(largest(settings.lookahead_ms), rate)
        self.meter = Meter()
        self._ceiling_db = settings.ceiling_db
        self._peaks = TruePeaks(channels)
        self._reduction = _Reduction(self.latency, settings.release_ms, rate)
        self._sooner = (
            _Sooner(settings.lookahead_ms, self.latency, settings.release_ms, rate)
            if isinstance(settings.lookahead_ms, Curve)
            else None
        )
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
        at = np.arange(start, start + block.shape[1], dtype=np.float64) - HALF
        asked = self._over_db(block, at)
        reduction = self._reduction.process(asked, at)
        if self._sooner is None:
            return reduction
        return self._sooner.blend(reduction, asked, at)

    def _over_db(self, block: Block, at: Values) -> Values:
        """Decibels by which the true peaks exceed the ceiling, 0 or more; *at* [n] is where they
        are in the programme."""
        free_db = values_at(self._ceiling_db, at) - _MARGIN_DB
        free = np.exp(DB * free_db.min(initial=0.0))
        peaks = self._peaks.process(block, float(free))
        loud = np.flatnonzero(peaks > free)
        over = np.zeros(peaks.size)
        over[loud] = np.maximum(20.0 * np.log10(peaks[loud]) - free_db[loud], 0.0)
        return over


def _latency(lookahead_ms: float, rate: int) -> int:
    """Samples by which the stream is late."""
    return GRID * max(2, whole(lookahead_ms * rate / (1000 * GRID)))


class _Reduction:
    """From the decibels that peaks ask for to those that are taken, for one latency."""

    def __init__(self, latency: int, release_ms: Parameter, rate: int) -> None:
        self._release_ms, self._rate = release_ms, rate
        self._box = latency - (HALF - 1) - _GUARD
        self._window = self._box + 1 + 2 * _GUARD
        still = not isinstance(release_ms, Curve)
        self._release = DecayingPeak(self._decays(np.zeros(1))[0] if still else 0.0)
        self._asked = np.zeros(self._window - 1)
        self._held = np.zeros(self._box - 1)

    def _decays(self, at: Values) -> Values:
        """How far a logarithm falls in a sample [n]."""
        decays: Values = 1.0 / (values_at(self._release_ms, at) * 1e-3 * self._rate)
        return decays

    def process(self, asked: Values, at: Values) -> Values:
        """z [n] for q [n], with the release read at the samples *at* [n]."""
        line = np.concatenate((self._asked, asked))
        self._asked = line[line.size - self._window + 1 :].copy()
        decays = self._decays(at) if isinstance(self._release_ms, Curve) else None
        held = self._release.process(sliding_maximum(line, self._window), decays)
        held = np.concatenate((self._held, held))
        self._held = held[held.size - self._box + 1 :].copy()
        if held.max(initial=0.0) < _IDLE_DB:
            return np.zeros(asked.size)
        return sliding_sum(held, self._box) / self._box


class _Sooner:
    """A look-ahead that moves: a mean of the reductions of the largest and the smallest one.

    Each of the two lowers as far as the peaks ask, and so does every mean of them.
    """

    def __init__(self, lookahead_ms: Curve, latency: int, release_ms: Parameter, rate: int) -> None:
        """*latency* is that of the largest look-ahead."""
        self._lookahead_ms, self._latency = lookahead_ms, latency
        self._from, self._to = largest(lookahead_ms), smallest(lookahead_ms)
        shortest = _latency(self._to, rate)
        self._reduction = _Reduction(shortest, release_ms, rate)
        self._line = DelayLine(latency - shortest, 1)
        self._same = latency == shortest

    def blend(self, reduction: Values, asked: Values, at: Values) -> Values:
        """z [n] from that of the largest look-ahead, for q [n] of the samples *at* [n]."""
        if self._same:
            return reduction
        short = self._line.process(self._reduction.process(asked, at)[None])[0]
        lookahead = self._lookahead_ms.at(at + HALF - self._latency)
        blended: Values = reduction + (self._from - lookahead) / (self._from - self._to) * (
            short - reduction
        )
        return blended
