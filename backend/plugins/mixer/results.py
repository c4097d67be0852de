"""What a mix gives: programmes, stems, and what the meters say.

Knows: the names and the meaning of each number.
Does not know: how levels are measured (``gauges``), nor how a mix is made.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from backend.media.audio import Audio
from backend.media.image import Image
from backend.plugins import Model
from backend.units import Decibels


class Reduction(Model):
    """How far one section lowered the signal; 0 is not at all."""

    max_db: Decibels
    mean_db: Decibels


class Loudness(Model):
    """Loudness by ITU-R BS.1770 and EBU R128, and the true peak; -240 is silence."""

    integrated_lufs: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    range_lu: float
    true_peak_db: Decibels


class Level(Model):
    """What the meters of one strip, bus or of the master say; silence is given as -240."""

    peak_db: Decibels = Field(description="Largest absolute sample, in dBFS.")
    rms_db: Decibels = Field(description="Root of the mean square of all channels, in dBFS.")
    loudness: Loudness | None = Field(None, description="Nothing where it was not asked for.")
    reductions: dict[str, Reduction] = Field({}, description="By section: gate, compressor …")


class Meters(Model):
    """The meters of a mix. Strips and buses are measured after their fader, by their id."""

    strips: dict[str, Level]
    buses: dict[str, Level]
    pre_master: Level
    master: Level


class MixResult(NamedTuple):
    """What `mixer.mix` gives."""

    master: Audio
    """The stereo mix after the master bus."""
    pre_master: Audio
    """The stereo sum before the master bus, as long and at the same time."""
    stems: dict[str, Audio]
    """What each strip that is heard, and each bus, adds to ``pre_master``; empty unless asked."""
    meters: Meters
    """Levels, loudness and gain reduction of strips, buses and master."""
    meters_picture: Image | None
    """The meters to look at; nothing unless asked."""
    peak_db: Decibels
    """Largest absolute sample of ``master`` in dBFS; silence is given as -240."""
