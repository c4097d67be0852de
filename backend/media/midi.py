"""MIDI: a Standard MIDI File and its notes in seconds.

Knows: notes, and the file's own bytes.
Does not know: how these are read (``smf``, ``tempo``), instruments and sound.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from backend.media import smf
from backend.media.reference import MediaValue
from backend.media.smf import Smf
from backend.media.tempo import TempoMap

NOTE_OFF: Final = 0x80
NOTE_ON: Final = 0x90


@dataclass(frozen=True, slots=True)
class Note:
    """One note. ``pitch`` and ``velocity`` 0..127, ``channel`` 0..15, ``track`` from 0."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int
    channel: int
    track: int = 0
    released: bool = True
    """Whether the file ends it; one that hangs ends with the file."""


@dataclass(frozen=True, slots=True)
class Midi(MediaValue):
    """A Standard MIDI File of type 0 or 1, kept byte for byte."""

    kind: ClassVar[str] = "midi"
    data: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises `smf.NotMidi` for anything but a whole file of type 0 or 1."""
        TempoMap(smf.read(data))
        return cls(data)

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls.from_bytes(path.read_bytes())

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes by their start; one that is never released ends with the file."""
        return notes_of(smf.read(self.data))

    @property
    def duration_s(self) -> float:
        """Time of the last event, in seconds."""
        return duration_of(smf.read(self.data))

    def save(self, path: Path) -> None:
        with path.open("xb") as file:
            file.write(self.data)


def duration_of(file: Smf) -> float:
    """Time of the last event, in seconds."""
    return TempoMap(file).seconds(last_tick(file))


def last_tick(file: Smf) -> int:
    """When the longest track ends."""
    return max(track[-1].tick for track in file.tracks)


def notes_of(file: Smf) -> tuple[Note, ...]:
    """All notes by their start. Of several of one pitch the first to sound is the first to end."""
    seconds = TempoMap(file).seconds
    end_s = seconds(last_tick(file))
    notes: list[Note] = []
    for number, track in enumerate(file.tracks):
        sounding: dict[tuple[int, int], deque[tuple[float, int]]] = defaultdict(deque)
        for tick, channel, pitch, velocity in _keys(track):
            if velocity:
                sounding[channel, pitch].append((seconds(tick), velocity))
            elif sounding[channel, pitch]:
                start_s, struck = sounding[channel, pitch].popleft()
                notes.append(Note(start_s, seconds(tick), pitch, struck, channel, number))
        for (channel, pitch), held in sounding.items():
            notes += [Note(at, end_s, pitch, v, channel, number, released=False) for at, v in held]
    return tuple(sorted(notes, key=lambda note: (note.start_s, note.channel, note.pitch)))


def _keys(track: smf.Track) -> Iterator[tuple[int, int, int, int]]:
    """Tick, channel, pitch and velocity of each key; the velocity of one let go is 0."""
    for tick, status, data in track:
        kind = status & 0xF0
        if kind == NOTE_ON:
            yield tick, status & 0x0F, data[0], data[1]
        elif kind == NOTE_OFF:
            yield tick, status & 0x0F, data[0], 0
