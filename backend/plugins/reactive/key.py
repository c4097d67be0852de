"""Key: which major or minor key a sound is in, and how it is tuned.

Knows: pitch classes out of spectral peaks, and the profiles of keys.
Does not know: chords, modulation; one key is given for the whole.

The peaks of each spectrum (55 Hz to 2 kHz) are read between bins; how far they lie from equal
temperament, taken round a circle, is the tuning. Their amplitudes, added up by pitch class, are
compared with the profiles of the 24 keys by correlation, after Carol Krumhansl, "Cognitive
Foundations of Musical Pitch" (1990), with the profiles of David Temperley, "What's key for key?"
(Music Perception 17, 1999), which confuse relative keys less often.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.plugins import Context

from .results import Key
from .spectra import Grid, Spectra, spectra

Values = NDArray[np.float64]

NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MAJOR: Final = (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0)
MINOR: Final = (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0)
_LOWEST_HZ: Final = 55.0
_HIGHEST_HZ: Final = 2000.0
_A4: Final = 69.0
_STEPS: Final = 120
"""Parts of an octave in which peaks are counted: ten for each semitone."""
_DEEP: Final = 1e-4
"""Peaks 40 dB below the loudest of their spectrum do not count."""
_EVEN: Final = 0.25
"""Pitch classes that differ by less than this part of their mean are noise, not a key."""


def key(audio: Audio, ctx: Context) -> Key:
    """The key of *audio*; an empty one for silence and for noise."""
    grid = Grid.of(audio.sample_rate, 0.1, 0.186)
    counted = np.zeros(_STEPS)
    turn = 0j
    for power in spectra(audio, grid, ctx):
        pitches, amplitudes = _pitches(power, grid)
        turn += np.sum(amplitudes * np.exp(2j * np.pi * pitches))
        places = np.round(pitches * (_STEPS / 12.0)).astype(np.int64) % _STEPS
        counted += np.bincount(places, amplitudes, _STEPS)
    tuning = float(np.angle(turn)) / (2.0 * np.pi)  # semitones, -1/2 to 1/2
    chroma = _by_class(counted, tuning)
    tuning_hz = round(440.0 * 2.0 ** (tuning / 12.0), 2)
    if not chroma.any() or float(np.std(chroma) / np.mean(chroma)) < _EVEN:
        return Key("", "", "", 0.0, tuning_hz if chroma.any() else 440.0, _named(chroma))
    likeness = np.array([_likeness(chroma, profile) for profile in (MAJOR, MINOR)])
    mode, tonic = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    best, second = np.sort(likeness, axis=None)[[-1, -2]]
    name, kind = NAMES[tonic], ("major", "minor")[mode]
    confidence = float(np.clip((best - second) / max(1e-9, 1.0 - second), 0.0, 1.0))
    return Key(f"{name} {kind}", name, kind, round(confidence, 3), tuning_hz, _named(chroma))


def _pitches(power: Spectra, grid: Grid) -> tuple[Values, Values]:
    """Pitches (semitones, 69 is a') and amplitudes of the peaks of all *power* spectra."""
    width = grid.sample_rate / grid.window
    first = max(1, int(np.ceil(_LOWEST_HZ / width)))
    last = min(power.shape[1] - 1, int(_HIGHEST_HZ / width))
    if last <= first:
        return np.zeros(0), np.zeros(0)
    here = power[:, first:last]
    least = np.maximum(_DEEP * here.max(axis=1, keepdims=True), 1e-14)
    below, above = power[:, first - 1 : last - 1], power[:, first + 1 : last + 1]
    row, column = np.nonzero((here > below) & (here >= above) & (here > least))
    # the top of the parabola through three logarithms
    low, top, high = (
        np.log(np.maximum(each[row, column].astype(np.float64), 1e-30))
        for each in (below, here, above)
    )
    offset = 0.5 * (low - high) / np.minimum(low - 2.0 * top + high, -1e-9)
    frequency = (column + first + np.clip(offset, -0.5, 0.5)) * width
    return _A4 + 12.0 * np.log2(frequency / 440.0), np.exp(0.5 * top)


def _by_class(counted: Values, tuning: float) -> Values:
    """The twelve pitch classes from C, the largest 1; the tuning taken out."""
    fine = _STEPS // 12
    moved = np.roll(counted, fine // 2 - round(tuning * fine))
    classes: Values = moved.reshape(12, fine).sum(axis=1)
    return classes / classes.max() if classes.max() > 0.0 else classes


def _likeness(chroma: Values, profile: tuple[float, ...]) -> list[float]:
    """The correlation of *chroma* with a profile on each of the twelve tonics."""
    return [float(np.corrcoef(chroma, np.roll(profile, tonic))[0, 1]) for tonic in range(12)]


def _named(chroma: Values) -> dict[str, float]:
    return {name: round(float(each), 4) for name, each in zip(NAMES, chroma, strict=True)}
