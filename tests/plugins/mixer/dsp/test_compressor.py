"""The compressor: curve, ballistics, hold, range, look-ahead, key, distortion."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import OperationFailed
from backend.plugins.mixer.dsp.compressor import Compressor, reduction_db
from backend.plugins.mixer.dsp.parameters import CompressorSettings, Curve

RATE = 48000
STEP = 16
SHAPE = CompressorSettings(-24.0, 4.0, 6.0, 10.0, 500.0)


def gains_under(key: np.ndarray, settings: CompressorSettings = SHAPE) -> np.ndarray:
    """The gain [n], linear, under *key* [n]; look-ahead not taken out."""
    ones = np.ones((1, key.size))
    gains: np.ndarray = Compressor(settings, RATE, 1).process(ones, 0, key[None])[0]
    return gains


def decibels(gains: np.ndarray) -> np.ndarray:
    in_db: np.ndarray = 20 * np.log10(gains)
    return in_db


def static(level: np.ndarray, settings: CompressorSettings) -> np.ndarray:
    return reduction_db(settings, level, np.zeros(level.size))


@given(st.floats(0.0, 24.0), st.floats(1.0, 20.0), st.floats(-60.0, 0.0))
def test_the_curve_is_smooth_and_never_falls(knee: float, ratio: float, threshold: float) -> None:
    """Reduction starts at 0 below the knee, never falls with level, and is never steeper than
    the slope beyond the knee."""
    settings = CompressorSettings(threshold, ratio, knee)
    levels = np.linspace(-120.0, 40.0, 3201)
    reduction = static(levels, settings)
    steps = np.diff(reduction)
    slope = (1 - 1 / ratio) * (levels[1] - levels[0])
    assert reduction[levels <= threshold - knee / 2].max(initial=0.0) < 1e-12
    assert steps.min() >= -1e-9
    assert steps.max() <= slope + 1e-9


def test_the_curve_has_its_published_values() -> None:
    """Above the knee (1 - 1/ratio) of the excess; at the threshold slope · knee/8; capped by the
    range; nothing for a ratio of 1."""
    levels = np.array([-40.0, -24.0, -14.0, -4.0])
    np.testing.assert_allclose(static(levels, SHAPE), [0.0, 0.75 * 6 / 8, 7.5, 15.0])
    hard = dataclasses.replace(SHAPE, knee_db=0.0)
    np.testing.assert_allclose(static(levels, hard), [0.0, 0.0, 7.5, 15.0])
    ranged = dataclasses.replace(SHAPE, range_db=9.0)
    assert static(levels, ranged).max() == 9.0
    assert not static(levels, dataclasses.replace(SHAPE, ratio=1.0)).any()


def test_a_steady_tone_stays_a_tone() -> None:
    """997 Hz at -6 dBFS, threshold -20, 4:1, attack 10 ms, release 200 ms: THD under -80 dB
    (the predecessor's wave-shaper reached -17)."""
    time = np.arange(3 * RATE) / RATE
    tone = 10 ** (-6 / 20) * np.sin(2 * np.pi * 997 * time)
    settings = CompressorSettings(-20.0, 4.0, 6.0, 10.0, 200.0)
    out = Compressor(settings, RATE, 1).process(tone[None], 0)[0, RATE : 3 * RATE]
    spectrum = np.abs(np.fft.rfft(out * np.blackman(out.size))) ** 2
    power = [spectrum[2 * 997 * k - 8 : 2 * 997 * k + 9].sum() for k in range(1, 24)]
    assert 10 * math.log10(sum(power[1:]) / power[0]) < -80
    assert 20 * math.log10(np.abs(out).max()) == pytest.approx(-6 - 0.75 * 14, abs=0.1)


def test_attack_and_release_are_time_constants() -> None:
    """63.2 % of the way within the attack, 36.8 % left after the release."""
    key = np.concatenate((np.ones(RATE // 2), np.zeros(RATE)))
    settings = CompressorSettings(-24.0, 4.0, 0.0, 20.0, 100.0)
    down = decibels(gains_under(key, settings))
    reached = int(np.argmax(down <= -18 * (1 - math.exp(-1))))
    assert reached / RATE == pytest.approx(0.020, abs=2 * STEP / RATE)
    fast = decibels(gains_under(key, dataclasses.replace(settings, attack_ms=0.0)))
    left = int(np.argmax(fast[RATE // 2 + 40 :] >= -18 * math.exp(-1))) + 40
    assert left / RATE == pytest.approx(0.100, abs=2 * STEP / RATE)


def test_hold_puts_off_the_release() -> None:
    """For the hold the gain stays where it was; then it is released as without."""
    key = np.concatenate((np.ones(RATE // 4), np.zeros(RATE)))
    settings = CompressorSettings(-24.0, 4.0, 0.0, 0.0, 100.0, hold_ms=200.0)
    gains = decibels(gains_under(key, settings))
    plain = decibels(gains_under(key, dataclasses.replace(settings, hold_ms=0.0)))
    held = round(0.2 * RATE)
    end = RATE // 4
    assert gains[end : end + held] == pytest.approx(-18.0, abs=1e-9)
    np.testing.assert_allclose(gains[held + end :], plain[end:-held], atol=1e-9)


def test_lookahead_is_there_before_the_sound() -> None:
    """With look-ahead the gain is down when the loud sample comes out, and latency says when."""
    samples = np.concatenate((np.full(4800, 0.001), np.ones(4800)))[None]
    settings = CompressorSettings(-24.0, 20.0, 0.0, 1.0, 100.0, lookahead_ms=10.0)
    section = Compressor(settings, RATE, 1)
    assert section.latency == 512  # 480 in whole steps of 64
    padded = np.concatenate((samples, np.zeros((1, section.latency))), axis=1)
    out = section.process(padded, 0)[0, section.latency :]
    assert out[4800] == pytest.approx(10 ** (-24 * 0.95 / 20), rel=0.01)


def test_makeup_raises_everything_from_the_first_sample() -> None:
    """The gain starts at the make-up and rests there in silence."""
    gains = gains_under(np.zeros(1000), dataclasses.replace(SHAPE, makeup_db=6.0))
    np.testing.assert_allclose(gains, 10 ** (6 / 20), rtol=1e-15)


@pytest.mark.parametrize("onset", [0, 1, 4799, 4800, 4815])
def test_nothing_moves_before_the_key_does(onset: int) -> None:
    """Up to and with the first sample of the key the gain is 1; 32 samples on it falls."""
    key = np.concatenate((np.zeros(onset), np.ones(RATE // 2)))
    gains = gains_under(key, dataclasses.replace(SHAPE, attack_ms=0.0))
    assert (gains[: onset + 1] == 1.0).all()
    assert gains[onset + 2 * STEP] < 0.5


def test_a_silent_key_passes_to_the_bit() -> None:
    """A key under the knee leaves every sample as it was: no half-open start and end."""
    samples = np.random.default_rng(1).standard_normal((2, 70000))
    out = Compressor(SHAPE, RATE, 2).process(samples.copy(), 0, np.zeros((1, 70000)))
    np.testing.assert_array_equal(out, samples)


def test_channels_are_linked() -> None:
    """One loud side lowers both, so that the image stays."""
    samples = np.stack((np.ones(9600), np.full(9600, 0.01)))
    out = Compressor(SHAPE, RATE, 2).process(samples.copy(), 0)
    np.testing.assert_allclose(out[1] / 0.01, out[0], rtol=1e-12)
    assert out[0, -1] < 0.2


def test_a_key_of_another_width_rules() -> None:
    """A mono, a stereo or a six-channel key may rule a stereo stream."""
    loud = np.ones((1, 4800))
    wanted = Compressor(SHAPE, RATE, 2).process(np.ones((2, 4800)), 0, loud)
    six = np.zeros((6, 4800))
    six[5] = -1.0
    got = Compressor(SHAPE, RATE, 2).process(np.ones((2, 4800)), 0, six)
    np.testing.assert_array_equal(got, wanted)


def test_a_key_that_is_no_number_fails_in_words() -> None:
    """NaN in a key is an error, never sound full of NaN."""
    section = Compressor(SHAPE, RATE, 1)
    with pytest.raises(OperationFailed, match="NaN"):
        section.process(np.array([[0.0, np.nan] * 8]), 0)


def test_threshold_moves() -> None:
    """A threshold that falls in a line lowers a steady key in a line, 0.75 dB for 1 dB."""
    fall = Curve(np.array([0.0, RATE]), np.array([-10.0, -50.0]))
    settings = CompressorSettings(fall, 4.0, 0.0, 0.0, 1.0)
    gains = decibels(gains_under(np.ones(RATE), settings))
    at = np.arange(4800, RATE, 4800)
    expected = -0.75 * (10 + 40 * (at - 1.5 * STEP) / RATE)
    np.testing.assert_allclose(gains[at], expected, atol=0.02)


def test_moving_times_follow_the_same_recursion() -> None:
    """A curve that stands still gives what the number gives."""
    key = np.random.default_rng(1).standard_normal(RATE) * np.sin(np.arange(RATE) / 3000) ** 4
    attack, release = (Curve(np.array([0.0, 9.0]), np.array([v, v])) for v in (10.0, 500.0))
    curves = dataclasses.replace(SHAPE, attack_ms=attack, release_ms=release)
    np.testing.assert_allclose(gains_under(key, curves), gains_under(key), rtol=1e-9)


def test_the_gain_is_the_recursion_of_the_definition() -> None:
    """docs/dsp.md, section 2.2, written as a loop, gives the same gain within 1e-9."""
    rng = np.random.default_rng(3)
    key = rng.standard_normal(3 * 65536) * np.repeat([1, 0, 0.3], 65536)
    settings = dataclasses.replace(SHAPE, hold_ms=30.0, range_db=20.0, makeup_db=2.0)
    hold = math.floor(30.0 * RATE / 16000 + 0.5)
    release, attack = math.exp(-STEP / (0.5 * RATE)), math.exp(-STEP / (0.01 * RATE))
    asked = []
    held = smooth = 0.0
    points = [10 ** (2 / 20)] * 2
    for peak in np.abs(key).reshape(-1, STEP).max(axis=1).tolist():
        over = 20 * math.log10(max(peak, 1e-10)) + 24
        into = min(max(over + 3, 0), 6)
        asked.append(min(20, 0.75 * max(over - 3, 0) + 0.75 * into * into / 12))
        held = max(*asked[-hold - 1 :], 0.0, release * held)
        smooth = attack * smooth + (1 - attack) * held
        points.append(10 ** ((2 - smooth) / 20))
    wanted = np.interp(np.arange(key.size), np.arange(len(points)) * STEP - 1, points)
    np.testing.assert_allclose(gains_under(key, settings), wanted, rtol=0, atol=1e-9)


def test_a_moving_hold_is_the_definition() -> None:
    """docs/dsp.md, section 2.2, written as a loop: the window's beginning never goes back."""
    rng = np.random.default_rng(3)
    key = rng.standard_normal(65536) * np.repeat([1, 0, 0.3, 0.05], 16384)
    holds = Curve(np.arange(9.0) * 8192, np.array([0.0, 80.0] * 4 + [3.0]))
    settings = CompressorSettings(-24.0, 4.0, 0.0, 0.0, 1.0, hold_ms=holds)
    asked, points, begin, held = [], [1.0, 1.0], 0, 0.0
    for k, peak in enumerate(np.abs(key).reshape(-1, STEP).max(axis=1).tolist()):
        asked.append(max(0.0, 0.75 * (20 * math.log10(max(peak, 1e-10)) + 24)))
        hold = math.floor(holds.at(np.array([16.0 * k]))[0] * RATE / 16000 + 0.5)
        begin = max(begin, k - hold)
        held = max(*asked[begin:], 0.0, math.exp(-STEP / 48) * held)
        points.append(10 ** (-held / 20))
    wanted = np.interp(np.arange(key.size), np.arange(len(points)) * STEP - 1, points)
    np.testing.assert_allclose(gains_under(key, settings), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("field", ["hold_ms", "lookahead_ms"])
def test_a_curve_that_stands_is_its_number(field: str) -> None:
    """Hold and look-ahead as curves of one value give what the number gives."""
    samples = np.random.default_rng(1).standard_normal((1, RATE)) * np.sin(np.arange(RATE) / 3000)
    still = Curve(np.array([0.0, 9.0]), np.array([7.0, 7.0]))
    moved, number = [
        Compressor(dataclasses.replace(SHAPE, **{field: each}), RATE, 1).process(samples.copy(), 0)
        for each in (still, 7.0)
    ]
    np.testing.assert_allclose(moved, number, rtol=0, atol=1e-12)


def test_a_moving_look_ahead_is_the_same_gain_sooner_or_later() -> None:
    """docs/dsp.md, section 2.1: the gain of the largest look-ahead, read later by what the present
    one lacks, in a straight line between samples."""
    key = np.random.default_rng(5).standard_normal(RATE) * np.repeat([1.0, 0.0, 0.3, 1.0], 12000)
    ahead = Curve(np.array([5000.0, 20000.0, 40000.0]), np.array([10.0, 2.5, 7.0]))
    section = Compressor(dataclasses.replace(SHAPE, lookahead_ms=ahead), RATE, 1)
    gains = section.process(np.ones((1, RATE)), 0, key[None])[0]
    assert section.latency == 512
    places = np.arange(RATE * 1.0)
    late = 512 * (1 - ahead.at(places - 512) / 10.0)
    wanted = np.interp(places - late, places, gains_under(key))
    np.testing.assert_allclose(gains[512:], wanted[512:], rtol=0, atol=1e-12)


def test_the_meter_shows_the_reduction() -> None:
    """A steady key: the maximum is the curve's value, make-up left out, the mean below it."""
    section = Compressor(dataclasses.replace(SHAPE, makeup_db=6.0), RATE, 1)
    section.process(np.ones((1, RATE)), 0)
    assert section.meter.max_db == pytest.approx(18.0, abs=0.01)
    assert 17.0 < section.meter.mean_db < 18.0
