"""Drive: a tanh saturation at four times the rate.

Knows: the law, and the time that a sample belongs to.
Does not know: the filters between the rates (``oversampling``).

docs/dsp.md, section 6.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .oversampling import Downsampler, Upsampler, interleaved
from .parameters import Curve, Parameter, Values
from .riding import DelayLine
from .sections import Block

LATENCY: Final = 128
_OUTER, _INNER = 64, 16
"""Taps of the two stages."""
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
        middle = interleaved(*self._up[0].process(self._line.process(block)))
        even, odd = self._up[1].process(middle)
        amount = self._amount_at(start, block.shape[1])
        _saturate(even, amount)
        _saturate(odd, amount)
        middle = self._down[0].process(even, odd)
        return self._down[1].process(middle[:, ::2], middle[:, 1::2])

    def _amount_at(self, start: int, frames: int) -> float | Values:
        if not isinstance(self._amount, Curve):
            return self._amount
        first = start - _WAY_UP
        at = np.arange(first, first + frames, dtype=np.float64)
        return np.repeat(self._amount.at(at), 2)


def _saturate(samples: Block, amount: float | Values) -> None:
    k = 1.0 + 3.0 * amount
    samples *= k
    np.tanh(samples, out=samples)
    samples *= (1.0 + 0.5 * amount) / k
