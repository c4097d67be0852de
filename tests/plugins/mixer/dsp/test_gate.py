"""The gate: when it opens, how it moves, and that it does not chatter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.plugins.mixer.dsp.gate import Gate
from backend.plugins.mixer.dsp.parameters import Curve, GateSettings

RATE = 48000
STEP = 16


def gain_of(settings: GateSettings, key: np.ndarray) -> np.ndarray:
    """The gate's gain in dB under *key* [n]."""
    ones = np.ones((1, key.size))
    gains: np.ndarray = 20 * np.log10(Gate(settings, RATE, 1).process(ones, 0, key[None, :])[0])
    return gains


def level(*pieces: tuple[float, float]) -> np.ndarray:
    """A key of constant pieces (seconds, dB)."""
    return np.concatenate([np.full(round(s * RATE), 10 ** (db / 20)) for s, db in pieces])


def test_loud_passes_to_the_bit_and_quiet_is_lowered_by_the_range() -> None:
    """Open is a gain of exactly 1, closed is the range below."""
    gains = gain_of(GateSettings(-40.0, range_db=50.0, hold_ms=0.0), level((0.5, -6), (1, -80)))
    assert (gains[4000:24000] == 0.0).all()
    assert gains[-1] == pytest.approx(-50.0, abs=1e-9)
    assert gains[0] == pytest.approx(-50.0, abs=1e-9)


def test_attack_and_release_are_straight_lines_in_db() -> None:
    """The way of 60 dB takes the attack and the release, and its middle lies at the half."""
    settings = GateSettings(-40.0, range_db=60.0, attack_ms=20.0, release_ms=200.0, hold_ms=0.0)
    gains = gain_of(settings, level((0.3, -6), (0.5, -90)))
    for begin, time, sign in ((0, 0.020, 1), (round(0.3 * RATE), 0.200, -1)):
        way = gains[begin : begin + round(time * RATE) + 3 * STEP]
        middle = int(np.argmax(sign * way >= sign * -30.0))
        assert middle / RATE == pytest.approx(time / 2, abs=2 * STEP / RATE)
        end = int(np.argmax(way >= -1e-9)) if sign > 0 else int(np.argmax(way <= -60 + 1e-9))
        assert end / RATE == pytest.approx(time, abs=3 * STEP / RATE)


def test_hold_keeps_it_open() -> None:
    """After the sound it stays open for the hold, then closes."""
    settings = GateSettings(-40.0, hold_ms=100.0, release_ms=10.0)
    gains = gain_of(settings, level((0.2, -6), (0.5, -90)))
    closing = int(np.argmax(gains[4000:] < 0)) + 4000
    assert closing / RATE == pytest.approx(0.3, abs=2 * STEP / RATE)


def test_hysteresis_is_the_distance_of_opening_and_closing() -> None:
    """-43 dB keeps a gate of -40 dB with 6 dB hysteresis open, but does not open it."""
    settings = GateSettings(-40.0, hysteresis_db=6.0, hold_ms=0.0, release_ms=5.0)
    gains = gain_of(settings, level((0.1, -43), (0.1, -30), (0.1, -43), (0.1, -47)))
    assert gains[4700] == pytest.approx(-80.0)
    assert gains[14300] == 0.0
    assert gains[19100] == pytest.approx(-80.0)


def _turns(gains: np.ndarray) -> int:
    """How often the gain changes its direction."""
    moves = np.sign(np.diff(gains))
    moves = moves[moves != 0]
    return int(np.count_nonzero(np.diff(moves)))


