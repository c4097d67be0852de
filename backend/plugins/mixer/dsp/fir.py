"""Long filters without feedback, fast: many samples as one product of matrices.

Knows: windowed-sinc taps, and how a stream is convolved with them.
Does not know: what the filters are for (``oversampling``).

A row of `_STEP` outputs is a row of inputs times a banded matrix of the taps. The products are of
one small size each, so that the library neither spreads them over threads of its own nor adds up
in another order where the stream is cut.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from .sections import Block

Values = npt.NDArray[np.float64]

_TOGETHER: Final = 2048
"""Samples of one product."""


def windowed_sinc(times: Values, half_width: float, beta: float) -> Values:
    """sinc(t) under a Kaiser window that ends at ±*half_width*, divided by its sum."""
    taps: Values = np.sinc(times) * np.i0(beta * np.sqrt(1.0 - (times / half_width) ** 2))
    taps /= taps.sum()
    return taps


class Fir:
    """Filters over one stream: y_p[n] = sum_i taps[p, i] x[n - i]."""

    def __init__(self, taps: Values, channels: int) -> None:
        phases, length = taps.shape
        self._step = 32 if length > 32 else 16
        self._length = length
        self._rest = np.zeros((channels, length - 1))
        self._bands = np.zeros((phases, self._step + length - 1, self._step))
        for column in range(self._step):
            self._bands[:, column : column + length, column] = taps[:, ::-1]

    def process(self, block: Block) -> Block:
        """The outputs [phases, channels, n] for the next samples [channels, n]."""
        channels, frames = block.shape
        before = self._length - 1
        padded = max(1, -(-frames // _TOGETHER)) * _TOGETHER
        line = np.empty((channels, before + padded))
        line[:, :before] = self._rest
        line[:, before : before + frames] = block
        line[:, before + frames :] = 0.0  # not heard, but made of whatever lay in memory
        self._rest = line[:, frames : frames + before].copy()
        width = before + self._step
        windows = sliding_window_view(line, width, axis=1)[:, :: self._step]
        rows = np.ascontiguousarray(windows).reshape(-1, _TOGETHER // self._step, width)
        out = np.empty((len(self._bands), channels, padded))
        for phase, band in enumerate(self._bands):
            np.matmul(rows, band, out=out[phase].reshape(*rows.shape[:2], self._step))
        return out[:, :, :frames]
