"""The drive: its law, flat to 20 kHz, and what does not fold back."""

from __future__ import annotations

import numpy as np
import pytest

from backend.plugins.mixer.dsp.drive import LATENCY, Drive
from backend.plugins.mixer.dsp.parameters import Curve

RATE = 48000
FRAMES = 1 << 15


def amount(k: float) -> float:
    """The amount whose k = 1 + 3d is *k*."""
    return (k - 1) / 3


def alias_db(bin_: int, k: float) -> float:
    """Energy below 20 kHz that is no harmonic of a 0.9 tone, against the harmonics."""
    tone = 0.9 * np.sin(2 * np.pi * bin_ / FRAMES * np.arange(2 * FRAMES))[None]
    out = Drive(amount(k), 1).process(tone, 0)[0, FRAMES:]
    power = np.abs(np.fft.rfft(out * np.blackman(FRAMES))) ** 2
    harmonic = np.zeros(power.size, bool)
    for n in range(0, power.size, bin_):
        harmonic[max(0, n - 6) : n + 7] = True
    heard = power[: 20000 * FRAMES // RATE]
    foreign = heard[~harmonic[: heard.size]].sum()
    return float(10 * np.log10(foreign / power[harmonic].sum()))


@pytest.mark.parametrize(("k", "limit_db"), [(2.0, -120.0), (8.0, -70.0)])
def test_aliasing_at_5_khz(k: float, limit_db: float) -> None:
    """5 kHz: under -120 dB at k = 2 and -70 dB at k = 8 (a tanh at 1x leaves -44 and -18)."""
    assert alias_db(round(5000 * FRAMES / RATE) | 1, k) <= limit_db


def test_the_measure_sees_aliasing() -> None:
    """The law at 1x, measured alike, fails by tens of dB."""
    bin_ = round(5000 * FRAMES / RATE) | 1
    tone = 0.9 * np.sin(2 * np.pi * bin_ / FRAMES * np.arange(FRAMES))
    power = np.abs(np.fft.rfft(np.tanh(8 * tone) * np.blackman(FRAMES))) ** 2
    harmonic = np.zeros(power.size, bool)
    for n in range(0, power.size, bin_):
        harmonic[max(0, n - 6) : n + 7] = True
    foreign = power[: 20000 * FRAMES // RATE][~harmonic[: 20000 * FRAMES // RATE]].sum()
    assert 10 * np.log10(foreign / power[harmonic].sum()) > -30


def test_flat_to_20_khz() -> None:
    """A small impulse, which the law leaves alone, has a flat spectrum within 0.001 dB."""
    impulse = np.zeros((1, 8192))
    impulse[0, 1000] = 1e-6
    out = Drive(1.0, 1).process(impulse, 0)[0] / 1e-6 / 1.5
    assert int(np.argmax(np.abs(out))) == 1000 + LATENCY
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(out)))
    assert np.abs(spectrum[: 20000 * 8192 // RATE]).max() < 0.001


@pytest.mark.parametrize("d", [0.0, 0.25, 1.0])
def test_the_law(d: float) -> None:
    """A slow signal follows tanh((1+3d) v)/(1+3d) · (1+d/2) within -110 dB."""
    slow = 0.9 * np.sin(2 * np.pi * 100 * np.arange(4800) / RATE)
    out = Drive(d, 1).process(np.concatenate((slow, np.zeros(LATENCY)))[None], 0)[0, LATENCY:]
    k = 1 + 3 * d
    wanted = np.tanh(k * slow) / k * (1 + d / 2)
    assert np.abs(out - wanted)[100:-100].max() < 3e-6


def test_the_amount_moves_with_the_programme() -> None:
    """With an amount that moves, each sample follows the law at its own time."""
    frames = 9600
    curve = Curve(np.array([0.0, frames - 1.0]), np.array([0.0, 1.0]))
    slow = 0.9 * np.sin(2 * np.pi * 100 * np.arange(frames) / RATE)
    padded = np.concatenate((slow, np.zeros(LATENCY)))[None]
    out = Drive(curve, 1).process(padded, 0)[0, LATENCY:]
    d = np.arange(frames) / (frames - 1)
    k = 1 + 3 * d
    wanted = np.tanh(k * slow) / k * (1 + d / 2)
    error = np.abs(out - wanted)[100:-100].max()
    late = np.abs(out[10:] - wanted[:-10])[100:-100].max()
    assert error < 5e-5
    assert late > 100 * error
