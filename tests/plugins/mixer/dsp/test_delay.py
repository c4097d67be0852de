"""The delay: echoes in order, at the right time and level, counted or endless, cheap."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from backend.plugins.mixer.dsp.delay import Delay, frames_held
from backend.plugins.mixer.dsp.parameters import Curve, DelaySettings

RATE = 48000


def impulse_through(settings: DelaySettings, frames: int) -> np.ndarray:
    impulse = np.zeros((1, frames))
    impulse[0, 0] = 1.0
    out: np.ndarray = Delay(settings, RATE, 1).process(impulse, 0)[0]
    return out


def test_echoes_come_in_order_each_quieter_by_the_feedback() -> None:
    """The predecessor's echoes were time-reversed: here echo e comes at e·time, at
    feedback^(e-1), and nothing lies between."""
    out = impulse_through(DelaySettings(0.1, 4, 0.5, 0.25), 40000)
    at = np.flatnonzero(out)
    np.testing.assert_array_equal(at, [0, 4800, 9600, 14400, 19200])
    np.testing.assert_allclose(out[at], [0.75, 0.25, 0.125, 0.0625, 0.03125], rtol=1e-15)


def test_each_echo_is_the_sound_itself_and_not_its_reverse() -> None:
    """A sound that falls comes back falling."""
    sound = np.zeros((1, 20000))
    sound[0, :100] = np.linspace(1.0, 0.0, 100)
    out = Delay(DelaySettings(0.1, 2, 1.0, 0.5), RATE, 1).process(sound.copy(), 0)
    for echo in (1, 2):
        begin = 4800 * echo
        np.testing.assert_allclose(out[0, begin : begin + 100], sound[0, :100] / 2)


@pytest.mark.parametrize("echoes", [1, 2, 16])
def test_the_number_of_echoes_is_exact_and_so_is_the_end(echoes: int) -> None:
    """After the last echo there is nothing at all, and tail_frames is where it lies."""
    settings = DelaySettings(0.02, echoes, 0.9, 1.0)
    out = impulse_through(settings, 960 * 20)
    tail = Delay(settings, RATE, 1).tail_frames
    assert tail == echoes * 960
    assert out[tail] > 0
    assert not out[tail + 1 :].any()
    assert np.count_nonzero(out) == echoes


def test_an_endless_delay_is_kept_until_60_db_below_the_first_echo() -> None:
    """The last echo inside the tail lies above -60 dB or at it, the next one below."""
    settings = DelaySettings(0.01, None, 0.5, 1.0)
    delay = Delay(settings, RATE, 1)
    assert delay.tail_frames == 480 * 11
    out = impulse_through(settings, 480 * 14)
    at = np.flatnonzero(out)
    np.testing.assert_allclose(out[at], 0.5 ** np.arange(13))
    assert out[delay.tail_frames] < 1e-3 < out[delay.tail_frames - 480]
    assert Delay(DelaySettings(0.01, None, 0.0, 1.0), RATE, 1).tail_frames == 480
    assert Delay(DelaySettings(0.01, None, 0.9, 0.0), RATE, 1).tail_frames == 0


def test_many_counted_echoes_are_the_beginning_of_endless_ones() -> None:
    """The sum and the recursion agree where both have echoes."""
    samples = np.random.default_rng(1).standard_normal((2, 4000))
    counted = Delay(DelaySettings(0.01, 16, 0.7, 0.4), RATE, 2).process(samples.copy(), 0)
    endless = Delay(DelaySettings(0.01, None, 0.7, 0.4), RATE, 2).process(samples.copy(), 0)
    np.testing.assert_allclose(counted, endless, atol=1e-12)


def test_sides_stay_apart() -> None:
    """What is on the left alone echoes on the left alone."""
    samples = np.zeros((2, 2000))
    samples[0, 0] = 1.0
    out = Delay(DelaySettings(0.01, None, 0.5, 0.5), RATE, 2).process(samples, 0)
    assert out[0, 480] == 0.5
    assert not out[1].any()


def test_mix_and_feedback_move() -> None:
    """Mix is read at the sample that comes out, feedback at the sample that goes in again."""
    mix = Curve(np.array([0.0, 1000.0]), np.array([0.0, 1.0]))
    ones = np.ones((1, 1001))
    out = Delay(DelaySettings(0.01, 1, 0.0, mix), RATE, 1).process(ones, 0)[0]
    np.testing.assert_allclose(out[:480], 1 - np.arange(480) / 1000)
    np.testing.assert_allclose(out[480:], 1.0)
    feedback = Curve(np.array([480.0, 960.0]), np.array([0.5, 0.25]))
    out = impulse_through(DelaySettings(0.01, None, feedback, 1.0), 1500)
    np.testing.assert_allclose(out[[480, 960, 1440]], [1.0, 0.5, 0.125])


def moving(echoes: int | None, times_s: Curve, samples: np.ndarray) -> np.ndarray:
    """docs/dsp.md, section 4, as a loop: feedback 0.6, mix 1, one channel [n]."""
    line, made = np.zeros(samples.size + 20000), np.zeros(samples.size)

    def read(n: int, delay: float) -> float:
        back = math.floor(delay)
        t = delay - back  # Lagrange's formula, through the points -1, 0, 1, 2
        basis = [
            math.prod((t - other) / (j - other) for other in range(-1, 3) if other != j)
            for j in range(-1, 3)
        ]
        return float(sum(c * line[20000 + n - back - j] for j, c in enumerate(basis, -1)))

    for n, x in enumerate(samples.tolist()):
        delay = max(2.0, float(times_s.at(np.array([n]))[0]) * RATE)
        if echoes is None:
            made[n] = read(n, delay)
            line[20000 + n] = x + 0.6 * made[n]
        else:
            made[n] = sum(0.6 ** (e - 1) * read(n, e * delay) for e in range(1, echoes + 1))
            line[20000 + n] = x
    return made


@pytest.mark.parametrize("echoes", [None, 1, 4])
def test_a_moving_time_is_the_definition(echoes: int | None) -> None:
    """Up and down, the loop and the pieces give the same within 1e-12."""
    samples = np.random.default_rng(2).standard_normal(6000)
    times = Curve(np.array([500.0, 2000.3, 2100.0, 5000.0]), np.array([0.02, 0.001, 0.03, 0.0123]))
    out = Delay(DelaySettings(times, echoes, 0.6, 1.0), RATE, 1).process(samples[None].copy(), 0)
    np.testing.assert_allclose(out[0], moving(echoes, times, samples), rtol=0, atol=1e-12)


@pytest.mark.parametrize("echoes", [None, 3])
def test_a_time_that_stands_on_a_sample_is_its_number(echoes: int | None) -> None:
    """Between samples nothing is read where the time is a whole number of them."""
    samples = np.random.default_rng(2).standard_normal((2, 6000))
    still = Curve(np.array([0.0, 9.0]), np.array([0.01, 0.01]))
    moved, number = [
        Delay(DelaySettings(each, echoes, 0.6, 0.5), RATE, 2).process(samples.copy(), 0)
        for each in (still, 0.01)
    ]
    np.testing.assert_allclose(moved, number, rtol=0, atol=1e-14)


def test_a_time_that_grows_bends_the_pitch() -> None:
    """As a tape that runs slower: 1 kHz whose echo gets later by 0.1 s a second sounds at 900 Hz,
    and all else lies 60 dB below."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    grows = Curve(np.array([0.0, 2.0 * RATE]), np.array([0.05, 0.25]))
    out = Delay(DelaySettings(grows, 1, 0.0, 1.0), RATE, 1).process(tone[None], 0)[0, RATE:]
    spectrum = np.abs(np.fft.rfft(out * np.blackman(RATE)))
    assert int(spectrum.argmax()) == 900
    spectrum[890:911] = 0.0
    assert spectrum.max() < spectrum.size / 1000 * 0.42


