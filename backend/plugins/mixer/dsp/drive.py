"""Drive: a tanh saturation at four times the rate.

Knows: the law, and the time that a sample belongs to.
Does not know: the filters between the rates (``oversampling``).

docs/dsp.md, section 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np

from .oversampling import Downsampler, Upsampler, interleaved
from .parameters import Curve, Parameter, Values
from .riding import DelayLine
from .sections import Block

LATENCY: Final = 128
_OUTER, _INNER = 64, 16
"""Taps of the two stages."""
Amount = TypeVar("Amount", float, Values)
_PIECE: Final = 8192
"""Samples that are worked on at a time, so that four times as many still lie in a cache."""
_PAD: Final = LATENCY - _OUTER - _INNER // 2
_WAY_UP: Final = _PAD + _OUTER // 2 + _INNER // 4
"""Samples by which the stream is late where the law is applied."""


class Drive:
    """tanh(k v) / k (1 + d/2) with k = 1 + 3d, d the amount."""

    latency = LATENCY
    tail_frames = 0

    def __init__(self, amount: Parameter, channels: int) -> None:
        self._amount = amount
        self._line = DelayLine(_PAD, channels)
        self._up = Upsampler(_OUTER, channels), Upsampler(_INNER, channels)
        self._down = Downsampler(_INNER, channels), Downsampler(_OUTER, channels)

    def process(self, block: Block, start: int) -> Block:
        """The next samples, `LATENCY` late; *block* is not written to."""
        out = np.empty(block.shape)
        for begin in range(0, block.shape[1], _PIECE):
            here = slice(begin, begin + _PIECE)
            out[:, here] = self._piece(block[:, here], start + begin)
        return out

    def _piece(self, block: Block, start: int) -> Block:
        late = self._line.process(block)
        if isinstance(self._amount, Curve):
            first = start - _WAY_UP
            at = np.arange(first, first + block.shape[1], dtype=np.float64)
            before, after = _factors(np.repeat(self._amount.at(at), 2))
            return self._at_four_times(late, lambda samples: np.tanh(samples * before) * after)
        # filters are linear: a number is applied outside, where there are fewer samples
        k, level = _factors(self._amount)
        out = self._at_four_times(k * late, np.tanh)
        out *= level
        return out

    def _at_four_times(self, block: Block, law: Callable[[Block], Block]) -> Block:
        """*block* up, through *law* (called for every other sample, then the others), and down."""
        middle = interleaved(*self._up[0].process(block))
        even, odd = self._up[1].process(middle)
        middle = self._down[0].process(law(even), law(odd))
        return self._down[1].process(middle[:, ::2], middle[:, 1::2])


def _factors(amount: Amount) -> tuple[Amount, Amount]:
    """k, which is applied before the tanh, and (1 + d/2) / k, after it."""
    k = 1.0 + 3.0 * amount
    return k, (1.0 + 0.5 * amount) / k
