"""MIDI loaded: its facts, what is changed, and how it is drawn."""

from __future__ import annotations

import io
from typing import Any

import mido
import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media.midi import Midi
from backend.plugins.files import general_midi, piano_roll
from backend.plugins.files.midi_operations import load_midi
from backend.plugins.files.midi_results import MOST_TOLD, LoadedMidi


def load(data: bytes, **wish: Any) -> LoadedMidi:
    return load_midi(Midi.from_bytes(data), **{"picture": False, **wish})


def messages(made: LoadedMidi, *kinds: str) -> list[Any]:
    file = mido.MidiFile(file=io.BytesIO(made.midi.data))
    return [each for track in file.tracks for each in track if each.type in kinds]


def test_what_is_not_asked_for_stays_as_it_is(band: bytes):
    """Without any wish the MIDI is the same value, byte for byte."""
    midi = Midi.from_bytes(band)
    assert load_midi(midi, picture=False).midi is midi


def test_transposing_moves_keys_and_their_pressure_but_no_drums(make_midi: Any, play: Any):
    """Note on, note off and polyphonic pressure move; controllers and channel 10 do not."""
    track = [
        mido.Message("note_on", note=60), mido.Message("polytouch", note=60, value=9),
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_off", note=60, time=480), *play(42, 10, channel=9),
    ]  # fmt: skip
    made = load(make_midi(track), transpose_st=-12)
    assert {m.note for m in messages(made, "note_on", "note_off", "polytouch")} == {48, 42}
    assert messages(made, "control_change")[0].control == 64
    assert made.duration_s == load(make_midi(track)).duration_s


def test_a_chosen_track_keeps_the_tempo_of_the_others(band: bytes):
    """Tempo and metre stand in the first track and hold for the melody all the same; names,
    programs and notes of the other tracks are gone."""
    made = load(band, track=2)
    assert (made.tracks, made.notes, made.bpm, made.time_signature) == (2, 3, 90.0, "3/4")
    assert [part.name for part in made.parts] == ["", "Melody"]
    assert messages(made, "program_change") == [mido.Message("program_change", program=73)]


def test_a_channel_is_taken_from_every_track(band: bytes):
    """The drums stay with all that is no channel's; the length of the piece stays, too."""
    made = load(band, channel=10)
    assert [(part.channel, part.notes) for part in made.parts if part.notes] == [(10, 2)]
    assert made.duration_s == load(band).duration_s
    assert [part.name for part in made.parts] == ["Waltz", "Melody", ""]


def test_a_tempo_that_is_not_said_is_said(make_midi: Any, play: Any):
    """A file without a tempo has 120 bpm; scaled, its first track says the new one."""
    data = make_midi(play(60, 480))
    assert (load(data).bpm, load(data).duration_s) == (120.0, 0.5)
    made = load(data, bpm=60)
    assert (made.bpm, made.duration_s) == (60.0, 1.0)
    assert [m.tempo for m in messages(made, "set_tempo")] == [1_000_000]


def test_a_later_first_tempo_keeps_its_proportion(make_midi: Any, play: Any):
    """Until it comes there are 120 bpm; both become twice as fast."""
    late = [mido.MetaMessage("set_tempo", tempo=1_000_000, time=480), *play(60, 480)]
    made = load(make_midi(late), tempo_scale=2)
    assert [each.bpm for each in made.tempo_map] == [240.0, 120.0]
    assert made.duration_s == pytest.approx(0.25 + 0.5)


@pytest.mark.parametrize(
    ("tempo", "wish", "pointer"),
    [(12_000_000, {"tempo_scale": 0.5}, "/tempo_scale"), (2, {"tempo_scale": 10}, "/tempo_scale")],
)
def test_tempi_that_no_file_can_hold_are_refused(
    make_midi: Any, play: Any, tempo: int, wish: dict[str, float], pointer: str
):
    """A quarter note has 1 to 16 777 215 microseconds."""
    data = make_midi([mido.MetaMessage("set_tempo", tempo=tempo), *play(60, 10)])
    with pytest.raises(InvalidParameters, match="no MIDI file can hold") as caught:
        load(data, **wish)
    assert [(e.pointer, e.rule) for e in caught.value.errors] == [(pointer, "tempo_range")]


