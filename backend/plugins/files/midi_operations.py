"""The operation over MIDI.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how a file is read, changed and drawn; that is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge, Le

from backend.media.midi import Midi
from backend.plugins import Needs, operation
from backend.units import Unit

from .midi_results import Bpm, ChannelNumber, LoadedMidi, TrackNumber, Transposition


@operation("files.load_midi", needs=Needs(memory_gib=0.4), timeout_s=300.0)
def load_midi(
    midi: Midi,
    transpose_st: Transposition = 0,
    track: TrackNumber | None = None,
    channel: ChannelNumber | None = None,
    tempo_scale: Annotated[float, Unit("×"), Ge(0.1), Le(10)] = 1.0,
    bpm: Annotated[Bpm, Ge(4), Le(1000)] | None = None,
    picture: bool = True,
) -> LoadedMidi:
    """Give a MIDI file as a chain of operations needs it, and tell what is in it.

    *track* and *channel* choose whose notes stay, *transpose_st* moves all but channel 10, where
    keys are drums. *tempo_scale* 2 is twice as fast; *bpm* sets the tempo of the start; with either
    all changes of tempo keep their proportions. What is told is that of the file that is given; in
    *picture* the notes lie over seconds, the harder they are struck the brighter.
    """
    from . import midi_changes, midi_facts

    wish = midi_changes.Wish(transpose_st, track, channel, tempo_scale, bpm)
    return midi_facts.told(midi_changes.changed(midi, wish), picture=picture)


OPERATIONS: Final = (load_midi,)
