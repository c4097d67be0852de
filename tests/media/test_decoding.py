"""What an upload may be: recognised by its bytes, refused with what was found."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import pytest

from backend.errors import AssetRejected, AssetTooLarge
from backend.media import codecs, decoding
from backend.media.decoding import Limits, decode_upload

REFUSED = {
    "an SVG image": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    "an HTML page": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "MS Office|ZIP": b"PK\x03\x04" + bytes(100),
    "GZIP": b"\x1f\x8b\x08" + bytes(50),
    "ELF": b"\x7fELF" + bytes(100),
    "Portable Document": b"%PDF-1.4\n" + bytes(50),
    "not known": b"just some words",
}


def midi_file(events: int = 2, ticks: int = 480) -> bytes:
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(mido.MidiTrack())
    for number in range(events):
        file.tracks[0].append(mido.Message("note_on", note=60, velocity=number % 2, time=ticks))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def upload(tmp_path: Path, raw: bytes) -> codecs.StoredFile:
    (tmp_path / "upload").write_bytes(raw)
    return decode_upload(tmp_path / "upload", tmp_path, Limits())


@pytest.mark.parametrize("found", REFUSED)
def test_other_types_are_refused_by_name(tmp_path: Path, found: str):
    """Active types, archives and programs are refused with what they are and what is accepted."""
    with pytest.raises(AssetRejected, match=found) as caught:
        upload(tmp_path, REFUSED[found])
    assert "WAV" in (caught.value.remedy or "")


def test_nothing_is_refused_as_nothing(tmp_path: Path):
    """An empty file is called empty."""
    with pytest.raises(AssetRejected, match="empty"):
        upload(tmp_path, b"")


@pytest.mark.parametrize(
    "head",
    [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WAVE", b"fLaC", b"\xff\xfb\x90", b"MThd"],
)
def test_a_true_beginning_and_noise_behind_it_are_refused(tmp_path: Path, head: bytes):
    """The first bytes only choose the decoder; the file must decode."""
    with pytest.raises(AssetRejected):
        upload(tmp_path, head + bytes(range(256)) * 20)


def test_midi_is_written_anew_without_what_follows(tmp_path: Path):
    """A MIDI file keeps its notes; bytes behind its last track are dropped."""
    stored = upload(tmp_path, midi_file() + b"<script>")
    assert stored.kind == "midi"
    assert stored.details == {"duration_s": 1.0, "notes": 1}
    assert b"script" not in stored.path.read_bytes()


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        (midi_file() + bytes(decoding.MIDI_BYTES), "midi_bytes"),
        (midi_file(2, 480 * 7201), "midi_seconds"),
        (midi_file(decoding.MIDI_EVENTS + 1, 0), "midi_events"),
    ],
    ids=["bytes", "seconds", "events"],
)
def test_midi_has_limits(tmp_path: Path, raw: bytes, limit: str):
    """Each limit of MIDI files is named when it is passed."""
    with pytest.raises(AssetTooLarge, match=limit):
        upload(tmp_path, raw)


def test_automation_is_accepted_and_other_json_is_not(tmp_path: Path):
    """JSON is an automation or nothing; the reason says what is missing."""
    stored = upload(tmp_path, b' {"frame_rate": "30", "values": [0, 0.5, 1]}')
    assert (stored.kind, stored.details["frames"]) == ("automation", 3)
    with pytest.raises(AssetRejected, match="not an automation: an automation has"):
        upload(tmp_path, b'{"prompt": {}}')
