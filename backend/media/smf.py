"""Standard MIDI Files: bytes become tracks of events, and come back.

Knows: chunks (SMF 1.0, RP-001 of the MIDI Association); the events in them are read and written by
mido.
Does not know: what an event means, but for the end of a track.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

META: Final = 0xFF
END: Final = b"\x2f"
"""What a meta event at the end of a track holds."""

_SYSEX: Final = 0xF0
_LAST_TICK: Final = 1 << 40
"""A time beyond it is damage, and may be a number of any length."""
_MOST_TRACKS: Final = 0x7FFF
"""mido counts no more of them."""


class NotMidi(ValueError):
    """The bytes are not a Standard MIDI File that can be read; the text says why.

    ``rule``: ``format``, ``division``, ``tracks``, ``cut``, ``running_status`` or ``damaged``.
    """

    def __init__(self, rule: str, told: str) -> None:
        super().__init__(told)
        self.rule: Final = rule


class Event(NamedTuple):
    """One event. ``status`` is 0x80..0xEF for a channel's message with its one or two data bytes;
    0xF0 with a system exclusive message's bytes; or `META`, with the kind and then its content."""

    tick: int
    """From the start of the track, not from the event before."""
    status: int
    data: bytes


Track = tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Smf:
    """A file of type 0 or 1. Each track ends with the one event that says so."""

    ticks_per_beat: int
    tracks: tuple[Track, ...]
    kind: int = 1


def read(data: bytes) -> Smf:
    """Raises `NotMidi` for anything but a whole file of type 0 or 1 in ticks a quarter note.

    Read as other programs do is what the standard does not allow, but is plain: several tracks in
    type 0 (it becomes 1), more of them than promised, a track without an end, events behind one,
    running status across meta events, and keys, metres and the like that make no sense.
    """
    kind, promised, ticks_per_beat, at = _header(data)
    found = _chunks(data, at, promised)
    if not found:
        raise NotMidi("tracks", "there is no track in the MIDI file")
    if len(found) > _MOST_TRACKS:
        told = f"the MIDI file has {len(found)} tracks; {_MOST_TRACKS} are read"
        raise NotMidi("tracks", told)
    if len(found) < promised:
        told = f"the MIDI file promises {promised} tracks and has {len(found)}"
        raise NotMidi("tracks", told)
    tracks = tuple(_track(part, number) for number, part in enumerate(found, 1))
    return Smf(ticks_per_beat, tracks, 1 if len(tracks) > 1 else kind)


def write(file: Smf) -> bytes:
    """The bytes of a file: equal ones for equal events."""
    mido = _mido()
    tracks = [mido.MidiTrack(_messages(track)) for track in file.tracks]
    made = mido.MidiFile(type=file.kind, ticks_per_beat=file.ticks_per_beat, tracks=tracks)
    out = io.BytesIO()
    made.save(file=out)
    return out.getvalue()


def ended(events: Iterable[Event], tick: int) -> Track:
    """A track of these events, none of which ends it, that ends at *tick*."""
    return (*events, Event(tick, META, END))


def _header(data: bytes) -> tuple[int, int, int, int]:
    """Type, number of tracks, ticks a quarter note, and where the header ends."""
    if data[:4] != b"MThd":
        raise NotMidi("format", "there is no MIDI header")
    length = int.from_bytes(data[4:8])
    if len(data) < 14 or length < 6:
        raise NotMidi("cut", "the MIDI header is cut")
    kind, promised, division = (int.from_bytes(data[at : at + 2]) for at in (8, 10, 12))
    if kind > 1:
        told = f"this is a MIDI file of type {kind}; only types 0 and 1 are supported"
        raise NotMidi("format", told)
    if division & 0x8000:
        told = "time in film frames (SMPTE) is not supported; ticks a quarter note are"
        raise NotMidi("division", told)
    if division == 0:
        raise NotMidi("division", "a quarter note has no ticks in this MIDI file")
    return kind, promised, division, 8 + length


