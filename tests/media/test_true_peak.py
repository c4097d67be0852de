"""True peak, by the signals of EBU Tech 3341 and by what is known of a sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import firwin, oaconvolve

from backend.media.levels import decibels
from backend.media.true_peak import HALF, OVERSAMPLING, TruePeakMeter, TruePeaks, taps

RATE = 48_000
DOWN, UP = -0.4, 0.2
"""What Tech 3341 tolerates, in dB."""


def true_peak(samples: np.ndarray, block: int = 65_536) -> float:
    """The true peak of [channels, frames] in dBTP, taken in blocks."""
    meter = TruePeakMeter(len(samples))
    for start in range(0, samples.shape[1], block):
        meter.add(samples[:, start : start + block])
    return decibels(meter.value)


def tone(divisor: int, amplitude: float, degrees: float) -> np.ndarray:
    """Half a second of stereo at rate/divisor, faded in and out in 10 ms."""
    fade = np.minimum(1.0, np.arange(RATE // 2) / (0.01 * RATE))
    phase = 2 * np.pi * np.arange(RATE // 2) / divisor + np.radians(degrees)
    return np.tile(amplitude * np.sin(phase) * fade * fade[::-1], (2, 1))


def one_period(offset: int) -> np.ndarray:
    """rate/6 at 0.5 with one period of rate/4 at 1.0, made at 4 x rate, filtered, downsampled."""
    around = 0.5 * np.sin(2 * np.pi * np.arange(24 * 1000) / 24)
    fade = np.minimum(1.0, np.arange(around.size) / 2000)
    middle = np.sin(2 * np.pi * np.arange(16) / 16)
    made = np.concatenate((around * fade, middle, around * fade[::-1]))
    filtered = oaconvolve(made, firwin(1023, 0.5 * RATE, fs=4 * RATE), mode="same")
    return np.tile(filtered[offset::4], (2, 1))


@pytest.mark.parametrize(
    ("divisor", "amplitude", "degrees", "expected_db"),
    [
        pytest.param(4, 0.50, 0.0, -6.0, id="15"),
        pytest.param(4, 0.50, 45.0, -6.0, id="16"),
        pytest.param(6, 0.50, 60.0, -6.0, id="17"),
        pytest.param(8, 0.50, 67.5, -6.0, id="18"),
        pytest.param(4, 1.41, 45.0, 3.0, id="19"),
    ],
)
def test_ebu_tones(divisor: int, amplitude: float, degrees: float, expected_db: float):
    """EBU Tech 3341, cases 15 to 19: tones whose crests lie between the samples."""
    assert DOWN <= true_peak(tone(divisor, amplitude, degrees)) - expected_db <= UP


@pytest.mark.parametrize(("offset", "sample_peak_db"), [(0, -0.1), (1, -0.5), (2, -2.5), (3, -0.5)])
def test_ebu_single_periods(offset: int, sample_peak_db: float):
    """EBU Tech 3341, cases 20 to 23: 0 dBTP, wherever the samples lie (their own peaks differ)."""
    samples = one_period(offset)
    assert decibels(np.abs(samples).max()) == pytest.approx(sample_peak_db, abs=0.06)
    assert DOWN <= true_peak(samples) <= UP


def test_a_tone_near_the_end_of_the_band_reads_hardly_too_low():
    """At 0.45 times the rate the error is below 0.15 dB: eight times the rate is looked at."""
    times = np.arange(RATE // 4)
    samples = np.sin(2 * np.pi * 0.4501 * times + 0.3)[None] * np.hanning(times.size)
    assert -0.15 < true_peak(samples) < 0.02
    assert OVERSAMPLING >= 4


def test_leaving_rows_out_leaves_no_peak_out():
    """The result is that of the plain way, which calculates every point."""
    samples = np.random.default_rng(3).laplace(size=(2, 30_000))
    samples[:, 9_000:9_400] *= 4
    spectrum = np.fft.rfft(np.pad(samples, ((0, 0), (2_000, 2_000))))
    points = np.fft.irfft(spectrum, 8 * 34_000) * 8
    exact = decibels(np.abs(points).max())
    assert true_peak(samples) == pytest.approx(exact, abs=0.05)


def test_a_quiet_pattern_can_hold_the_true_peak():
    """Samples of 0.5 that add up between them exceed a lone louder one, wherever they lie."""
    middle = taps()[3, 6:18]
    expected = 0.5 * np.abs(middle).sum()
    for at in range(9_000, 9_048):
        # louder than the pattern, but nothing between its samples; it is looked at first
        samples = 0.55 * np.clip(9 * np.sin(np.arange(20_000) / 900), -1, 1)[None]
        samples[0, 8_900:] = 0.0
        samples[0, 5_000] = 0.9
        samples[0, at : at + middle.size] = 0.5 * np.sign(middle)
        meter = TruePeakMeter(1)
        meter.add(samples)
        assert meter.value >= expected - 1e-9 > 0.92


@pytest.mark.parametrize("block", [1, 23, 24, 25, 4_097])
def test_the_cut_into_blocks_changes_nothing(block: int):
    """Blocks of any size give the same true peak."""
    samples = np.random.default_rng(4).normal(size=(2, 3_000))
    assert true_peak(samples, block) == pytest.approx(true_peak(samples), abs=1e-9)


def test_asking_in_the_middle_changes_nothing():
    """The meter can be read while it runs; in the end it says what it would have said anyway."""
    meter, samples = TruePeakMeter(1), tone(4, 0.5, 45.0)[:1]
    for start in range(0, samples.shape[1], 100):
        meter.add(samples[:, start : start + 100])
        assert meter.value > np.abs(samples[:, : start + 100]).max() - 1e-12
    assert decibels(meter.value) == pytest.approx(true_peak(samples), abs=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_very_short_sounds_have_a_true_peak(frames: int):
    """Nothing is silence, one full sample is 0 dBTP, two are 4/pi between them."""
    expected_db = [-240.0, 0.0, decibels(4 / np.pi)][frames]
    assert true_peak(np.ones((1, frames))) == pytest.approx(expected_db, abs=0.1)


@pytest.mark.parametrize("limit", [0.0, 1.5, 4.0])
def test_peaks_sample_by_sample_are_exact_above_the_limit(limit: float):
    """At each sample, and between it and the next, the largest of both channels by plain sums; what
    is below the limit is never told as more than it is, and the cut into blocks changes nothing."""
    samples = np.random.default_rng(5).laplace(size=(2, 5_000)) * np.repeat([0.1, 1.0], 2_500)
    line = np.concatenate((np.zeros((2, 23)), samples), axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(line, 2 * HALF, axis=1)
    points = np.concatenate((windows[..., HALF - 1 : HALF], windows @ taps().T), axis=2)
    exact = np.abs(points).max(axis=(0, 2))
    peaks, edges = TruePeaks(2), [0, 0, 1, 24, 1_000, 1_777, 5_000]
    blocks = [samples[:, begin:end] for begin, end in pairwise(edges)]
    made = np.concatenate([peaks.process(block, limit) for block in blocks])
    above = exact > limit
    assert above.any()
    np.testing.assert_allclose(made[above], exact[above], rtol=1e-12)
    assert (made <= exact + 1e-12).all()
    assert (made[exact <= limit] <= limit).all()
