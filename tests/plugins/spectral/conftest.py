"""Sounds that the tests of the plugin share: short, stereo, with tones, hits and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from backend.media.audio import Audio

RATE = 44100


def tune(seconds: float, rate: int = RATE) -> np.ndarray:
    """Notes with eight partials and hits of noise, float64 [2, frames], about -20 dBFS."""
    frames = round(seconds * rate)
    noise = np.random.default_rng(7)
    mono = np.zeros(frames)
    for number, start in enumerate(range(0, frames, rate // 4)):
        count = min(frames - start, round(0.6 * rate))
        t = np.arange(count) / rate
        pitch = 110 * 2 ** ((number * 7 % 24) / 12)
        for partial in range(1, 9):
            mono[start : start + count] += (
                0.15 / partial * np.sin(2 * np.pi * pitch * partial * t) * np.exp(-3 * t)
            )
        if number % 2:
            mono[start : start + count] += 0.25 * noise.standard_normal(count) * np.exp(-25 * t)
    return np.stack([0.4 * mono, 0.3 * np.roll(mono, 40)])


@dataclass(frozen=True)
class Disturbed:
    """Music, the same with a siren on top of it, and the siren's way in seconds and hertz."""

    music: np.ndarray
    audio: Audio
    way: list[tuple[float, float]]

    def snr_db(self, audio: Audio) -> float:
        error = audio.samples - self.music
        return float(10 * np.log10((self.music**2).mean() / (error**2).mean()))


@pytest.fixture(scope="session")
def music() -> Audio:
    """1.2 s of stereo at 44.1 kHz, with samples over full scale, zeros and a minus zero."""
    samples = tune(1.2).astype(np.float32)
    samples[:, 20_000:20_040] = 0.0
    samples[0, 20_010] = -0.0
    samples[1, 100] = 1.7
    return Audio.from_samples(samples, RATE)


@pytest.fixture(scope="session")
def siren() -> Disturbed:
    """4 s with a siren 15 dB louder than the music."""
    clean = tune(4.0)
    t = np.arange(clean.shape[1]) / RATE
    pitch = 1500 + 200 * np.sin(2 * np.pi * 0.8 * t)
    wail = np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    wail *= np.sqrt(2 * (clean**2).mean() * 10**1.5)
    points = [(float(t[n]), float(pitch[n])) for n in range(0, t.size, 441)]
    return Disturbed(clean, Audio.from_samples(clean + wail, RATE), points)
