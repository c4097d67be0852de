"""The limiter: no true peak above the ceiling, whatever comes, and nothing done to the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import resample_poly

from backend.plugins.mixer.dsp.limiter import Limiter, true_peak_taps
from backend.plugins.mixer.dsp.parameters import Curve, LimiterSettings

RATE = 48000
FRAMES = RATE
TIME = np.arange(FRAMES) / RATE


def true_peak_db(samples: np.ndarray) -> float:
    """At 16 times the rate, the edges of what is measured left out."""
    fine = resample_poly(samples, 16, 1, axis=-1, window=("kaiser", 8.0))
    return float(20 * np.log10(np.abs(fine[:, 16 * 64 : -16 * 64]).max()))


def noise(gain: float) -> np.ndarray:
    return gain * np.random.default_rng(3).standard_normal((2, FRAMES))


def both(samples: np.ndarray) -> np.ndarray:
    return np.tile(samples, (2, 1))


TORTURE = {
    "fs/4 at 45 degrees": both(1.4 * np.sin(np.pi / 2 * np.arange(FRAMES) + np.pi / 4)),
    "white noise": noise(0.8),
    "white noise, 30 dB over": noise(30.0),
    "bursts": noise(2.0) * (np.sin(2 * np.pi * 6 * TIME) > 0.9),
    "square": both(2 * np.sign(np.sin(2 * np.pi * 997 * TIME))),
    "clicks": both(np.where(np.arange(FRAMES) % 12000 == 6000, 4.0, 0.1)),
    "one sample": both(np.where(np.arange(FRAMES) == 20000, 4.0, 0.0)),
    "tone bursts of 11 kHz": both(
        3 * np.sin(2 * np.pi * 11000 * TIME) * (np.sin(2 * np.pi * 40 * TIME) > 0.7)
    ),
    "low tone": both(2 * np.sin(2 * np.pi * 50 * TIME)),
    "random signs": np.sign(noise(1.0)) * 2,
}


@pytest.mark.parametrize("name", TORTURE)
@pytest.mark.parametrize(("lookahead_ms", "release_ms"), [(5.0, 100.0), (1.5, 5.0)])
def test_no_true_peak_above_the_ceiling(
    name: str, lookahead_ms: float, release_ms: float, render
) -> None:
    """The torture set at -1 dBTP, measured at 16 times the rate (the predecessor: +5 dB over)."""
    settings = LimiterSettings(-1.0, lookahead_ms, release_ms)
    out = render(Limiter(settings, RATE, 2), TORTURE[name], [16384, 32768])
    assert true_peak_db(out) <= -1.0
    assert 20 * math.log10(np.abs(out).max()) <= -1.0


def test_the_measure_sees_a_clamp_fail() -> None:
    """A clamp at the ceiling, measured alike, is above it."""
    ceiling = 10 ** (-1 / 20)
    assert true_peak_db(np.clip(TORTURE["white noise"], -ceiling, ceiling)) > -1.0


def test_what_is_below_passes_to_the_bit(render) -> None:
    """0.4 dB below the ceiling nothing is done, and after a peak it is so again."""
    quiet = noise(1.0)
    quiet *= 10 ** (-1.4 / 20) / 10 ** (true_peak_db(quiet) / 20) * 0.98
    np.testing.assert_array_equal(render(Limiter(LimiterSettings(), RATE, 2), quiet), quiet)
    peaky = quiet.copy()
    peaky[:, 1000] = 3.0
    out = render(Limiter(LimiterSettings(release_ms=2.0), RATE, 2), peaky)
    np.testing.assert_array_equal(out[:, 30000:], quiet[:, 30000:])
    np.testing.assert_array_equal(out[:, :700], quiet[:, :700])
    assert np.abs(out[:, 1000]).max() < 1.0


def test_it_is_no_maximiser(render) -> None:
    """Loud passages come out at the ceiling less the margin, never raised to it."""
    out = render(Limiter(LimiterSettings(-6.0), RATE, 2), TORTURE["low tone"])
    assert true_peak_db(out) == pytest.approx(-6.35, abs=0.01)


def test_sides_are_linked(render) -> None:
    """A peak on one side lowers both."""
    samples = np.full((2, 9600), 0.1)
    samples[0, 4800] = 4.0
    out = render(Limiter(LimiterSettings(), RATE, 2), samples)
    assert out[1, 4801] < 0.03


def test_a_steady_loud_tone_stays_a_tone(render) -> None:
    """6 dB of limiting leave the harmonics of 997 Hz under -100 dB once it has settled."""
    tone = both(2 * np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE))
    out = render(Limiter(LimiterSettings(), RATE, 2), tone)[0, RATE : 2 * RATE]
    spectrum = np.abs(np.fft.rfft(out * np.blackman(RATE)))
    harmonics = max(spectrum[997 * n - 5 : 997 * n + 6].max() for n in range(2, 20))
    assert 20 * math.log10(harmonics / spectrum[997]) < -80


@pytest.mark.parametrize(("first", "last"), [(-1.0, -13.0), (-13.0, -1.0)])
def test_the_ceiling_moves(first: float, last: float, render) -> None:
    """A ceiling that falls or rises takes the peaks with it, in time and no sooner."""
    line = Curve(np.array([0.0, FRAMES - 1.0]), np.array([first, last]))
    out = render(Limiter(LimiterSettings(line, release_ms=2.0), RATE, 2), noise(0.8))
    peaks = 20 * np.log10(np.abs(out).max(axis=0) + 1e-12) - line.at(np.arange(FRAMES * 1.0))
    assert peaks.max() <= -0.3
    assert peaks.max() > -0.5


def test_a_twentieth_of_a_decibel_is_taken_too(render) -> None:
    """A low tone 0.05 dB over what is let through is lowered by that."""
    level = 10 ** ((-1.35 + 0.05) / 20)
    out = render(Limiter(LimiterSettings(), RATE, 2), TORTURE["low tone"] / 2 * level)
    assert true_peak_db(out) == pytest.approx(-1.35, abs=0.001)


def test_taps_are_symmetric_and_read_sines_right() -> None:
    """1/4 and 3/4 mirror each other; a tone of 15 kHz is read between samples within 0.01 dB."""
    taps = true_peak_taps()
    np.testing.assert_allclose(taps[0], taps[2][::-1], atol=1e-15)
    phase = 2 * np.pi * 15000 / RATE
    for p, row in enumerate(taps, 1):
        times = 12 - np.arange(24)
        read = np.sum(row * np.exp(1j * phase * (times - p / 4)))
        assert abs(20 * math.log10(abs(read))) < 0.01


def test_the_reduction_is_the_definition(render) -> None:
    """docs/dsp.md, section 7, written as a loop, gives the same samples within 1e-12."""
    samples = noise(0.9)[:, :3000]
    settings = LimiterSettings(-3.0, 2.7, 20.0)
    late, guard = 128, 11
    box = late - 16
    taps = true_peak_taps()
    padded = np.concatenate((np.zeros((2, 300)), samples, np.zeros((2, late))), axis=1)
    total = padded.shape[1]
    asked, held = np.zeros(total), np.zeros(total)
    for n in range(300, total):
        recent = padded[:, n - 23 : n + 1][:, ::-1]
        peak = max(np.abs(padded[:, n - 12]).max(), np.abs(recent @ taps.T).max())
        asked[n] = max(0.0, 20 * math.log10(max(peak, 1e-10)) + 3.35)
        top = asked[n - box - guard + 1 : n + 1].max()
        held[n] = max(top, math.exp(-1 / (0.020 * RATE)) * held[n - 1])
    reduction = np.convolve(held, np.full(box, 1 / box))[300 + late : total]
    wanted = samples * 10 ** (-reduction / 20)
    out = render(Limiter(settings, RATE, 2), samples, [1, 999, 1000])
    np.testing.assert_allclose(out, wanted, atol=1e-12)


def test_the_meter_shows_the_reduction(render) -> None:
    """A tone 6 dB over full scale at a ceiling of -1 is lowered by 7.35 dB at most."""
    limiter = Limiter(LimiterSettings(-1.0), RATE, 2)
    render(limiter, TORTURE["low tone"])
    assert limiter.meter.max_db == pytest.approx(6.02 + 1.35, abs=0.01)
    assert 0 < limiter.meter.mean_db <= limiter.meter.max_db
