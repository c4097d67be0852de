"""The equalizer: its response, its order of magnitude, moving filters, no clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import freqz, sosfilt

from backend.plugins.mixer.dsp import biquads
from backend.plugins.mixer.dsp.equalizer import Equalizer
from backend.plugins.mixer.dsp.parameters import BandSettings, Curve, EqualizerSettings

RATE = 48000
FULL = EqualizerSettings(
    30.0,
    BandSettings(6.0, 250.0),
    BandSettings(-9.0, 1000.0, 2.0),
    BandSettings(3.0, 4000.0),
    12000.0,
)


def white(frames: int) -> np.ndarray:
    return np.random.default_rng(8).standard_normal((2, frames))


def response_db(settings: EqualizerSettings, hertz: np.ndarray) -> np.ndarray:
    """Measured by an impulse of 2 s and the Fourier sum at each frequency."""
    impulse = np.zeros((1, 2 * RATE))
    impulse[0, 0] = 1.0
    out = Equalizer(settings, RATE, 1).process(impulse, 0)[0]
    times = np.arange(out.size) / RATE
    return np.array(
        [20 * math.log10(abs(np.sum(out * np.exp(-2j * np.pi * f * times)))) for f in hertz]
    )


def test_the_response_is_scipys() -> None:
    """The impulse response's spectrum equals freqz of the five filters within 1e-6 dB."""
    hertz = np.array([15.0, 30.0, 100.0, 250.0, 1000.0, 2500.0, 4000.0, 12000.0, 18000.0])
    rows = [
        biquads.high_pass(30.0, math.sqrt(0.5), 0.0, RATE),
        biquads.low_shelf(250.0, 0.707, 6.0, RATE),
        biquads.peak(1000.0, 2.0, -9.0, RATE),
        biquads.high_shelf(4000.0, 0.707, 3.0, RATE),
        biquads.low_pass(12000.0, math.sqrt(0.5), 0.0, RATE),
    ]
    expected = np.zeros(hertz.size)
    for row in rows:
        _, h = freqz(row[0, :3], row[0, 3:], worN=hertz, fs=RATE)
        expected += 20 * np.log10(np.abs(h))
    np.testing.assert_allclose(response_db(FULL, hertz), expected, atol=1e-6)


def test_bands_do_what_their_names_say() -> None:
    """A shelf of 6 dB is 6 dB at its end and 3 dB at its frequency; a bell its gain in the
    middle; high-pass and low-pass -3 dB at theirs."""
    low = EqualizerSettings(low=BandSettings(6.0, 250.0))
    mid = EqualizerSettings(mid=BandSettings(-9.0, 1000.0))
    high = EqualizerSettings(high=BandSettings(6.0, 4000.0))
    edges = EqualizerSettings(high_pass_hz=80.0, low_pass_hz=8000.0)
    hertz = np.array([20.0, 250.0, 1000.0, 4000.0, 23000.0])
    assert response_db(low, hertz)[:2] == pytest.approx([6.0, 3.0], abs=0.01)
    assert response_db(mid, hertz)[2] == pytest.approx(-9.0, abs=0.001)
    assert response_db(high, hertz)[3:] == pytest.approx([3.0, 6.0], abs=0.02)
    assert response_db(edges, np.array([80.0, 8000.0])) == pytest.approx(-3.01, abs=0.02)


def test_neutral_passes_to_the_bit() -> None:
    """Bands of 0 dB and no edges leave the very samples."""
    settings = EqualizerSettings()
    samples = white(1000)
    assert settings.is_neutral
    assert not FULL.is_neutral
    np.testing.assert_array_equal(Equalizer(settings, RATE, 2).process(samples.copy(), 0), samples)


def test_nothing_is_clipped_at_full_scale() -> None:
    """The predecessor clipped at ±1: a tone of -1 dBFS raised by 12 dB leaves at +11 dBFS, and
    its harmonics stay under -150 dB."""
    time = np.arange(2 * RATE) / RATE
    tone = 10 ** (-1 / 20) * np.sin(2 * np.pi * 1000 * time)[None]
    boost = EqualizerSettings(mid=BandSettings(12.0, 1000.0))
    out = Equalizer(boost, RATE, 1).process(tone, 0)[0, RATE:]
    assert 20 * math.log10(np.abs(out).max()) == pytest.approx(11.0, abs=0.01)
    spectrum = np.abs(np.fft.rfft(out * np.blackman(RATE)))
    harmonics = max(spectrum[1000 * k - 4 : 1000 * k + 5].max() for k in range(2, 12))
    assert 20 * math.log10(harmonics / spectrum[1000]) < -150


def test_a_moving_band_has_new_coefficients_every_64_samples() -> None:
    """A gain that moves is a plain filter in each 64 samples, its state kept."""
    gain = Curve(np.array([100.0, 1000.0]), np.array([-12.0, 12.0]))
    settings = EqualizerSettings(60.0, mid=BandSettings(gain, 1000.0), low_pass_hz=9000.0)
    samples = white(1300)
    out = Equalizer(settings, RATE, 2).process(samples.copy(), 0)
    state = np.zeros((3, 2, 2))
    for at in range(0, 1300, 64):
        db = float(np.interp(at, gain.positions, gain.values))
        rows = np.concatenate(
            (
                biquads.high_pass(60.0, math.sqrt(0.5), 0.0, RATE),
                biquads.peak(1000.0, 0.707, db, RATE),
                biquads.low_pass(9000.0, math.sqrt(0.5), 0.0, RATE),
            )
        )
        wanted, state = sosfilt(rows, samples[:, at : at + 64], axis=-1, zi=state)
        np.testing.assert_allclose(out[:, at : at + 64], wanted, atol=1e-12)


def test_a_moving_gain_makes_no_clicks() -> None:
    """On a steady tone a sweep of 24 dB in 0.1 s adds no energy where the tone has none."""
    gain = Curve(np.array([4800.0, 9600.0]), np.array([-12.0, 12.0]))
    tone = np.sin(2 * np.pi * 300 * np.arange(14400) / RATE)[None]
    settings = EqualizerSettings(mid=BandSettings(gain, 300.0))
    out = Equalizer(settings, RATE, 1).process(tone.copy(), 0)[0, 4096:12288]
    spectrum = np.abs(np.fft.rfft(out * np.blackman(out.size)))
    assert 20 * math.log10(spectrum[1400:].max() / spectrum.max()) < -80


def test_silence_after_sound_costs_no_more_than_sound() -> None:
    """The state dies to 0 instead of lingering in numbers too small to be fast."""
    section = Equalizer(FULL, RATE, 2)
    section.process(white(4096), 0)
    out = section.process(np.zeros((2, 8 * RATE)), 4096)
    assert not section.process(np.zeros((2, 4096)), 4096 + 8 * RATE).any()
    assert np.abs(out[:, :100]).max() > 0
