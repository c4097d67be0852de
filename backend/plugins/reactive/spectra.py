"""Power spectra of a sound of any length, frame by frame, in constant memory.

Knows: windows on a fixed grid of samples, and power that is independent of rate and length.
Does not know: what is read out of the spectra.

Frame k is centred on sample ``k * hop``, so that its time is exact: ``k * hop / sample_rate``. With
a Hann window w of n samples, the one-sided power of bin b is ``c_b |X_b|^2 / (n * sum(w^2))``, c_b
being 1 for the first and the last bin and 2 for the others, averaged over the channels: the sum
over all bins is the mean square of the windowed sound (Parseval), 1/2 for a sine of full scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from backend.media.audio import Audio
from backend.media.finite import Unfit
from backend.plugins import Context

Spectra = NDArray[np.float32]
"""Power [frames, bins]."""

LOUDEST: Final = 1e12
"""The power of a louder sample, summed over a window, could be more than 32-bit float holds."""
_BLOCK: Final = 65536
_AT_ONCE: Final = 256
"""Frames that are transformed at a time: more fall out of the processor's cache."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the frames of a sound lie, and how wide its windows are."""

    sample_rate: int
    hop: int
    window: int

    @classmethod
    def of(cls, sample_rate: int, hop_s: float, window_s: float) -> Grid:
        """The grid nearest to a hop and a window in seconds; windows are powers of two samples."""
        wanted = max(16.0, window_s * sample_rate)
        window = int(1 << round(math.log2(wanted)))
        return cls(sample_rate, max(1, round(hop_s * sample_rate)), window)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The centre of each bin in Hz."""
        centres: NDArray[np.float64] = np.arange(self.window // 2 + 1, dtype=np.float64)
        return centres * (self.sample_rate / self.window)

    @property
    def step_s(self) -> float:
        return self.hop / self.sample_rate


def spectra(audio: Audio, grid: Grid, ctx: Context) -> Iterator[Spectra]:
    """Power spectra [k, bins] of all ``frames // hop + 1`` frames, in pieces, with progress.

    Raises `Unfit` for samples that are not numbers, and for what is far beyond any sound.
    """
    half = grid.window // 2
    window = np.hanning(grid.window + 1)[:-1].astype(np.float32)
    sided = np.full(half + 1, 2.0)
    sided[[0, -1]] = 1.0
    sided /= grid.window * np.sum(np.square(window, dtype=np.float64)) * audio.channels
    scale = sided.astype(np.float32)
    held = np.zeros((audio.channels, half), np.float32)
    done, left = 0, audio.frames // grid.hop + 1
    for block in _padded(audio, half):
        held = np.concatenate((held, block), axis=1)
        count = min(left, max(0, (held.shape[1] - grid.window) // grid.hop + 1))
        for start in range(0, count, _AT_ONCE):
            ctx.checkpoint()
            many = min(_AT_ONCE, count - start)
            part = held[:, start * grid.hop :]
            yield _power(part, many, grid, window) * scale
        held = held[:, count * grid.hop :]
        left -= count
        done += block.shape[1]
        ctx.progress(min(done, audio.frames), max(1, audio.frames))


def _padded(audio: Audio, half: int) -> Iterator[NDArray[np.float32]]:
    """The blocks of the sound, and the silence that its last windows reach into."""
    yield from bounded(audio)
    yield np.zeros((audio.channels, half + 1), np.float32)


def bounded(audio: Audio) -> Iterator[NDArray[np.float32]]:
    """The blocks of the sound. Raises `Unfit` for what is far beyond any sound (rule ``level``)."""
    for block in audio.blocks(_BLOCK):
        if block.size and max(float(block.max()), -float(block.min())) > LOUDEST:
            told = "the sound is more than 240 dB over full scale: lower its gain"
            raise Unfit(told, "audio", audio, "level")
        yield block


def _power(
    samples: NDArray[np.float32], count: int, grid: Grid, window: NDArray[np.float32]
) -> Spectra:
    """Squared magnitudes [count, bins] of the windows of *samples*, summed over its channels.

    Two channels go through one complex transform: with z = x + iy,
    |X_b|^2 + |Y_b|^2 = (|Z_b|^2 + |Z_{n-b}|^2) / 2, and their phases are not asked for.
    """
    channels = samples.shape[0]
    bins = grid.window // 2 + 1
    total: Spectra | None = None
    for first in range(0, channels - 1, 2):
        pair = samples[first] + 1j * samples[first + 1]
        both = fft.fft(_frames(pair, count, grid) * window)
        power = (both * both.conj()).real
        folded = np.float32(0.5) * (power[:, :bins] + power[:, -np.arange(bins)])
        total = folded if total is None else total + folded
    if channels % 2:
        one = fft.rfft(_frames(samples[-1], count, grid) * window, overwrite_x=True)
        power = (one * one.conj()).real
        total = power if total is None else total + power
    if total is None:
        raise ValueError("a sound has at least one channel")
    return total


def _frames(samples: NDArray[Any], count: int, grid: Grid) -> NDArray[Any]:
    """The first *count* windows of one channel, as a view [count, window]."""
    (step,) = samples.strides
    shape, strides = (count, grid.window), (step * grid.hop, step)
    return np.lib.stride_tricks.as_strided(samples, shape, strides, writeable=False)
