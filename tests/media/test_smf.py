"""Standard MIDI Files: events with their times, written so that nothing is lost."""

from __future__ import annotations

import io
import random
import struct

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.media import smf
from backend.media.smf import META, Event, NotMidi, Smf

KINDS = ("note_on", "note_off", "polytouch", "control_change", "program_change", "aftertouch",
         "pitchwheel", "sysex", "text", "set_tempo")  # fmt: skip
RULES = {"format", "division", "tracks", "cut", "running_status", "damaged"}


def random_file(seed: int) -> tuple[bytes, mido.MidiFile]:
    """A file of every sort of event, by mido."""
    rng = random.Random(seed)
    file = mido.MidiFile(ticks_per_beat=rng.randint(1, 32767))
    for _ in range(rng.randint(1, 4)):
        track = mido.MidiTrack()
        for _ in range(rng.randint(0, 60)):
            time, channel = (
                rng.choice([0, 1, 127, 128, 16_383, 16_384, 2_000_000]),
                rng.randint(0, 15),
            )
            kind = rng.choice(KINDS)
            if kind == "sysex":
                message = mido.Message("sysex", data=[rng.randint(0, 127)] * 200, time=time)
            elif kind == "text":
                message = mido.MetaMessage("text", text="é" * rng.randint(0, 200), time=time)
            elif kind == "set_tempo":
                message = mido.MetaMessage("set_tempo", tempo=rng.randint(1, 2**24 - 1), time=time)
            else:
                message = mido.Message(kind, channel=channel, time=time)
            track.append(message)
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue(), mido.MidiFile(file=io.BytesIO(out.getvalue()))


@pytest.mark.parametrize("seed", range(30))
def test_it_reads_what_mido_reads_and_mido_reads_what_it_writes(seed: int):
    """Every event of every track, at its time, in both directions; the bytes come back equal."""
    data, other = random_file(seed)
    file = smf.read(data)
    assert (file.ticks_per_beat, len(file.tracks)) == (other.ticks_per_beat, len(other.tracks))
    for track, theirs in zip(file.tracks, other.tracks, strict=True):
        now, ticks = 0, []
        for message in theirs:
            now += message.time
            ticks.append(now)
        assert [event.tick for event in track] == ticks
        plain = [(e, m) for e, m in zip(track, theirs, strict=True) if 0x80 <= e.status < 0xF0]
        assert all(bytes([e.status]) + e.data == bytes(m.bytes()) for e, m in plain)
    written = smf.write(file)
    assert smf.read(written) == file
    assert written == data
    again = mido.MidiFile(file=io.BytesIO(written))
    assert [list(track) for track in again.tracks] == [list(track) for track in other.tracks]


events = st.one_of(
    st.builds(
        lambda status, first, second: (
            status,
            bytes([first] if 0xC0 <= status < 0xE0 else [first, second]),
        ),
        st.integers(0x80, 0xEF),
        st.integers(0, 127),
        st.integers(0, 127),
    ),
    st.builds(
        lambda kind, data: (META, bytes([kind]) + data),
        st.sampled_from([*range(1, 9), *range(0x0A, 0x20), 0x4B, 0x7F]),
        st.binary(max_size=300),
    ),
    st.builds(
        lambda data: (0xF0, bytes(data)), st.lists(st.integers(0, 127), min_size=1, max_size=300)
    ),
)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2**27), events), max_size=8), min_size=1))
def test_whatever_is_written_is_read(tracks: list[list[tuple[int, tuple[int, bytes]]]]):
    """Any events at any times come back as they were, kinds that nobody knows among them."""
    made = []
    for track in tracks:
        tick, here = 0, []
        for delta, (status, data) in track:
            tick += delta
            here.append(Event(tick, status, data))
        made.append(smf.ended(here, tick))
    file = Smf(480, tuple(made))
    assert smf.read(smf.write(file)) == file


def outcome(data: bytes) -> Smf | NotMidi:
    try:
        return smf.read(data)
    except NotMidi as error:
        return error


@given(st.binary(max_size=200))
def test_noise_is_a_file_or_a_reason(noise: bytes):
    """Whatever stands in a track, it is read or refused with a rule; nothing else happens."""
    head = b"MThd" + struct.pack(">LHHH", 6, 0, 1, 96)
    for data in (noise, head + noise, head + b"MTrk" + struct.pack(">L", len(noise)) + noise):
        found = outcome(data)
        if isinstance(found, NotMidi):
            assert found.rule in RULES
        else:
            assert smf.read(smf.write(found)) == found


@pytest.mark.parametrize("length", [0, 1, 14, 40, -1])
def test_every_cut_is_told(length: int):
    """However many bytes are missing, the file is refused, and never read as a shorter one."""
    data, _ = random_file(3)
    for end in range(len(data) - 1) if length == -1 else [length]:
        with pytest.raises(NotMidi):
            smf.read(data[:end])


def test_running_status_goes_on_behind_meta_events():
    """The standard ends it there; many files do not, and what they mean is plain."""
    track = bytes.fromhex("00903c40 00ff010141 003e40 00ff4b0143 004040")
    data = b"MThd" + struct.pack(">LHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">L", len(track))
    (found,) = smf.read(data + track).tracks
    assert [event.data[0] for event in found if event.status == 0x90] == [60, 62, 64]


HEAD = b"MThd" + struct.pack(">LHHH", 6, 0, 1, 96)


def of_one(track: bytes) -> bytes:
    """A file of one track."""
    return HEAD + b"MTrk" + struct.pack(">L", len(track)) + track


@pytest.mark.parametrize(
    "meta",
    [
        b"\x59\x09\x00",  # nine sharps
        b"\x59\x00\x02",  # neither major nor minor
        b"\x00\x05",  # half a sequence number
        b"\x20",  # a channel that is not said
        b"\x54\x80\x00\x00\x00\x00",  # an unknown frame rate
        b"\x58\x04\x1d\x18\x08",  # a metre in notes of 1/2^29
        b"\x81\x05",  # a kind that cannot be one
    ],
)
def test_a_strange_meta_event_is_kept_at_its_time(meta: bytes):
    """What mido cannot make sense of neither costs the file nor moves what follows."""
    event = bytes([0x60, 0xFF, meta[0], len(meta) - 1]) + meta[1:]
    found = smf.read(of_one(event + b"\x10\x90\x3c\x40"))
    assert found.tracks[0][:2] == (Event(96, META, meta), Event(112, 0x90, b"<@"))
    assert smf.read(smf.write(found)) == found


def test_a_time_of_a_thousand_bits_is_damage():
    """A delta time of any length is no number to go on with."""
    found = outcome(of_one(b"\xff" * 160 + b"\x00\x90\x3c\x40"))
    assert isinstance(found, NotMidi)
    assert found.rule == "damaged"


def test_more_tracks_than_can_be_written_are_refused():
    """Tens of thousands of empty tracks are refused where they are read, not where written."""
    found = outcome(HEAD + (b"MTrk" + bytes(4)) * 0x8000)
    assert isinstance(found, NotMidi)
    assert found.rule == "tracks"
