"""Tempo maps: ticks become seconds without errors that add up."""

from __future__ import annotations

from fractions import Fraction

import pytest

from backend.media import smf
from backend.media.smf import META, Event, NotMidi, Smf
from backend.media.tempo import TEMPO, TempoChange, TempoMap


def tempo(tick: int, microseconds: int) -> Event:
    return Event(tick, META, TEMPO + microseconds.to_bytes(3))


def test_ten_thousand_changes_end_where_they_should():
    """The end of a long accelerando is exact to the last bit, computed in fractions."""
    tempi = [500_000 - 37 * n for n in range(10_000)]
    track = smf.ended([tempo(7 * n, each) for n, each in enumerate(tempi)], 70_000)
    exact = sum(Fraction(7 * each, 960 * 1_000_000) for each in tempi)
    assert TempoMap(Smf(960, (track,))).seconds(70_000) == float(exact)


def test_changes_come_from_every_track_and_are_changes():
    """In order of time; the last of several at one time; nothing that changes nothing."""
    one = smf.ended([tempo(10, 400_000), tempo(30, 300_000)], 40)
    two = smf.ended([tempo(0, 500_000), tempo(10, 600_000), tempo(20, 600_000)], 40)
    changes = TempoMap(Smf(96, (one, two))).changes
    assert changes == (TempoChange(0, 500_000), TempoChange(10, 600_000), TempoChange(30, 300_000))
    assert [change.bpm for change in changes] == [120.0, 100.0, 200.0]


@pytest.mark.parametrize("content", [b"\0\0\0", b"\1\2", b""])
def test_no_tempo_is_refused(content: bytes):
    """A quarter note without length, or a tempo of too few bytes, is damage."""
    track = smf.ended([Event(0, META, TEMPO + content)], 0)
    with pytest.raises(NotMidi, match="tempo") as caught:
        TempoMap(Smf(96, (track,)))
    assert caught.value.rule == "damaged"
