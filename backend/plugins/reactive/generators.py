"""Curves out of nothing: low-frequency oscillators and envelopes, frame by frame.

Knows: the waveforms, and how an envelope answers to triggers.
Does not know: frame rates; a frame is a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .choices import Waveform

Values = NDArray[np.float64]


def lfo(waveform: Waveform, frames: int, period: float, phase: float, seed: int) -> Values:
    """*frames* values of a wave between -1 and 1 that repeats every *period* frames.

    *phase* moves it by a part of the period. Sine and triangle begin at 0 and rise, the square
    begins high, the saw rises from -1. ``random`` is a new value for each period, drawn from
    *seed*.
    """
    # the remainder is taken in frames, so that a wave of hours is as exact as one of seconds
    steps = np.arange(frames, dtype=np.float64)
    turned = np.fmod(steps, period) / period + phase
    place = turned - np.floor(turned)
    if waveform == "sine":
        return np.sin(2.0 * np.pi * place)
    if waveform == "square":
        return np.where(place < 0.5, 1.0, -1.0)
    if waveform == "triangle":
        return 1.0 - 4.0 * np.abs(np.fmod(place + 0.25, 1.0) - 0.5)
    if waveform == "saw":
        return 2.0 * place - 1.0
    # whole periods from the same remainder as the place: a division might round the other way
    whole = np.rint((steps - np.fmod(steps, period)) / period)
    turns = (whole + np.floor(turned)).astype(np.int64)
    drawn = np.random.default_rng(seed).uniform(-1.0, 1.0, int(turns.max(initial=0)) + 1)
    held: Values = drawn[turns]
    return held


@dataclass(frozen=True, slots=True)
class Envelope:
    """Attack, decay, sustain, release; times in frames, the level at which it sustains 0 to 1."""

    attack: float
    decay: float
    sustain: float
    release: float
    hold: float
    """How long a trigger lasts until the release begins, counted from the trigger."""

    def after(self, passed: Values, level: float) -> Values:
        """The envelope so many frames after a trigger that found it at *level*."""
        let_go = self._held(np.array([self.hold]), level)
        fallen = (passed - self.hold) / self.release if self.release > 0 else np.ones(passed.shape)
        released = let_go * np.maximum(0.0, 1.0 - fallen)
        return np.where(passed < self.hold, self._held(passed, level), released)

    def _held(self, passed: Values, level: float) -> Values:
        """The same while the trigger lasts: up to 1, then down to the sustained level."""
        risen = np.clip(passed / self.attack, 0.0, 1.0) if self.attack > 0 else 1.0
        fallen = (
            np.clip((passed - self.attack) / self.decay, 0.0, 1.0)
            if self.decay > 0
            else (passed >= self.attack).astype(np.float64)
        )
        rising = level + (1.0 - level) * risen
        return rising - (1.0 - self.sustain) * fallen


def adsr(shape: Envelope, frames: int, triggers: Sequence[int]) -> Values:
    """*frames* values of an envelope, 0 to 1, that starts anew at each trigger from where it is."""
    values = np.zeros(frames)
    starts = sorted({start for start in triggers if 0 <= start < frames})
    level = 0.0
    for start, end in pairwise([*starts, frames]):
        passed = np.arange(end - start + 1, dtype=np.float64)
        run = shape.after(passed, level)
        values[start:end] = run[:-1]
        level = float(run[-1])
    return values


def rising(values: NDArray[np.floating], threshold: float = 0.5) -> list[int]:
    """The frames at which a curve comes from below to *threshold* or above it."""
    above = np.concatenate(([False], values >= threshold))
    return [int(each) for each in np.flatnonzero(above[1:] & ~above[:-1])]
