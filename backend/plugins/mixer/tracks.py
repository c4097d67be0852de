"""What goes into a mix and what comes out of it.

Knows: a track's controls with their ranges, and the names of a mix's results.
Does not know: how tracks are summed (``mixing``).
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.audio import Audio
from backend.plugins import Model
from backend.units import Decibels, Pan


class Track(Model):
    """One track of a mix: a source and its strip."""

    source: Audio = Field(description="What is heard; 1 to 8 channels, any sample rate.")
    gain_db: Annotated[Decibels, Ge(-120), Le(24)] = Field(
        0.0, description="The fader; 0 passes the source unchanged."
    )
    pan: Annotated[Pan, Ge(-1), Le(1)] = Field(
        0.0, description="Constant power for mono (-3 dB at the centre), balance for the rest."
    )
    mute: bool = Field(False, description="Leave the track out, soloed or not.")
    solo: bool = Field(False, description="While any track is soloed, only soloed ones are heard.")


class MixResult(NamedTuple):
    """What `mixer.mix` gives."""

    master: Audio
    """The stereo mix after the master bus."""
    pre_master: Audio
    """The stereo sum before the master bus."""
    peak_db: Decibels
    """Largest absolute sample of ``master`` in dBFS; silence is given as -240."""
