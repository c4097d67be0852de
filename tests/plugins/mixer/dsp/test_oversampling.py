"""Long filters and the two directions between rates."""

from __future__ import annotations

import numpy as np
import pytest

from backend.plugins.mixer.dsp.fir import Fir, windowed_sinc
from backend.plugins.mixer.dsp.oversampling import (
    Downsampler,
    Upsampler,
    half_band_taps,
    interleaved,
)

RNG = np.random.default_rng(2)


@pytest.mark.parametrize(("phases", "length"), [(1, 1), (1, 16), (3, 24), (1, 65)])
@pytest.mark.parametrize("frames", [1, 700, 3000])
def test_a_fir_is_a_convolution(phases: int, length: int, frames: int) -> None:
    """Every phase and channel equals numpy's convolution, in pieces too."""
    taps = RNG.standard_normal((phases, length))
    samples = RNG.standard_normal((2, frames))
    fir = Fir(taps, 2)
    cut = frames // 3
    parts = [fir.process(samples[:, :cut]), fir.process(samples[:, cut:])]
    out = np.concatenate(parts, axis=2)
    for phase in range(phases):
        for channel in range(2):
            wanted = np.convolve(samples[channel], taps[phase])[:frames]
            np.testing.assert_allclose(out[phase, channel], wanted, atol=1e-12)


@pytest.mark.parametrize("count", [16, 64])
def test_half_band_taps_follow_their_closed_form(count: int) -> None:
    """Symmetric, sum 1, sinc under a Kaiser window of β 11 by its own series."""
    taps = half_band_taps(count)
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-17)
    assert taps.sum() == pytest.approx(1.0)

    def bessel(x: float) -> float:
        term = total = 1.0
        for j in range(1, 60):
            term *= (x / 2 / j) ** 2
            total += term
        return total

    times = [i - (count - 1) / 2 for i in range(count)]
    plain = [
        np.sin(np.pi * t) / (np.pi * t) * bessel(11 * (1 - (2 * t / count) ** 2) ** 0.5)
        for t in times
    ]
    np.testing.assert_allclose(taps, np.array(plain) / sum(plain), atol=1e-12)


def test_a_windowed_sinc_passes_a_constant() -> None:
    """Taps sum to 1, so that a constant stays what it is between samples."""
    assert windowed_sinc(np.arange(24.0) - 11.75, 12, 8.0).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("count", [16, 64])
def test_up_and_down_is_the_same_sound_later(count: int) -> None:
    """A tone in the pass band comes back within -106 dB, late by *count* samples."""
    tone = np.sin(2 * np.pi * (0.41 if count == 64 else 0.2) * np.arange(4000))[None]
    up, down = Upsampler(count, 1), Downsampler(count, 1)
    out = down.process(*up.process(tone))
    error = out[0, count:] - tone[0, :-count]
    assert np.abs(error[200:]).max() < 5e-6


def test_interleaving() -> None:
    """Even and odd samples take turns."""
    joined = interleaved(np.array([[1.0, 3.0]]), np.array([[2.0, 4.0]]))
    np.testing.assert_array_equal(joined, [[1, 2, 3, 4]])
