"""What the operation over MIDI gives back, and the ranges of its parameters.

Knows: names, units, and how musicians count.
Does not know: how a file is read (``midi_facts``) and changed (``midi_changes``).
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from annotated_types import Ge, Le
from pydantic import Field

from backend.media.image import Image
from backend.media.midi import Midi
from backend.plugins import Model
from backend.units import Seconds, Unit

MOST_TOLD: Final = 1000
"""Of longer lists so many are told; the numbers beside them count all."""

Bpm = Annotated[float, Unit("bpm")]
"""Quarter notes a minute."""
Transposition = Annotated[int, Unit("st"), Ge(-60), Le(60)]
TrackNumber = Annotated[int, Ge(1), Le(65_535)]
ChannelNumber = Annotated[int, Ge(1), Le(16)]


class Tempo(Model):
    """From this time on so many quarter notes a minute."""

    time_s: Seconds
    bpm: Bpm


class TimeSignature(Model):
    """From this time on this metre."""

    time_s: Seconds
    signature: str = Field(description="Like 6/8.")


class MidiPart(Model):
    """The notes of one channel in one track; a track without notes is told, too."""

    track: int = Field(description="Counted from 1.")
    name: str = Field(description="The track's, as the file has it; empty if it has none.")
    channel: int | None = Field(None, description="1 to 16; none for a track without notes.")
    program: int | None = Field(
        None, description="1 to 128, at the first note; none where the file chooses none."
    )
    instrument: str = Field(
        "", description="The program in General MIDI; Percussion on channel 10."
    )
    notes: int = 0
    lowest_pitch: int | None = None
    highest_pitch: int | None = None


class LoadedMidi(NamedTuple):
    """What `files.load_midi` gives. Pitches are MIDI's numbers, 60 being middle C."""

    midi: Midi
    duration_s: Seconds
    """Time of the last event."""
    notes: int
    bpm: Bpm
    """At the start; 120 where the file says nothing."""
    time_signature: str
    """At the start; ``4/4`` where the file says nothing."""
    tracks: int
    tempo_changes: int
    """After the start."""
    tempo_map: list[Tempo]
    """The first 1000, that of the start included."""
    time_signatures: list[TimeSignature]
    """The first 1000, that of the start included."""
    parts: list[MidiPart]
    """The first 1000."""
    lowest_pitch: int | None
    highest_pitch: int | None
    hanging_notes: int
    """Notes that the file never ends: they last until its end."""
    picture: Image | None
    """A piano roll, if it was asked for."""
