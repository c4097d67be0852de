"""Twice the rate and back, by half-band filters.

Knows: the two directions of one stage.
Does not know: what is done at the higher rate (``drive``).

docs/dsp.md, section 6. Streams at the higher rate are kept as their even and odd samples. A
half-band filter passes one of the two as it is, so only the other is computed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .fir import Fir, Values, windowed_sinc
from .riding import DelayLine
from .sections import Block

_BETA: Final = 11.0


def half_band_taps(count: int) -> Values:
    """The odd branch [count] of a half-band filter; its sum is 1."""
    return windowed_sinc(np.arange(count, dtype=np.float64) - (count - 1) / 2, count / 2, _BETA)


class Upsampler:
    """From n samples to 2n; late by *count* / 2 of the lower rate."""

    def __init__(self, count: int, channels: int) -> None:
        self._even = DelayLine(count // 2, channels)
        self._odd = Fir(half_band_taps(count)[None], channels)

    def process(self, block: Block) -> tuple[Block, Block]:
        """Even and odd samples, both [channels, n]."""
        return self._even.process(block), self._odd.process(block)[0]


class Downsampler:
    """From 2n samples to n; late by *count* / 2 of the lower rate."""

    def __init__(self, count: int, channels: int) -> None:
        self._even = DelayLine(count // 2, channels)
        taps = np.concatenate(([0.0], half_band_taps(count) / 2.0))
        self._odd = Fir(taps[None], channels)

    def process(self, even: Block, odd: Block) -> Block:
        """The stream [channels, n] made of even and odd samples, both [channels, n]."""
        out: Block = self._odd.process(odd)[0]
        out += 0.5 * self._even.process(even)
        return out


def interleaved(even: Block, odd: Block) -> Block:
    """One stream [channels, 2n] of its even and odd samples."""
    joined = np.empty((even.shape[0], 2 * even.shape[1]))
    joined[:, ::2] = even
    joined[:, 1::2] = odd
    return joined
