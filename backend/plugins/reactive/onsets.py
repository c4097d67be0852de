"""Onsets: where something new begins to sound.

Knows: the SuperFlux novelty curve and how its peaks are picked.
Does not know: tempo, and what becomes of the onsets.

Sebastian Böck and Gerhard Widmer, "Maximum filter vibrato suppression for onset detection"
(DAFx-13, 2013): the logarithm of a spectrum in bands of a quarter tone; from each band the loudest
of it and its two neighbours 8 ms earlier is taken away (a tone that glides or trembles is no
onset); what is left above 0 is summed. Peaks are picked as there, offline: a peak is the largest
value from 30 ms before to 30 ms after, stands out of the mean from 100 ms before to 70 ms after,
and lies 30 ms or more behind the last.

Two things differ. Levels are taken relative to the loudest 5 ms of the sound, and a band 40 dB
below is silence, so that the result does not depend on the level. And the threshold is relative:
1 is an onset that rises 0.6 times as much as this sound's typical one, the median of its strongest
peaks, four for each second. The curve is the square root of the sum, which brings soft and loud
onsets nearer to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.sparse import csr_array

from backend.media.audio import Audio
from backend.plugins import Context

from .energy import loudest
from .spectra import Grid, spectra

Values = NDArray[np.float64]

HOP_S: Final = 0.008
WINDOW_S: Final = 0.046
BANDS_PER_OCTAVE: Final = 24
LOWEST_HZ: Final = 30.0
HIGHEST_HZ: Final = 17_000.0
_FLOOR: Final = 1e-4
_PEAKS_HZ: Final = 4.0
_PART: Final = 0.6
_LEAST_RISE: Final = 0.06
"""Decades of power, in the mean over all bands: an onset of less is not called typical, so that the
trembling of a steady noise is no beat."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """How much is new at each moment: values ≥ 0, ``1 / rate_hz`` apart, the first at time 0."""

    values: Values
    rate_hz: float
    delay_s: float
    """How long before the sound changes the curve peaks: its windows look ahead."""

    @property
    def times_s(self) -> Values:
        return np.arange(self.values.size) / self.rate_hz + self.delay_s


def novelty(audio: Audio, ctx: Context) -> Novelty:
    """The SuperFlux curve of *audio*, 1 at a typical onset; 0 throughout for silence."""
    grid = Grid.of(audio.sample_rate, HOP_S, WINDOW_S)
    rate = 1.0 / grid.step_s
    # measured on clicks and drums: so long before its middle a window sees a sudden sound grow
    delay = grid.window / 8 / audio.sample_rate
    reference = loudest(audio, ctx)
    # below -120 dBFS, or where nothing as high as the lowest band can be: silence
    if reference < 1e-12 or audio.sample_rate < 2.0 * LOWEST_HZ:
        return Novelty(np.zeros(audio.frames // grid.hop + 1), rate, delay)
    bands = filterbank(grid)
    before = np.zeros((1, bands.shape[1]), np.float32)
    rises = []
    for power in spectra(audio, grid, ctx):
        level = np.log10(power @ bands / np.float32(_FLOOR * reference) + np.float32(1.0))
        earlier = maximum_filter1d(np.concatenate((before, level[:-1])), 3, axis=1)
        rises.append(np.maximum(level - earlier, 0.0).sum(axis=1))
        before = level[-1:]
    rise = np.concatenate(rises).astype(np.float64) / bands.shape[1]
    # where the last window reaches beyond the end, the cut sounds like an onset
    rise[max(1, (audio.frames - grid.window // 2) // grid.hop + 1) :] = 0.0
    return Novelty(np.sqrt(rise / _typical(rise, rate)), rate, delay)


def _typical(rise: Values, rate: float) -> float:
    """The median rise of the strongest peaks, four for each second, or the least that counts."""
    peaks = np.sort(rise[_is_largest(rise, rate)])[::-1]
    strongest = peaks[: max(1, round(_PEAKS_HZ * rise.size / rate))]
    return max(_LEAST_RISE, _PART * float(np.median(strongest))) if strongest.size else _LEAST_RISE


def filterbank(grid: Grid) -> csr_array:
    """Triangles a quarter tone apart, [bins, bands], each of height 1; bands that would share their
    centre bin with the one before are left out."""
    highest = min(HIGHEST_HZ, grid.sample_rate / 2.0)
    steps = np.arange(1 + max(0.0, BANDS_PER_OCTAVE * np.log2(highest / LOWEST_HZ)))
    wanted = LOWEST_HZ * 2.0 ** (steps / BANDS_PER_OCTAVE)
    bins = np.unique(np.round(wanted * grid.window / grid.sample_rate).astype(int))
    bins = bins[(bins >= 1) & (bins <= grid.window // 2)]
    edges = np.concatenate(([max(0, bins[0] - 1)], bins, [bins[-1] + 1]))
    matrix = np.zeros((grid.window // 2 + 2, bins.size), np.float32)
    for band, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        matrix[low : middle + 1, band] = np.linspace(0.0, 1.0, middle - low + 1)
        matrix[middle : high + 1, band] = np.linspace(1.0, 0.0, high - middle + 1)
    return csr_array(matrix[:-1])


def _is_largest(values: Values, rate: float) -> NDArray[np.bool_]:
    """Where a value above 0 is the largest from 30 ms before to 30 ms after."""
    reach = max(1, round(0.030 * rate))
    largest: Values = maximum_filter1d(values, 2 * reach + 1, mode="constant")
    found: NDArray[np.bool_] = (values > 0.0) & (values == largest)
    return found


def pick(curve: Novelty, threshold: float) -> Values:
    """Times of the onsets in seconds, rising; *threshold* is how far a peak must stand out."""
    values, rate = curve.values, curve.rate_hz
    before, after = round(0.100 * rate), round(0.070 * rate)
    total = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(values.size)
    first, last = np.maximum(at - before, 0), np.minimum(at + after + 1, values.size)
    mean = (total[last] - total[first]) / (before + after + 1)
    found = np.flatnonzero(_is_largest(values, rate) & (values >= mean + threshold))
    kept: list[int] = []
    for index in found:
        if not kept or index - kept[-1] > 0.030 * rate:
            kept.append(int(index))
    return curve.times_s[kept]
