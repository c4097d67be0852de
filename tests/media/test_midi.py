"""MIDI: notes in seconds, whatever the tempo does."""

from __future__ import annotations

import io

import mido
import pytest

from backend.media.midi import Midi, Note
from backend.media.smf import NotMidi


def midi_bytes(*tracks: list, kind: int = 1, ticks: int = 480) -> bytes:
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def on(note: int, time: int, velocity: int = 64, channel: int = 0):
    return mido.Message("note_on", note=note, velocity=velocity, time=time, channel=channel)


def tempo(bpm: float, time: int = 0):
    return mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=time)


def test_a_tempo_in_one_track_holds_for_all():
    """Half a second a beat at first, then a quarter: a note across the change adds both."""
    midi = Midi.from_bytes(midi_bytes([tempo(120), tempo(240, 480)], [on(60, 0), on(60, 960, 0)]))
    (note,) = midi.notes
    assert note == Note(0.0, pytest.approx(0.75), 60, 64, 0, 1)  # type: ignore[arg-type]
    assert midi.duration_s == pytest.approx(0.75)


def test_notes_of_one_pitch_end_in_their_order():
    """Two overlapping notes of one pitch end first in, first out, on their own channel."""
    track = [on(60, 0, 10), on(60, 240, 20), on(60, 240, 0), on(60, 240, 0), on(60, 0, 5, 3)]
    notes = Midi.from_bytes(midi_bytes(track)).notes
    assert [(n.start_s, n.end_s, n.velocity, n.channel) for n in notes] == [
        (0.0, 0.5, 10, 0),
        (0.25, 0.75, 20, 0),
        (0.75, 0.75, 5, 3),
    ]


def test_a_note_that_never_ends_ends_with_the_file():
    """A hanging note is as long as the music."""
    (note,) = Midi.from_bytes(midi_bytes([on(60, 0), mido.Message("pitchwheel", time=960)])).notes
    assert (note.end_s, note.released) == (1.0, False)


def test_a_key_let_go_in_another_track_goes_on():
    """Tracks have keys of their own, though they share a channel: each ends its own notes."""
    notes = Midi.from_bytes(midi_bytes([on(60, 0), on(60, 960, 0)], [on(60, 240), on(60, 240, 0)]))
    assert [(n.track, n.start_s, n.end_s) for n in notes.notes] == [(0, 0.0, 1.0), (1, 0.25, 0.5)]


@pytest.mark.parametrize("data", [b"", b"RIFF....", midi_bytes([on(60, 0)])[:-6]])
def test_what_is_no_midi_is_no_value(data: bytes):
    """A value is only made of a whole file; the reasons are those of `smf.read`."""
    with pytest.raises(NotMidi):
        Midi.from_bytes(data)
