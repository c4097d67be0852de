"""What is in a MIDI file: its length, tempo, metre and parts.

Knows: names, programs and time signatures in a file's events.
Does not know: how notes are found (``media.midi``) and drawn (``piano_roll``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from backend.media import smf
from backend.media.midi import Midi, Note, last_tick, notes_of
from backend.media.smf import META, Smf, Track
from backend.media.tempo import TempoMap

from . import piano_roll
from .general_midi import instrument
from .midi_changes import METRE
from .midi_results import MOST_TOLD, LoadedMidi, MidiPart, Tempo, TimeSignature

COMMON_TIME: Final = "4/4"
"""The metre of a file that says nothing (SMF 1.0)."""

_NAME: Final = b"\x03"
_PROGRAM_CHANGE: Final = 0xC0
_LONGEST_NAME: Final = 120
_FINEST_NOTE: Final = 7
"""Metres count in notes down to 1/128; what a file says beyond is no metre."""


def told(midi: Midi, *, picture: bool) -> LoadedMidi:
    """All facts of *midi*, and its *picture* if it is wanted."""
    file = smf.read(midi.data)
    tempo, notes = TempoMap(file), notes_of(file)
    duration_s = tempo.seconds(last_tick(file))
    changes = [Tempo(time_s=tempo.seconds(each.tick), bpm=each.bpm) for each in tempo.changes]
    signatures = list(_signatures(file, tempo))
    parts = list(_parts(file, notes))
    low, high = _range(notes)
    roll = piano_roll.Roll(notes, parts, duration_s, changes, signatures)
    return LoadedMidi(
        midi=midi,
        duration_s=duration_s,
        notes=len(notes),
        bpm=changes[0].bpm,
        time_signature=signatures[0].signature,
        tracks=len(file.tracks),
        tempo_changes=len(changes) - 1,
        tempo_map=changes[:MOST_TOLD],
        time_signatures=signatures[:MOST_TOLD],
        parts=parts[:MOST_TOLD],
        lowest_pitch=low,
        highest_pitch=high,
        hanging_notes=sum(not note.released for note in notes),
        picture=piano_roll.draw(roll) if picture else None,
    )


def _range(notes: Sequence[Note]) -> tuple[int | None, int | None]:
    pitches = [note.pitch for note in notes]
    return min(pitches, default=None), max(pitches, default=None)


def _signatures(file: Smf, tempo: TempoMap) -> Iterator[TimeSignature]:
    """The metre at the start, and wherever it changes; of several at one time the last counts."""
    at_tick = {0: COMMON_TIME}
    found = [each for track in file.tracks for each in track if each.status == META]
    for tick, _, data in sorted(found, key=lambda event: event.tick):
        if data[:1] == METRE and len(data) >= 3 and data[1] > 0 and data[2] <= _FINEST_NOTE:
            at_tick[tick] = f"{data[1]}/{2 ** data[2]}"
    last = ""
    for tick, signature in at_tick.items():
        if signature != last:
            yield TimeSignature(time_s=tempo.seconds(tick), signature=signature)
        last = signature


def _parts(file: Smf, notes: Sequence[Note]) -> Iterator[MidiPart]:
    """By track and channel."""
    of_part: dict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in notes:
        of_part[note.track, note.channel].append(note)
    played = sorted(of_part)
    programs = _Programs(file)
    for number, track in enumerate(file.tracks):
        name = _name(track)
        channels = [channel for at, channel in played if at == number]
        for channel in channels:
            program = programs.at_first_note(number, channel)
            mine = of_part[number, channel]
            low, high = _range(mine)
            yield MidiPart(
                track=number + 1,
                name=name,
                channel=channel + 1,
                program=None if program is None else program + 1,
                instrument=instrument(channel, program),
                notes=len(mine),
                lowest_pitch=low,
                highest_pitch=high,
            )
        if not channels:
            yield MidiPart(track=number + 1, name=name)


class _Programs:
    """Which program each channel has when: changes in any track hold for the whole channel."""

    def __init__(self, file: Smf) -> None:
        self._changes: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._first_notes: dict[tuple[int, int], int] = {}
        for number, track in enumerate(file.tracks):
            for tick, status, data in track:
                kind, channel = status & 0xF0, status & 0x0F
                if kind == _PROGRAM_CHANGE:
                    self._changes[channel].append((tick, data[0]))
                elif kind == 0x90 and data[1]:
                    self._first_notes.setdefault((number, channel), tick)
        for changes in self._changes.values():
            changes.sort(key=lambda change: change[0])

    def at_first_note(self, track: int, channel: int) -> int | None:
        """The program of the channel at the first note that it has in the track, from 0."""
        changes = self._changes[channel]
        tick = self._first_notes[track, channel]
        place = bisect_right(changes, tick, key=lambda change: change[0])
        return changes[place - 1][1] if place else None


def _name(track: Track) -> str:
    """The first name of a track, in UTF-8 or else Latin-1, without what cannot be printed."""
    for _, status, data in track:
        if status == META and data[:1] == _NAME:
            return _printable(data[1:])
    return ""


def _printable(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:  # the standard knows ASCII only; files have either
        text = raw.decode("latin-1")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_LONGEST_NAME]