def _chunks(data: bytes, at: int, promised: int) -> list[bytes]:
    """The events of each track. Chunks of other kinds are passed by, as the standard says; so is
    whatever follows the last track."""
    found: list[bytes] = []
    while at + 8 <= len(data):
        is_track = data[at : at + 4] == b"MTrk"
        if not is_track and len(found) >= promised:
            break
        length = int.from_bytes(data[at + 4 : at + 8])
        part = data[at + 8 : at + 8 + length]
        if len(part) < length:
            name = f"track {len(found) + 1}" if is_track else "a part between the tracks"
            told = f"{name} says that it has {length} bytes; {len(part)} follow"
            raise NotMidi("cut", f"the MIDI file is cut: {told}")
        if is_track:
            found.append(part)
        at += 8 + length
    return found


def _track(data: bytes, number: int) -> Track:
    """The events of track *number* (from 1), whose end is there even if the file left it out."""
    mido = _mido()
    one = b"MThd\0\0\0\6\0\0\0\1\0\1MTrk" + len(data).to_bytes(4) + data
    try:
        (messages,) = mido.MidiFile(file=io.BytesIO(one)).tracks
    except EOFError:
        told = f"track {number} ends within an event: it is cut, or longer than it says"
        raise NotMidi("cut", told) from None
    except (OSError, ValueError, LookupError, TypeError, mido.KeySignatureError) as error:
        rule = "running_status" if "running status" in str(error) else "damaged"
        raise NotMidi(rule, f"track {number} cannot be read: {error}") from error
    events: list[Event] = []
    tick = 0
    for message in messages:
        tick += message.time
        if tick > _LAST_TICK:
            raise NotMidi("damaged", f"track {number} has an event later than any file lasts")
        event = _event(tick, message, number)
        if event.status == META and event.data[:1] == END:
            break
        events.append(event)
    return ended(events, tick)


def _event(tick: int, message: Any, number: int) -> Event:
    if message.type == "sysex":
        return Event(tick, _SYSEX, bytes(message.data))
    status, *rest = message.bytes()
    if status < _SYSEX:
        return Event(tick, status, bytes(rest))
    if status != META:
        told = f"track {number} has the byte {status:X}, which no file may have there"
        raise NotMidi("damaged", told)
    kind, *sized = rest
    while sized[0] >= 0x80:  # the length, seven bits in each byte
        del sized[0]
    return Event(tick, META, bytes([kind, *sized[1:]]))


def _messages(track: Track) -> Iterable[Any]:
    mido = _mido()
    last = 0
    for tick, status, data in track:
        if status == META:
            message = mido.midifiles.meta.build_meta_message(data[0], data[1:])
        elif status == _SYSEX:
            message = mido.Message("sysex", data=data)
        else:
            message = mido.Message.from_bytes([status, *data])
        message.time, last = tick - last, tick
        yield message


@cache
def _mido() -> Any:
    """mido, told to keep meta events that it does not understand as they are. By itself (1.3.3) it
    forgets when those of other kinds are, so that whatever follows would come too early, and
    refuses a whole file for a key of nine sharps."""
    import mido
    from mido.midifiles import meta

    # by number, beside the same by name
    known = {kind: spec for kind, spec in meta._META_SPECS.items() if isinstance(kind, int)}
    for kind in range(0x100):
        vendor = meta.MetaSpec_sequencer_specific
        meta.add_meta_spec(type(f"meta_{kind:02x}", (vendor,), {"type_byte": kind}))
        if kind in known:
            meta.add_meta_spec(_lenient(type(known[kind])))
    return mido


def _lenient(known: Any) -> type:
    """A kind of meta event of mido's, whose content stays as it is where mido refuses it."""
    from mido import KeySignatureError

    def decode(self: Any, message: Any, data: Any) -> None:
        try:
            known.decode(self, message, data)
        except (LookupError, ValueError, KeySignatureError):
            vars(message).update(type=f"meta_{self.type_byte:02x}", data=tuple(data))

    return type(known.__name__, (known,), {"decode": decode})
