"""What a signal passes in a strip, a bus or the master: the controls of each insert, with ranges.

Knows: gate, compressor, equalizer, delay and limiter as parameters with units.
Does not know: what they do to samples (``docs/dsp.md`` in words, ``dsp`` in code), nor where they
stand (``document``).

Every control is `Continuous`: a number, breakpoints or an automation. Only the number of echoes, a
count, is not.
"""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints, Continuous
from backend.plugins import Model
from backend.units import Decibels, Hertz, Milliseconds, Ratio, Seconds

STRIP_KEY: Final = "strip:"
"""What a compressor's key begins with; the rest is the id of a strip."""

Control = float | Breakpoints | Automation
"""What a `Continuous` field holds in Python."""

Threshold = Continuous[Annotated[Decibels, Ge(-120), Le(0)]]
Gain = Continuous[Annotated[Decibels, Ge(-60), Le(24)]]
Frequency = Continuous[Annotated[Hertz, Ge(10), Le(96000)]]
Quality = Continuous[Annotated[float, Ge(0.1), Le(24)]]
Share = Continuous[Annotated[float, Ge(0), Le(1)]]
Attack = Continuous[Annotated[Milliseconds, Ge(0), Le(2000)]]
Release = Continuous[Annotated[Milliseconds, Ge(1), Le(5000)]]
Range = Continuous[Annotated[Decibels, Ge(0), Le(120)]]
Bend = Continuous[Annotated[Decibels, Ge(0), Le(24)]]
Hold = Continuous[Annotated[Milliseconds, Ge(0), Le(5000)]]
LookAhead = Continuous[Annotated[Milliseconds, Ge(0), Le(50)]]
HIGH_PASS: Final = "Takes what is below, 12 dB an octave."
LOW_PASS: Final = "Takes what is above, 12 dB an octave."


class Gate(Model):
    """Lowers what is quieter than a threshold."""

    threshold_db: Threshold = Field(-50.0, description="It opens at this peak level.")
    hysteresis_db: Bend = Field(6.0, description="It closes only so far below the threshold.")
    range_db: Range = Field(80.0, description="How far the closed gate lowers.")
    attack_ms: Attack = Field(1.0, description="The time that it takes to open.")
    hold_ms: Hold = Field(50.0, description="It stays open so long after the level fell.")
    release_ms: Release = Field(100.0, description="The time that it takes to close.")
    lookahead_ms: LookAhead = Field(0.0, description="It opens so long before the sound.")


class Compressor(Model):
    """Lowers what is louder than a threshold, by the level of its own signal or of a key."""

    threshold_db: Threshold = Field(-18.0, description="Peak level above which gain is reduced.")
    ratio: Continuous[Annotated[Ratio, Ge(1), Le(100)]] = Field(
        4.0, description="So many dB over the threshold leave as one."
    )
    knee_db: Bend = Field(6.0, description="Width of the bend around the threshold.")
    attack_ms: Attack = Field(10.0, description="Time constant of the reduction.")
    hold_ms: Hold = Field(0.0, description="The reduction stays so long before it is released.")
    release_ms: Release = Field(100.0, description="Time constant of the way back.")
    range_db: Range | None = Field(None, description="The most that it lowers.")
    lookahead_ms: LookAhead = Field(
        0.0, description="The reduction begins so long before the sound that asks for it."
    )
    makeup_db: Gain = Field(0.0, description="Gain after the reduction.")
    key: Annotated[str, Field(pattern=r"^strip:[A-Za-z0-9_-]{1,40}$")] | None = Field(
        None,
        description="'strip:ID' makes it follow that strip's source, whatever its fader and mute.",
    )


class Band(Model):
    """One band of an equalizer; the low and the high one are shelves, the middle one is a peak."""

    gain_db: Gain = Field(0.0, description="0 leaves the band as it is.")
    frequency_hz: Frequency = Field(
        1000.0, description="Centre of a peak, middle of a shelf's slope."
    )
    q: Quality = Field(0.707, description="Narrow above, wide below .707.")


class LowBand(Band):
    """The lowest band, a shelf."""

    frequency_hz: Frequency = Field(250.0, description="Middle of the shelf's slope.")


class HighBand(Band):
    """The highest band, a shelf."""

    frequency_hz: Frequency = Field(4000.0, description="Middle of the shelf's slope.")


class Equalizer(Model):
    """Three bands, a high-pass and a low-pass."""

    high_pass_hz: Frequency | None = Field(None, description=HIGH_PASS)
    low: LowBand = Field(LowBand(), description="A low shelf.")
    mid: Band = Field(Band(), description="A peak.")
    high: HighBand = Field(HighBand(), description="A high shelf.")
    low_pass_hz: Frequency | None = Field(None, description=LOW_PASS)


class Delay(Model):
    """Echoes of the signal, which may outlast it."""

    time_s: Continuous[Annotated[Seconds, Ge(0.001), Le(2)]] = Field(
        0.35, description="From one echo to the next; where it moves, it bends their pitch."
    )
    feedback: Continuous[Annotated[float, Ge(0), Le(0.95)]] = Field(
        0.4, description="Each echo is so much of the one before."
    )
    mix: Share = Field(0.3, description="0 is only the signal, 1 only its echoes.")
    echoes: Annotated[int, Ge(1), Le(16)] | None = Field(
        None, description="So many and no more; without a number they fade by themselves."
    )


class Limiter(Model):
    """The last word: true peaks end at the ceiling (docs/dsp.md, section 7, says how exactly)."""

    ceiling_db: Continuous[Annotated[Decibels, Ge(-24), Le(0)]] = Field(
        -1.0, description="True peak by ITU-R BS.1770, in dBTP."
    )
    lookahead_ms: Continuous[Annotated[Milliseconds, Ge(1), Le(20)]] = Field(
        5.0, description="So long before a peak the gain begins to fall."
    )
    release_ms: Release = Field(100.0, description="Time constant of the way back.")
