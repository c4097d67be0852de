"""The grid of a short-time Fourier transform: where windows lie, forth and back.

Knows: Hann windows centred on every hop-th sample, the sound between silence on both sides.
Does not know: files, pictures, and what happens to a spectrum.

Back is the least-squares inverse of Griffin and Lim ("Signal estimation from modified short-time
Fourier transform", IEEE TASSP 32, 1984): windowed again, added up, and divided by the sum of the
squared windows. A hop of at most half a window keeps that sum at 1/2 or more for every sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.spectrogram import SMALLEST_N_FFT, SpectrogramSettings, column_count
from backend.plugins import refused

Reals = NDArray[np.floating[Any]]
Spectra = NDArray[np.complexfloating[Any, Any]]
"""[channels, columns, bins]"""


@lru_cache(maxsize=16)
def window(n_fft: int, kind: str = "float64") -> Reals:
    """The periodic Hann window [n_fft], of a dtype of this name. Not to be written to."""
    shape: Reals = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)
    return shape.astype(kind)


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of *n_fft* samples every *hop* over a sound of *frames* samples."""

    n_fft: int
    hop: int
    frames: int

    @classmethod
    def over(cls, audio: Audio, n_fft: int, hop: int) -> Grid:
        """The grid over *audio*. Raises `InvalidParameters` where it cannot lie."""
        if audio.frames < SMALLEST_N_FFT:
            raise refused(
                "/audio",
                "too_short",
                f"the sound has {audio.frames} samples; the shortest window has {SMALLEST_N_FFT}",
            )
        if n_fft > audio.frames:
            raise refused(
                "/n_fft",
                "too_long",
                f"a window of {n_fft} samples is longer than the sound, which has {audio.frames}",
            )
        if hop > n_fft // 2:
            raise refused(
                "/hop_length",
                "overlap",
                f"windows of {n_fft} samples every {hop} overlap by less than half, and what is "
                f"edited could not be put together again; use at most {n_fft // 2}",
            )
        return cls(n_fft, hop, audio.frames)

    @classmethod
    def of(cls, settings: SpectrogramSettings) -> Grid:
        return cls(settings.n_fft, settings.hop_length, settings.frames)

    @property
    def columns(self) -> int:
        return column_count(self.frames, self.hop)

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    @property
    def half(self) -> int:
        return self.n_fft // 2

    @property
    def full_scale(self) -> float:
        """Magnitude of a full-scale sine in the middle of its bin."""
        return self.n_fft / 4.0

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """The samples, from and up to, that columns *first* up to *last* are made of."""
        return first * self.hop - self.half, (last - 1) * self.hop + self.half

    def column_at(self, seconds: float, sample_rate: int) -> int:
        """The column nearest to a time, within the sound."""
        return min(max(0, round(seconds * sample_rate / self.hop)), self.columns - 1)

    def forth(self, samples: Reals, columns: int) -> Spectra:
        """Spectra [C, columns, bins] of *samples* [C, (columns - 1) · hop + n_fft]."""
        import scipy.fft

        lying = np.lib.stride_tricks.sliding_window_view(samples, self.n_fft, axis=-1)
        frames = lying[:, :: self.hop][:, :columns]
        shape = window(self.n_fft, samples.dtype.name)
        spectra: Spectra = scipy.fft.rfft(frames * shape, axis=-1, overwrite_x=True)
        return spectra

    def back(self, spectra: Spectra) -> Reals:
        """*spectra* [C, M, bins] windowed and added up, [C, (M - 1) · hop + n_fft]; not divided."""
        import scipy.fft

        frames: Reals = scipy.fft.irfft(spectra, self.n_fft, axis=-1)
        frames *= window(self.n_fft, frames.dtype.name)
        return self._added(frames)

    def weight(self, start: int, stop: int) -> NDArray[np.float64]:
        """The sum of squared windows at samples *start* up to *stop*, of every column there is."""
        first = max(0, (start - self.half) // self.hop)
        last = min(self.columns, (stop + self.half) // self.hop + 2)
        squares = np.broadcast_to(window(self.n_fft) ** 2, (1, last - first, self.n_fft))
        at = self.reach(first, last)[0]
        added = np.pad(self._added(squares)[0], (max(0, at - start), max(0, stop - at)))
        from_here = max(0, start - at)
        return added[from_here : from_here + stop - start].astype(np.float64)

    def _added(self, frames: Reals) -> Reals:
        """Overlap-add of frames [C, M, n_fft], in pieces of one hop each."""
        channels, columns, length = frames.shape
        hop = self.hop
        pieces = -(-length // hop)
        if length % hop:
            frames = np.pad(frames, ((0, 0), (0, 0), (0, pieces * hop - length)))
        cut = frames.reshape(channels, columns, pieces, hop)
        total = np.zeros((channels, columns + pieces - 1, hop), frames.dtype)
        for piece in range(pieces):
            total[:, piece : piece + columns] += cut[:, :, piece]
        return total.reshape(channels, -1)[:, : (columns - 1) * hop + length]
