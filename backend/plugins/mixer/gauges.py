"""Gauges: levels of a signal that passes by, block by block.

Knows: peak and RMS, and how loudness is asked of its meter.
Does not know: how loudness is measured (``media.loudness``), nor whose signal it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from backend.media.levels import decibels
from backend.media.loudness import LoudnessMeter

from .dsp.sections import Block, Meter
from .results import Level, Loudness, Reduction


class Gauge(Protocol):
    """Takes a signal block by block, and tells its level in the end."""

    def add(self, block: Block) -> None: ...

    def level(self, reductions: Mapping[str, Meter]) -> Level: ...


class LevelGauge:
    """Peak and RMS."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._power = 0.0
        self._count = 0

    def add(self, block: Block) -> None:
        """Take the next samples [channels, n]."""
        if block.size:
            self.peak = max(self.peak, float(block.max()), -float(block.min()))
            # not a dot product: the library would spread that over threads that go on spinning
            self._power += float(np.einsum("cn,cn->", block, block))
            self._count += block.size

    def level(self, reductions: Mapping[str, Meter]) -> Level:
        """What was measured."""
        rms = math.sqrt(self._power / self._count) if self._count else 0.0
        return _level(decibels(self.peak), decibels(rms), reductions)


class LoudnessGauge:
    """Peak and RMS, and loudness and true peak too."""

    def __init__(self, rate: int) -> None:
        self._meter = LoudnessMeter(rate, 2)

    def add(self, block: Block) -> None:
        """Take the next samples [2, n]."""
        self._meter.add(block)

    def level(self, reductions: Mapping[str, Meter]) -> Level:
        """What was measured."""
        found = self._meter.result()
        loudness = Loudness(
            integrated_lufs=_shown(found.integrated_lufs),
            momentary_max_lufs=_shown(found.momentary_max_lufs),
            short_term_max_lufs=_shown(found.short_term_max_lufs),
            range_lu=_shown(found.range_lu),
            true_peak_db=_shown(found.true_peak_db),
        )
        level = _level(found.peak_db, found.rms_db, reductions)
        return level.model_copy(update={"loudness": loudness})


def _level(peak_db: float, rms_db: float, reductions: Mapping[str, Meter]) -> Level:
    return Level(
        peak_db=peak_db,
        rms_db=_shown(rms_db),
        reductions={
            name: Reduction(max_db=_shown(meter.max_db), mean_db=_shown(meter.mean_db))
            for name, meter in reductions.items()
        },
    )


def _shown(level: float) -> float:
    """A level to a millionth of a decibel: the last bits of a sum depend on where in memory the
    samples lie, and equal mixes shall have equal meters."""
    return round(level, 6)
