"""MIDI: a Standard MIDI File and its notes in seconds.

Knows: notes, tempo changes, and the file's own bytes.
Does not know: instruments and sound.
"""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from backend.media.reference import MediaValue

_DEFAULT_TEMPO: Final = 500_000
"""Microseconds a quarter note until the file says otherwise: 120 beats a minute."""


class NotMidi(ValueError):
    """The bytes are not a Standard MIDI File that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note. ``pitch`` and ``velocity`` 0..127, ``channel`` 0..15."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True, slots=True)
class Midi(MediaValue):
    """A Standard MIDI File of type 0 or 1, kept byte for byte."""

    kind: ClassVar[str] = "midi"
    data: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises `NotMidi` for anything but a whole file of type 0 or 1."""
        _parse(data)
        return cls(data)

    @classmethod
    def open(cls, path: Path) -> Self:
        return cls.from_bytes(path.read_bytes())

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes by their start; one that is never released ends with the file."""
        sounding: dict[tuple[int, int], deque[tuple[float, int]]] = defaultdict(deque)
        notes: list[Note] = []
        now = 0.0
        for now, message in _timed(_parse(self.data)):
            if message.type not in ("note_on", "note_off"):
                continue
            key = (message.channel, message.note)
            if message.type == "note_on" and message.velocity > 0:
                sounding[key].append((now, message.velocity))
            elif sounding[key]:
                start, velocity = sounding[key].popleft()
                notes.append(Note(start, now, message.note, velocity, message.channel))
        for (channel, pitch), open_notes in sounding.items():
            notes += [Note(start, now, pitch, v, channel) for start, v in open_notes]
        return tuple(sorted(notes, key=lambda note: (note.start_s, note.channel, note.pitch)))

    @property
    def duration_s(self) -> float:
        """Time of the last event, in seconds."""
        return max((time for time, _ in _timed(_parse(self.data))), default=0.0)

    @property
    def events(self) -> int:
        """How many events the file holds, in all tracks."""
        return sum(len(track) for track in _parse(self.data).tracks)

    def save(self, path: Path) -> None:
        with path.open("xb") as file:
            file.write(self.data)


def _parse(data: bytes) -> Any:
    """mido's view of the file. Raises `NotMidi`."""
    import mido

    if data[:4] != b"MThd":
        raise NotMidi("there is no MIDI header")
    if len(data) >= 14 and data[12] & 0x80:
        raise NotMidi("time in film frames (SMPTE) is not supported; ticks a quarter note are")
    try:
        parsed = mido.MidiFile(file=io.BytesIO(data))
    except (OSError, EOFError, ValueError, LookupError, TypeError, mido.KeySignatureError) as error:
        raise NotMidi("the MIDI file is damaged or cut") from error
    if parsed.type not in (0, 1) or parsed.ticks_per_beat <= 0:
        raise NotMidi("only MIDI files of type 0 and 1 are supported")
    return parsed


def _timed(parsed: Any) -> Iterator[tuple[float, Any]]:
    """Every event of all tracks with its time in seconds."""
    import mido

    tempo, now = _DEFAULT_TEMPO, 0.0
    for message in mido.merge_tracks(parsed.tracks):
        now += mido.tick2second(message.time, parsed.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        yield now, message
