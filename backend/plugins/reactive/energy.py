"""Power over time: the mean square of a sound on a fixed grid, and its mean over any stretch.

Knows: exact means over cells of 5 ms, and how cells become the mean around a moment.
Does not know: bands (``bands``), decibels, frames of video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.plugins import Context

from .spectra import bounded

Values = NDArray[np.float64]

CELL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Cells:
    """Mean power of cells of equal length: cell k reaches from ``first_s + k * step_s`` on."""

    power: NDArray[np.floating]
    first_s: float
    step_s: float

    def mean(self, middle_s: Values, width_s: float) -> Values:
        """The mean power of the stretch of *width_s* around each moment; beyond the end it is 0.

        A stretch that reaches over the start or the end of the sound is cut there.
        """
        edges = self.first_s + np.arange(self.power.size + 1) * self.step_s
        total = np.zeros(edges.size)  # float64: hours of single precision would drift
        np.cumsum(self.power, out=total[1:], dtype=np.float64)
        start = np.maximum(middle_s - width_s / 2.0, max(0.0, edges[0]))
        end = np.minimum(middle_s + width_s / 2.0, edges[-1])
        inside = np.interp(end, edges, total) - np.interp(start, edges, total)
        length = end - start
        means: Values = np.zeros(middle_s.size)
        np.divide(inside * self.step_s, length, out=means, where=length > 1e-9)
        return np.maximum(means, 0.0)


def measure(audio: Audio, ctx: Context) -> Cells:
    """The mean square of each 5 ms of *audio*, over all channels. The last cell may be shorter.

    Raises `Unfit` for samples that are not numbers, and for what is far beyond any sound.
    """
    size = max(1, round(CELL_S * audio.sample_rate))
    count = -(-audio.frames // size)
    power = np.zeros(count)
    rest = np.zeros((audio.channels, 0), np.float32)
    done = cell = 0
    for block in bounded(audio):
        rest = np.concatenate((rest, block), axis=1)
        whole = rest.shape[1] // size
        taken = rest[:, : whole * size].reshape(audio.channels, whole, size)
        squares = np.einsum("cks,cks->k", taken, taken, dtype=np.float64)
        power[cell : cell + whole] = squares / (audio.channels * size)
        cell, rest, done = cell + whole, rest[:, whole * size :], done + block.shape[1]
        ctx.progress(done, audio.frames)
    if rest.shape[1]:
        power[cell] = np.mean(np.square(rest, dtype=np.float64))
    return Cells(power, 0.0, size / audio.sample_rate)


def loudest(audio: Audio, ctx: Context) -> float:
    """The mean square of the loudest 5 ms; 0 for silence and for no sound at all."""
    return float(np.max(measure(audio, ctx).power, initial=0.0))
