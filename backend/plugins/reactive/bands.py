"""Power in frequency bands, and what else a spectrum tells, over time.

Knows: bands cut out of power spectra, the spectral centroid and flux.
Does not know: frames of video, decibels.

A bin on the edge of a band counts with the part of it that lies inside. A band is as sharp as the
window allows: what lies 45 Hz or more outside is 30 dB down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.plugins import Context

from .energy import Cells
from .spectra import Grid, Spectra, spectra

HOP_S: Final = 0.010
WINDOW_S: Final = 0.046


def weights(grid: Grid, low_hz: float, high_hz: float) -> NDArray[np.float32]:
    """How much of each bin lies within the band, 0 to 1 [bins]."""
    width = grid.sample_rate / grid.window
    bottom = grid.frequencies - width / 2.0
    top = np.minimum(bottom + width, grid.sample_rate / 2.0)
    inside = np.minimum(top, high_hz) - np.maximum(bottom, low_hz)
    return np.clip(inside / width, 0.0, 1.0).astype(np.float32)


def measure(audio: Audio, limits_hz: Sequence[tuple[float, float]], ctx: Context) -> list[Cells]:
    """The power of each band of *limits_hz*, every 10 ms."""
    grid = Grid.of(audio.sample_rate, HOP_S, WINDOW_S)
    matrix = np.stack([weights(grid, *each) for each in limits_hz], axis=1)
    parts = [_summed(power, matrix) for power in spectra(audio, grid, ctx)]
    return _cells(np.concatenate(parts), grid)


def _summed(power: Spectra, columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """The bins of each spectrum, weighted by each column and summed: [frames, columns].

    Not by a matrix product: for one this small, BLAS wakes threads that are in each other's way.
    """
    summed: NDArray[np.float32] = np.einsum("fb,bc->fc", power, columns)
    return summed


def _cells(columns: NDArray[np.float32], grid: Grid) -> list[Cells]:
    """Each column of values [frames, n] as cells around the middles of their windows."""
    start = -grid.step_s / 2.0
    return [Cells(column, start, grid.step_s) for column in columns.T]


def describe(
    audio: Audio, limits_hz: Sequence[tuple[float, float]], ctx: Context
) -> tuple[list[Cells], Cells, Cells, Cells]:
    """The power of each band, of all of them, the power times its frequency, and the flux.

    The spectral centroid, the mean frequency weighted by power, is the third by the second. The
    flux is the sum of what rises from one magnitude spectrum to the next.
    """
    grid = Grid.of(audio.sample_rate, HOP_S, WINDOW_S)
    columns = [weights(grid, *each) for each in limits_hz]
    columns += [np.ones(grid.window // 2 + 1, np.float32), grid.frequencies.astype(np.float32)]
    matrix = np.stack(columns, axis=1)
    parts, rises = [], []
    before = np.zeros((1, matrix.shape[0]), np.float32)
    for power in spectra(audio, grid, ctx):
        parts.append(_summed(power, matrix))
        magnitudes = np.concatenate((before, np.sqrt(power)))
        rises.append(np.maximum(np.diff(magnitudes, axis=0), 0.0).sum(axis=1, keepdims=True))
        before = magnitudes[-1:]
    *found, total, moment, flux = _cells(
        np.concatenate((np.concatenate(parts), np.concatenate(rises)), axis=1), grid
    )
    return found, total, moment, flux
