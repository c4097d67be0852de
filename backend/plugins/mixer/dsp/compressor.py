"""Compressor and ducker: level over a threshold is taken down.

Knows: the static curve, hold, and the ballistics in dB.
Does not know: levels and ramps (``riding``), nor where a key comes from.

docs/dsp.md, section 2.2: the feed-forward design of Giannoulis, Massberg and Reiss, "Digital
dynamic range compressor design" (JAES 60, 2012), with the smooth decoupled peak detector.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .parameters import (
    CompressorSettings,
    Curve,
    Parameter,
    Values,
    first_value,
    value_at,
    values_at,
    whole,
)
from .riding import CONTROL, DB, Rider, control_samples, control_steps
from .sections import Meter
from .sliding import FAINT, DecayingPeak, maximum_between, sliding_maximum

_NO_KNEE: Final = np.finfo(np.float64).tiny
"""In place of a knee of 0 below a fraction, which then is 0 too."""


class Compressor(Rider):
    """Lowers what is louder than the threshold, or ducks under an external key."""

    def __init__(self, settings: CompressorSettings, rate: int, channels: int) -> None:
        super().__init__(CompressorLaw(settings, rate), settings.lookahead_ms, rate, channels)


class CompressorLaw:
    """From levels to gains, with the ballistics' state carried on."""

    def __init__(self, settings: CompressorSettings, rate: int) -> None:
        self._settings = settings
        self._hold: _SteadyHold | _MovingHold = (
            _MovingHold(settings.hold_ms, rate)
            if isinstance(settings.hold_ms, Curve)
            else _SteadyHold(settings.hold_ms, rate)
        )
        self._ballistics: _Steady | _Moving = (
            _Moving(settings.attack_ms, settings.release_ms, rate)
            if isinstance(settings.attack_ms, Curve) or isinstance(settings.release_ms, Curve)
            else _Steady(settings.attack_ms, settings.release_ms, rate)
        )
        self.rest_gain = 10.0 ** (first_value(settings.makeup_db) / 20.0)

    def gains(self, levels_db: Values, first: int, meter: Meter) -> Values:
        """Linear gains [k] for levels [k]."""
        at = control_samples(first, levels_db.size)
        asked = self._hold.process(reduction_db(self._settings, levels_db, at), at)
        reduction = self._ballistics.process(asked, at)
        meter.add(reduction)
        makeup = self._settings.makeup_db
        gains: Values = np.exp(DB * (value_at(makeup, at) - reduction))
        return gains


def reduction_db(settings: CompressorSettings, levels_db: Values, at: Values) -> Values:
    """Decibels (0 or more) by which the static curve lowers at each of *levels_db* [k].

    *at* [k] are the samples at which the parameters are read.
    """
    slope = 1.0 - 1.0 / value_at(settings.ratio, at)
    over = levels_db - value_at(settings.threshold_db, at)
    knee = value_at(settings.knee_db, at)
    reduction: Values = slope * np.maximum(over - knee / 2.0, 0.0)
    into = np.clip(over + knee / 2.0, 0.0, knee)  # how far into the knee
    reduction += slope * 0.5 * into * (into / np.maximum(knee, _NO_KNEE))
    if settings.range_db is not None:
        np.minimum(reduction, value_at(settings.range_db, at), out=reduction)
    return reduction


class _SteadyHold:
    """What was asked stays for a constant time."""

    def __init__(self, hold_ms: float, rate: int) -> None:
        self._steps = whole(hold_ms * rate / (1000 * CONTROL))
        self._recent = np.zeros(self._steps)

    def process(self, asked: Values, at: Values) -> Values:
        """x' [k] for x [k]."""
        if not self._steps:
            return asked
        line = np.concatenate((self._recent, asked))
        self._recent = line[line.size - self._steps :]
        return sliding_maximum(line, self._steps + 1)


class _MovingHold:
    """What was asked stays for a time that is automated; what it has let go does not come back."""

    def __init__(self, hold_ms: Curve, rate: int) -> None:
        self._hold_ms, self._rate = hold_ms, rate
        self._recent = np.zeros(0)

    def process(self, asked: Values, at: Values) -> Values:
        """x' [k] for x [k], with the hold read at the samples *at* [k]."""
        line = np.concatenate((self._recent, asked))
        last = np.arange(self._recent.size, line.size)
        # the window begins at the first value that was kept, or later
        first = np.maximum(last - control_steps(self._hold_ms, at, self._rate), 0)
        np.maximum.accumulate(first, out=first)
        if first.size:
            self._recent = line[first[-1] :].copy()
        return maximum_between(line, first, last)


class _Steady:
    """Release and attack with constant times."""

    def __init__(self, attack_ms: float, release_ms: float, rate: int) -> None:
        self._release = DecayingPeak(CONTROL / (release_ms * 1e-3 * rate))
        self._attack = _attack(attack_ms, rate)
        self._smoothed = np.zeros(1)

    def process(self, asked: Values, at: Values) -> Values:
        """z [k] for x' [k]."""
        held = self._release.process(asked)
        if not held.size or (self._smoothed[0] == 0.0 and not held.any()):
            return held
        from scipy.signal import lfilter

        smooth: Values
        smooth, self._smoothed = lfilter(
            [1.0 - self._attack], [1.0, -self._attack], held, zi=self._smoothed
        )
        if self._smoothed[0] < FAINT:
            self._smoothed[0] = 0.0
        return smooth


class _Moving:
    """Release and attack whose times are automated: step by step."""

    def __init__(self, attack_ms: Parameter, release_ms: Parameter, rate: int) -> None:
        self._attack_ms = attack_ms
        self._release_ms = release_ms
        self._rate = rate
        self._held = 0.0
        self._smoothed = 0.0

    def process(self, asked: Values, at: Values) -> Values:
        """z [k] for x' [k], read at the samples *at* [k]."""
        release = np.exp(-CONTROL / (values_at(self._release_ms, at) * 1e-3 * self._rate))
        attack = [_attack(float(ms), self._rate) for ms in values_at(self._attack_ms, at)]
        held, smoothed = self._held, self._smoothed
        result = np.empty(asked.size)
        for k, (x, r, a) in enumerate(zip(asked.tolist(), release.tolist(), attack, strict=True)):
            held = max(x, r * held)
            smoothed = a * smoothed + (1.0 - a) * held
            result[k] = smoothed
        self._held, self._smoothed = (v if v > FAINT else 0.0 for v in (held, smoothed))
        return result


def _attack(attack_ms: float, rate: int) -> float:
    """The pole of the attack."""
    return math.exp(-CONTROL / (attack_ms * 1e-3 * rate)) if attack_ms > 0.0 else 0.0
