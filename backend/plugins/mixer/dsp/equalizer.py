"""Equalizer: high-pass, three bands, low-pass.

Knows: which filters are on, their state, and coefficients that move.
Does not know: the formulas of the coefficients (``biquads``).

docs/dsp.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from . import biquads
from .cascade import Cascade
from .parameters import (
    BUTTERWORTH,
    GRID,
    Curve,
    EqualizerSettings,
    Parameter,
    Values,
    is_constant,
    value_at,
)
from .sections import Block
from .sliding import FAINT
from .sweeping import swept


@dataclass(frozen=True, slots=True)
class _Filter:
    """One biquad: its design and what that is told."""

    design: biquads.Design
    hertz: Parameter
    q: Parameter
    gain_db: Parameter

    @property
    def moves(self) -> bool:
        return any(isinstance(p, Curve) for p in (self.hertz, self.q, self.gain_db))

    def rows(self, at: Values, rate: int) -> Values:
        """Coefficients [k, 6] at the samples *at* [k]."""
        hertz, q, gain = (value_at(p, at) for p in (self.hertz, self.q, self.gain_db))
        return self.design(hertz, q, gain, rate)


def _filters(settings: EqualizerSettings) -> list[_Filter]:
    """The filters that are on, in their order."""
    found = []
    if settings.high_pass_hz is not None:
        found.append(_Filter(biquads.high_pass, settings.high_pass_hz, BUTTERWORTH, 0.0))
    for design, band in (
        (biquads.low_shelf, settings.low),
        (biquads.peak, settings.mid),
        (biquads.high_shelf, settings.high),
    ):
        if not is_constant(band.gain_db, 0.0):
            found.append(_Filter(design, band.frequency_hz, band.q, band.gain_db))
    if settings.low_pass_hz is not None:
        found.append(_Filter(biquads.low_pass, settings.low_pass_hz, BUTTERWORTH, 0.0))
    return found


class _Still:
    """Filters that stay as they are, one after the other."""

    def __init__(self, filters: list[_Filter], rate: int, channels: int) -> None:
        rows = np.concatenate([each.rows(np.zeros(1), rate) for each in filters])
        self._cascade = Cascade(rows, channels)

    def process(self, block: Block, start: int) -> Block:
        return self._cascade.process(block)


class _Moving:
    """One filter, of which something moves."""

    def __init__(self, moving: _Filter, rate: int, channels: int) -> None:
        self._filter, self._rate = moving, rate
        self._state = np.zeros((channels, 2))

    def process(self, block: Block, start: int) -> Block:
        frames = block.shape[1]
        rows = self._filter.rows(np.arange(start - start % GRID, start + frames, GRID), self._rate)
        head = min(frames, -start % GRID)
        first = 1 if start % GRID else 0
        cells = (frames - head) // GRID
        whole = slice(head, head + cells * GRID)
        self._state[np.abs(self._state) < FAINT] = 0.0
        if head:
            block[:, :head] = self._piece(rows[:1], block[:, :head])
        if cells:
            block[:, whole], self._state = swept(
                rows[first : first + cells], block[:, whole], self._state
            )
        if whole.stop < frames:
            block[:, whole.stop :] = self._piece(rows[-1:], block[:, whole.stop :])
        return block

    def _piece(self, row: Values, block: Block) -> Block:
        from scipy.signal import sosfilt

        out: Block
        out, (self._state,) = sosfilt(row, block, axis=-1, zi=self._state[None])
        return out


class Equalizer:
    """Up to five filters, one after the other."""

    latency = 0
    tail_frames = 0

    def __init__(self, settings: EqualizerSettings, rate: int, channels: int) -> None:
        self._stages: list[_Still | _Moving] = []
        for moves, group in groupby(_filters(settings), lambda each: each.moves):
            if moves:
                self._stages += [_Moving(each, rate, channels) for each in group]
            else:
                self._stages.append(_Still(list(group), rate, channels))

    def process(self, block: Block, start: int) -> Block:
        """The next samples; writes into *block*."""
        if block.shape[1]:
            for stage in self._stages:
                block = stage.process(block, start)
        return block