def test_a_level_that_trembles_around_the_threshold_does_not_chatter() -> None:
    """Noise within the hysteresis opens the gate once; without hysteresis and hold it flutters,
    which shows that the signal is a test."""
    rng = np.random.default_rng(4)
    decay = np.linspace(-30, -60, RATE)  # a tail through the threshold, trembling by ±2 dB
    key = 10 ** ((decay + rng.uniform(-2, 2, RATE).repeat(1)) / 20)
    calm = GateSettings(-45.0, hysteresis_db=6.0, hold_ms=20.0, release_ms=50.0)
    nervous = GateSettings(-45.0, hysteresis_db=0.0, hold_ms=0.0, attack_ms=0.0, release_ms=0.0)
    assert _turns(gain_of(calm, key)) == 1
    assert _turns(gain_of(nervous, key)) > 10


def test_a_steady_tone_stays_a_tone() -> None:
    """The predecessor's gate shaped the wave itself; this one leaves harmonics under -120 dB."""
    time = np.arange(2 * RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 997 * time)
    out = Gate(GateSettings(-30.0), RATE, 1).process(tone[None].copy(), 0)[0, RATE:]
    spectrum = np.abs(np.fft.rfft(out * np.blackman(RATE)))
    harmonics = max(spectrum[997 * k - 5 : 997 * k + 6].max() for k in range(2, 20))
    assert 20 * math.log10(harmonics / spectrum[997]) < -120


def test_lookahead_opens_before_the_sound() -> None:
    """With look-ahead the first sample of a hit passes whole."""
    hit = np.concatenate((np.zeros(4800), np.ones(960)))[None]
    gate = Gate(GateSettings(-40.0, attack_ms=1.0, lookahead_ms=4.0), RATE, 1)
    padded = np.concatenate((hit, np.zeros((1, gate.latency))), axis=1)
    out = gate.process(padded, 0)[0, gate.latency :]
    assert gate.latency == 192
    assert out[4800] == 1.0


def test_threshold_moves() -> None:
    """A threshold that passes the level closes the gate there."""
    threshold = Curve(np.array([0.0, RATE]), np.array([-60.0, 0.0]))
    settings = GateSettings(threshold, hysteresis_db=0.0, hold_ms=0.0, release_ms=0.0)
    gains = gain_of(settings, level((1.0, -30)))
    closing = int(np.argmax(gains[100:] < -70)) + 100
    assert closing / RATE == pytest.approx(0.5, abs=4 * STEP / RATE)


def test_moving_times_follow_the_same_line() -> None:
    """A curve that stands still gives what the number gives."""
    key = np.random.default_rng(1).standard_normal(RATE) * np.sin(np.arange(RATE) / 3000) ** 4
    still = Curve(np.array([0.0, RATE]), np.array([7.0, 7.0]))
    numbers = GateSettings(-20.0, hold_ms=1.0, attack_ms=7.0, release_ms=7.0)
    curves = GateSettings(-20.0, hold_ms=1.0, attack_ms=still, release_ms=still)
    np.testing.assert_allclose(gain_of(curves, key), gain_of(numbers, key), atol=1e-9)


def test_the_gain_is_the_recursion_of_the_definition() -> None:
    """docs/dsp.md, section 2.3, written as a loop, gives the same gain within 1e-12."""
    rng = np.random.default_rng(6)
    key = rng.standard_normal(RATE) * np.abs(np.sin(np.arange(RATE) / 2000)) ** 6
    settings = GateSettings(-20.0, 4.0, 40.0, 5.0, 3.0, 30.0)
    hold = math.floor(3.0 * RATE / 16000 + 0.5)
    points, opened, last, way = [10 ** (-40 / 20)] * 2, False, -(10**9), 0.0
    for k, peak in enumerate(np.abs(key).reshape(-1, STEP).max(axis=1)):
        loudness = 20 * math.log10(max(peak, 1e-10))
        opened = loudness >= -20 or (opened and loudness >= -24)
        last = k if opened else last
        step = STEP / (5.0 * 48) if k - last <= hold else -STEP / (30.0 * 48)
        way = min(1.0, max(0.0, way + step))
        points.append(10 ** (-40 * (1 - way) / 20))
    wanted = np.interp(np.arange(key.size), np.arange(len(points)) * STEP - 1, points)
    np.testing.assert_allclose(10 ** (gain_of(settings, key) / 20), wanted, atol=1e-12)


