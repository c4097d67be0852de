"""Drums with known onsets, and how well found ones match them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from backend.media.audio import Audio


@dataclass(frozen=True)
class Drums:
    """A drum set, and the times in seconds at which something is struck."""

    audio: Audio
    times: np.ndarray


def _struck(kind: str, rate: int, random: np.random.Generator) -> np.ndarray:
    """A kick that falls in pitch, a snare of tone and noise, or a hat of bright noise."""
    time = np.arange(int(0.35 * rate)) / rate
    noise = random.standard_normal(time.size + 1)
    if kind == "kick":
        turns = 50 * time + 2 * (1 - np.exp(-30 * time))
        return np.asarray(np.sin(2 * np.pi * turns) * np.exp(-time / 0.1))
    if kind == "snare":
        tone = 0.5 * np.sin(2 * np.pi * 190 * time) * np.exp(-time / 0.07)
        return tone + 0.5 * noise[1:] * np.exp(-time / 0.07)
    return 0.4 * np.diff(noise) * np.exp(-time / 0.03)


def drums(
    bpm: float = 120.0, seconds: float = 12.0, rate: int = 44100, seed: int = 0, bed: float = 0.02
) -> Drums:
    """Kick, hat, snare, hat on eighth notes, up to 8 ms off the beat, soft and loud, over a chord
    that sounds throughout (its start is an onset as well)."""
    random = np.random.default_rng(seed)
    frames = int(seconds * rate)
    time = np.arange(frames) / rate
    chord = np.array([[220.0], [277.2], [329.6]])
    sound = bed * np.sin(2 * np.pi * chord * time).sum(axis=0)
    times = [0.0] if bed else []
    for number, beat in enumerate(np.arange(0.25, seconds - 0.5, 30 / bpm)):
        at = round((beat + random.uniform(-0.008, 0.008)) * rate)
        hit = _struck(("kick", "hat", "snare", "hat")[number % 4], rate, random)
        sound[at : at + hit.size] += 0.5 * random.uniform(0.5, 1) * hit[: frames - at]
        times.append(at / rate)
    return Drums(Audio.from_samples(sound, rate), np.array(times))


def f_measure(found: Sequence[float], true: Sequence[float], within: float) -> float:
    """Harmonic mean of precision and recall; each true one is hit by one found at most."""
    left, hits = list(found), 0
    for each in true:
        near = [other for other in left if abs(other - each) <= within]
        if near:
            left.remove(min(near, key=lambda other: abs(other - each)))
            hits += 1
    return 2 * hits / (len(found) + len(true))


@pytest.fixture(scope="session")
def make_drums() -> Callable[..., Drums]:
    return drums


@pytest.fixture(scope="session")
def some_drums() -> Drums:
    return drums()


@pytest.fixture(scope="session")
def measured_f() -> Callable[..., float]:
    return f_measure