@pytest.mark.parametrize("echoes", [1, 5, None])
def test_the_tail_of_a_moving_time_is_that_of_the_longest(echoes: int | None) -> None:
    """Whatever the time is when the sound ends, nothing of a counted echo comes after the tail."""
    times = Curve(np.array([0.0, 900.0]), np.array([0.01, 0.0201]))
    settings = DelaySettings(times, echoes, 0.9, 1.0)
    tail = Delay(settings, RATE, 1).tail_frames
    assert tail == (967 * (echoes or 1 + math.ceil(math.log(1e-3) / math.log(0.9))))
    if echoes is not None:
        out = impulse_through(settings, tail + 2000)
        assert np.abs(out[tail - 967 : tail]).max() > 0
        assert not out[tail + 1 :].any()


def test_a_wild_time_stays_in_bounds() -> None:
    """From 1 ms to 20 ms and back every 3 ms, at the largest feedback: no more than full scale
    summed up over all echoes, which die away after it."""
    at = np.arange(0.0, RATE, 144.0)
    wild = Curve(at, np.where(np.arange(at.size) % 2, 0.001, 0.02))
    samples = np.clip(np.random.default_rng(8).standard_normal((1, RATE)), -1, 1)
    samples[:, RATE // 2 :] = 0.0
    out = Delay(DelaySettings(wild, None, 0.95, 1.0), RATE, 1).process(samples, 0)
    assert np.abs(out).max() < 1 / (1 - 0.95)
    assert np.abs(out[:, -4800:]).max() < np.abs(out).max() / 20


def test_what_is_held_is_what_is_allocated() -> None:
    """One place tells how many samples a delay keeps: none if it is never heard."""
    curve = Curve(np.array([0.0, 9.0]), np.array([0.1, 0.2]))
    assert frames_held(DelaySettings(0.1, 4, 0.5, 0.5), RATE) == 4 * 4800
    assert frames_held(DelaySettings(0.1, None, 0.5, 0.5), RATE) == 4800
    assert frames_held(DelaySettings(curve, 4, 0.5, 0.5), RATE) == 4 * (9600 + 2)
    assert frames_held(DelaySettings(0.1, 4, 0.5, 0.0), RATE) == 0


def test_the_cost_does_not_grow_with_time_or_echoes() -> None:
    """60 s with echoes of 0.5 s, where the predecessor did not finish in 300 s, take seconds."""
    samples = np.zeros((2, 60 * RATE))
    begin = time.process_time()
    Delay(DelaySettings(0.5, None, 0.9, 0.5), RATE, 2).process(samples, 0)
    Delay(DelaySettings(0.5, 4, 0.9, 0.5), RATE, 2).process(samples, 0)
    assert time.process_time() - begin < 15.0  # a second on an idle machine
