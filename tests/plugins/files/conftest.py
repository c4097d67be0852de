"""MIDI files that tests make with mido."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import mido
import pytest


def midi_file(*tracks: Sequence[Any], kind: int = 1, ticks: int = 480) -> bytes:
    """A file of these tracks of mido's messages; their times are in ticks after one another."""
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def played(pitch: int, ticks: int, *, velocity: int = 80, channel: int = 0) -> list[Any]:
    """A note of so many ticks, at once after the one before."""
    return [
        mido.Message("note_on", note=pitch, velocity=velocity, channel=channel),
        mido.Message("note_on", note=pitch, velocity=0, channel=channel, time=ticks),
    ]


def band_file() -> bytes:
    """A conductor (90 bpm, 3/4; after three quarters 180 bpm, 4/4), a melody, a bass that shares
    its track with drums."""
    meta = mido.MetaMessage
    conductor = [
        meta("track_name", name="Waltz"),
        meta("set_tempo", tempo=mido.bpm2tempo(90)),
        meta("time_signature", numerator=3, denominator=4),
        meta("set_tempo", tempo=mido.bpm2tempo(180), time=3 * 480),
        meta("time_signature", numerator=4, denominator=4),
    ]
    melody = [
        meta("track_name", name="Melody"),
        mido.Message("program_change", program=73),
        *played(72, 480, velocity=100),
        *played(76, 960, velocity=40),
        *played(79, 960),
    ]
    low = [
        mido.Message("program_change", program=32, channel=1),
        *played(36, 1440, channel=1),
        *played(35, 480, channel=9),
        *played(38, 480, channel=9),
    ]
    return midi_file(conductor, melody, low)


@pytest.fixture(scope="session")
def band() -> bytes:
    return band_file()


@pytest.fixture(scope="session")
def make_midi() -> Callable[..., bytes]:
    return midi_file


@pytest.fixture(scope="session")
def play() -> Callable[..., list[Any]]:
    return played
