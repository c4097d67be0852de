"""What a section is told: numbers, or curves over the programme.

Knows: where a curve's value lies at any sample, and the numbers of every section.
Does not know: ranges (the models of ``mixer.mix``), nor what the numbers do (the sections).

A field of type `Parameter` may move; the number of echoes does not. What each means is written in
docs/dsp.md, section by section.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

GRID: Final = 64
"""Samples of which every latency is a multiple."""
BUTTERWORTH: Final = math.sqrt(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Straight lines through points: positions in samples, strictly rising, and values."""

    positions: Values
    values: Values

    def at(self, samples: Values) -> Values:
        """The value at each of *samples*; outside the points the nearest one holds."""
        return np.interp(samples, self.positions, self.values)


Parameter = float | Curve


def value_at(parameter: Parameter, samples: Values) -> float | Values:
    """The parameter's value at each of *samples*; of a number just that, which costs less."""
    return parameter.at(samples) if isinstance(parameter, Curve) else float(parameter)


def values_at(parameter: Parameter, samples: Values) -> Values:
    """The parameter's value at each of *samples*, one by one."""
    return np.broadcast_to(value_at(parameter, samples), samples.shape)


def first_value(parameter: Parameter) -> float:
    """The value at sample 0."""
    if isinstance(parameter, Curve):
        return float(parameter.at(np.zeros(1))[0])
    return float(parameter)


def largest(parameter: Parameter) -> float:
    """The largest value that is ever taken."""
    return float(parameter.values.max()) if isinstance(parameter, Curve) else float(parameter)


def smallest(parameter: Parameter) -> float:
    """The smallest value that is ever taken."""
    return float(parameter.values.min()) if isinstance(parameter, Curve) else float(parameter)


def is_constant(parameter: Parameter, value: float) -> bool:
    """Whether the parameter is *value* for the whole programme."""
    return not isinstance(parameter, Curve) and parameter == value


def whole(value: float) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(value + 0.5)


def lookahead_frames(lookahead_ms: float, rate: int) -> int:
    """A look-ahead as whole steps of the grid, in samples."""
    return GRID * whole(lookahead_ms * rate / (1000 * GRID))


@dataclass(frozen=True, slots=True)
class GateSettings:
    """A gate; see docs/dsp.md, section 2.3."""

    threshold_db: Parameter = -50.0
    hysteresis_db: Parameter = 6.0
    range_db: Parameter = 80.0
    attack_ms: Parameter = 1.0
    hold_ms: Parameter = 50.0
    release_ms: Parameter = 100.0
    lookahead_ms: Parameter = 0.0


@dataclass(frozen=True, slots=True)
class CompressorSettings:
    """A compressor or ducker; see docs/dsp.md, section 2.2. No range (None): it has no limit."""

    threshold_db: Parameter = -18.0
    ratio: Parameter = 4.0
    knee_db: Parameter = 6.0
    attack_ms: Parameter = 10.0
    release_ms: Parameter = 100.0
    makeup_db: Parameter = 0.0
    range_db: Parameter | None = None
    hold_ms: Parameter = 0.0
    lookahead_ms: Parameter = 0.0


@dataclass(frozen=True, slots=True)
class BandSettings:
    """One band of the equalizer."""

    gain_db: Parameter
    frequency_hz: Parameter
    q: Parameter = 0.707


@dataclass(frozen=True, slots=True)
class EqualizerSettings:
    """Five filters, each of which may be off; see docs/dsp.md, section 3."""

    high_pass_hz: Parameter | None = None
    low: BandSettings = field(default_factory=lambda: BandSettings(0.0, 250.0))
    mid: BandSettings = field(default_factory=lambda: BandSettings(0.0, 1000.0))
    high: BandSettings = field(default_factory=lambda: BandSettings(0.0, 4000.0))
    low_pass_hz: Parameter | None = None

    @property
    def is_neutral(self) -> bool:
        """Whether nothing would be filtered."""
        gains = (self.low.gain_db, self.mid.gain_db, self.high.gain_db)
        filters = self.high_pass_hz, self.low_pass_hz
        return all(is_constant(g, 0.0) for g in gains) and filters == (None, None)


@dataclass(frozen=True, slots=True)
class DelaySettings:
    """Echoes; see docs/dsp.md, section 4. No number of echoes (None): they run on."""

    time_s: Parameter = 0.35
    echoes: int | None = None
    feedback: Parameter = 0.4
    mix: Parameter = 0.5

    @property
    def is_neutral(self) -> bool:
        """Whether no echo would ever be heard."""
        return is_constant(self.mix, 0.0)


@dataclass(frozen=True, slots=True)
class LimiterSettings:
    """A true-peak limiter; see docs/dsp.md, section 7."""

    ceiling_db: Parameter = -1.0
    lookahead_ms: Parameter = 5.0
    release_ms: Parameter = 100.0
