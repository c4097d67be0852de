"""MIDI files changed: parts chosen, notes moved, the tempo set.

Knows: which events belong to a part, and which to all.
Does not know: seconds, but for the limit (``media.tempo``), and what is told of a file.

Whatever is not asked for stays as it is: no event is lost but those of the parts left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from backend.media import smf
from backend.media.decoding import MIDI_SECONDS
from backend.media.midi import NOTE_ON, Midi, duration_of
from backend.media.smf import META, Event, Smf, Track
from backend.media.tempo import DEFAULT, TEMPO, TempoMap, is_tempo
from backend.plugins import refused

from .general_midi import DRUM_CHANNEL

METRE: Final = b"\x58"
KEY: Final = b"\x59"

_OF_ALL: Final = (TEMPO, METRE, KEY)
"""Meta events that hold for all tracks, wherever they stand."""
_OF_KEYS: Final = (0x80, 0x90, 0xA0)
"""Note off, note on and a key's pressure: messages whose first byte is a pitch."""
_SLOWEST: Final = 0xFFFFFF
_TOLD: Final = 16
"""Tracks with notes that a refusal names."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, as in `files.load_midi`; tracks and channels from 1."""

    transpose_st: int = 0
    track: int | None = None
    channel: int | None = None
    tempo_scale: float = 1.0
    bpm: float | None = None


def changed(midi: Midi, wish: Wish) -> Midi:
    """The MIDI as wished; the same value if nothing is.

    Raises `InvalidParameters` at the field: for a part without notes, pitches beyond 0..127, tempi
    that a file cannot hold, and what would last longer than a MIDI file may.
    """
    if wish.bpm is not None and wish.tempo_scale != 1.0:
        raise refused("/bpm", "exclusive", "only one of bpm and tempo_scale is given")
    file = before = smf.read(midi.data)
    if wish.track is not None or wish.channel is not None:
        file = _chosen(file, wish)
    if wish.transpose_st:
        file = _transposed(file, wish.transpose_st)
    if wish.bpm is not None or wish.tempo_scale != 1.0:
        file = _paced(file, wish)
    return midi if file is before else Midi(smf.write(file))


def _chosen(file: Smf, wish: Wish) -> Smf:
    """What belongs to the wanted track and channel, and to all; emptied tracks are left out."""
    if wish.track is not None and wish.track > len(file.tracks):
        raise refused("/track", "tracks", f"there are {len(file.tracks)} tracks")
    tracks = []
    for number, track in enumerate(file.tracks, 1):
        is_wanted = wish.track in (None, number)
        kept = [each for each in track[:-1] if _stays(each, wish.channel, is_wanted=is_wanted)]
        if is_wanted:
            tracks.append(smf.ended(kept, track[-1].tick))
        elif kept:
            tracks.append(smf.ended(kept, kept[-1].tick))
    made = Smf(file.ticks_per_beat, tuple(tracks), 1 if len(tracks) > 1 else file.kind)
    had = _channels(file)
    if had and not _channels(made):
        pointer = "/track" if wish.channel is None else "/channel"
        raise refused(pointer, "no_notes", f"there are no notes; notes are on {_places(had)}")
    return made


def _stays(event: Event, channel: int | None, *, is_wanted: bool) -> bool:
    if not is_wanted:
        return event.status == META and event.data[:1] in _OF_ALL
    return event.status >= 0xF0 or channel in (None, (event.status & 0x0F) + 1)


def _channels(file: Smf) -> dict[int, set[int]]:
    """Track → the channels of its notes, both from 1."""
    found: dict[int, set[int]] = defaultdict(set)
    for number, track in enumerate(file.tracks, 1):
        for event in track:
            if event.status & 0xF0 == NOTE_ON:
                found[number].add((event.status & 0x0F) + 1)
    return found


def _places(channels: dict[int, set[int]]) -> str:
    """Where notes are, in words."""
    named = []
    for track, here in islice(channels.items(), _TOLD):
        word = "channel" if len(here) == 1 else "channels"
        named.append(f"track {track} ({word} {', '.join(map(str, sorted(here)))})")
    return ", ".join(named) + (" and others" if len(channels) > _TOLD else "")


def _transposed(file: Smf, semitones: int) -> Smf:
    def moved(event: Event) -> Event:
        kind, channel = event.status & 0xF0, event.status & 0x0F
        if kind not in _OF_KEYS or channel == DRUM_CHANNEL:
            return event
        pitch = event.data[0] + semitones
        if not 0 <= pitch <= 127:
            told = f"a note would get the pitch {pitch}; pitches are 0 to 127"
            raise refused("/transpose_st", "pitch_range", told)
        return event._replace(data=bytes([pitch]) + event.data[1:])

    return _mapped(file, moved)


def _mapped(file: Smf, change: Callable[[Event], Event]) -> Smf:
    tracks = tuple(tuple(map(change, track)) for track in file.tracks)
    return Smf(file.ticks_per_beat, tracks, file.kind)


def _paced(file: Smf, wish: Wish) -> Smf:
    """Every tempo times one factor; one that was not said is said now."""
    pointer, factor = "/tempo_scale", wish.tempo_scale
    start = TempoMap(file).changes[0].microseconds
    if wish.bpm is not None:
        pointer, factor = "/bpm", wish.bpm * start / 60e6

    def scaled(microseconds: int) -> bytes:
        made = round(microseconds / factor)
        if not 1 <= made <= _SLOWEST:
            told = f"{60e6 / microseconds * factor:.4g} bpm is a tempo that no MIDI file can hold"
            raise refused(pointer, "tempo_range", told)
        return TEMPO + made.to_bytes(3)

    def paced(event: Event) -> Event:
        if not is_tempo(event):
            return event
        return event._replace(data=scaled(int.from_bytes(event.data[1:])))

    made = _mapped(file, paced)
    if not any(is_tempo(each) and each.tick == 0 for track in file.tracks for each in track):
        first: Track = (Event(0, META, scaled(DEFAULT)), *made.tracks[0])
        made = Smf(made.ticks_per_beat, (first, *made.tracks[1:]), made.kind)
    if (seconds := duration_of(made)) > MIDI_SECONDS:
        told = f"it would last {seconds:.0f} s; a MIDI file may last {MIDI_SECONDS:g} s"
        raise refused(pointer, "midi_seconds", told)
    return made