def test_programs_hold_for_the_channel(make_midi: Any, play: Any):
    """A program chosen in another track counts, the one at the first note; later ones do not."""
    chooser = [
        mido.Message("program_change", program=40),
        mido.Message("program_change", program=41, time=480),
        mido.Message("program_change", program=42, time=4800),
    ]
    player = [mido.MetaMessage("text", text="rest", time=960), *play(60, 480)]
    (_, part) = load(make_midi(chooser, player)).parts
    assert (part.program, part.instrument, part.track) == (42, "Viola", 2)
    (early,) = load(make_midi([*play(60, 480), *chooser])).parts
    assert (early.program, early.instrument) == (None, "")


def test_names_are_text_whatever_the_file_holds(make_midi: Any, play: Any):
    """UTF-8, else Latin-1; without what cannot be printed, and not endless."""
    found = []
    for raw in ("Flöte 日本".encode(), "Flöte".encode("latin-1"), b"A\0\x1b[31mB\n", b"x" * 900):
        name = mido.UnknownMetaMessage(0x03, data=list(raw))
        found.append(load(make_midi([name, *play(60, 1)])).parts[0].name)
    assert found == ["Flöte 日本", "Flöte", "A[31mB", "x" * 120]


def test_odd_metres_are_told_and_impossible_ones_are_not(make_midi: Any):
    """7/8 is a metre; 0/4 and notes beyond 1/128 are none."""

    def metre(*data: int) -> Any:
        return mido.UnknownMetaMessage(0x58, data=list(data), time=480)

    made = load(make_midi([metre(0, 2, 24, 8), metre(7, 3, 24, 8), metre(4, 200, 24, 8)]))
    assert [each.signature for each in made.time_signatures] == ["4/4", "7/8"]
    assert made.time_signatures[1].time_s == 1.0


def test_long_lists_are_told_in_part_and_counted_in_full(make_midi: Any):
    """Ten thousand changes of tempo are counted; a thousand are told."""
    changes = [mido.MetaMessage("set_tempo", tempo=400_000 + n, time=1) for n in range(10_000)]
    made = load(make_midi(changes))
    assert (made.tempo_changes, len(made.tempo_map)) == (10_000, MOST_TOLD)


def test_general_midi_has_its_names_in_order():
    """128 of them; the first of some families stand where the list of programs has them."""
    assert len(general_midi.PROGRAMS) == len(set(general_midi.PROGRAMS)) == 128
    known = {0: "Acoustic Grand Piano", 24: "Acoustic Guitar (nylon)", 32: "Acoustic Bass",
             40: "Violin", 56: "Trumpet", 73: "Flute", 104: "Sitar", 127: "Gunshot"}  # fmt: skip
    assert {number: general_midi.PROGRAMS[number] for number in known} == known


def pixels(data: bytes, **wish: Any) -> np.ndarray:
    made = load(data, picture=True, **wish)
    assert made.picture is not None
    return made.picture.pixels


def test_the_picture_is_the_same_every_time_and_another_one_for_others(band: bytes):
    """Equal notes, equal pixels; a semitone is seen."""
    assert np.array_equal(pixels(band), pixels(band))
    assert not np.array_equal(pixels(band), pixels(band, transpose_st=1))


def test_velocity_is_the_shade(make_midi: Any, play: Any):
    """In the middle of a hard note the picture is brighter than in a soft one."""
    blue = [
        pixels(make_midi(play(60, 480, velocity=velocity)))[100:300, 300:700].max(axis=(0, 1))[2]
        for velocity in (1, 64, 127)
    ]
    assert blue[0] < blue[1] < blue[2]


@pytest.mark.parametrize("pitch", [0, 60, 127])
def test_a_note_stands_at_its_pitch(make_midi: Any, play: Any, pitch: int):
    """Its row lies where the axis has its pitch, at both ends of the keyboard, too."""
    low, high = piano_roll.shown_range(pitch, pitch)
    assert 0 <= low <= pitch <= high <= 127
    seen = pixels(make_midi(play(pitch, 480, velocity=127)))[40:, 300:700]
    rows = np.flatnonzero((seen[:, :, 2] > 0.8).mean(axis=1) > 0.9)
    assert 3 <= rows.size <= 20
    assert np.ptp(rows) == rows.size - 1


def test_a_file_without_notes_or_time_is_drawn(make_midi: Any, play: Any):
    """No notes, and notes without any length, have a picture."""
    for data in (make_midi([]), make_midi(play(0, 0) + play(127, 0))):
        assert pixels(data).shape[1] == 1000


def test_names_of_pitches():
    """Middle C, MIDI 60, is C4."""
    assert [piano_roll.pitch_name(pitch) for pitch in (0, 60, 61, 127)] == [
        "C−1",
        "C4",
        "C♯4",
        "G9",
    ]
