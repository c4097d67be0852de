"""MIDI over HTTP: what a file holds, what becomes of it, and how it is refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import mido
import numpy as np
import PIL.Image
import pytest

from backend.testing.service import Service

NOTE = bytes.fromhex("00903c64 60803c00 00ff2f00")


def head(kind: int = 1, tracks: int = 1, division: int = 96) -> bytes:
    return b"MThd" + struct.pack(">LHHH", 6, kind, tracks, division)


def chunk(events: bytes = NOTE, length: int | None = None) -> bytes:
    return b"MTrk" + struct.pack(">L", len(events) if length is None else length) + events


def loaded(service: Service, content: bytes, **params: Any) -> dict[str, Any]:
    asset = service.upload(content, "tune.mid")["reference"]
    job = service.run("files.load_midi", {"midi": asset, **params})
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def test_a_file_tells_what_a_musician_asks(cpu_service: Service, band: bytes) -> None:
    """Length, tempo, metre, parts with their names and instruments, the range, and a picture."""
    made = loaded(cpu_service, band)
    # three quarters at 90 bpm are 2 s, two more at 180 bpm are 2/3 s
    assert made["duration_s"] == pytest.approx(2 + 2 / 3)
    assert (made["notes"], made["tracks"]) == (6, 3)
    assert (made["bpm"], made["tempo_changes"]) == (90.0, 1)
    assert made["tempo_map"] == [
        {"time_s": 0.0, "bpm": 90.0},
        {"time_s": pytest.approx(2.0, abs=1e-5), "bpm": 180.0},
    ]
    assert made["time_signature"] == "3/4"
    assert made["time_signatures"] == [
        {"time_s": 0.0, "signature": "3/4"},
        {"time_s": pytest.approx(2.0, abs=1e-5), "signature": "4/4"},
    ]
    assert (made["lowest_pitch"], made["highest_pitch"], made["hanging_notes"]) == (35, 79, 0)
    told = [
        tuple(part[key] for key in ("track", "name", "channel", "program", "instrument", "notes"))
        for part in made["parts"]
    ]
    assert told == [
        (1, "Waltz", None, None, "", 0),
        (2, "Melody", 1, 74, "Flute", 3),
        (3, "", 2, 33, "Acoustic Bass", 1),
        (3, "", 10, None, "Percussion", 2),
    ]
    assert made["parts"][1]["lowest_pitch"] == 72
    kept = cpu_service.ask("GET", made["midi"]["href"])
    assert kept.headers["content-type"] == "audio/midi"
    assert len(list(mido.MidiFile(file=io.BytesIO(kept.body)))) > 12


def test_a_part_is_taken_out_transposed_and_faster(cpu_service: Service, band: bytes) -> None:
    """One channel of one track, a fifth up, at twice the tempo, keeping metre and proportions."""
    made = loaded(
        cpu_service, band, track=2, channel=1, transpose_st=7, tempo_scale=2.0, picture=False
    )
    assert made["duration_s"] == pytest.approx(1 + 1 / 3)
    assert [each["bpm"] for each in made["tempo_map"]] == pytest.approx([180, 360], rel=1e-5)
    assert (made["notes"], made["lowest_pitch"], made["highest_pitch"]) == (3, 79, 86)
    assert made["picture"] is None
    file = mido.MidiFile(file=io.BytesIO(cpu_service.ask("GET", made["midi"]["href"]).body))
    notes = [m.note for m in file if m.type == "note_on" and m.velocity]
    assert notes == [79, 83, 86]


def test_equal_files_give_equal_bytes(cpu_service: Service, band: bytes) -> None:
    """The same call gives the same MIDI and the same picture, reference for reference."""
    first, again = (loaded(cpu_service, band, bpm=77.7) for _ in range(2))
    assert first["midi"]["reference"] == again["midi"]["reference"]
    assert first["picture"]["reference"] == again["picture"]["reference"]
    assert first["bpm"] == pytest.approx(77.7, abs=1e-3)


@pytest.mark.parametrize(
    ("params", "pointer", "rule", "told"),
    [
        ({"track": 4}, "/track", "tracks", "there are 3 tracks"),
        ({"track": 1}, "/track", "no_notes", "track 2 (channel 1), track 3 (channels 2, 10)"),
        ({"track": 2, "channel": 10}, "/channel", "no_notes", "track 3 (channels 2, 10)"),
        ({"transpose_st": 60}, "/transpose_st", "pitch_range", "132"),
        ({"transpose_st": -60}, "/transpose_st", "pitch_range", "-24"),
        ({"bpm": 120, "tempo_scale": 2.0}, "/bpm", "exclusive", "tempo_scale"),
        ({"bpm": 3.9}, "/bpm", "greater_than_equal", "4"),
        ({"channel": 17}, "/channel", "less_than_equal", "16"),
        ({"transpose_st": 1.5}, "/transpose_st", "int_type", ""),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    cpu_service: Service, band: bytes, params: dict[str, Any], pointer: str, rule: str, told: str
) -> None:
    """Each impossible wish is a problem at its field, with its rule and a sentence."""
    asset = cpu_service.upload(band, "tune.mid")["reference"]
    answer = cpu_service.ask(
        "POST", "/v1/operations/files.load_midi?wait=60", {"midi": asset, **params}
    )
    problem = answer.json()
    assert answer.status == 422
    assert [(e["pointer"], e["rule"]) for e in problem["errors"]] == [(pointer, rule)]
    assert told in problem["detail"] + problem["errors"][0]["message"]


def test_slower_than_an_hour_is_refused(cpu_service: Service, make_midi: Any, play: Any) -> None:
    """Half an hour at a quarter of its tempo would be two hours: the limit is named."""
    asset = cpu_service.upload(make_midi(play(60, 480 * 3600)), "long.mid")["reference"]
    params = {"midi": asset, "tempo_scale": 0.25}
    answer = cpu_service.ask("POST", "/v1/operations/files.load_midi?wait=60", params)
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["rule"]) == ("/tempo_scale", "midi_seconds")


EVENTS = bytes.fromhex("003c40 003c00")
REFUSED: dict[str, tuple[bytes, int, str, str]] = {
    "other": (b"this is no MIDI file", 415, "format", "a type that is not known"),
    "type 2": (head(2) + chunk(), 415, "format", "type 2"),
    "film frames": (head(division=0xE728) + chunk(), 415, "division", "SMPTE"),
    "no division": (head(division=0) + chunk(), 415, "division", "no ticks"),
    "half a header": (head()[:11], 415, "cut", "header"),
    "cut": ((head() + chunk())[:-5], 415, "cut", "track 1 says that it has 12 bytes; 7 follow"),
    "short length": (head() + chunk(length=6), 415, "cut", "track 1 ends within an event"),
    "lost track": (head(tracks=3) + chunk() * 2, 415, "tracks", "promises 3 tracks and has 2"),
    "long length": (head(tracks=2) + chunk(NOTE + chunk()), 415, "tracks", "promises 2 tracks"),
    "no track": (head(tracks=0), 415, "tracks", "no track"),
    "no status": (head() + chunk(b"\0\x3c\x64" + NOTE), 415, "running_status", "track 1"),
    "real time": (head() + chunk(b"\0\xf8" + NOTE), 415, "damaged", "F8"),
    "no data": (head() + chunk(b"\0\x90\x3c\x80" + NOTE), 415, "damaged", "track 1"),
    "endless time": (head() + chunk(b"\xff" * 160 + NOTE), 415, "damaged", "later than any"),
    "no tempo": (head() + chunk(b"\0\xff\x51\x03\0\0\0" + NOTE), 415, "damaged", "tempo"),
    "long text": (head() + chunk(b"\0\xff\x7f\xff\xff\xff\x7f"), 415, "damaged", "exceeds"),
    "bytes": (head() + chunk(NOTE + bytes(2**20)), 413, "midi_bytes", "1048576"),
    "events": (head() + chunk(b"\0\x90\0\0" + EVENTS * 100_000), 413, "midi_events", "200000"),
    "hours": (
        head() + chunk(bytes.fromhex("00903c64 84d5ff00803c00")),
        413,
        "midi_seconds",
        "3600",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_none_is_refused_with_its_reason(cpu_service: Service, name: str) -> None:
    """Other files, cut ones, lies about lengths, and what is over a limit: at /file, by rule."""
    content, status, rule, told = REFUSED[name]
    answer = cpu_service.ask("POST", "/v1/assets?file_name=x.mid", content)
    problem = answer.json()
    assert answer.status == status, problem
    assert [(e["pointer"], e["rule"]) for e in problem["errors"]] == [("/file", rule)]
    assert told in problem["detail"]


@pytest.mark.parametrize(
    ("content", "notes", "hanging"),
    [
        (head(0, 2) + chunk() + chunk(), 2, 0),
        (head(1, 1) + chunk() + chunk(), 2, 0),
        (head() + b"XFIH\0\0\0\2ab" + chunk() + b"<script>", 1, 0),
        (head() + chunk(NOTE + b"\0\0\0"), 1, 0),
        (head() + chunk(b"\0\xff\x59\x02\x09\0" + NOTE), 1, 0),
        (head() + chunk(NOTE[:-4]), 1, 0),
        (head() + chunk(b"\x60\xff\x4b\x02\x09\0" + NOTE), 1, 0),
        (head() + chunk(bytes.fromhex("00903c64 00ff010141 003e64 60ff2f00")), 2, 2),
        (head() + chunk(bytes.fromhex("00ff0305410042ff43 00ff2f00")), 0, 0),
    ],
    ids=["type 0 of two tracks", "more tracks than promised", "foreign chunks",
         "bytes behind the end", "a key of nine sharps", "no end of track",
         "an unknown kind of event", "hanging notes", "no notes"],
)  # fmt: skip
def test_what_is_merely_odd_is_read(
    cpu_service: Service, content: bytes, notes: int, hanging: int
) -> None:
    """Files that other programs play are read whole, and the oddity is told where it matters."""
    made = loaded(cpu_service, content)
    assert (made["notes"], made["hanging_notes"]) == (notes, hanging)
    assert made["picture"] is not None
    if notes == 0:
        assert made["lowest_pitch"] is None
        assert made["parts"][0]["name"] == "ABÿC"


def test_a_picture_has_the_notes_where_they_are(cpu_service: Service, band: bytes) -> None:
    """The piano roll is a PNG with something on it, another one for other notes."""
    made = [loaded(cpu_service, band, transpose_st=st)["picture"] for st in (0, 5)]
    assert made[0]["reference"] != made[1]["reference"]
    raw = cpu_service.ask("GET", made[0]["href"]).body
    pixels = np.asarray(PIL.Image.open(io.BytesIO(raw)))
    assert pixels.shape[1] == 1000
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
