"""The limiter: no true peak above the ceiling, whatever comes, and nothing done to the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import firwin, oaconvolve, resample_poly

from backend.media.true_peak import OVERSAMPLING, taps
from backend.plugins.mixer.dsp.limiter import Limiter
from backend.plugins.mixer.dsp.parameters import Curve, LimiterSettings

RATE = 48000
FRAMES = RATE
TIME = np.arange(FRAMES) / RATE


SINC = 16 * firwin(2 * 16 * 128 + 1, 1 / 16, window=("kaiser", 8.0))
"""Flat to 0.49 times the rate: ten times as long as what the limiter looks with."""


def true_peak_db(samples: np.ndarray) -> float:
    """At 16 times the rate, the edges of what is measured left out."""
    fine = resample_poly(samples, 16, 1, axis=-1, window=("kaiser", 8.0))
    return float(20 * np.log10(np.abs(fine[:, 16 * 64 : -16 * 64]).max()))


def tone_peak_db(samples: np.ndarray) -> float:
    """The same of what has no edges, flat to the end of the band."""
    spread = np.zeros((len(samples), 16 * samples.shape[1]))
    spread[:, ::16] = samples
    fine = oaconvolve(spread, SINC[None], mode="same", axes=1)
    return float(20 * np.log10(np.abs(fine).max()))


def noise(gain: float) -> np.ndarray:
    return gain * np.random.default_rng(3).standard_normal((2, FRAMES))


def both(samples: np.ndarray) -> np.ndarray:
    return np.tile(samples, (2, 1))


def tone(part: float, degrees: float) -> np.ndarray:
    """A tone at that part of the rate, 6 dB over full scale, faded in and out in 10 ms."""
    fade = np.minimum(1.0, np.arange(FRAMES) / (0.01 * RATE))
    phase = 2 * np.pi * part * np.arange(FRAMES) + np.radians(degrees)
    return both(2 * np.sin(phase) * fade * fade[::-1])


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
TONES = [(0.25, 126.0), (0.36, 45.0), (0.4, 18.0), (0.4, 144.0), (0.42, 144.0), (0.45, 45.0)]
"""Parts of the rate and degrees; at 4 times the rate those of 0.4 are seen 0.44 dB too low."""


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


@pytest.mark.parametrize(("part", "degrees"), [*TONES, (0.3999, 0.0), (0.4501, 0.0)])
def test_no_tone_passes_the_ceiling(part: float, degrees: float, render) -> None:
    """Steady tones up to 0.45 times the rate, those among them whose samples always miss the crest
    by as much as can be: -1 dBTP holds, from the fade in to the fade out."""
    out = render(Limiter(LimiterSettings(-1.0), RATE, 2), tone(part, degrees), [16384])
    assert tone_peak_db(tone(part, degrees)) == pytest.approx(6.02, abs=0.01)
    assert tone_peak_db(out) <= -1.0


def test_the_measures_see_a_clamp_fail() -> None:
    """A clamp at the ceiling, measured alike, is above it."""
    ceiling = 10 ** (-1 / 20)
    assert true_peak_db(np.clip(TORTURE["white noise"], -ceiling, ceiling)) > -1.0
    assert tone_peak_db(np.clip(tone(0.4, 18.0), -ceiling, ceiling)) > -1.0


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


def reductions(samples: np.ndarray, late: int, release_ms: np.ndarray) -> np.ndarray:
    """Steps 3 to 7 of docs/dsp.md, section 7, as a loop, for a ceiling of -3 dB and the latency
    *late*: z [n + late] for *samples* [2, n] and the release at each of them."""
    frames, box = samples.shape[1], late - 16
    times = np.arange(24) - 12 + np.arange(1, 8)[:, None] / 8
    sinc = np.sinc(times) * np.i0(8 * np.sqrt(1 - (times / 12) ** 2))
    sinc /= sinc.sum(axis=1, keepdims=True)
    padded = np.concatenate((np.zeros((2, 400)), samples, np.zeros((2, late))), axis=1)
    asked, held = np.zeros((2, padded.shape[1]))
    for n in range(400, padded.shape[1]):
        recent = padded[:, n - 23 : n + 1][:, ::-1]
        peak = max(np.abs(padded[:, n - 12]).max(), np.abs(recent @ sinc.T).max())
        asked[n] = max(0.0, 20 * math.log10(max(peak, 1e-10)) + 3.35)
        release = release_ms[min(max(n - 412, 0), frames - 1)] / 1000
        top = asked[n - box - 10 : n + 1].max()
        held[n] = max(top, math.exp(-1 / (release * RATE)) * held[n - 1])
    made: np.ndarray = np.convolve(held, np.full(box, 1 / box))[400 : padded.shape[1]]
    return made


def test_the_reduction_is_the_definition(render) -> None:
    """docs/dsp.md, section 7, written as a loop, gives the same samples within 1e-12."""
    samples = noise(0.9)[:, :3000]
    reduction = reductions(samples, 128, np.full(3000, 20.0))[128:]
    wanted = samples * 10 ** (-reduction / 20)
    out = render(Limiter(LimiterSettings(-3.0, 2.7, 20.0), RATE, 2), samples, [1, 999, 1000])
    np.testing.assert_allclose(out, wanted, atol=1e-12)


def test_a_moving_release_and_look_ahead_are_the_definition(render) -> None:
    """A release that moves is read where the peak is; between two look-aheads the reduction is the
    mean of theirs, by how near each is, and each is on time for itself."""
    samples = noise(0.9)[:, :3000] * np.repeat([1.0, 0.2, 2.0], 1000)
    at = np.array([0.0, 1200.0, 2999.0])
    release, ahead = Curve(at, np.array([2.0, 80.0, 9.0])), Curve(at, np.array([6.7, 1.0, 4.0]))
    every = np.arange(3000.0)
    long, short = (reductions(samples, late, release.at(every))[late:] for late in (320, 128))
    part = (6.7 - ahead.at(every)) / (6.7 - 1.0)
    wanted = samples * 10 ** (-(long + part * (short - long)) / 20)
    limiter = Limiter(LimiterSettings(-3.0, ahead, release), RATE, 2)
    assert limiter.latency == 320
    np.testing.assert_allclose(render(limiter, samples, [1, 999, 1000]), wanted, atol=1e-12)


@pytest.mark.parametrize("name", ["white noise, 30 dB over", "bursts", "random signs"])
def test_a_moving_look_ahead_keeps_the_ceiling(name: str, render) -> None:
    """However the look-ahead and the release move, up and down eight times a second."""
    at = np.arange(0.0, FRAMES, 3000.0)
    ahead = Curve(at, np.where(np.arange(at.size) % 2, 1.0, 20.0))
    release = Curve(at, np.where(np.arange(at.size) % 3, 1.0, 500.0))
    out = render(Limiter(LimiterSettings(-1.0, ahead, release), RATE, 2), TORTURE[name])
    assert true_peak_db(out) <= -1.0


def test_a_curve_that_stands_is_its_number(render) -> None:
    """Look-ahead and release as curves of one value limit as the numbers do."""
    ahead, release = (Curve(np.array([0.0, 9.0]), np.array([v, v])) for v in (3.0, 30.0))
    curves = Limiter(LimiterSettings(-3.0, ahead, release), RATE, 2)
    numbers = Limiter(LimiterSettings(-3.0, 3.0, 30.0), RATE, 2)
    samples = noise(0.9)[:, :20000]
    np.testing.assert_allclose(render(curves, samples), render(numbers, samples), atol=1e-12)


def test_looking_closer_only_where_it_may_matter_loses_nothing(render) -> None:
    """Most of a sound that is below the ceiling is left out, and the one peak that lies between its
    samples is found wherever it stands: 0.5 at each sample, 1.1 between them."""
    middle = taps()[OVERSAMPLING // 2 - 1, 6:18]
    for at in range(9000, 9030):
        samples = np.zeros((2, 12000))
        samples[:, at : at + middle.size] = 0.5 * np.sign(middle)
        limiter = Limiter(LimiterSettings(), RATE, 2)
        render(limiter, samples, [3000, 9010])
        peak_db = 20 * math.log10(0.5 * np.abs(middle).sum())
        assert limiter.meter.max_db == pytest.approx(peak_db + 1.35, abs=1e-9)


def test_the_meter_shows_the_reduction(render) -> None:
    """A tone 6 dB over full scale at a ceiling of -1 is lowered by 7.35 dB at most."""
    limiter = Limiter(LimiterSettings(-1.0), RATE, 2)
    render(limiter, TORTURE["low tone"])
    assert limiter.meter.max_db == pytest.approx(6.02 + 1.35, abs=0.01)
    assert 0 < limiter.meter.mean_db <= limiter.meter.max_db
