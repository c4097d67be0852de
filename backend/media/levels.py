"""Levels: what a sample value is called in decibels, and the levels of a stream.

Knows: decibels relative to full scale, what silence is called, peak and RMS.
Does not know: true peak (``media.true_peak``) and loudness (``media.loudness``).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.finite import Unfit

SILENCE_DB: Final = -240.0
"""What a level of 0 is called: JSON has no minus infinity."""
LARGEST: Final = float(np.finfo(np.float32).max)


def decibels(level: float) -> float:
    """An absolute sample value in dBFS, not below `SILENCE_DB`."""
    return max(SILENCE_DB, 20.0 * math.log10(level)) if level > 0 else SILENCE_DB


class LevelMeter:
    """Peak and RMS of one stream, linear; 1.0 is full scale."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._energy = 0.0
        self._count = 0

    def add(self, block: NDArray[np.float64]) -> None:
        """Take the next samples [channels, n].

        Raises `Unfit` for NaN, infinity, and what 32-bit float cannot hold.
        """
        if not block.size:
            return
        peak = max(float(block.max()), -float(block.min()))
        if not peak <= LARGEST:
            told = "the audio holds values that are NaN or infinite (beyond 32-bit float)"
            raise Unfit(told, "audio")
        self.peak = max(self.peak, peak)
        self._energy += float(np.einsum("cn,cn->", block, block))
        self._count += block.size

    @property
    def rms(self) -> float:
        """The root of the mean square over all channels; 0 of nothing."""
        return math.sqrt(self._energy / self._count) if self._count else 0.0
