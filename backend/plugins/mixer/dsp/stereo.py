"""Level and place: gain, pan with fold-down, width, balance.

Knows: the laws of each, standing still or moving.
Does not know: mute, solo, buses; nor the fold-down table and pan laws themselves (``panning``).

docs/dsp.md, section 5.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from backend.plugins.mixer import panning

from .parameters import Curve, Parameter, Values, is_constant, values_at
from .riding import DB
from .sections import Block

SILENT_DB: Final = -120.0
"""A gain down here is 0: the fader is at its bottom."""


def linear(gain_db: float) -> float:
    """The factor of a gain in dB; 0 at `SILENT_DB` and below."""
    return 10.0 ** (gain_db / 20.0) if gain_db > SILENT_DB else 0.0


def _samples(start: int, frames: int) -> Values:
    return np.arange(start, start + frames, dtype=np.float64)


class Gain:
    """All channels, louder or quieter."""

    latency = 0
    tail_frames = 0

    def __init__(self, gain_db: Parameter) -> None:
        self._gain_db = gain_db

    def process(self, block: Block, start: int) -> Block:
        """The next samples; writes into *block*."""
        if isinstance(self._gain_db, Curve):
            decibels = self._gain_db.at(_samples(start, block.shape[1]))
            block *= np.where(decibels > SILENT_DB, np.exp(DB * decibels), 0.0)
        elif self._gain_db != 0.0:
            block *= linear(self._gain_db)
        return block


class Placement:
    """A source of 1 to 8 channels, at its level and its place on the stereo bus."""

    latency = 0
    tail_frames = 0

    def __init__(self, channels: int, pan: Parameter, gain_db: Parameter) -> None:
        self._pan = pan
        self._gain = Gain(gain_db)
        self._still = not isinstance(pan, Curve)
        self._matrix = panning.matrix(channels, 0.0 if isinstance(pan, Curve) else pan)
        if channels == 1 and isinstance(pan, Curve):
            self._matrix = np.ones((2, 1))

    def process(self, block: Block, start: int) -> Block:
        """Left and right [2, n] in an array of its own; *block* [channels, n] is not written to."""
        placed = np.empty((2, block.shape[1]))
        for side, row in enumerate(self._matrix):
            _weighted(block, row, placed[side])
        if isinstance(self._pan, Curve):
            pan = self._pan.at(_samples(start, block.shape[1]))
            law = panning.constant_powers if block.shape[0] == 1 else panning.balances
            placed *= law(pan)
        return self._gain.process(placed, start)


def _weighted(block: Block, weights: Values, out: Values) -> None:
    """The sum of the channels by their weights, into *out* [n]."""
    heard = [channel for channel in range(len(weights)) if weights[channel]]
    if not heard:
        out[:] = 0.0
        return
    np.multiply(block[heard[0]], weights[heard[0]], out=out)
    for channel in heard[1:]:
        out += weights[channel] * block[channel]


class Width:
    """Mid and side of a stereo stream: 0 is mono, 1 as it was, 2 twice as wide."""

    latency = 0
    tail_frames = 0

    def __init__(self, width: Parameter) -> None:
        self._width = width

    def process(self, block: Block, start: int) -> Block:
        """The next samples [2, n]; writes into *block*."""
        if is_constant(self._width, 1.0):
            return block
        left, right = block
        mid = 0.5 * (left + right)
        side = 0.5 * (left - right)
        if isinstance(self._width, Curve):
            side *= self._width.at(_samples(start, block.shape[1]))
        else:
            side *= self._width
        np.add(mid, side, out=left)
        np.subtract(mid, side, out=right)
        return block


class Balance:
    """A stereo stream with the far side lowered."""

    latency = 0
    tail_frames = 0

    def __init__(self, balance: Parameter) -> None:
        self._balance = balance

    def process(self, block: Block, start: int) -> Block:
        """The next samples [2, n]; writes into *block*."""
        if not is_constant(self._balance, 0.0):
            block *= panning.balances(values_at(self._balance, _samples(start, block.shape[1])))
        return block