def test_a_moving_hold_is_the_recursion_of_the_definition() -> None:
    """docs/dsp.md, section 2.3, written as a loop with a hold that goes up and down."""
    rng = np.random.default_rng(6)
    key = rng.standard_normal(RATE) * np.abs(np.sin(np.arange(RATE) / 2000)) ** 6
    holds = Curve(np.arange(9.0) * RATE / 8, np.array([0.0, 60.0] * 4 + [0.0]))
    settings = GateSettings(-20.0, 4.0, 40.0, 5.0, holds, 30.0)
    points, opened, last, held, way = [10 ** (-40 / 20)] * 2, False, 0, False, 0.0
    for k, peak in enumerate(np.abs(key).reshape(-1, STEP).max(axis=1)):
        loudness = 20 * math.log10(max(peak, 1e-10))
        opened = loudness >= -20 or (opened and loudness >= -24)
        last = k if opened else last
        hold = math.floor(holds.at(np.array([16.0 * k]))[0] * RATE / 16000 + 0.5)
        held = opened or (held and k - last <= hold)
        way = min(1.0, max(0.0, way + (STEP / (5.0 * 48) if held else -STEP / (30.0 * 48))))
        points.append(10 ** (-40 * (1 - way) / 20))
    wanted = np.interp(np.arange(key.size), np.arange(len(points)) * STEP - 1, points)
    np.testing.assert_allclose(10 ** (gain_of(settings, key) / 20), wanted, atol=1e-12)


def test_a_hold_that_grows_does_not_open_a_closed_gate() -> None:
    """After the sound the gate closes; a hold of 5 s that comes later leaves it closed."""
    grows = Curve(np.array([0.0, RATE, RATE + 1.0]), np.array([1.0, 1.0, 5000.0]))
    settings = GateSettings(-30.0, hold_ms=grows, release_ms=5.0)
    gains = gain_of(settings, level((0.2, -6), (2.0, -90)))
    assert gains[RATE // 2 :].max() == pytest.approx(-80.0)


def test_a_moving_look_ahead_opens_sooner_and_later() -> None:
    """Hits at a look-ahead of 8 ms and of 0 ms: the first passes whole, the second loses the time
    that the gate takes to open; the latency is the same all the time."""
    ahead = Curve(np.array([9600.0, 14400.0]), np.array([8.0, 0.0]))
    gate = Gate(GateSettings(-40.0, hold_ms=0.0, release_ms=5.0, lookahead_ms=ahead), RATE, 1)
    hits = np.zeros((1, 28800 + gate.latency))
    hits[0, 4800:5760] = hits[0, 24000:24960] = 1.0
    out = gate.process(hits, 0)[0, gate.latency :]
    still = Gate(GateSettings(-40.0, hold_ms=0.0, release_ms=5.0, lookahead_ms=8.0), RATE, 1)
    wanted = still.process(hits, 0)[0, still.latency :]
    late = Gate(GateSettings(-40.0, hold_ms=0.0, release_ms=5.0), RATE, 1).process(hits, 0)[0]
    assert gate.latency == still.latency == 384
    np.testing.assert_allclose(out[:9600], wanted[:9600], atol=1e-12)
    np.testing.assert_allclose(out[15000:28800], late[15000:28800], atol=1e-12)
    assert wanted[24000] == 1.0 > 0.01 > out[24000]


def test_the_meter_shows_how_far_it_closed() -> None:
    """Maximum is the range; the mean lies between."""
    gate = Gate(GateSettings(-40.0, range_db=30.0, hold_ms=0.0, release_ms=5.0), RATE, 1)
    gate.process(level((0.5, -6), (0.5, -90))[None], 0)
    assert gate.meter.max_db == pytest.approx(30.0)
    assert gate.meter.mean_db == pytest.approx(15.0, abs=0.3)
